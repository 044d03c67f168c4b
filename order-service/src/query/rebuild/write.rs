//! From records to rows of the new generation.

use std::collections::BTreeMap;
use std::time::Instant;

use base_domains::OrderId;
use service_runtime::database::Tx;
use service_runtime::kafka::{Record, ReplaySource};
use service_runtime::participant::Folded;

use super::attempts::Attempts;
use super::error::RebuildError;
use super::{BATCH, LEASE, Rebuild};
use crate::query::store::compare;

/// What a transaction that is not committed yet comes to.
#[derive(Debug, Default)]
pub(super) struct Written {
    events: usize,
    orders: u64,
    /// Whether the last decision about these orders failed.
    failed: BTreeMap<OrderId, bool>,
}

impl Written {
    pub(super) fn events(&self) -> u64 {
        self.events as u64
    }

    pub(super) fn orders(&self) -> u64 {
        self.orders
    }
}

impl<S: ReplaySource> Rebuild<S> {
    /// Writes the first records that are pending, in a transaction of their own.
    pub(super) async fn write_pending(&mut self) -> Result<(), RebuildError> {
        let records = std::mem::take(&mut self.pending);
        let (first, rest) = records.split_at(records.len().min(BATCH));
        let mut attempts = Attempts::default();
        loop {
            let begun = Instant::now();
            match self.write_once(first).await {
                Err(error) => attempts.another(error).await?,
                Ok(written) => {
                    self.note(written);
                    self.give_way(begun).await;
                    break;
                }
            }
        }
        self.pending = rest.to_vec();
        Ok(())
    }

    async fn write_once(&mut self, records: &[Record]) -> Result<Written, RebuildError> {
        let mut tx = self.database.begin().await?;
        self.renew(&mut tx).await?;
        let written = self.write(&mut tx, records).await?;
        tx.commit().await?;
        Ok(written)
    }

    /// Folds the records and writes what they mean.
    pub(super) async fn write(
        &mut self,
        tx: &mut Tx,
        records: &[Record],
    ) -> Result<Written, RebuildError> {
        let mut written = Written {
            events: records.len(),
            ..Written::default()
        };
        for batch in self.replay.read(records) {
            let orders: Vec<OrderId> = batch.orders().into_iter().collect();
            let mut rows = self.folded(tx, &orders, &written.failed).await?;
            let before = rows.clone();
            batch
                .decide(tx, &self.projection, &mut rows)
                .await
                .map_err(|error| RebuildError::Decide(places(records), error))?;
            if let Some(comparison) = &mut self.comparison {
                comparison.touched.extend(orders);
            }
            let new = rows
                .iter()
                .filter(|(id, row)| row.status.is_some() && !before.contains_key(*id));
            written.orders += new.count() as u64;
            let failed = rows.iter().map(|(id, row)| (*id, row.failed));
            written.failed.extend(failed);
        }
        Ok(written)
    }

    /// What the new generation says about these orders so far; `failed` is not noted yet.
    async fn folded(
        &self,
        tx: &mut Tx,
        orders: &[OrderId],
        failed: &BTreeMap<OrderId, bool>,
    ) -> Result<BTreeMap<OrderId, Folded>, RebuildError> {
        let statuses = compare::statuses(tx, self.claim.generation, orders).await?;
        let folded = statuses.into_iter().map(|(id, status)| {
            let noted = || self.failed.contains(&id);
            let folded = Folded {
                status: Some(status),
                failed: failed.get(&id).copied().unwrap_or_else(noted),
            };
            (id, folded)
        });
        Ok(folded.collect())
    }

    /// Takes note of what was committed.
    pub(super) fn note(&mut self, written: Written) {
        self.events += written.events as u64;
        self.orders += written.orders;
        for (order_id, failed) in written.failed {
            match failed {
                true => self.failed.insert(order_id),
                false => self.failed.remove(&order_id),
            };
        }
    }

    /// Makes sure that nobody else took over, until the end of `tx`.
    pub(super) async fn renew(&mut self, tx: &mut Tx) -> Result<(), RebuildError> {
        if !self.claim.renew(tx, LEASE).await? {
            return Err(RebuildError::Overtaken);
        }
        self.renewed = Instant::now();
        Ok(())
    }
}

/// Where records are, for whoever looks for the one that cannot be written.
fn places(records: &[Record]) -> String {
    let mut ranges: BTreeMap<i32, (i64, i64)> = BTreeMap::new();
    for record in records {
        let range = ranges
            .entry(record.partition)
            .or_insert((record.offset, record.offset));
        range.1 = record.offset;
    }
    let ranges: Vec<String> = ranges
        .iter()
        .map(|(partition, (first, last))| format!("{partition}:{first}-{last}"))
        .collect();
    ranges.join(", ")
}
