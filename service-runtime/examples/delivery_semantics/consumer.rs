//! The three modes. They differ in the order of two steps, and in where the second one is remembered.

use std::path::PathBuf;

use clap::ValueEnum;
use service_runtime::kafka::KafkaConfig;

use super::counts::Counts;
use super::ledger::{self, Ledger};
use super::source::{Batch, Source};

/// What a consumer promises about the effect of each order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(clippy::enum_variant_names, reason = "they are called so")]
pub(crate) enum Mode {
    /// None or one.
    AtMostOnce,
    /// One or more.
    AtLeastOnce,
    /// One, however often the order is delivered.
    EffectivelyOnce,
}

/// Where a consumer stops to be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stop {
    /// After half of the effects of the second batch.
    HalfWay,
    /// Between the effects of the second batch and the commit of its offsets.
    BetweenSteps,
}

/// The batch that [`Stop`] means; the one before it is finished.
const STOP_IN_BATCH: usize = 2;

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) mode: Mode,
    pub(crate) stop: Option<Stop>,
    /// Orders in a batch.
    pub(crate) batch: usize,
    pub(crate) group: String,
    /// File of the effects.
    pub(crate) ledger: PathBuf,
}

struct Consumer {
    mode: Mode,
    stop: Option<Stop>,
    source: Source,
    ledger: Ledger,
    /// Batches begun by this process.
    batches: usize,
}

/// Consumes up to the end of the log and counts what all runs of this group have come to.
pub(crate) async fn run(config: &KafkaConfig, options: Options) -> anyhow::Result<Counts> {
    let mut consumer = Consumer {
        mode: options.mode,
        stop: options.stop,
        source: Source::open(config, &options.group)?,
        ledger: Ledger::open(&options.ledger).await?,
        batches: 0,
    };
    while let Some(batch) = consumer.source.next(options.batch).await? {
        consumer.batches += 1;
        consumer.ledger.note_delivered(&batch.orders).await?;
        consumer.handle(&batch).await?;
    }
    anyhow::ensure!(
        consumer.stop.is_none(),
        "the log ended before the place to stop: place more orders, or name another group and ledger"
    );
    super::counts::count(config, &options.group, &consumer.ledger).await
}

impl Consumer {
    /// After a crash the group is given everything again that it has no committed offset for. That is
    /// all there is to delivery: a mode is a choice of what is done before that commit.
    async fn handle(&self, batch: &Batch) -> anyhow::Result<()> {
        match self.mode {
            // From the commit on nobody is given the batch again, so what a crash leaves undone stays
            // undone. For effects that are worse twice than never, such as a sample of a measurement.
            Mode::AtMostOnce => {
                self.source.commit(batch)?;
                self.stop_here(Stop::BetweenSteps).await;
                self.effects(batch).await
            }
            // Until the commit the batch is given again, with all that is done of it already.
            Mode::AtLeastOnce => {
                self.effects(batch).await?;
                self.stop_here(Stop::BetweenSteps).await;
                self.source.commit(batch)
            }
            // As above: deliveries do repeat. But the effect and the memory that it happened are one
            // transaction, so a repetition finds either both or neither.
            Mode::EffectivelyOnce => {
                let mut tx = self.ledger.begin().await?;
                for (index, order) in batch.orders.iter().enumerate() {
                    if ledger::is_new(&mut tx, *order).await? {
                        // Here, where two transactions instead of one would lose an order.
                        self.stop_half_way(batch, index).await;
                        ledger::effect(&mut tx, *order).await?;
                    }
                }
                tx.commit().await?;
                self.stop_here(Stop::BetweenSteps).await;
                self.source.commit(batch)
            }
        }
    }

    /// One effect after the other, each by itself, like mails or calls of somebody else's API.
    async fn effects(&self, batch: &Batch) -> anyhow::Result<()> {
        for (index, order) in batch.orders.iter().enumerate() {
            self.stop_half_way(batch, index).await;
            let mut tx = self.ledger.begin().await?;
            ledger::effect(&mut tx, *order).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    async fn stop_half_way(&self, batch: &Batch, index: usize) {
        if index == batch.orders.len() / 2 {
            self.stop_here(Stop::HalfWay).await;
        }
    }

    /// Where the process is to be killed, it stops for ever, with all that it holds at this moment.
    async fn stop_here(&self, here: Stop) {
        if self.stop == Some(here) && self.batches == STOP_IN_BATCH {
            let pid = std::process::id();
            println!("Stopped in batch {STOP_IN_BATCH}, {here}. Now: kill -9 {pid}");
            std::future::pending::<()>().await;
        }
    }
}

impl std::fmt::Display for Stop {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(match self {
            Self::HalfWay => "half of its effects done",
            Self::BetweenSteps => "between its two steps",
        })
    }
}
