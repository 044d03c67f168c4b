//! A moment in an order's life: a time, or an offset in the order's partition.

use std::fmt;

use jiff::Timestamp;

use super::history::Entry;
use super::parameters::{BadParameter, bad, single};

/// `at` of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// What the log held at this time.
    Time(Timestamp),
    /// What the order's partition holds up to this offset, which belongs to it.
    Offset(i64),
}

impl Moment {
    /// Reads `at`: RFC 3339, or a number that is not negative.
    pub(super) fn of(parameters: &[(String, String)]) -> Result<Option<Self>, BadParameter> {
        single(parameters, "at")?.map(moment_of).transpose()
    }

    /// Whether an event had happened. Events of one order share its `home` partition; only a first
    /// one without key may lie elsewhere, and as nothing comes before that, it always had.
    pub(super) fn reaches(self, entry: &Entry, home: i32) -> bool {
        match self {
            Self::Time(time) => entry.at <= time,
            Self::Offset(offset) => entry.partition != home || entry.offset <= offset,
        }
    }
}

fn moment_of(text: &str) -> Result<Moment, BadParameter> {
    if let Ok(offset) = text.parse::<i64>() {
        return match offset {
            0.. => Ok(Moment::Offset(offset)),
            _ => Err(bad("at", "an offset is not negative")),
        };
    }
    text.parse().map(Moment::Time).map_err(|_| {
        bad(
            "at",
            "must be a time such as 2026-11-21T10:15:30Z, or an offset",
        )
    })
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => write!(formatter, "{time}"),
            Self::Offset(offset) => write!(formatter, "offset {offset}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Result<Option<Moment>, BadParameter> {
        Moment::of(&[("at".to_owned(), text.to_owned())])
    }

    #[test]
    fn a_number_is_an_offset_and_anything_else_a_time() {
        assert_eq!(Moment::of(&[]), Ok(None));
        assert_eq!(at("0"), Ok(Some(Moment::Offset(0))));
        let time = Timestamp::from_millisecond(1_763_720_130_187).unwrap();
        assert_eq!(at("2025-11-21T10:15:30.187Z"), Ok(Some(Moment::Time(time))));
        assert_eq!(
            at("2025-11-21T11:15:30.187+01:00"),
            Ok(Some(Moment::Time(time)))
        );
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in ["", "-1", "yesterday", "2025-11-21", "9223372036854775808"] {
            assert_eq!(at(text).unwrap_err().name, "at", "{text}");
        }
    }
}
