//! Waiting for a condition, with a deadline.

use std::future::Future;
use std::time::{Duration, Instant};

/// How long a condition may take unless a test says otherwise.
pub const DEADLINE: Duration = Duration::from_secs(60);

const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The value that `look` finds once it finds one.
///
/// # Panics
/// When it does not within `deadline`.
pub async fn eventually_within<T, F: Future<Output = Option<T>>>(
    what: &str,
    deadline: Duration,
    look: impl Fn() -> F,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            started.elapsed() < deadline,
            "no {what} within {deadline:?}"
        );
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// [`eventually_within`] the usual deadline.
///
/// # Panics
/// When it does not come.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, look: impl Fn() -> F) -> T {
    eventually_within(what, DEADLINE, look).await
}
