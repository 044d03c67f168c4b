//! How much of the log a stream has told: an offset for each partition, the `id` of its events.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The last offset told of each partition. Text: `0:17,2:3`, sorted by partition; `-` when nothing was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::query) struct Position(BTreeMap<i32, i64>);

/// The text is no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::query) struct BadPosition;

/// More partitions than any topic of orders has: a longer text is not read.
const MAX_PARTITIONS: usize = 1000;

impl Position {
    /// What was told of `partition`; -1 for nothing.
    pub(in crate::query) fn told(&self, partition: i32) -> i64 {
        self.0.get(&partition).copied().unwrap_or(-1)
    }

    /// Whether it tells of more than there is: it is one of another log.
    pub(in crate::query) fn is_ahead_of(&self, newest: &Self) -> bool {
        let mut partitions = self.0.iter();
        partitions.any(|(partition, offset)| *offset > newest.told(*partition))
    }

    /// Notes what was told; `false` if it had been told before.
    pub(in crate::query) fn advance(&mut self, partition: i32, offset: i64) -> bool {
        let further = offset > self.told(partition);
        if further {
            self.0.insert(partition, offset);
        }
        further
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return formatter.write_str("-");
        }
        for (n, (partition, offset)) in self.0.iter().enumerate() {
            let separator = if n == 0 { "" } else { "," };
            write!(formatter, "{separator}{partition}:{offset}")?;
        }
        Ok(())
    }
}

impl FromStr for Position {
    type Err = BadPosition;

    fn from_str(text: &str) -> Result<Self, BadPosition> {
        let mut position = Self::default();
        if text == "-" {
            return Ok(position);
        }
        for part in text.split(',') {
            let (partition, offset) = part.split_once(':').ok_or(BadPosition)?;
            let partition: i32 = partition.parse().map_err(|_| BadPosition)?;
            let offset: i64 = offset.parse().map_err(|_| BadPosition)?;
            let known = position.0.insert(partition, offset).is_some();
            if known || partition < 0 || offset < 0 || position.0.len() > MAX_PARTITIONS {
                return Err(BadPosition);
            }
        }
        Ok(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_is_written() {
        let mut position = Position::default();
        assert_eq!("-".parse(), Ok(position.clone()));
        assert_eq!(position.to_string(), "-");
        assert!(position.advance(2, 3));
        assert!(position.advance(0, 17));
        assert_eq!(position.to_string(), "0:17,2:3");
        assert_eq!("0:17,2:3".parse(), Ok(position));
    }

    #[test]
    fn a_position_only_moves_on() {
        let mut position: Position = "1:5".parse().unwrap();
        assert!(!position.advance(1, 5));
        assert!(!position.advance(1, 4));
        assert!(position.advance(1, 6));
        assert_eq!((position.told(1), position.told(0)), (6, -1));
    }

    #[test]
    fn a_position_of_another_log_is_ahead() {
        let newest: Position = "0:17,2:3".parse().unwrap();
        for (text, ahead) in [("-", false), ("0:17", false), ("0:18", true), ("1:0", true)] {
            let position: Position = text.parse().unwrap();
            assert_eq!(position.is_ahead_of(&newest), ahead, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "", "1", "1:", ":1", "1:2,", "1:2,1:3", "-1:2", "1:-2", "a:b", "1:2;2:3",
        ] {
            assert_eq!(text.parse::<Position>(), Err(BadPosition), "{text}");
        }
    }
}
