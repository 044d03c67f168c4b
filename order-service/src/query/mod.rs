//! The query side: a read model folded from the log, and nothing else. It does not know who places orders.
//!
//! The stream of events has its place beside `history`.

mod history;
mod lookup;
mod moment;
mod page;
mod parameters;
mod projection;
mod routes;
mod store;
mod unfinished;
mod view;
mod waiting;
mod wish;

use std::sync::Arc;
use std::time::Duration;

use service_runtime::lifecycle::Shutdown;
use tokio::sync::Semaphore;
use utoipa_axum::router::OpenApiRouter;

use crate::storage::Storage;
use lookup::Lookup;
pub use projection::Projection;
pub use unfinished::{OLDEST_UNFINISHED, ages as unfinished_ages, watch as watch_unfinished};
use waiting::Waiters;

/// What the query side is made of.
#[derive(Debug)]
pub struct QueryParts {
    /// Holds the read model.
    pub storage: Storage,
    /// No request waits longer, whatever it wishes: shorter than the server's own limit.
    pub longest_wait: Duration,
    /// One for each request that waits; when they are taken, the next one is answered with 503.
    pub seats: Arc<Semaphore>,
    /// Ends every wait.
    pub shutdown: Shutdown,
}

/// The routes of the query side, and the decision that fills what they read.
#[must_use]
pub fn routes(parts: QueryParts) -> (OpenApiRouter, Projection) {
    let waiters = Waiters::default();
    let projection = Projection::new(waiters.clone());
    let routes = routes::routes(Lookup {
        storage: parts.storage,
        waiters,
        longest_wait: parts.longest_wait,
        seats: parts.seats,
        shutdown: parts.shutdown,
    });
    (routes, projection)
}
