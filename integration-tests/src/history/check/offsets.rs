//! Where each group is: by the broker, and by its database.

use std::collections::BTreeSet;

use super::super::Invariant::{
    EverythingIsCommitted, NothingIsPassedOver, OffsetIsDurable, OffsetIsInTheLog,
};
use super::{Case, Findings};

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    for (group, lags) in &case.history.offsets {
        for lag in lags {
            let committed = lag.committed.unwrap_or(0);
            found.unless(committed <= lag.end, OffsetIsInTheLog, || {
                format!(
                    "{group} committed {}@{committed}, the log ends at {}",
                    lag.partition, lag.end
                )
            });
        }
    }
    committed(case, found);
    for participant in &case.history.databases.participants {
        let (name, group) = (&participant.name, &participant.group);
        let position = |partition: &i32| participant.positions.get(partition).copied().unwrap_or(0);
        for (partition, end) in &case.ends {
            let position = position(partition);
            found.unless(position >= *end, NothingIsPassedOver, || {
                format!("{name} is at {partition}@{position}, the log ends at {end}")
            });
        }
        for (partition, position) in &participant.positions {
            let end = case.ends.get(partition).copied().unwrap_or(0);
            found.unless(*position <= end, OffsetIsInTheLog, || {
                format!("{name} is at {partition}@{position}, the log ends at {end}")
            });
        }
        for lag in case.history.offsets.get(group).into_iter().flatten() {
            let (committed, position) = (lag.committed.unwrap_or(0), position(&lag.partition));
            found.unless(committed <= position, OffsetIsDurable, || {
                format!(
                    "{group} committed {}@{committed}, its database is at {position}",
                    lag.partition
                )
            });
        }
    }
}

/// Of what has no record nothing has to be committed.
fn committed(case: &Case<'_>, found: &mut Findings) {
    let participants = case.history.databases.participants.iter();
    let mut groups: BTreeSet<&str> = participants.map(|p| p.group.as_str()).collect();
    groups.extend(case.history.offsets.keys().map(String::as_str));
    for group in groups {
        let lags = case.history.offsets.get(group);
        for (partition, end) in case.ends.iter().filter(|(_, end)| **end > 0) {
            let mut lags = lags.into_iter().flatten();
            let committed = lags.find(|lag| lag.partition == *partition);
            let committed = committed.and_then(|lag| lag.committed);
            let all = committed.is_some_and(|committed| committed >= *end);
            found.unless(all, EverythingIsCommitted, || {
                format!("{group} committed {committed:?} of {partition}, the log ends at {end}")
            });
        }
    }
}
