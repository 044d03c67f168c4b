//! F4: ends while the broker, and with it the coordinator of each group, is gone. librdkafka 2.12.1 is
//! known to have crashed there.

use std::time::{Duration, Instant};

use integration_tests::Signal;
use test_support::{Test, test};

use crate::support::{END, Mock, Service};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_service_that_is_terminated_while_the_broker_is_gone_ends_with_0_in_time, no database)
            .threads(2),
    ]
}

const SERVICES: [&str; 5] = ["order", "stock", "payment", "shipping", "webhook"];

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
