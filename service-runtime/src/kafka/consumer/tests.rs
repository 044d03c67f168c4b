//! Readiness of a loop whose rebalances are told to it; no broker is asked.

use super::*;
use crate::health::Health;
use crate::kafka::{Assigned, Start};

const TOPIC: &str = "orders";

/// Is asked nothing in these tests.
struct Silent;

impl BatchHandler for Silent {
    async fn check(&mut self, _: &Assigned) -> Result<Start, Interruption> {
        Ok(Start::Committed)
    }

    async fn handle(&mut self, _: &[Record]) -> Result<(), Interruption> {
        Ok(())
    }
}

fn standing_loop(health: &Health) -> ConsumerLoop<Silent> {
    let mut config = KafkaConfig::for_bootstrap("127.0.0.1:1", "test");
    config.topic = TOPIC.to_owned();
    let component = health.component("consumer");
    let (settings, progress) = (LoopSettings::default(), Progress::default());
    ConsumerLoop::new(&config, "group", Silent, settings, component, progress).unwrap()
}

impl ConsumerLoop<Silent> {
    fn told(&mut self, event: RebalanceEvent) {
        self.consumer.context().note(event);
        self.note_rebalances();
    }
}

fn reason(health: &Health) -> Option<String> {
    health.readiness().components["consumer"].reason.clone()
}

#[tokio::test]
async fn a_member_that_lost_its_partitions_while_blocked_is_ready_when_it_goes_on() {
    let health = Health::new(&Shutdown::new());
    let mut member = standing_loop(&health);
    member.told(RebalanceEvent::Assigned(vec![0]));
    member.block("database: down");
    member.told(RebalanceEvent::Revoked(vec![0]));
    member.told(RebalanceEvent::Assigned(vec![]));
    assert_eq!(reason(&health).as_deref(), Some("database: down"));
    member.attempt().await.unwrap();
    member.unblock();
    assert_eq!(reason(&health), None, "it stands by");
}

#[tokio::test]
async fn a_member_is_not_ready_before_its_first_assignment() {
    let health = Health::new(&Shutdown::new());
    let mut member = standing_loop(&health);
    member.unblock();
    assert_eq!(reason(&health).as_deref(), Some("starting"));
    member.told(RebalanceEvent::Assigned(vec![]));
    assert_eq!(reason(&health), None, "one instance too many stands by");
}
