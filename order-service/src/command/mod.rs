//! The command side: takes orders and appends them to the log. It reads nothing back.
//!
//! Cancelling and deadlines, which answer from what was read back, have their place beside `place`.

mod answer;
mod caller;
mod content;
mod deadline;
mod idempotency_key;
mod place;
mod placements;
mod request;
mod routes;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base_domains::Encoder;
use service_runtime::kafka::EventProducer;
use utoipa_axum::router::OpenApiRouter;

use crate::storage::Storage;
use place::Placing;

/// What the command side is made of.
pub struct CommandParts {
    /// Appends to the log.
    pub producer: Arc<dyn EventProducer>,
    /// The log.
    pub topic: String,
    /// Makes the service's events.
    pub encoder: Encoder,
    /// Remembers the ids that clients chose.
    pub storage: Storage,
    /// Every request is answered within this time, measured from its head: shorter than the server's own
    /// limit, whose answer could not name the order.
    pub answer_within: Duration,
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
    answer_within: Duration,
}

/// The routes of the command side.
#[must_use]
pub fn routes(parts: CommandParts) -> OpenApiRouter {
    routes::routes(Command {
        placing: Placing::new(parts.producer, parts.encoder, parts.topic, parts.storage),
        answer_within: parts.answer_within,
    })
}
