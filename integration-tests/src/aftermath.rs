//! What has to hold after an outage of brokers.

use std::time::Duration;

use crate::invariants::{effects_agree, ended_everywhere, nobody_ended, nothing_is_dead_lettered};
use crate::system::{PROCESSES, System};
use crate::traffic::Answers;

/// `KAFKA_DELIVERY_TIMEOUT` of such a test, as a setting.
pub const DELIVERY_TIMEOUT: &str = "3s";
/// That, and what an answer may take on top of it.
const LONGEST_ANSWER: Duration = Duration::from_secs(6);

/// The services went on by themselves, all orders of the log but nobody else's came to one end in
/// every service, and nothing accepted was lost; says how it went.
///
/// # Panics
/// It is not so.
pub async fn verify(system: &mut System, answers: &Answers) -> String {
    let slowest = answers.slowest();
    assert!(slowest < LONGEST_ANSWER, "{slowest:?}");
    nobody_ended(system, &PROCESSES);
    system.until_ready().await;
    let statuses = ended_everywhere(system).await;
    for order_id in answers.accepted.keys() {
        assert!(statuses.contains_key(order_id), "{order_id} was accepted");
    }
    effects_agree(system, &answers.wishes(), &statuses).await;
    nothing_is_dead_lettered(system).await;

    let unknown = answers.unknown.keys();
    let there = unknown.filter(|order_id| statuses.contains_key(*order_id));
    format!(
        "{} orders accepted, all in the log; {} answered 503, {} of them in the log; slowest answer {slowest:.1?}",
        answers.accepted.len(),
        answers.unknown.len(),
        there.count()
    )
}
