//! Reading and folding a batch: pure.

use std::collections::{BTreeMap, BTreeSet};

use base_domains::{Effect, Heading, OrderId, OrderState, OrderStatus, Reading, header, read};

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
    match read(&record.as_ref(), partitions) {
        Ok(Reading::Event(heading)) if redriven => Kind::Redriven(heading),
        Ok(Reading::Event(heading)) => Kind::Event(heading),
        Ok(Reading::UnknownStatus { .. }) => Kind::NoEffect("unknown_status"),
        Err(bad) => Kind::Bad {
            code: bad.code(),
            reason: bad.to_string(),
        },
    }
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
        let effective = row.state.apply(heading.status) == Effect::Effective;
        let redecide = matches!(kind, Kind::Redriven(_)) && row.failed;
        if let Some(status) = row.state.status()
            && (effective || redecide)
        {
            plan.steps.push(Step {
                index,
                status,
                before,
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
