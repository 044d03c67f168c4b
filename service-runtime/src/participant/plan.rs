//! Reading and folding a batch: pure.

use std::collections::{BTreeMap, BTreeSet};

use base_domains::{Effect, Heading, OrderId, OrderState, OrderStatus, Reading, header, read};

use crate::fault;
use crate::kafka::Record;

/// What a record of the batch is, before any state is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// An event of an order.
    Event(Heading),
    /// The same, addressed to this group alone after its decision had failed.
    Redriven(Heading),
    /// Has no effect and is counted under this name.
    NoEffect(&'static str),
    /// Cannot be read by anybody.
    Bad { code: &'static str, reason: String },
}

impl Kind {
    pub(super) fn heading(&self) -> Option<&Heading> {
        match self {
            Self::Event(heading) | Self::Redriven(heading) => Some(heading),
            Self::NoEffect(_) | Self::Bad { .. } => None,
        }
    }
}

/// Reads id and status of `record` (rules R3 and R4); `group` is the one that redrives name.
pub(super) fn kind_of(record: &Record, partitions: i32, group: &str) -> Kind {
    let redriven = match record.header(header::REDRIVE_GROUP) {
        Some(named) if named != group => return Kind::NoEffect("redriven_for_another_group"),
        named => named.is_some(),
    };
    let (mut record, mut partitions) = (record.as_ref(), partitions);
    if fault::mutated("r3.headers-first") {
        record.headers = &[];
    }
    if fault::mutated("r4.home-partition") {
        (record.partition, partitions) = (0, 1);
    }
    match read(&record, partitions) {
        Ok(Reading::Event(event)) if event.bare && fault::mutated("r4.bare-pending") => {
            Kind::NoEffect("bare_record")
        }
        Ok(Reading::Event(heading)) if redriven => Kind::Redriven(heading),
        Ok(Reading::Event(heading)) => Kind::Event(heading),
        Ok(Reading::UnknownStatus { .. }) => Kind::NoEffect("unknown_status"),
        Err(bad) => Kind::Bad {
            code: bad.code(),
            reason: bad.to_string(),
        },
    }
}

/// Cuts records into pieces to fold one after the other: a redrive takes effect only where the decision of an earlier
/// piece had failed, however many records are read at once. Returns where each piece ends.
pub(super) fn pieces(kinds: &[Kind]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, kind) in kinds.iter().enumerate() {
        let Some(heading) = kind.heading() else {
            continue;
        };
        let again = !seen.insert(heading.order_id);
        if again && matches!(kind, Kind::Redriven(_)) {
            ends.push(index);
            seen.clear();
            seen.insert(heading.order_id);
        }
    }
    ends.push(kinds.len());
    ends
}

/// A row of `participant_orders`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OrderRow {
    pub(super) state: OrderState,
    /// Rank of the stored outcome's status; 0 when there is none.
    pub(super) outcome_rank: i64,
    /// The decision about the folded status failed for good (rule R2).
    pub(super) failed: bool,
}

impl OrderRow {
    /// The stored outcome was not read back yet.
    pub(super) fn unconfirmed(&self) -> bool {
        self.outcome_rank > self.state.rank()
    }
}

/// One event that the service has to decide about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// Index of its record in the batch.
    pub(super) index: usize,
    pub(super) status: OrderStatus,
    pub(super) before: Option<OrderStatus>,
    /// Its decision had failed and is made again.
    pub(super) redriven: bool,
}

/// What a batch means, given the locked rows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// To decide, in log order.
    pub(super) steps: Vec<Step>,
    /// Orders whose stored outcome has to be published again.
    pub(super) republish: BTreeSet<OrderId>,
    /// Events that the fold ignored.
    pub(super) ignored: u64,
}

/// Folds `kinds` into `rows`, which must hold every order of the batch.
pub(super) fn fold(kinds: &[Kind], rows: &mut BTreeMap<OrderId, OrderRow>) -> Plan {
    let mut plan = Plan::default();
    for (index, kind) in kinds.iter().enumerate() {
        let Some(heading) = kind.heading() else {
            continue;
        };
        let Some(row) = rows.get_mut(&heading.order_id) else {
            continue;
        };
        let before = row.state.status();
        let redriven =
            matches!(kind, Kind::Redriven(_)) && !fault::mutated("r2.redrive-folds-nothing");
        // A redrive only reaches one group: if it folded, that group would see another winner.
        let to_decide = if redriven {
            row.failed
        } else {
            row.state.apply(heading.status) == Effect::Effective || fault::mutated("fold")
        };
        if let Some(status) = row.state.status()
            && to_decide
        {
            plan.steps.push(Step {
                index,
                status,
                before,
                redriven,
            });
            continue;
        }
        plan.ignored += 1;
        // A repeated cause whose outcome nobody has seen: the process that decided may have died
        // between commit and publish.
        if row.unconfirmed() && before == Some(heading.status) {
            plan.republish.insert(heading.order_id);
        }
    }
    // What this very batch moved past is confirmed.
    plan.republish
        .retain(|order_id| rows.get(order_id).is_some_and(OrderRow::unconfirmed));
    plan
}

#[cfg(test)]
mod tests {
    use super::super::tests::{PARTITIONS, named, order};
    use super::*;

    fn record(order_id: OrderId, status: OrderStatus) -> Record {
        named(order_id, "book order", status, 0)
    }

    fn redriven(order_id: OrderId, status: OrderStatus, group: &str) -> Record {
        let mut record = record(order_id, status);
        record
            .headers
            .push((header::REDRIVE_GROUP.to_owned(), group.into()));
        record
    }

    fn row(status: Option<OrderStatus>, outcome: Option<OrderStatus>, failed: bool) -> OrderRow {
        OrderRow {
            state: OrderState::from(status),
            outcome_rank: outcome.map_or(0, OrderStatus::rank),
            failed,
        }
    }

    fn planned(records: &[Record], row: OrderRow) -> (Plan, OrderRow) {
        let kinds: Vec<Kind> = records
            .iter()
            .map(|record| kind_of(record, PARTITIONS, "stock"))
            .collect();
        let mut rows = BTreeMap::from([(order("a"), row)]);
        let plan = fold(&kinds, &mut rows);
        (plan, rows.remove(&order("a")).unwrap())
    }

    #[test]
    fn every_effective_event_is_a_step_in_log_order() {
        use OrderStatus::{Cancelled, Pending, Reserved};
        let records = [Pending, Reserved, Cancelled, Reserved].map(|s| record(order("a"), s));
        let (plan, row) = planned(&records, row(None, None, false));
        let steps: Vec<_> = plan
            .steps
            .iter()
            .map(|s| (s.index, s.before, s.status))
            .collect();
        assert_eq!(
            steps,
            vec![
                (0, None, Pending),
                (1, Some(Pending), Reserved),
                (2, Some(Reserved), Cancelled),
            ]
        );
        assert_eq!(plan.ignored, 1);
        assert_eq!(row.state.status(), Some(Cancelled));
    }

    #[test]
    fn a_repeated_cause_with_an_unconfirmed_outcome_is_published_again() {
        use OrderStatus::{Pending, Reserved};
        let (plan, _) = planned(
            &[record(order("a"), Pending)],
            row(Some(Pending), Some(Reserved), false),
        );
        assert_eq!(plan.republish, BTreeSet::from([order("a")]));
        assert_eq!(plan.steps, vec![]);
    }

    #[test]
    fn a_repeated_cause_with_a_confirmed_outcome_is_not() {
        use OrderStatus::{Pending, Reserved};
        let (plan, _) = planned(
            &[record(order("a"), Pending)],
            row(Some(Reserved), Some(Reserved), false),
        );
        assert_eq!(plan.republish, BTreeSet::new());
        assert_eq!(plan.ignored, 1);
    }

    #[test]
    fn an_outcome_read_back_in_the_same_batch_is_not_published_again() {
        use OrderStatus::{Pending, Reserved};
        let (plan, _) = planned(
            &[record(order("a"), Pending), record(order("a"), Reserved)],
            row(Some(Pending), Some(Reserved), false),
        );
        assert_eq!(plan.republish, BTreeSet::new());
    }

    #[test]
    fn a_redrive_runs_the_failed_decision_again_from_the_row() {
        use OrderStatus::{Pending, Rejected};
        let (plan, row) = planned(
            &[redriven(order("a"), Pending, "stock")],
            row(Some(Rejected), None, true),
        );
        assert_eq!(plan.steps.len(), 1);
        assert_eq!(plan.steps[0].status, Rejected);
        assert_eq!(row.state.status(), Some(Rejected));
    }

    #[test]
    fn a_redrive_is_not_folded_together_with_what_it_redrives() {
        use OrderStatus::Pending;
        let records = [
            record(order("a"), Pending),
            redriven(order("b"), Pending, "stock"),
            redriven(order("a"), Pending, "stock"),
            redriven(order("a"), Pending, "email"),
            redriven(order("a"), Pending, "stock"),
            record(order("b"), Pending),
        ];
        let kinds: Vec<Kind> = records
            .iter()
            .map(|record| kind_of(record, PARTITIONS, "stock"))
            .collect();
        assert_eq!(pieces(&kinds), [2, 4, 6]);
        assert_eq!(pieces(&kinds[..2]), [2]);
        assert_eq!(pieces(&[]), [0]);
    }

    #[test]
    fn a_redrive_never_moves_an_order_on() {
        use OrderStatus::{Cancelled, Pending};
        for failed in [false, true] {
            let (plan, row) = planned(
                &[redriven(order("a"), Cancelled, "stock")],
                row(Some(Pending), None, failed),
            );
            assert_eq!(row.state.status(), Some(Pending));
            assert_eq!(plan.steps.len(), usize::from(failed));
        }
    }

    #[test]
    fn a_second_redrive_has_no_effect() {
        let (plan, _) = planned(
            &[redriven(order("a"), OrderStatus::Pending, "stock")],
            row(Some(OrderStatus::Pending), None, false),
        );
        assert_eq!(plan.steps, vec![]);
    }

    #[test]
    fn a_redrive_for_another_group_has_no_effect() {
        let record = redriven(order("a"), OrderStatus::Pending, "email");
        assert_eq!(
            kind_of(&record, PARTITIONS, "stock"),
            Kind::NoEffect("redriven_for_another_group")
        );
    }

    #[test]
    fn what_the_headers_say_counts_whatever_is_in_the_body() {
        let mut reserved = record(order("a"), OrderStatus::Reserved);
        for value in [record(order("b"), OrderStatus::Paid).value, None] {
            reserved.value = value;
            let kind = kind_of(&reserved, PARTITIONS, "stock");
            let heading = kind.heading().unwrap();
            assert_eq!(
                (heading.order_id, heading.status),
                (order("a"), OrderStatus::Reserved)
            );
        }
    }

    #[test]
    fn an_event_outside_its_home_partition_is_bad() {
        let mut stray = record(order("a"), OrderStatus::Reserved);
        stray.partition = (stray.partition + 1) % PARTITIONS;
        assert!(matches!(
            kind_of(&stray, PARTITIONS, "stock"),
            Kind::Bad {
                code: "wrong_partition",
                ..
            }
        ));
    }
}
