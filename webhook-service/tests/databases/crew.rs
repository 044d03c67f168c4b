//! Workers that come and go with their webhooks, and keep out of each other's way.

use base_domains::OrderStatus::Shipped;
use secrecy::ExposeSecret as _;
use service_runtime::jobs::{self, JobState};
use test_support::{Test, TestDatabase, test};
use webhook_service::job::kind;
use webhook_service::store;

use crate::receiver::{Receiver, Reply};
use crate::world::{World, eventually};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_delivery_is_repeated_until_it_arrives),
        test!(a_delivery_is_dead_after_the_limit_and_arrives_when_it_is_redriven),
        test!(a_receiver_that_never_answers_keeps_nobody_waiting).threads(2),
        test!(a_webhook_that_comes_is_served_and_one_that_goes_is_not),
        test!(what_is_left_of_a_deleted_webhook_is_skipped),
    ]
}

async fn a_delivery_is_repeated_until_it_arrives(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let receiver = Receiver::start(&[500, 302, 404, 500, 500, 500, 503].map(Reply::Say)).await;
    let (webhook, _) = world.register(&receiver.url, &[Shipped]).await;
    world.ship(1).await;
    let crew = world.crew();
    world.until_all_are(JobState::Done, webhook).await;
    crew.stop().await;
    assert_eq!(receiver.got().len(), 8);
    assert_eq!(world.deliveries(webhook).await[0].attempts, 8);
}

async fn a_delivery_is_dead_after_the_limit_and_arrives_when_it_is_redriven(
    database: TestDatabase,
) {
    let world = World::new(database, &[("WEBHOOK_MAX_ATTEMPTS", "3")]).await;
    let receiver = Receiver::start(&[500, 500, 500].map(Reply::Say)).await;
    let (webhook, _) = world.register(&receiver.url, &[Shipped]).await;
    world.ship(1).await;
    let crew = world.crew();
    world.until_all_are(JobState::Dead, webhook).await;
    let dead = &world.deliveries(webhook).await[0];
    assert_eq!(dead.attempts, 3);
    assert_eq!(
        dead.last_error.as_deref(),
        Some("the receiver answered 500")
    );
    assert_eq!(receiver.got().len(), 3);

    let id = Some(&*dead.job_id);
    let redriven = jobs::retry_dead_of(&world.database, &kind(webhook), id).await;
    assert_eq!(redriven.unwrap(), 1);
    world.until_all_are(JobState::Done, webhook).await;
    crew.stop().await;
    let got = receiver.got();
    assert_eq!(got.len(), 4);
    assert_eq!((got[3].id(), &got[3].body), (got[0].id(), &got[0].body));
}

async fn a_receiver_that_never_answers_keeps_nobody_waiting(database: TestDatabase) {
    let environment = [("WEBHOOK_TIMEOUT", "10m"), ("WEBHOOK_CONCURRENCY", "3")];
    let world = World::new(database, &environment).await;
    let (silent, quick) = (Receiver::start(&[]).await, Receiver::start(&[]).await);
    silent.answer(false);
    let (stuck, _) = world.register(&silent.url, &[Shipped]).await;
    let (other, _) = world.register(&quick.url, &[Shipped]).await;
    let crew = world.crew();
    world.ship(20).await;
    eventually("its places are taken", async || silent.got().len() == 3).await;
    world.ship(20).await;
    world.until_all_are(JobState::Done, other).await;
    assert_eq!(quick.got().len(), 40);
    assert_eq!(silent.got().len(), 3, "no more than it has places");
    silent.answer(true);
    world.until_all_are(JobState::Done, stuck).await;
    crew.stop().await;
}

async fn a_webhook_that_comes_is_served_and_one_that_goes_is_not(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let receiver = Receiver::start(&[]).await;
    let crew = world.crew();
    let (webhook, _) = world.register(&receiver.url, &[Shipped]).await;
    world.ship(1).await;
    world.until_all_are(JobState::Done, webhook).await;
    assert!(store::delete(&world.database, webhook).await.unwrap());
    world.wakes.change();
    let (next, _) = world.register(&receiver.url, &[Shipped]).await;
    world.ship(1).await;
    world.until_all_are(JobState::Done, next).await;
    crew.stop().await;
    assert_eq!(world.deliveries(webhook).await.len(), 1);
    assert_eq!(receiver.got().len(), 2);
}

/// It was leased when its webhook was deleted, by a process that then died.
async fn what_is_left_of_a_deleted_webhook_is_skipped(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let receiver = Receiver::start(&[]).await;
    let (webhook, _) = world.register(&receiver.url, &[Shipped]).await;
    world.ship(2).await;
    world.lease(webhook).await.unwrap();
    assert!(store::delete(&world.database, webhook).await.unwrap());
    sqlx::query("UPDATE jobs SET lease_until = 0 WHERE state = 'leased'")
        .execute(world.database.pool())
        .await
        .unwrap();
    let crew = world.crew();
    world.until_all_are(JobState::Skipped, webhook).await;
    crew.stop().await;
    assert_eq!(receiver.got(), []);
    let kept = world.webhook(webhook).await;
    let rest = (kept.url.expose_secret(), kept.secret.expose_secret());
    assert_eq!(rest, ("", ""));
}
