//! Names a letter by its place in its group's dead-letter topic.

use std::fmt;
use std::str::FromStr;

use crate::kafka::{PartitionId, Record};

/// Partition and offset in the dead-letter topic. Text: `0/17`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterId {
    /// Partition of the dead-letter topic.
    pub partition: PartitionId,
    /// Offset in it.
    pub offset: i64,
}

/// The text names no letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a partition and an offset, such as 0/17")]
pub struct BadLetterId;

impl From<&Record> for LetterId {
    fn from(record: &Record) -> Self {
        Self {
            partition: record.partition,
            offset: record.offset,
        }
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.partition, self.offset)
    }
}

impl FromStr for LetterId {
    type Err = BadLetterId;

    fn from_str(text: &str) -> Result<Self, BadLetterId> {
        let (partition, offset) = text.split_once('/').ok_or(BadLetterId)?;
        let id = Self {
            partition: partition.parse().map_err(|_| BadLetterId)?,
            offset: offset.parse().map_err(|_| BadLetterId)?,
        };
        // One letter has one name: neither `+1/2` nor `01/2`.
        if id.partition < 0 || id.offset < 0 || id.to_string() != text {
            return Err(BadLetterId);
        }
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written_and_nothing_else_is() {
        let id = LetterId {
            partition: 2,
            offset: 17,
        };
        assert_eq!(id.to_string(), "2/17");
        assert_eq!("2/17".parse(), Ok(id));
        for text in [
            "", "2", "2/", "/17", "-2/17", "2/-17", "+2/17", "02/17", "2/17/1", "2@17",
        ] {
            assert_eq!(text.parse::<LetterId>(), Err(BadLetterId), "{text}");
        }
    }
}
