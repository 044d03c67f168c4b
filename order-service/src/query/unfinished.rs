//! How long the oldest order has been in each status that is not an end: the measure that shows that orders do
//! not end, whatever the reason.

use std::time::Duration;

use base_domains::OrderStatus;
use jiff::Timestamp;
use service_runtime::lifecycle::Shutdown;

use super::store;
use crate::storage::{Storage, StorageError, within};

/// Gauge: seconds since the oldest order with the label's `status` was placed; 0 when there is none.
pub const OLDEST_UNFINISHED: &str = "orders_oldest_unfinished_seconds";

/// Between two looks, and the longest time for one.
const INTERVAL: Duration = Duration::from_secs(5);

/// Keeps the gauge up to date until `shutdown`. While the database is down it stays as it was; that the database
/// is down, others report.
pub async fn watch(storage: Storage, shutdown: Shutdown) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = async { ticks.tick().await; look(&storage).await } => {}
        }
    }
}

async fn look(storage: &Storage) {
    let ages = ages(storage, Timestamp::now().as_millisecond());
    match within(INTERVAL, ages).await {
        Ok(ages) => {
            for (status, age) in ages {
                metrics::gauge!(OLDEST_UNFINISHED, "status" => status.as_str())
                    .set(age.as_secs_f64());
            }
        }
        Err(error) => tracing::debug!(%error, "The oldest unfinished orders are not known."),
    }
}

/// By status, how long before `now` (epoch milliseconds) the oldest order with it was placed; zero when there is
/// none.
///
/// # Errors
/// The database does not answer, or is not there yet.
pub async fn ages(
    storage: &Storage,
    now: i64,
) -> Result<Vec<(OrderStatus, Duration)>, StorageError> {
    let mut ages = Vec::new();
    for status in OrderStatus::ALL {
        if !status.is_terminal() {
            let placed = store::oldest(storage, status).await?.unwrap_or(now);
            // A clock that is behind the broker's makes no age below zero.
            let age = u64::try_from(now.saturating_sub(placed)).unwrap_or(0);
            ages.push((status, Duration::from_millis(age)));
        }
    }
    Ok(ages)
}
