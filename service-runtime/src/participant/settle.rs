//! What the decisions of a batch come to: outcomes to store and to publish, failures, changed rows.

use std::collections::{BTreeMap, BTreeSet};

use base_domains::{EncodedEvent, OrderEvent, OrderId, OrderState, OrderStatus, header};

use super::Shared;
use super::decider::{Change, Decider, Decision};
use super::outcome::{Outcome, SealError};
use super::plan::{OrderRow, Plan};
use super::store::{ChangedRow, NO_OUTCOME};
use crate::fault;
use crate::kafka::Record;

/// A record whose decision failed, or that cannot be read.
pub(super) struct Failure<'a> {
    pub(super) record: &'a Record,
    pub(super) code: &'static str,
    pub(super) reason: String,
}

/// Events to append, by order.
pub(super) type NewOutcomes = BTreeMap<OrderId, Outcome>;

/// What the decisions come to.
#[derive(Default)]
pub(super) struct Settled<'a> {
    pub(super) outcomes: NewOutcomes,
    /// Orders whose stored outcome the log contradicts.
    dropped: BTreeSet<OrderId>,
    pub(super) failures: Vec<Failure<'a>>,
}

/// Notes each decision in the row of its order; `held` are the orders that are read quietly.
pub(super) fn settle<'a, D: Decider>(
    shared: &Shared<D>,
    changes: &[Change<'a>],
    decisions: Vec<Decision>,
    rows: &mut BTreeMap<OrderId, OrderRow>,
    held: &BTreeSet<OrderId>,
) -> Settled<'a> {
    let mut settled = Settled::default();
    for (change, decision) in changes.iter().zip(decisions) {
        let order_id = change.order_id();
        let Some(row) = rows.get_mut(&order_id) else {
            continue;
        };
        if held.contains(&order_id) && is_own_decision(shared, change) {
            settled.give_way(change, row);
        }
        let failure = match decision {
            Decision::Done => None,
            Decision::Failed { code, reason } => Some((code, reason)),
            Decision::Append(event) => match place(shared, change, row, &event) {
                Ok(outcome) => {
                    let outcome = outcome.map(|outcome| (order_id, outcome));
                    settled.outcomes.extend(outcome);
                    None
                }
                Err(error) => Some(("unsealed_outcome", error.to_string())),
            },
        };
        // A later decision does not make up for a failed one; only its redrive does.
        row.failed = failure.is_some() || (row.failed && !change.redriven);
        if failure.is_some() && fault::mutated("r2.keep-the-fold") {
            row.state = OrderState::from(change.before);
        }
        if let Some((code, reason)) = failure {
            settled.failures.push(Failure {
                record: change.record,
                code,
                reason,
            });
        }
    }
    settled
}

/// Whether this service once decided so. PENDING is nobody's decision: it begins an order.
fn is_own_decision<D>(shared: &Shared<D>, change: &Change<'_>) -> bool {
    let source = change.record.header(header::CE_SOURCE);
    let writer = source.and_then(|source| source.strip_prefix('/'));
    !change.redriven
        && change.status != OrderStatus::Pending
        && writer == Some(shared.appender.encoder.writer.as_str())
}

impl Settled<'_> {
    /// The log has this service's own decision; one that would still go beyond it was made again, from
    /// rows that did not know it (rule R13).
    fn give_way(&mut self, change: &Change<'_>, row: &mut OrderRow) {
        if row.outcome_rank <= change.status.rank() || fault::mutated("r13.log-wins") {
            return;
        }
        row.outcome_rank = 0;
        self.outcomes.remove(&change.order_id());
        self.dropped.insert(change.order_id());
        tracing::info!(
            order_id = %change.order_id(),
            status = change.status.as_str(),
            "A decision that was made again gives way to the one in the log."
        );
    }

    /// The rows that have to be written.
    pub(super) fn changed_rows<'a>(
        &self,
        before: &BTreeMap<OrderId, OrderRow>,
        rows: &'a BTreeMap<OrderId, OrderRow>,
    ) -> Vec<ChangedRow<'a>> {
        let outcome = |order_id: &OrderId| match self.outcomes.get(order_id) {
            Some(outcome) => Some((outcome.status.rank(), outcome.text.clone())),
            None => self.dropped.contains(order_id).then_some(NO_OUTCOME),
        };
        rows.iter()
            .map(|(order_id, row)| ChangedRow {
                order_id: *order_id,
                row,
                outcome: outcome(order_id),
            })
            .filter(|changed| {
                changed.outcome.is_some() || before.get(&changed.order_id) != Some(changed.row)
            })
            .collect()
    }
}

fn place<D: Decider>(
    shared: &Shared<D>,
    change: &Change<'_>,
    row: &mut OrderRow,
    event: &OrderEvent,
) -> Result<Option<Outcome>, SealError> {
    let state = OrderState::from(Some(change.status));
    let traceparent = change.record.header(header::TRACEPARENT);
    shared.appender.place(row, state, event, traceparent)
}

/// The new outcomes to publish; what the fold is already past needs none.
pub(super) fn fresh(
    rows: &BTreeMap<OrderId, OrderRow>,
    outcomes: NewOutcomes,
    held: &BTreeSet<OrderId>,
) -> Vec<EncodedEvent> {
    outcomes
        .into_iter()
        .filter(|(order_id, _)| unconfirmed(rows, order_id) && !held.contains(order_id))
        .map(|(_, outcome)| outcome.encoded)
        .collect()
}

/// Orders whose cause was repeated, without those that have a new outcome.
pub(super) fn repeated(
    rows: &BTreeMap<OrderId, OrderRow>,
    plan: &Plan,
    outcomes: &NewOutcomes,
    held: &BTreeSet<OrderId>,
) -> Vec<OrderId> {
    let again = plan.republish.iter().copied();
    again
        .filter(|order_id| !outcomes.contains_key(order_id) && !held.contains(order_id))
        .filter(|order_id| unconfirmed(rows, order_id))
        .collect()
}

fn unconfirmed(rows: &BTreeMap<OrderId, OrderRow>, order_id: &OrderId) -> bool {
    rows.get(order_id).is_some_and(OrderRow::unconfirmed)
}
