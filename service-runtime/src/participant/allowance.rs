//! When to stop dead-lettering: a record now and then is bad; when nearly all are, the reader is.
//!
//! What is redriven is not counted, nor is a failed decision about history that can be read (rule R13).

use base_domains::header;

use super::Shared;
use super::decider::Change;
use super::plan::Kind;
use super::settle::Settled;
use crate::kafka::Record;

/// Good records that make up for one dead letter.
const FORGIVING: usize = 10;

/// How many more dead letters there may be. A copy counts a batch, and replaces the original once the
/// batch is done: what has to be repeated is counted once.
#[derive(Debug, Clone)]
pub(super) struct Allowance {
    limit: u32,
    forgiving: usize,
    used: u32,
    good: usize,
}

impl Allowance {
    /// `forgiving` good ones make up for one of at most `limit`.
    pub(super) fn new(limit: u32, forgiving: usize) -> Self {
        Self {
            limit,
            forgiving,
            used: 0,
            good: 0,
        }
    }

    /// For records that cannot be read, or decisions that fail.
    pub(super) fn of_letters(limit: u32) -> Self {
        Self::new(limit, FORGIVING)
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// Counts what speaks for a reader that works.
    pub(super) fn worked(&mut self, times: usize) {
        self.good += times;
        while self.good >= self.forgiving {
            self.good -= self.forgiving;
            self.used = self.used.saturating_sub(1);
        }
    }

    /// Whether one more is within the limit.
    pub(super) fn spend(&mut self) -> bool {
        let within = self.used < self.limit;
        self.used += u32::from(within);
        within
    }

    /// Counts what the records of a batch are.
    ///
    /// # Errors
    /// Too many cannot be read: why nothing more is dead-lettered.
    pub(super) fn read(mut self, records: &[Record], kinds: &[Kind]) -> Result<Self, String> {
        for (record, kind) in records.iter().zip(kinds) {
            match kind {
                Kind::Event(_) | Kind::Redriven(_) => self.worked(1),
                Kind::Bad { code, .. } if !is_redriven(record) => {
                    self.spend_on(record, code)?;
                }
                Kind::Bad { .. } | Kind::NoEffect(_) => {}
            }
        }
        Ok(self)
    }

    /// Counts what the decisions of a transaction came to.
    ///
    /// # Errors
    /// Too many failed: why nothing more is dead-lettered.
    pub(super) fn decided<D>(
        mut self,
        shared: &Shared<D>,
        changes: &[Change<'_>],
        settled: &Settled<'_>,
    ) -> Result<Self, String> {
        let mut failures = settled.failures.iter().peekable();
        for change in changes {
            match failures.next_if(|failure| std::ptr::eq(failure.record, change.record)) {
                None => self.worked(1),
                Some(_) if is_redriven(change.record) || is_history(shared, change) => {}
                Some(failure) => self.spend_on(change.record, failure.code)?,
            }
        }
        Ok(self)
    }

    fn spend_on(&mut self, record: &Record, code: &str) -> Result<(), String> {
        if self.spend() {
            return Ok(());
        }
        Err(format!(
            "stopped dead-lettering after {} records with hardly a good one among them, next is {code} at offset {} \
             of partition {}; mend the cause, or let more through with DEAD_LETTER_LIMIT",
            self.limit, record.offset, record.partition
        ))
    }
}

/// It was a dead letter already.
fn is_redriven(record: &Record) -> bool {
    record.header(header::REDRIVE_GROUP).is_some()
}

/// A restored database may lack much of what decisions about history need (rule R13).
fn is_history<D>(shared: &Shared<D>, change: &Change<'_>) -> bool {
    shared.quiet.holds(change.record.partition) && change.event().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_in_a_row_end_at_the_limit() {
        let mut allowance = Allowance::of_letters(3);
        assert_eq!(
            [(); 5].map(|()| allowance.spend()),
            [true, true, true, false, false]
        );
    }

    #[test]
    fn good_ones_make_up_for_a_letter_and_never_for_letters_to_come() {
        let mut allowance = Allowance::of_letters(1);
        allowance.worked(1_000);
        assert!(allowance.spend());
        allowance.worked(FORGIVING - 1);
        assert!(!allowance.spend());
        allowance.worked(1);
        assert!(allowance.spend());
    }

    #[test]
    fn one_in_twenty_is_dead_lettered_for_ever() {
        let mut allowance = Allowance::of_letters(5);
        for _ in 0..10_000 {
            assert!(allowance.spend());
            allowance.worked(19);
        }
    }
}
