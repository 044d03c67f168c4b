//! How long the scenarios of the long tests last.

use std::time::Duration;

/// `usual`, or `short` where `TEST_SHORT` is set, as in CI. Deadlines and assertions stay.
#[must_use]
pub fn lasting(usual: Duration, short: Duration) -> Duration {
    match std::env::var_os("TEST_SHORT") {
        Some(value) if !value.is_empty() => short,
        _ => usual,
    }
}
