//! Orders, live.

use base_domains::OrderStatus;
use serde_json::json;
use test_support::{Test, TestDatabase, test};

use crate::support::{
    EventStream, Log, Request, STREAM_SEATS, Service, Told, eventually, order_id,
};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_stream_of_an_order_tells_what_happened_and_what_happens_until_its_end),
        test!(a_stream_of_an_order_goes_on_after_the_last_event_that_was_seen),
        test!(a_stream_of_all_orders_tells_what_happens_from_now_on),
        test!(a_stream_of_all_orders_misses_and_repeats_nothing_when_it_is_resumed),
        test!(a_stream_of_all_orders_tells_a_long_past_and_then_goes_on_live),
        test!(what_another_instance_folds_is_told_too),
        test!(one_stream_too_many_is_answered_with_503_and_an_ended_one_makes_room),
        test!(a_client_that_falls_behind_is_dropped_and_can_resume),
        test!(streams_end_with_the_service),
        test!(a_bad_place_to_go_on_is_answered_with_400_that_names_it),
        test!(before_the_log_was_looked_at_there_is_no_stream_of_all_orders),
    ]
}

const ALL: &str = "/api/v1/orders/events";

fn path(name: &str) -> String {
    format!("/api/v1/orders/{}/events", order_id(name))
}

async fn start(database: TestDatabase) -> Service {
    let service = Service::start(database).await;
    service.identify_log().await;
    service
}

async fn a_stream_of_an_order_tells_what_happened_and_what_happens_until_its_end(
    database: TestDatabase,
) {
    let service = start(database).await;
    let mut log = Log::default();
    let id = order_id("a");
    log.bring(&service, id, OrderStatus::Pending).await;
    let mut stream = EventStream::open(service.address, &path("a"), None).await;
    let first = stream.next().await.unwrap();
    let link = format!("/api/v1/orders/{id}");
    assert_eq!(
        first.data,
        json!({"orderId": id.to_string(), "status": "PENDING", "link": link})
    );
    log.bring(&service, order_id("b"), OrderStatus::Pending)
        .await;
    log.bring(&service, id, OrderStatus::Reserved).await;
    log.bring(&service, id, OrderStatus::Rejected).await;
    assert_eq!(stream.statuses(2).await, ["RESERVED", "REJECTED"]);
    assert_eq!(stream.next().await, None);
}

async fn a_stream_of_an_order_goes_on_after_the_last_event_that_was_seen(database: TestDatabase) {
    let service = start(database).await;
    let mut log = Log::default();
    let id = order_id("a");
    for status in [
        OrderStatus::Pending,
        OrderStatus::Reserved,
        OrderStatus::Cancelled,
    ] {
        log.bring(&service, id, status).await;
    }
    let mut whole = EventStream::open(service.address, &path("a"), None).await;
    let first = whole.next().await.unwrap();
    let mut rest = EventStream::open(service.address, &path("a"), Some(&first.id)).await;
    assert_eq!(rest.next().await, whole.next().await);
    let last = rest.next().await.unwrap();
    assert_eq!(last.data["status"], "CANCELLED");
    assert_eq!(rest.next().await, None);
    // An EventSource comes back by itself, unless it is told not to.
    let over = Request::get(&path("a"))
        .header("Accept", "text/event-stream")
        .header("Last-Event-ID", &last.id);
    assert_eq!(over.send(service.address).await.status, 204);
}

async fn a_stream_of_all_orders_tells_what_happens_from_now_on(database: TestDatabase) {
    let service = start(database).await;
    let mut log = Log::default();
    log.bring(&service, order_id("before"), OrderStatus::Pending)
        .await;
    let mut stream = EventStream::open(service.address, ALL, None).await;
    log.bring(&service, order_id("a"), OrderStatus::Pending)
        .await;
    log.bring(&service, order_id("b"), OrderStatus::Pending)
        .await;
    log.bring(&service, order_id("before"), OrderStatus::Reserved)
        .await;
    for (name, status) in [("a", "PENDING"), ("b", "PENDING"), ("before", "RESERVED")] {
        let told = stream.next().await.unwrap();
        let id = order_id(name).to_string();
        assert_eq!(
            (told.data["orderId"].as_str(), told.data["status"].as_str()),
            (Some(id.as_str()), Some(status))
        );
    }
}

fn orders(told: &[Told]) -> Vec<String> {
    let ids = told.iter().map(|told| told.data["orderId"].as_str());
    let mut ids: Vec<String> = ids.map(|id| id.unwrap().to_owned()).collect();
    ids.sort();
    ids
}

async fn a_stream_of_all_orders_misses_and_repeats_nothing_when_it_is_resumed(
    database: TestDatabase,
) {
    let service = start(database).await;
    let mut log = Log::default();
    let mut stream = EventStream::open(service.address, ALL, None).await;
    let names: Vec<String> = (0..12).map(|n| format!("order {n}")).collect();
    for name in &names[..6] {
        log.bring(&service, order_id(name), OrderStatus::Pending)
            .await;
    }
    // Where the client loses its connection: in the middle.
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push(stream.next().await.unwrap());
    }
    drop(stream);
    for name in &names[6..] {
        log.bring(&service, order_id(name), OrderStatus::Pending)
            .await;
    }
    let last = told.last().unwrap().id.clone();
    let mut stream = EventStream::open(service.address, ALL, Some(&last)).await;
    for _ in 4..12 {
        told.push(stream.next().await.unwrap());
    }
    log.bring(&service, order_id("live"), OrderStatus::Pending)
        .await;
    let live = stream.next().await.unwrap();
    assert_eq!(live.data["orderId"], order_id("live").to_string());
    let mut expected: Vec<String> = names
        .iter()
        .map(|name| order_id(name).to_string())
        .collect();
    expected.sort();
    assert_eq!(orders(&told), expected);
}

async fn a_stream_of_all_orders_tells_a_long_past_and_then_goes_on_live(database: TestDatabase) {
    const PAST: usize = 1500;
    let service = start(database).await;
    let mut log = Log::default();
    let marks: Vec<_> = (0..PAST)
        .map(|n| log.event(order_id(&format!("order {n}")), OrderStatus::Pending))
        .collect();
    log.fold(&service, &marks).await;
    let mut stream = EventStream::open(service.address, ALL, Some("-")).await;
    let mut told = Vec::new();
    for _ in 0..PAST {
        told.push(stream.next().await.unwrap());
    }
    log.bring(&service, order_id("live"), OrderStatus::Pending)
        .await;
    let live = stream.next().await.unwrap();
    assert_eq!(live.data["orderId"], order_id("live").to_string());
    let mut all = orders(&told);
    all.dedup();
    assert_eq!(all.len(), PAST);
}

async fn what_another_instance_folds_is_told_too(database: TestDatabase) {
    let service = start(database).await;
    let mut log = Log::default();
    log.bring(&service, order_id("a"), OrderStatus::Pending)
        .await;
    let mut all = EventStream::open(service.address, ALL, None).await;
    let mut one = EventStream::open(service.address, &path("a"), None).await;
    assert_eq!(one.statuses(1).await, ["PENDING"]);
    let mark = log.event(order_id("a"), OrderStatus::Reserved);
    log.fold_elsewhere(&service, &mark).await;
    assert_eq!(all.statuses(1).await, ["RESERVED"]);
    assert_eq!(one.statuses(1).await, ["RESERVED"]);
}

async fn one_stream_too_many_is_answered_with_503_and_an_ended_one_makes_room(
    database: TestDatabase,
) {
    let service = start(database).await;
    let mut streams = Vec::new();
    for _ in 0..STREAM_SEATS {
        streams.push(EventStream::open(service.address, ALL, None).await);
    }
    let refused = Request::get(ALL).send(service.address).await;
    refused.problem(503);
    assert!(refused.header("retry-after").is_some());
    streams.pop();
    // The server hears of the end by its next write.
    let mut log = Log::default();
    let free = || service.stream_seats.available_permits() == 1;
    log.bring(&service, order_id("a"), OrderStatus::Pending)
        .await;
    eventually("a free seat", free).await;
    EventStream::open(service.address, ALL, None).await;
}

async fn a_client_that_falls_behind_is_dropped_and_can_resume(database: TestDatabase) {
    let service = start(database).await;
    let mut log = Log::default();
    let narrow = Request::get(ALL).narrow();
    let mut stream = EventStream::open_by(service.address, narrow).await;
    // More than the sockets and the hub hold together, while nothing is read.
    const BATCH: usize = 2_000;
    let mut written = 0;
    while service.stream_seats.available_permits() < STREAM_SEATS {
        let marks: Vec<_> = (written..written + BATCH)
            .map(|n| log.event(order_id(&format!("order {n}")), OrderStatus::Pending))
            .collect();
        log.fold(&service, &marks).await;
        written += BATCH;
        assert!(written < 200_000, "nobody was dropped");
    }
    let mut told = Vec::new();
    while let Some(event) = stream.next().await {
        told.push(event);
    }
    assert!(told.len() < written);
    let last = told.last().unwrap().id.clone();
    let mut stream = EventStream::open(service.address, ALL, Some(&last)).await;
    while told.len() < written {
        told.push(stream.next().await.unwrap());
    }
    let mut all = orders(&told);
    all.dedup();
    assert_eq!(all.len(), written);
}

async fn streams_end_with_the_service(database: TestDatabase) {
    let service = start(database).await;
    let mut log = Log::default();
    log.bring(&service, order_id("a"), OrderStatus::Pending)
        .await;
    let mut all = EventStream::open(service.address, ALL, None).await;
    let mut one = EventStream::open(service.address, &path("a"), None).await;
    assert_eq!(one.statuses(1).await, ["PENDING"]);
    service.shutdown.trigger();
    assert_eq!((all.next().await, one.next().await), (None, None));
}

async fn a_bad_place_to_go_on_is_answered_with_400_that_names_it(database: TestDatabase) {
    let service = start(database).await;
    let mut log = Log::default();
    log.bring(&service, order_id("a"), OrderStatus::Pending)
        .await;
    for path in [ALL, &path("a")] {
        // No position, and one of a log that has more than this one.
        for last in ["17", "0:5000"] {
            let get = Request::get(path)
                .header("Accept", "text/event-stream")
                .header("Last-Event-ID", last);
            let answer = get.send(service.address).await;
            assert_eq!(answer.fields(400), ["Last-Event-ID"], "{last}");
        }
    }
}

async fn before_the_log_was_looked_at_there_is_no_stream_of_all_orders(database: TestDatabase) {
    let service = Service::start(database).await;
    let refused = Request::get(ALL).send(service.address).await;
    refused.problem(503);
    assert!(refused.header("retry-after").is_some());
}
