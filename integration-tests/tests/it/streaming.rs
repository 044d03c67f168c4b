//! Live streams, as a client reads them that goes away and comes again.

use std::collections::BTreeSet;

use integration_tests::stream::Event;
use integration_tests::{DEADLINE, Signal, System};
use test_support::{Test, test};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_stream_of_one_order_tells_its_life_and_ends_with_it, no database),
        test!(a_stream_of_all_orders_goes_on_where_it_was_left_without_a_gap_and_without_a_repeat, no database),
    ]
}

const LIFE: [&str; 4] = ["PENDING", "RESERVED", "PAID", "SHIPPED"];

fn told(events: &[Event]) -> BTreeSet<(String, String)> {
    let text = |event: &Event, name: &str| event.data[name].as_str().unwrap().to_owned();
    let pairs = events
        .iter()
        .map(|event| (text(event, "orderId"), text(event, "status")));
    pairs.collect()
}

async fn a_stream_of_one_order_tells_its_life_and_ends_with_it() {
    let system = System::start().await;
    let order_id = system.place("book order", 1).await;
    let path = format!("/api/v1/orders/{order_id}/events");
    let mut stream = system.order.stream(&path, None).await;
    let mut states = Vec::new();
    while let Some(event) = stream.next().await {
        assert_eq!(event.data["link"], format!("/api/v1/orders/{order_id}"));
        states.push(event.data["status"].as_str().unwrap().to_owned());
    }
    assert_eq!(states, LIFE);
}

async fn a_stream_of_all_orders_goes_on_where_it_was_left_without_a_gap_and_without_a_repeat() {
    let mut system = System::start().await;
    let path = "/api/v1/orders/events";
    let mut stream = system.order.stream(path, None).await;
    let mut placed = Vec::new();
    for _ in 0..5 {
        placed.push(system.place("book order", 1).await);
    }
    // In the middle of their lives.
    let mut events = stream.take(9).await;
    drop(stream);
    for _ in 0..5 {
        placed.push(system.place("book order", 1).await);
    }
    for order_id in &placed {
        assert_eq!(system.ended(order_id).await["status"], "SHIPPED");
    }
    // Another process goes on as well: the place in the log is all that it needs.
    system.process("order").signal(Signal::Terminate);
    assert!(system.process("order").ended(DEADLINE).await.success());
    system.spawn("order").await;
    system.until_ready().await;

    let last = events.last().unwrap().id.clone();
    let mut stream = system.order.stream(path, Some(&last)).await;
    events.extend(stream.take(placed.len() * LIFE.len() - events.len()).await);
    let lives = placed
        .iter()
        .flat_map(|id| LIFE.map(|status| (id.clone(), status.to_owned())));
    assert_eq!(told(&events), lives.collect());

    // Nothing else is told: the next event is of the next order.
    let next = system.place("book order", 1).await;
    let event = stream.next().await.unwrap();
    assert_eq!(told(&[event]), [(next, "PENDING".to_owned())].into());
}
