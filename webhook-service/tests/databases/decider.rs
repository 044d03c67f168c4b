//! Who is told of what.

use base_domains::OrderStatus::{self, Cancelled, Paid, Pending, Shipped};
use service_runtime::jobs::JobState;
use service_runtime::participant::Decision;
use test_support::{Test, TestDatabase, test};
use webhook_service::job::delivery_id;
use webhook_service::store;

use crate::world::{Event, SHOP, World, YOUNG, order};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(each_webhook_is_told_of_the_states_it_is_registered_for),
        test!(a_replay_adds_nothing_and_changes_no_id),
        test!(a_webhook_is_not_told_of_what_was_read_before_it_came_or_after_it_went),
        test!(a_notification_holds_type_time_id_status_and_link),
        test!(an_event_without_a_time_is_of_now),
        test!(a_large_batch_is_told_to_many),
    ]
}

const URL: &str = "https://example.com/";

async fn each_webhook_is_told_of_the_states_it_is_registered_for(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let (all, _) = world.register(URL, &OrderStatus::ALL).await;
    let (shipped, _) = world.register(URL, &[Shipped]).await;
    let (none, _) = world.register(URL, &[Cancelled]).await;
    let order = order();
    let events = [Pending, Paid, Shipped].map(|status| Event::new(status, order));
    assert_eq!(world.decide(&events).await, vec![Decision::Done; 3]);
    assert_eq!(world.deliveries(all).await.len(), 3);
    assert_eq!(world.deliveries(none).await.len(), 0);
    let jobs = world.deliveries(shipped).await;
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].job_id, delivery_id(shipped, order, Shipped));
    assert_eq!(jobs[0].kind, format!("webhook/{shipped}"));
    assert_eq!(jobs[0].order_id, order.to_string());
    assert_eq!(jobs[0].partition, events[0].record.partition);
    assert_eq!((jobs[0].state, jobs[0].age_from), (JobState::Due, YOUNG));
}

async fn a_replay_adds_nothing_and_changes_no_id(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let (webhook, _) = world.register(URL, &OrderStatus::ALL).await;
    let order = order();
    let events = || [Pending, Shipped].map(|status| Event::new(status, order));
    world.decide(&events()).await;
    let before = world.deliveries(webhook).await;
    let later = events().map(|event| event.at(YOUNG + 1));
    world.decide(&later).await;
    assert_eq!(before.len(), 2);
    assert!(world.deliveries(webhook).await == before);
}

async fn a_webhook_is_not_told_of_what_was_read_before_it_came_or_after_it_went(
    database: TestDatabase,
) {
    let world = World::new(database, &[]).await;
    world.ship(1).await;
    let (webhook, _) = world.register(URL, &[Shipped]).await;
    assert_eq!(world.deliveries(webhook).await.len(), 0);
    world.ship(1).await;
    assert_eq!(world.states(webhook).await, [JobState::Due]);
    assert!(store::delete(&world.database, webhook).await.unwrap());
    world.ship(1).await;
    assert_eq!(world.states(webhook).await, [JobState::Skipped]);
}

async fn a_notification_holds_type_time_id_status_and_link(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let (webhook, _) = world.register(URL, &[Shipped]).await;
    let order = order();
    world.decide(&[Event::new(Shipped, order)]).await;
    let jobs = world.deliveries(webhook).await;
    let expected = format!(
        "{{\"type\":\"order.shipped\",\"timestamp\":\"2100-01-01T00:00:00.001Z\",\
         \"data\":{{\"orderId\":\"{order}\",\"status\":\"SHIPPED\",\
         \"link\":\"{SHOP}/api/v1/orders/{order}\"}}}}"
    );
    assert_eq!(jobs[0].payload, expected);
}

async fn an_event_without_a_time_is_of_now(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let (webhook, _) = world.register(URL, &[Shipped]).await;
    world.decide(&[Event::new(Shipped, order()).at(0)]).await;
    let jobs = world.deliveries(webhook).await;
    assert_eq!(jobs[0].age_from, jobs[0].created_at);
    let payload: serde_json::Value = serde_json::from_str(&jobs[0].payload).unwrap();
    let time: jiff::Timestamp = payload["timestamp"].as_str().unwrap().parse().unwrap();
    assert!((time.as_millisecond() - jobs[0].created_at).abs() < 60_000);
}

async fn a_large_batch_is_told_to_many(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let mut webhooks = Vec::new();
    for _ in 0..12 {
        webhooks.push(world.register(URL, &[Shipped]).await.0);
    }
    world.ship(500).await;
    for webhook in webhooks {
        assert_eq!(world.deliveries(webhook).await.len(), 500);
    }
}
