//! The command side: takes orders and appends them to the log, and ends orders on request or when their time
//! is over.
//!
//! Placing reads nothing back. Cancelling answers from what its own participant, `orders`, has read back: it
//! knows nothing of the read model.

mod answer;
mod caller;
mod cancel;
mod cancel_route;
mod canceller;
mod content;
mod deadline;
mod idempotency_key;
mod keeper;
mod kept;
mod overdue;
mod place;
mod placements;
mod request;
mod routes;
mod store;
mod verdict;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base_domains::Encoder;
use service_runtime::kafka::EventProducer;
use service_runtime::lifecycle::Shutdown;
use service_runtime::participant::{Appender, ReadPastEnd};
use tokio::sync::Semaphore;
use utoipa_axum::router::OpenApiRouter;

use crate::storage::Storage;
use cancel::Cancellations;
pub use canceller::{Canceller, Cancelling};
pub use keeper::Keeper;
pub use overdue::{Deadlines, RoundError};
use place::Placing;
pub use verdict::{Verdict, judge};

/// Name of the participant that reads back what became of orders.
pub const PARTICIPANT: &str = "orders";

/// What the command side is made of.
pub struct CommandParts {
    /// Appends new orders to the log.
    pub producer: Arc<dyn EventProducer>,
    /// The log.
    pub topic: String,
    /// Makes the service's events.
    pub encoder: Encoder,
    /// Remembers the ids that clients chose, and what was read of orders.
    pub storage: Storage,
    /// Every request is answered within this time, measured from its head: shorter than the server's own
    /// limit, whose answer could not name the order.
    pub answer_within: Duration,
    /// The decision of the participant [`PARTICIPANT`], which wakes those who wait for it.
    pub keeper: Keeper,
    /// Appends the ends of orders; of that participant.
    pub appender: Appender,
    /// Knows how far that participant has read.
    pub gate: ReadPastEnd,
    /// One for each request that cancels; when they are taken, the next one is answered with 503.
    pub seats: Arc<Semaphore>,
    /// Ends every wait.
    pub shutdown: Shutdown,
}

impl fmt::Debug for CommandParts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CommandParts")
            .field("topic", &self.topic)
            .field("encoder", &self.encoder)
            .field("answer_within", &self.answer_within)
            .finish_non_exhaustive()
    }
}

/// State of the command side's handlers.
#[derive(Clone)]
struct Command {
    placing: Placing,
    cancellations: Cancellations,
    answer_within: Duration,
}

/// The routes of the command side.
#[must_use]
pub fn routes(parts: CommandParts) -> OpenApiRouter {
    let storage = parts.storage.clone();
    routes::routes(Command {
        placing: Placing::new(parts.producer, parts.encoder, parts.topic, storage),
        cancellations: Cancellations {
            canceller: Canceller::new(parts.appender),
            gate: parts.gate,
            storage: parts.storage,
            waiters: parts.keeper.waiters,
            seats: parts.seats,
            shutdown: parts.shutdown,
        },
        answer_within: parts.answer_within,
    })
}
