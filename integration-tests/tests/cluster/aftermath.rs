//! What has to hold after every outage.

use integration_tests::System;
use integration_tests::invariants::{
    nobody_ended, nothing_is_dead_lettered, settled_everywhere, stock_is_conserved,
};
use integration_tests::traffic::Answers;

use crate::brokers::{DELIVERY_TIMEOUT, MARGIN};

/// The services went on by themselves, and nothing accepted was lost; says how it went.
pub(crate) async fn verify(system: &mut System, answers: &Answers) -> String {
    let slowest = answers.slowest();
    assert!(slowest < DELIVERY_TIMEOUT + MARGIN, "{slowest:?}");
    nobody_ended(system, &["order", "email", "stock-0"]);
    system.until_ready().await;
    let statuses = settled_everywhere(system).await;
    for order_id in answers.accepted.keys() {
        assert!(statuses.contains_key(order_id), "{order_id} was accepted");
    }
    stock_is_conserved(system, &answers.wishes(), &statuses).await;
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

/// An order comes to its decision, and its mail is sent.
pub(crate) async fn one_more_order(system: &System) {
    let order_id = system.place("fountain pen", 1).await;
    assert_eq!(system.settled(&order_id).await["status"], "RESERVED");
    assert_eq!(system.mails(&order_id, 1).await.len(), 1);
}
