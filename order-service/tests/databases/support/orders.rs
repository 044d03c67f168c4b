//! The participant `orders` step by step: records are folded and decided as in the running service, but only
//! when the test says so, and outcomes are stored without being published.

use std::collections::BTreeMap;
use std::time::Duration;

use base_domains::{EncodedEvent, OrderEvent, OrderId, OrderState, OrderStatus};
use order_service::MIGRATIONS;
use order_service::command::{Canceller, Keeper};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use service_runtime::database::{Database, DatabaseConfig, Tx};
use service_runtime::kafka::KafkaConfig;
use service_runtime::lifecycle::Shutdown;
use service_runtime::participant::{Change, Decider as _, Decision, ReadPastEnd};
use sqlx::Row;
use test_support::TestDatabase;

use super::{Mark, PARTITIONS, eventually, participant};

/// Rows of the command side with a log of the test.
pub(crate) struct Orders {
    // Alive until every client is gone.
    _mock: MockCluster<'static, DefaultProducerContext>,
    pub(crate) kafka: KafkaConfig,
    pub(crate) database: Database,
    pub(crate) canceller: Canceller,
    pub(crate) gate: ReadPastEnd,
}

/// A row of `command_orders`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) state: String,
    pub(crate) placed_at: i64,
    pub(crate) content: String,
    pub(crate) reason: String,
}

impl Orders {
    /// The participant has looked at its log, which is empty, and runs no more.
    pub(crate) async fn new(database: TestDatabase) -> Self {
        let database = Database::open(&DatabaseConfig::new(database.url())).unwrap();
        database.migrate(&[&MIGRATIONS]).await.unwrap();
        let mock = MockCluster::new(1).unwrap();
        for topic in ["orders", "orders.orders.dlt"] {
            mock.create_topic(topic, PARTITIONS, 1).unwrap();
        }
        let mut kafka = KafkaConfig::for_bootstrap(&mock.bootstrap_servers(), "test");
        kafka.create_topics = false;
        let participant = participant(&database, Keeper::default(), &kafka);
        let (appender, gate) = (participant.appender(), participant.gate());
        let shutdown = Shutdown::new();
        let running = tokio::spawn(participant.run(shutdown.clone()));
        eventually("the log", || appender.partitions().is_some()).await;
        shutdown.trigger();
        running.await.unwrap().unwrap();
        Self {
            _mock: mock,
            kafka,
            database,
            canceller: Canceller::new(appender),
            gate,
        }
    }

    /// Folds and decides about records in one transaction, like a batch of the participant: a record without
    /// effect is not decided about.
    pub(crate) async fn read(&self, marks: &[Mark]) -> Vec<Decision> {
        self.decide(marks, false).await
    }

    /// Hands a record over once more after its decision had failed.
    pub(crate) async fn redrive(&self, mark: Mark) -> Vec<Decision> {
        self.decide(&[mark], true).await
    }

    async fn decide(&self, marks: &[Mark], redriven: bool) -> Vec<Decision> {
        let mut tx = self.database.begin().await.unwrap();
        let mut changes = Vec::new();
        for mark in marks {
            let before = status_of(&mut tx, mark).await;
            let mut state = OrderState::from(before);
            let effect = state.apply(mark.heading.status);
            if effect == base_domains::Effect::NoEffect && !redriven {
                continue;
            }
            let status = state.status().unwrap();
            write_status(&mut tx, mark.heading.order_id, status).await;
            changes.push(Change {
                status,
                before,
                heading: &mark.heading,
                record: &mark.record,
                home_partition: mark.record.partition,
                redriven,
            });
        }
        let decisions = Keeper::default().decide(&mut tx, &changes).await.unwrap();
        tx.commit().await.unwrap();
        decisions
    }

    /// The row of an order.
    pub(crate) async fn state(&self, order_id: OrderId) -> State {
        let select =
            "SELECT state, placed_at, content, reason FROM command_orders WHERE order_id = $1";
        let row = sqlx::query(select)
            .bind(order_id.to_string())
            .fetch_one(self.database.pool())
            .await
            .unwrap();
        State {
            state: row.get(0),
            placed_at: row.get(1),
            content: row.get(2),
            reason: row.get(3),
        }
    }

    /// The stored outcome that was not read back yet.
    pub(crate) async fn outcome(&self, order_id: OrderId) -> Option<EncodedEvent> {
        let row = sqlx::query(
            "SELECT outcome FROM participant_orders WHERE order_id = $1 AND outcome_rank > state_rank",
        )
        .bind(order_id.to_string())
        .fetch_optional(self.database.pool())
        .await
        .unwrap()?;
        Some(serde_json::from_str(&row.get::<String, _>(0)).unwrap())
    }

    /// That outcome as an event.
    pub(crate) async fn event(&self, order_id: OrderId) -> OrderEvent {
        let outcome = self.outcome(order_id).await.unwrap();
        OrderEvent::from_json(outcome.value.as_bytes()).unwrap()
    }

    /// How many orders are in each state.
    pub(crate) async fn counts(&self) -> BTreeMap<String, i64> {
        let rows = sqlx::query("SELECT state, COUNT(*) FROM command_orders GROUP BY state")
            .fetch_all(self.database.pool())
            .await
            .unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }
}

/// Makes and locks the order's row, and reads its folded status.
async fn status_of(tx: &mut Tx, mark: &Mark) -> Option<OrderStatus> {
    sqlx::query(
        "INSERT INTO participant_orders (participant, order_id, home_partition) \
         VALUES ('orders', $1, $2) ON CONFLICT DO NOTHING",
    )
    .bind(mark.heading.order_id.to_string())
    .bind(i64::from(mark.record.partition))
    .execute(&mut **tx)
    .await
    .unwrap();
    // An update locks on both databases.
    let text =
        "UPDATE participant_orders SET order_id = order_id WHERE order_id = $1 RETURNING status";
    let status: String = sqlx::query_scalar(text)
        .bind(mark.heading.order_id.to_string())
        .fetch_one(&mut **tx)
        .await
        .unwrap();
    status.parse().ok()
}

async fn write_status(tx: &mut Tx, order_id: OrderId, status: OrderStatus) {
    sqlx::query("UPDATE participant_orders SET status = $1, state_rank = $2 WHERE order_id = $3")
        .bind(status.as_str())
        .bind(status.rank())
        .bind(order_id.to_string())
        .execute(&mut **tx)
        .await
        .unwrap();
}

/// Long ago, in epoch milliseconds: 1 January 2020.
pub(crate) const LONG_AGO: i64 = 1_577_836_800_000;
/// What the orders of long ago have not kept.
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
