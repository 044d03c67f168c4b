//! The broker's storage engine, with two repairs that readers of a log rely on.
//!
//! [nisshi]'s memory engine moves the end of a partition before it stores the records, and a fetch
//! in between answers with later records only: the reader goes past the others for good.
//! [`ReadAfterWrite`] lets no fetch overlap an append.
//!
//! The engine lists a partition's batches from the first one at each fetch, and stops after the
//! client's `fetch.wait.max.ms`: a reader at the end of a long log got nothing, for ever. Here a
//! fetch that has something to list may take [`LISTING_TIME`]. (Waiting for new records is not
//! the engine's part; it happens outside and keeps the client's limit.)
//!
//! [nisshi]: https://crates.io/crates/nisshi-broker

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use nisshi_sans_io::create_topics_request::CreatableTopic;
use nisshi_sans_io::delete_groups_response::DeletableGroupResult;
use nisshi_sans_io::delete_records_request::DeleteRecordsTopic;
use nisshi_sans_io::delete_records_response::DeleteRecordsTopicResult;
use nisshi_sans_io::describe_cluster_response::DescribeClusterBroker;
use nisshi_sans_io::describe_configs_response::DescribeConfigsResult;
use nisshi_sans_io::describe_topic_partitions_response::DescribeTopicPartitionsResponseTopic;
use nisshi_sans_io::fetch_response::AbortedTransaction;
use nisshi_sans_io::incremental_alter_configs_request::AlterConfigsResource;
use nisshi_sans_io::incremental_alter_configs_response::AlterConfigsResourceResponse;
use nisshi_sans_io::record::deflated::Batch;
use nisshi_sans_io::txn_offset_commit_response::TxnOffsetCommitResponseTopic;
use nisshi_sans_io::{ConfigResource, ErrorCode, IsolationLevel, ListOffset, ScramMechanism};
use nisshi_storage::{
    ArcDynStorage, BrokerRegistrationRequest, GroupDetail, ListOffsetResponse, MetadataResponse,
    NamedGroupDetail, OffsetCommitRequest, OffsetStage, ProducerIdResponse, Result,
    ScramCredential, Storage, TopicId, Topition, TxnAddPartitionsRequest, TxnAddPartitionsResponse,
    TxnOffsetCommitRequest, UpdateError, Version,
};
use reqwest::Url;
use tokio::sync::RwLock;
use uuid::Uuid;

/// Enough for a partition of millions of batches.
const LISTING_TIME: Duration = Duration::from_secs(3);

/// A storage engine whose fetches see every record below the end of the log.
#[derive(Debug)]
pub(super) struct ReadAfterWrite {
    engine: ArcDynStorage,
    /// Appends hold it for writing, fetches for reading.
    log: RwLock<()>,
}

impl ReadAfterWrite {
    pub(super) fn new(engine: ArcDynStorage) -> Self {
        Self {
            engine,
            log: RwLock::new(()),
        }
    }
}

/// A [`Storage`] with the given methods, which hands all others on as they are.
macro_rules! handing_on {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $output:ty;)* => $($own:item)*) => {
        #[async_trait]
        impl Storage for ReadAfterWrite {
            $(async fn $name(&self $(, $argument: $type)*) -> $output {
                self.engine.$name($($argument),*).await
            })*
            $($own)*
        }
    };
}

handing_on! {
    fn register_broker(request: BrokerRegistrationRequest) -> Result<()>;
    fn create_topic(topic: CreatableTopic, validate_only: bool) -> Result<Uuid>;
    fn incremental_alter_resource(resource: AlterConfigsResource) -> Result<AlterConfigsResourceResponse>;
    fn delete_records(topics: &[DeleteRecordsTopic]) -> Result<Vec<DeleteRecordsTopicResult>>;
    fn delete_topic(topic: &TopicId) -> Result<ErrorCode>;
    fn brokers() -> Result<Vec<DescribeClusterBroker>>;
    fn offset_stage(partition: &Topition) -> Result<OffsetStage>;
    fn list_offsets(isolation: IsolationLevel, offsets: &[(Topition, ListOffset)]) -> Result<Vec<(Topition, ListOffsetResponse)>>;
    fn offset_commit(group: &str, retention: Option<Duration>, offsets: &[(Topition, OffsetCommitRequest)]) -> Result<Vec<(Topition, ErrorCode)>>;
    fn offset_fetch(group: Option<&str>, partitions: &[Topition], require_stable: Option<bool>) -> Result<BTreeMap<Topition, i64>>;
    fn committed_offset_topitions(group: &str) -> Result<BTreeMap<Topition, i64>>;
    fn metadata(topics: Option<&[TopicId]>) -> Result<MetadataResponse>;
    fn upsert_user_scram_credential(user: &str, mechanism: ScramMechanism, credential: ScramCredential) -> Result<()>;
    fn delete_user_scram_credential(user: &str, mechanism: ScramMechanism) -> Result<()>;
    fn user_scram_credential(user: &str, mechanism: ScramMechanism) -> Result<Option<ScramCredential>>;
    fn describe_config(name: &str, resource: ConfigResource, keys: Option<&[String]>) -> Result<DescribeConfigsResult>;
    fn list_groups() -> Result<Vec<NamedGroupDetail>>;
    fn delete_groups(groups: Option<&[String]>) -> Result<Vec<DeletableGroupResult>>;
    fn describe_groups(groups: Option<&[String]>, authorized_operations: bool) -> Result<Vec<NamedGroupDetail>>;
    fn describe_topic_partitions(topics: Option<&[TopicId]>, limit: i32, cursor: Option<Topition>) -> Result<Vec<DescribeTopicPartitionsResponseTopic>>;
    fn group_with_version(group: &str) -> Result<Option<(GroupDetail, Version)>>;
    fn update_group(group: &str, detail: GroupDetail, version: Option<Version>) -> Result<Version, UpdateError<GroupDetail>>;
    fn init_producer(transaction: Option<&str>, timeout_ms: i32, producer: Option<i64>, epoch: Option<i16>) -> Result<ProducerIdResponse>;
    fn txn_add_offsets(transaction: &str, producer: i64, epoch: i16, group: &str) -> Result<ErrorCode>;
    fn txn_add_partitions(partitions: TxnAddPartitionsRequest) -> Result<TxnAddPartitionsResponse>;
    fn txn_offset_commit(offsets: TxnOffsetCommitRequest) -> Result<Vec<TxnOffsetCommitResponseTopic>>;
    fn txn_end(transaction: &str, producer: i64, epoch: i16, committed: bool) -> Result<ErrorCode>;
    fn maintain(now: SystemTime) -> Result<()>;
    fn maintain_transactions(now: SystemTime) -> Result<()>;
    fn aborted_transactions(partition: &Topition, offset: i64, last_stable: i64) -> Result<Vec<AbortedTransaction>>;
    fn cluster_id() -> Result<String>;
    fn node() -> Result<i32>;
    fn advertised_listener() -> Result<Url>;
    fn ping() -> Result<()>;
    =>
    async fn produce(
        &self,
        transaction: Option<&str>,
        partition: &Topition,
        batch: Batch,
    ) -> Result<i64> {
        let _appending = self.log.write().await;
        self.engine.produce(transaction, partition, batch).await
    }

    async fn fetch(
        &self,
        partition: &Topition,
        offset: i64,
        min_bytes: u32,
        max_bytes: u32,
        isolation: IsolationLevel,
        max_wait: Duration,
    ) -> Result<Vec<Batch>> {
        let _reading = self.log.read().await;
        let max_wait = max_wait.max(LISTING_TIME);
        self.engine
            .fetch(partition, offset, min_bytes, max_bytes, isolation, max_wait)
            .await
    }
}
