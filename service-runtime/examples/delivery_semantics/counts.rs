//! What became of the orders: the log and the group's offsets on one side, the ledger on the other.

use std::collections::BTreeSet;
use std::time::Duration;

use service_runtime::kafka::{KafkaConfig, read_all};

use super::ledger::{Ledger, Tally};
use super::source::{committed, placed};

/// Bound of reading the whole log.
const READ_WITHIN: Duration = Duration::from_secs(60);

/// Of the orders that the group's offsets are past: those that nobody will be given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) orders: usize,
    /// Deliveries beyond the first of each order.
    pub(crate) redelivered: i64,
    /// Orders without an effect.
    pub(crate) lost: usize,
    /// Effects beyond the first of each order.
    pub(crate) duplicated: i64,
}

impl std::fmt::Display for Counts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{} orders, {} delivered again, {} lost, {} duplicated",
            self.orders, self.redelivered, self.lost, self.duplicated
        )
    }
}

pub(crate) async fn count(
    config: &KafkaConfig,
    group: &str,
    ledger: &Ledger,
) -> anyhow::Result<Counts> {
    let (of, asked) = (group.to_owned(), config.clone());
    let next = tokio::task::spawn_blocking(move || committed(&asked, &of)).await??;
    let partitions = i32::try_from(next.len())?;
    let log = read_all(config, &config.topic, READ_WITHIN).await?;
    let orders: BTreeSet<String> = log
        .iter()
        .filter(|record| record.offset < next[&record.partition])
        .filter_map(|record| placed(record, partitions))
        .map(|order| order.to_string())
        .collect();
    let (deliveries, effects) = (ledger.deliveries().await?, ledger.effects().await?);
    let lost = |order: &&String| !effects.contains_key(*order);
    Ok(Counts {
        orders: orders.len(),
        redelivered: beyond_the_first(&orders, &deliveries),
        lost: orders.iter().filter(lost).count(),
        duplicated: beyond_the_first(&orders, &effects),
    })
}

fn beyond_the_first(orders: &BTreeSet<String>, tally: &Tally) -> i64 {
    let counted = orders.iter().filter_map(|order| tally.get(order));
    counted.map(|count| count - 1).sum()
}
