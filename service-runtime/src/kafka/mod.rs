//! Everything that touches Kafka: client settings, producer, consumer loop, topics, dead letters.
//!
//! No other crate of the workspace configures or polls a Kafka client, so the settings that the
//! guarantees rest on stand in one place ([`client`]).

pub mod client;
mod config;
mod consumer;
mod context;
mod dead_letter;
mod handler;
mod lag;
pub mod letters;
mod log_ends;
mod log_reader;
mod log_replay;
mod placement;
mod producer;
mod progress;
mod record;
mod topics;

pub use config::{GroupProtocol, KafkaConfig};
pub use consumer::ConsumerLoop;
pub use dead_letter::{DeadLetters, Letter, dead_letter_topic, dlt};
pub use handler::{Assigned, BatchHandler, Interruption, LoopError, LoopSettings, Start};
pub use lag::{PartitionLag, group_lag};
pub use log_ends::LogEnds;
pub use log_reader::{ReadError, read_all};
pub use log_replay::{LogReplay, Offsets, ReplaySource};
pub use placement::{Placement, placements};
pub use producer::{Delivered, Delivery, EventProducer, KafkaProducer, NewRecord, ProduceError};
pub use progress::Progress;
pub use record::Record;
pub use topics::{TopicError, TopicSpec, cluster_id, ensure_all, ensure_topics, partition_count};

/// Number of a partition within its topic, from 0.
pub type PartitionId = i32;
