//! F4: ends while the broker, or only the coordinator of each group, is gone. librdkafka 2.12.1 is known
//! to have crashed there.

use std::time::{Duration, Instant};

use integration_tests::Signal;
use integration_tests::system::order;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use test_support::{Test, test};

use crate::support::{COORDINATOR, END, Mock, Service};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_service_that_is_terminated_while_the_broker_is_gone_ends_with_0_in_time, no database)
            .threads(2),
        test!(a_service_that_is_terminated_while_its_coordinator_is_gone_ends_with_0_in_time, no database)
            .threads(2),
    ]
}

const SERVICES: [&str; 6] = ["order", "stock", "email", "payment", "shipping", "webhook"];

/// How often each service is ended.
fn rounds() -> u64 {
    let given = std::env::var("TEST_ENDS").ok();
    given.map_or(2, |rounds| rounds.parse().unwrap())
}

async fn started(mock: &mut Mock) -> Vec<Service> {
    let mut services = Vec::new();
    for name in SERVICES {
        services.push(mock.start(name).await);
    }
    services
}

fn terminate(services: &[Service]) -> Instant {
    for service in services {
        service.process.signal(Signal::Terminate);
    }
    Instant::now()
}

async fn end_well(services: Vec<Service>, since: Instant) {
    for mut service in services {
        let status = service
            .process
            .ended(END.saturating_sub(since.elapsed()))
            .await;
        // A signal that ended it is no code.
        assert_eq!(
            status.code(),
            Some(0),
            "{status}: {}",
            service.process.output()
        );
    }
}

/// Members of their groups, and such as are about to join.
async fn a_service_that_is_terminated_while_the_broker_is_gone_ends_with_0_in_time() {
    for round in 0..rounds() {
        let mut mock = Mock::new();
        let services = started(&mut mock).await;
        if round % 2 == 0 {
            for service in &services {
                service.until_ready().await;
            }
        }
        mock.cluster.broker_down(-1).unwrap();
        // From clients that do not know it yet to such as wait for the coordinator. The scenario itself.
        tokio::time::sleep(Duration::from_millis(round * 300 % 2000)).await;
        let since = terminate(&services);
        end_well(services, since).await;
    }
}

/// What leaving the group needs is away or refuses, while the log can be written and read.
async fn a_service_that_is_terminated_while_its_coordinator_is_gone_ends_with_0_in_time() {
    const AWAY: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE;
    const ASKED: [RDKafkaApiKey; 4] = [
        RDKafkaApiKey::FindCoordinator,
        RDKafkaApiKey::OffsetCommit,
        RDKafkaApiKey::Heartbeat,
        RDKafkaApiKey::LeaveGroup,
    ];
    for round in 0..rounds() {
        let mut mock = Mock::with_a_coordinator();
        let services = started(&mut mock).await;
        for service in &services {
            service.until_ready().await;
        }
        if round % 2 == 0 {
            mock.cluster.broker_down(COORDINATOR).unwrap();
        } else {
            for api in ASKED {
                mock.cluster.request_errors(api, &[AWAY; 1000]);
            }
        }
        let body = order("book order", 2);
        let placed = services[0].client.post("/api/v1/orders", &body, &[]).await;
        assert_eq!(placed.unwrap().status, 201, "the log itself is there");
        // From clients that do not know it yet to such as look for the coordinator. The scenario itself.
        tokio::time::sleep(Duration::from_millis(round * 300 % 2000)).await;
        let since = terminate(&services);
        end_well(services, since).await;
    }
}
