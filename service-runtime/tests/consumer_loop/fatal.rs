//! Errors after which a client can do nothing any more: they end the loop, and every append says so.

use std::sync::Arc;

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use service_runtime::kafka::{EventProducer, KafkaProducer, LoopError, ProduceError};

use crate::support::{DEADLINE, Script, cluster, join, to_partition};

/// The first record too, which only says that it was purged.
#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_failed_for_good_says_so_of_every_record() {
    for (request, error) in [
        (
            RDKafkaApiKey::InitProducerId,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
        ),
        (
            RDKafkaApiKey::Produce,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
        ),
    ] {
        let cluster = cluster(1);
        cluster.mock.request_errors(request, &[error]);
        let producer = KafkaProducer::new(&cluster.config).unwrap();
        let first = producer.enqueue(&to_partition(0, "first")).unwrap();
        let first = tokio::time::timeout(DEADLINE, first).await.unwrap();
        assert!(matches!(first, Err(ProduceError::Fatal(_))), "{first:?}");
        let next = producer.enqueue(&to_partition(0, "next")).err();
        assert!(matches!(next, Some(ProduceError::Fatal(_))), "{next:?}");
    }
}

/// Static membership: another process took its name, and may be reading already.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_the_group_fenced_ends() {
    for request in [RDKafkaApiKey::Heartbeat, RDKafkaApiKey::JoinGroup] {
        let mut cluster = cluster(1);
        cluster.config.group_instance_id = Some("one".to_owned());
        let fenced = RDKafkaRespErr::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
        cluster.mock.request_errors(request, &[fenced]);
        let member = join(&cluster.config, &Arc::new(Script::default()));
        let ended = tokio::time::timeout(DEADLINE, member.running).await;
        let error = ended.unwrap().unwrap().unwrap_err();
        assert!(matches!(error, LoopError::Fatal(_)), "{error:?}");
    }
}
