//! How long the scenarios of the long tests last.

use std::time::Duration;

/// `usual`, or `short` where `TEST_SHORT` is set, as in CI. Deadlines and assertions stay.
#[must_use]
pub fn lasting(usual: Duration, short: Duration) -> Duration {
    if is_short() { short } else { usual }
}

/// The same, of how much there is to do.
#[must_use]
pub fn sized(usual: usize, short: usize) -> usize {
    if is_short() { short } else { usual }
}

fn is_short() -> bool {
    std::env::var_os("TEST_SHORT").is_some_and(|value| !value.is_empty())
}
