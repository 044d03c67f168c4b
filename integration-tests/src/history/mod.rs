//! The history of a run, and whether it broke a promise of the system.
//!
//! A [`History`] is plain data: every attempt at the HTTP interface and how it ended, everything that was
//! injected or interrupted, the whole log, the dead letters, the rows of every database and every mail.
//! A [`Recorder`] notes what only the clients and the disturber know, while it happens.

mod attempt;
mod check;
mod collect;
mod disturbance;
mod invariant;
mod recorder;
mod rows;
mod tables;

use std::collections::BTreeMap;
use std::time::Duration;

use base_domains::{OrderId, OrderStatus};
use service_runtime::kafka::{PartitionId, PartitionLag, Record};
use uuid::Uuid;

pub use attempt::{Answered, Attempt, Content, Operation, Outcome};
pub use check::check;
pub use collect::{Rest, SETTLING, collect, collect_within};
pub use disturbance::{Injected, Interruption, Kind};
pub use invariant::{Invariant, Violation};
pub use recorder::Recorder;
pub use rows::{
    Adjustment, Databases, GatewayEntry, Job, OrderRow, OwnRow, Participant, Payment, Reservation,
    StockRow, View, ViewStep,
};

/// States that email-service tells of when nothing is set.
pub const MAILED: [OrderStatus; 5] = [
    OrderStatus::Pending,
    OrderStatus::Paid,
    OrderStatus::Shipped,
    OrderStatus::Rejected,
    OrderStatus::Cancelled,
];

/// The clocks of this machine, its containers and what runs on them are the same but for so many milliseconds.
const CLOCKS: i64 = 1000;

/// All that is known of a run, once it is at rest. Times count from the start of the [`Recorder`].
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Partitions of the topic.
    pub partitions: i32,
    /// When the time of the recorder began, in epoch milliseconds.
    pub started: i64,
    /// Every request that places or cancels an order.
    pub attempts: Vec<Attempt>,
    /// Good records that were appended by hand, such as the tutorial's.
    pub injected: Vec<Injected>,
    /// Bad records that were appended by hand: nobody can read their body, and of some not even the heading.
    pub poison: Vec<Injected>,
    /// Every record of the topic, by partition and offset.
    pub log: Vec<Record>,
    /// Every record of the dead-letter topics, by group.
    pub dead_letters: BTreeMap<String, Vec<Record>>,
    /// Where each group is in the log, and the log's own borders.
    pub offsets: BTreeMap<String, Vec<PartitionLag>>,
    /// What the services keep.
    pub databases: Databases,
    /// Pieces that there have to be of each product in the end, whoever has them.
    pub stock: Vec<StockLevel>,
    /// What was seen of the stock meanwhile.
    pub observations: Vec<Observation>,
    /// Every mail that arrived.
    pub mails: Vec<Mail>,
    /// The receivers of webhooks, which were registered before the first order.
    pub webhooks: Vec<Webhook>,
    /// Every kill, freeze and cut.
    pub interruptions: Vec<Interruption>,
    /// Processes that ended though nobody interrupted them, or otherwise than they were asked to; perhaps with how.
    pub ended_by_themselves: Vec<String>,
    /// What may be repeated, and how often.
    pub bounds: Bounds,
}

/// Pieces of a product that were seeded or set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockLevel {
    /// The product.
    pub product: String,
    /// Available, reserved and shipped ones together.
    pub pieces: i64,
}

/// The stock of a product at a moment of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// When it was asked for.
    pub since: Duration,
    /// When the answer was there.
    pub at: Duration,
    /// The product and its pieces.
    pub row: StockRow,
}

/// A mail that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// With its angle brackets.
    pub message_id: String,
    /// Addresses that it was delivered to.
    pub recipients: Vec<String>,
}

/// A registered receiver and all that it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Of the registration.
    pub id: Uuid,
    /// The states that it registered for.
    pub states: Vec<OrderStatus>,
    /// Every request.
    pub told: Vec<Told>,
}

/// A notification as its receiver got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// `webhook-id`.
    pub id: String,
    /// The order of its body.
    pub order_id: OrderId,
    /// The state of its body.
    pub status: OrderStatus,
}

/// How the run was set up: what it may repeat, and what the checker has to know of the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// States that are mailed.
    pub mailed: Vec<OrderStatus>,
    /// Who gets the mail of orders without an address.
    pub default_recipient: String,
    /// The shortest `ORDER_DEADLINE` that any process ran with.
    pub deadline: Duration,
    /// Mails that may be skipped: because they are too old, or there is nobody to tell.
    pub skipped_mails: usize,
    /// Records of the topic that may be there a second time; `None` where the run has no such bound.
    pub appended_again: Option<usize>,
    /// How often one outcome may be there, and once more for each time that a client repeated the order's PENDING. An
    /// append that is not acknowledged in time is repeated, so this depends on how long a broker was away, not only
    /// on how often.
    pub copies: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            mailed: MAILED.to_vec(),
            default_recipient: "customer@example.com".to_owned(),
            deadline: Duration::from_secs(24 * 60 * 60),
            skipped_mails: 0,
            appended_again: None,
            copies: 20,
        }
    }
}

/// A place in the log.
pub type Place = (PartitionId, i64);
