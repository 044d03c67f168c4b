//! Which mails an order causes.

use base_domains::OrderStatus;
use service_runtime::jobs::JobState;
use service_runtime::participant::Decision;
use test_support::{Test, TestDatabase, test};

use crate::support::{ORDER, order};
use crate::world::{Event, World, mail_of};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(there_is_one_mail_per_order_and_state_however_often_events_repeat),
        test!(a_job_has_all_that_its_mail_needs),
        test!(only_the_configured_states_are_mailed),
        test!(a_body_that_cannot_be_read_fails_only_its_own_decision),
        test!(an_invalid_order_is_mailed_all_the_same),
        test!(an_order_without_an_address_is_mailed_to_a_default),
        test!(an_order_without_an_address_is_mailed_to_whom_an_operator_chose),
        test!(an_order_without_an_address_is_mailed_to_nobody_if_an_operator_says_so),
        test!(a_record_without_a_usable_time_counts_from_now),
    ]
}

fn ids(states: &[&str]) -> Vec<String> {
    states
        .iter()
        .map(|state| format!("mail/{ORDER}/{state}"))
        .collect()
}

async fn job_ids(world: &World) -> Vec<String> {
    world
        .jobs()
        .await
        .into_iter()
        .map(|job| job.job_id)
        .collect()
}

async fn there_is_one_mail_per_order_and_state_however_often_events_repeat(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let event = |status| Event::new(status, order("ann@example.org"));
    let all = || OrderStatus::ALL.map(event);
    for _ in 0..2 {
        let decisions = world.decide(&all()).await;
        assert_eq!(decisions, vec![Decision::Done; 6]);
    }
    // Twice in one batch, and by another event id.
    let mut other = event(OrderStatus::Paid);
    other.heading.event_id = "another".into();
    world.decide(&[event(OrderStatus::Paid), other]).await;
    let expected = ids(&["CANCELLED", "PAID", "PENDING", "REJECTED", "SHIPPED"]);
    assert_eq!(job_ids(&world).await, expected);
}

async fn a_job_has_all_that_its_mail_needs(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let event = Event::new(OrderStatus::Paid, order("ann@example.org"));
    world.decide(&[event]).await;
    let jobs = world.jobs().await;
    let job = &jobs[0];
    assert_eq!(
        (job.kind.as_str(), job.order_id.as_str(), job.partition),
        ("mail", ORDER, 1)
    );
    assert_eq!((job.state, job.attempts), (JobState::Due, 0));
    assert_eq!(job.age_from, 4_102_444_800_001);
    let mail = mail_of(job);
    assert_eq!(mail.status, OrderStatus::Paid);
    assert_eq!(mail.recipient.as_deref(), Some("ann@example.org"));
    assert_eq!(
        mail.message_id.to_string(),
        format!("<{ORDER}.paid.event-3@example.com>")
    );
    assert_eq!(mail.total.as_deref(), Some("50000.00"));
    assert_eq!(mail.occurred_at, Some(4_102_444_800_001));
}

async fn only_the_configured_states_are_mailed(database: TestDatabase) {
    let world = World::new(database, &[("EMAIL_STATES", "RESERVED")]).await;
    let events = OrderStatus::ALL.map(|status| Event::new(status, order("ann@example.org")));
    world.decide(&events).await;
    assert_eq!(job_ids(&world).await, ids(&["RESERVED"]));
}

async fn a_body_that_cannot_be_read_fails_only_its_own_decision(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let mut broken = Event::new(OrderStatus::Pending, order("ann@example.org"));
    broken.record.value = Some(b"{".to_vec());
    let mut not_mailed = Event::new(OrderStatus::Reserved, order("ann@example.org"));
    not_mailed.record.value = None;
    let fine = Event::new(OrderStatus::Paid, order("ann@example.org"));
    let decisions = world.decide(&[broken, not_mailed, fine]).await;
    assert!(
        matches!(
            &decisions[0],
            Decision::Failed {
                code: "invalid_body",
                ..
            }
        ),
        "{decisions:?}"
    );
    assert_eq!(decisions[1..], [Decision::Done, Decision::Done]);
    assert_eq!(job_ids(&world).await, ids(&["PAID"]));
}

async fn an_invalid_order_is_mailed_all_the_same(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let mut order = order("ann@example.org");
    order.qty = 0;
    let decisions = world
        .decide(&[Event::new(OrderStatus::Rejected, order)])
        .await;
    assert_eq!(decisions, [Decision::Done]);
    let mail = mail_of(&world.jobs().await[0]);
    assert_eq!((mail.lines[0].qty, mail.total), (0, None));
}

/// Whom the mail about an order without an address goes to.
async fn recipient(database: TestDatabase, setting: &str) -> Option<String> {
    let world = World::new(database, &[("EMAIL_DEFAULT_RECIPIENT", setting)]).await;
    let mut order = order("");
    order.email = None;
    world
        .decide(&[Event::new(OrderStatus::Pending, order)])
        .await;
    mail_of(&world.jobs().await[0]).recipient
}

async fn an_order_without_an_address_is_mailed_to_a_default(database: TestDatabase) {
    let recipient = recipient(database, "").await;
    assert_eq!(recipient.as_deref(), Some("customer@example.com"));
}

async fn an_order_without_an_address_is_mailed_to_whom_an_operator_chose(database: TestDatabase) {
    let recipient = recipient(database, "desk@example.org").await;
    assert_eq!(recipient.as_deref(), Some("desk@example.org"));
}

async fn an_order_without_an_address_is_mailed_to_nobody_if_an_operator_says_so(
    database: TestDatabase,
) {
    assert_eq!(recipient(database, "none").await, None);
}

async fn a_record_without_a_usable_time_counts_from_now(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let mut event = Event::new(OrderStatus::Pending, order("ann@example.org"));
    event.record.timestamp = Some(0);
    world.decide(&[event]).await;
    let job = &world.jobs().await[0];
    assert_eq!(job.age_from, job.created_at);
    assert_eq!(mail_of(job).occurred_at, None);
}
