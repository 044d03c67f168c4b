//! What has to hold after an outage or a kill.

use std::time::Duration;

use base_domains::OrderId;

use crate::history::{History, Recorder, check, collect};
use crate::system::{PROCESSES, System, order};
use crate::traffic::Answers;

/// `KAFKA_DELIVERY_TIMEOUT` of such a test, as a setting.
pub const DELIVERY_TIMEOUT: &str = "3s";
/// That, and what an answer may take on top of it on a machine that also starts a broker; half of `HTTP_REQUEST_TIMEOUT`.
const LONGEST_ANSWER: Duration = Duration::from_secs(15);

/// Mails of an order that is shipped: PENDING, PAID and SHIPPED.
pub const MAILS: usize = 3;

/// The history of the run, which broke no promise.
///
/// # Panics
/// It did.
pub async fn kept_every_promise(system: &System, recorder: &Recorder) -> History {
    let history = collect(system, recorder).await;
    let found = check(&history);
    assert!(found.is_empty(), "{found:#?}");
    history
}

/// The services went on by themselves, everybody was answered in time, and every promise was kept; says how it went.
///
/// # Panics
/// It is not so.
pub async fn verify(system: &mut System, recorder: &Recorder, answers: &Answers) -> String {
    let slowest = answers.slowest();
    assert!(slowest < LONGEST_ANSWER, "{slowest:?}");
    system.nobody_ended(&PROCESSES);
    let history = kept_every_promise(system, recorder).await;
    let views = history.databases.views.iter();
    let there: Vec<OrderId> = views.map(|view| view.order_id.parse().unwrap()).collect();
    let unknown = answers.unknown.keys();
    let there = unknown.filter(|order_id| there.contains(order_id));
    format!(
        "{} orders accepted, all in the log; {} answered 503, {} of them in the log; slowest answer {slowest:.1?}",
        answers.accepted.len(),
        answers.unknown.len(),
        there.count()
    )
}

/// One more order is shipped, and its mails are sent; its id.
///
/// # Panics
/// It does not.
pub async fn one_more_order(system: &System, recorder: &Recorder) -> OrderId {
    let placed = recorder
        .place(&system.order, &order("fountain pen", 1))
        .await;
    let order_id = placed.order_id.expect("an order that is named");
    let id = order_id.to_string();
    assert_eq!(system.ended(&id).await["status"], "SHIPPED");
    assert_eq!(system.mails(&id, MAILS).await.len(), MAILS);
    order_id
}
