//! The query side: a read model folded from the log, and nothing else. It does not know who places orders.
//!
//! [`Projection`] writes it, requests read it, [`Hub`] feeds those who stream it, and [`rebuild`] makes it anew.

mod history;
mod lookup;
mod moment;
mod page;
mod parameters;
mod projection;
pub mod rebuild;
mod routes;
mod store;
mod stream;
mod unfinished;
mod view;
mod wish;

use std::sync::Arc;
use std::time::Duration;

use service_runtime::lifecycle::Shutdown;
use tokio::sync::Semaphore;
use utoipa_axum::router::OpenApiRouter;

use crate::storage::Storage;
use crate::waiting;
use lookup::Lookup;
pub use projection::Projection;
pub use stream::Hub;
pub use unfinished::{OLDEST_UNFINISHED, ages as unfinished_ages, watch as watch_unfinished};
use waiting::Waiters;

/// Name of the participant that folds the log into the read model.
pub const PARTICIPANT: &str = "orders-view";

/// How long an order that is not in the read model is waited for when the request does not say: it was
/// perhaps placed a moment ago.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// What the query side is made of.
#[derive(Debug)]
pub struct QueryParts {
    /// Holds the read model.
    pub storage: Storage,
    /// No request waits longer, whatever it wishes: shorter than the server's own limit.
    pub longest_wait: Duration,
    /// How long a request waits for an order that it does not find, and does not say so: [`PATIENCE`].
    pub patience: Duration,
    /// One for each request that waits; when they are taken, the next one is answered with 503.
    pub seats: Arc<Semaphore>,
    /// One for each stream; likewise.
    pub stream_seats: Arc<Semaphore>,
    /// Ends every wait.
    pub shutdown: Shutdown,
}

/// The query side, ready to be run.
#[allow(missing_debug_implementations)] // the router has none
pub struct QuerySide {
    /// Its routes.
    pub routes: OpenApiRouter,
    /// Fills what they read.
    pub projection: Projection,
    /// Has to be run for the streams of all orders.
    pub hub: Hub,
}

impl QuerySide {
    /// Puts the query side together.
    #[must_use]
    pub fn new(parts: QueryParts) -> Self {
        let waiters = Waiters::default();
        let hub = Hub::new(parts.storage.clone(), waiters.clone());
        Self {
            projection: Projection::new(waiters.clone()),
            hub: hub.clone(),
            routes: routes::routes(Lookup {
                storage: parts.storage,
                waiters,
                hub,
                longest_wait: parts.longest_wait,
                patience: parts.patience,
                seats: parts.seats,
                stream_seats: parts.stream_seats,
                shutdown: parts.shutdown,
            }),
        }
    }
}
