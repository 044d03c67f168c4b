//! Where each group is: by the broker, and by its database.

use super::super::Invariant::{NothingIsPassedOver, OffsetIsDurable, OffsetIsInTheLog};
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
