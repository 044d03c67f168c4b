//! Settings of a participant.

use std::time::Duration;

use super::sweep::SweepSettings;
use crate::config::Reader;
use crate::jobs::Backoff;

/// With six parameters an order, one statement stays below SQLite's 32 766 parameters.
const MAX_BATCH: usize = 5_000;

/// Bounds and names of one participant.
#[derive(Debug, Clone)]
pub struct ParticipantSettings {
    /// Its consumer group.
    pub group: String,
    /// Java class to name in `__TypeId__`, so that the tutorial's consumers read our events.
    pub type_id: Option<String>,
    /// Most records in one transaction.
    pub max_batch: usize,
    /// Decisions given up in a row before it stops dead-lettering and waits for help.
    pub max_defects: u32,
    /// Records that cannot be read, and likewise decisions that fail, that are dead-lettered in a row before
    /// it waits for help; every tenth good one makes up for one of them.
    pub dead_letter_limit: u32,
    /// Waits between repeats of a deadlocked transaction.
    pub again: Backoff,
    /// Go on although the log lost its beginning.
    pub allow_truncated_log: bool,
    /// The sweep's bounds.
    pub sweep: SweepSettings,
}

impl ParticipantSettings {
    /// The defaults for `group`.
    #[must_use]
    pub fn for_group(group: &str) -> Self {
        Self {
            group: group.to_owned(),
            type_id: None,
            max_batch: 500,
            max_defects: 10,
            dead_letter_limit: 100,
            again: Backoff {
                initial: Duration::from_millis(10),
                max: Duration::from_millis(200),
            },
            allow_truncated_log: false,
            sweep: SweepSettings::default(),
        }
    }

    /// Reads the settings; the group's is called `name`, since a service may have several.
    pub fn read(reader: &mut Reader, name: &str, group: &str) -> Self {
        let default = Self::for_group(group);
        Self {
            group: reader.get(name, default.group, "consumer group"),
            type_id: reader.optional(
                "KAFKA_TYPE_ID",
                "Java class to name in __TypeId__, for the tutorial's consumers",
            ),
            max_batch: reader.get_in(
                "MAX_BATCH",
                default.max_batch,
                1..=MAX_BATCH,
                "most records in one transaction",
            ),
            dead_letter_limit: reader.get_in(
                "DEAD_LETTER_LIMIT",
                default.dead_letter_limit,
                1..=u32::MAX,
                "most dead letters with hardly a good record among them before it waits for help",
            ),
            allow_truncated_log: reader.get(
                "ALLOW_TRUNCATED_LOG",
                default.allow_truncated_log,
                "go on although the log lost its beginning, without the orders in it",
            ),
            ..Self::for_group(group)
        }
    }
}
