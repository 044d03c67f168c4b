//! Where a partition that was just assigned is read from (rule R6): pure.

use crate::fault;
use crate::kafka::{Assigned, Start};

/// Compares where the group, the database and the log stand (rule R6).
pub(super) fn start_of(
    assigned: &Assigned,
    known: i64,
    allow_truncated: bool,
) -> Result<Start, String> {
    let Assigned {
        partition,
        committed,
        begin,
        end,
    } = *assigned;
    if known > end && !fault::mutated("r6.shorter-log") {
        return Err(format!(
            "the log ends at offset {end} of partition {partition}, but the database has read up to {known}: \
             another cluster or a wiped volume; restore the log or start with an empty database"
        ));
    }
    let from = committed.map_or(known, |committed| committed.min(known));
    if from < begin && !allow_truncated && !fault::mutated("r6.truncated-log") {
        return Err(format!(
            "partition {partition} begins at offset {begin}, but records from {from} on were not read yet: \
             orders would be missing; set ALLOW_TRUNCATED_LOG=true to go on without them"
        ));
    }
    Ok(match committed {
        Some(committed) if known < committed && !fault::mutated("r6.read-again") => {
            Start::At(known.max(begin))
        }
        _ => Start::Committed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(committed: Option<i64>, begin: i64, end: i64) -> Assigned {
        Assigned {
            partition: 1,
            committed,
            begin,
            end,
        }
    }

    #[test]
    fn a_database_at_or_past_the_committed_offset_changes_nothing() {
        for known in [10, 15, 20] {
            let start = start_of(&assigned(Some(10), 0, 20), known, false);
            assert_eq!(start, Ok(Start::Committed));
        }
    }

    #[test]
    fn a_restored_database_is_read_again_from_its_own_offset() {
        assert_eq!(
            start_of(&assigned(Some(10), 0, 20), 4, false),
            Ok(Start::At(4))
        );
        assert_eq!(
            start_of(&assigned(Some(10), 0, 20), 0, false),
            Ok(Start::At(0))
        );
    }

    #[test]
    fn a_log_shorter_than_the_database_stops_with_both_offsets() {
        let stop = start_of(&assigned(Some(10), 0, 12), 13, false).unwrap_err();
        assert!(stop.contains("offset 12 of partition 1"), "{stop}");
        assert!(stop.contains("up to 13"), "{stop}");
    }

    #[test]
    fn a_log_without_its_beginning_refuses_a_new_group_unless_forced() {
        let new_group = assigned(None, 5, 20);
        assert!(start_of(&new_group, 0, false).is_err());
        assert_eq!(start_of(&new_group, 0, true), Ok(Start::Committed));
    }

    #[test]
    fn a_log_that_lost_unread_records_refuses_unless_forced() {
        let restored = assigned(Some(10), 5, 20);
        assert!(start_of(&restored, 3, false).is_err());
        assert_eq!(start_of(&restored, 3, true), Ok(Start::At(5)));
    }

    #[test]
    fn lost_group_offsets_refuse_when_unread_records_are_gone() {
        assert!(start_of(&assigned(None, 5, 20), 3, false).is_err());
        assert_eq!(
            start_of(&assigned(None, 5, 20), 7, false),
            Ok(Start::Committed)
        );
    }

    #[test]
    fn lost_group_offsets_replay_from_the_beginning() {
        assert_eq!(
            start_of(&assigned(None, 0, 20), 20, false),
            Ok(Start::Committed)
        );
    }
}
