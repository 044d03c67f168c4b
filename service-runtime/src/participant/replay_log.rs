//! What a replay needs besides the fold: the right log from its beginning, and how far the running participant is.

use std::collections::{BTreeMap, BTreeSet};

use base_domains::{OrderId, OrderStatus, home_partition};

use super::positions::positions;
use super::store::{LogIdentity, Store, identity};
use super::{BROKER_TIMEOUT, other_log};
use crate::database::{Database, DatabaseError, Tx};
use crate::kafka::{
    KafkaConfig, KafkaProducer, LogEnds, LogReplay, Offsets, ReadError, cluster_id, partition_count,
};

/// Why the log of a participant cannot be read again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The participant has not looked at a log yet.
    #[error("the service has not read a log yet: it makes its rows when it is started")]
    NothingRead,
    /// It is not the log that the rows are of (rules R4 and R6).
    #[error("{0}")]
    OtherLog(String),
    /// The log's beginning was deleted (rule R6).
    #[error("partition {partition} begins at offset {begin}: what was before it would be missing")]
    Truncated {
        /// The partition.
        partition: i32,
        /// Its first offset.
        begin: i64,
    },
    /// The broker does not answer.
    #[error("the broker does not answer: {0}")]
    Broker(String),
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl ReplayError {
    /// Whether it is the log or the database that speaks against it, and not something that is down.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::NothingRead | Self::OtherLog(_) | Self::Truncated { .. }
        )
    }
}

/// A participant's log, ready to be read again.
#[allow(missing_debug_implementations)] // the client has none
pub struct ReplayLog {
    /// How many partitions it has.
    pub partitions: i32,
    /// Where it begins: 0 everywhere, unless its beginning was deleted.
    pub begin: Offsets,
    /// Reads it from there.
    pub source: LogReplay,
}

/// Opens the log of `participant` at its beginning, if it is the one that the database was filled from (rules R4
/// and R6). `truncated`: also if its beginning was deleted.
///
/// # Errors
/// It is another log, its beginning was deleted, or something is down.
pub async fn open_log(
    database: &Database,
    participant: &'static str,
    kafka: &KafkaConfig,
    truncated: bool,
) -> Result<ReplayLog, ReplayError> {
    let known = identity(database, participant).await?;
    let known = known.ok_or(ReplayError::NothingRead)?;
    let producer = KafkaProducer::new(kafka).map_err(|e| ReplayError::Broker(e.to_string()))?;
    let found = found(&producer, &kafka.topic).await?;
    if known != found {
        return Err(ReplayError::OtherLog(other_log(&known, &found)));
    }
    let read = read_positions(database, participant).await?;
    let ends = LogEnds::new(producer, &kafka.topic, BROKER_TIMEOUT);
    let mut begin = Offsets::new();
    for partition in 0..known.partitions {
        let range = ends.range(partition).await;
        let (first, end) = range.map_err(|error| ReplayError::Broker(error.to_string()))?;
        let read = read.get(&partition).copied().unwrap_or(0);
        if read > end {
            return Err(ReplayError::OtherLog(format!(
                "the log ends at offset {end} of partition {partition}, but the database has read up to {read}: \
                 another cluster or a wiped volume"
            )));
        }
        if first > 0 && !truncated {
            return Err(ReplayError::Truncated {
                partition,
                begin: first,
            });
        }
        begin.insert(partition, first);
    }
    Ok(ReplayLog {
        partitions: known.partitions,
        source: LogReplay::open(kafka, &kafka.topic, &begin)?,
        begin,
    })
}

async fn found(producer: &KafkaProducer, topic: &str) -> Result<LogIdentity, ReplayError> {
    let broker = |error: crate::kafka::TopicError| ReplayError::Broker(error.to_string());
    Ok(LogIdentity {
        cluster_id: cluster_id(producer, BROKER_TIMEOUT).await.map_err(broker)?,
        topic: topic.to_owned(),
        partitions: partition_count(producer, topic, BROKER_TIMEOUT)
            .await
            .map_err(broker)?,
    })
}

/// How far the participant has read each partition; these rows stay as they are until the end of `tx`, so none of
/// its batches commits before.
///
/// # Errors
/// Of the database.
pub async fn lock_positions(
    database: &Database,
    tx: &mut Tx,
    participant: &'static str,
) -> Result<Offsets, DatabaseError> {
    let store = Store {
        participant,
        dialect: database.dialect(),
    };
    store.lock_positions(tx).await
}

/// How far the participant has read each partition.
///
/// # Errors
/// Of the database.
pub async fn read_positions(
    database: &Database,
    participant: &str,
) -> Result<Offsets, DatabaseError> {
    let mut connection = database.pool().acquire().await?;
    positions(&mut connection, participant).await
}

/// Locks the folded rows of these orders, in the order in which the participant's batches do (rule R1).
///
/// # Errors
/// Of the database.
pub async fn lock_folded(
    database: &Database,
    tx: &mut Tx,
    participant: &'static str,
    partitions: i32,
    orders: &BTreeSet<OrderId>,
) -> Result<(), DatabaseError> {
    let store = Store {
        participant,
        dialect: database.dialect(),
    };
    let orders: Vec<OrderId> = orders.iter().copied().collect();
    for chunk in orders.chunks(Store::AT_A_TIME) {
        let homes = chunk
            .iter()
            .map(|id| (*id, home_partition(*id, partitions)));
        store.lock_orders(tx, &homes.collect()).await?;
    }
    Ok(())
}

/// Sets the folded status of these orders, whose rows are locked.
///
/// # Errors
/// Of the database.
pub async fn set_folded(
    database: &Database,
    tx: &mut Tx,
    participant: &'static str,
    orders: &BTreeMap<OrderId, OrderStatus>,
) -> Result<(), DatabaseError> {
    let store = Store {
        participant,
        dialect: database.dialect(),
    };
    store.set_folded(tx, orders).await
}
