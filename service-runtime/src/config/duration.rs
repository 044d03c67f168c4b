//! Durations as people write them in a configuration: `500ms`, `5s`, `2m`, `1h`, `7d`.

use std::time::Duration;

/// Longest accepted duration: 100 years, far below where adding to an `Instant` overflows.
const MAX_SECONDS: u64 = 100 * 365 * 24 * 3600;

/// Why a text is not a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not a whole number followed by a unit.
    #[error("expected a whole number and a unit of ms, s, m, h or d, such as 500ms or 5s")]
    Format,
    /// Longer than 100 years.
    #[error("longer than 100 years")]
    TooLong,
}

/// Reads a whole number with one unit of `ms`, `s`, `m`, `h` or `d`.
///
/// # Errors
/// [`DurationError`] for anything else; a bare number is refused because its unit would be a guess.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(DurationError::Format);
    }
    let number: u64 = number.parse().map_err(|_| DurationError::TooLong)?;
    let seconds_per_unit = match unit {
        "ms" => return within_limit(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return Err(DurationError::Format),
    };
    let seconds = number.checked_mul(seconds_per_unit);
    within_limit(Duration::from_secs(seconds.ok_or(DurationError::TooLong)?))
}

fn within_limit(duration: Duration) -> Result<Duration, DurationError> {
    if duration > Duration::from_secs(MAX_SECONDS) {
        return Err(DurationError::TooLong);
    }
    Ok(duration)
}

/// Writes a duration in the largest unit that states it exactly; [`parse_duration`] reads it back
/// (parts of a millisecond are dropped).
pub fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration.subsec_millis() != 0 {
        return format!("{}ms", duration.as_millis());
    }
    for (unit, per_unit) in [("d", 24 * 3600), ("h", 3600), ("m", 60)] {
        if seconds != 0 && seconds.is_multiple_of(per_unit) {
            return format!("{}{unit}", seconds / per_unit);
        }
    }
    format!("{seconds}s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        let seconds = |text| parse_duration(text).map(|duration| duration.as_secs_f64());
        assert_eq!(seconds("500ms"), Ok(0.5));
        assert_eq!(seconds("5s"), Ok(5.0));
        assert_eq!(seconds("2m"), Ok(120.0));
        assert_eq!(seconds("1h"), Ok(3600.0));
        assert_eq!(seconds("7d"), Ok(604_800.0));
        assert_eq!(seconds("0s"), Ok(0.0));
    }

    #[test]
    fn a_missing_unit_a_sign_a_fraction_or_a_space_is_refused() {
        for text in [
            "", "5", "s", "-5s", "1.5s", "5 s", "5S", "5s ", "１s", "1m30s",
        ] {
            assert_eq!(parse_duration(text), Err(DurationError::Format), "{text:?}");
        }
    }

    #[test]
    fn a_duration_beyond_a_century_is_refused_without_overflow() {
        assert_eq!(
            parse_duration("36500d").map(format_duration),
            Ok("36500d".into())
        );
        for text in ["36501d", "18446744073709551615d", "99999999999999999999s"] {
            assert_eq!(parse_duration(text), Err(DurationError::TooLong), "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        for text in ["0s", "1ms", "1500ms", "59s", "1m", "90m", "1h", "36h", "2d"] {
            assert_eq!(parse_duration(text).map(format_duration), Ok(text.into()));
        }
    }
}
