//! When to stop dead-lettering: a record now and then is bad; when nearly all are, the reader is.
//!
//! What is redriven is not counted, nor is a failed decision about history that can be read (rule R13).

use base_domains::header;

use super::Shared;
use super::batch::{Place, place_of};
use super::decider::Change;
use super::plan::Kind;
use super::settle::Settled;
use crate::kafka::Record;

/// Good records that make up for one dead letter.
const FORGIVING: usize = 10;

/// How many more dead letters there may be. A copy counts what is tried; the original counts it once it
/// is done, so that what has to be repeated is counted once.
#[derive(Debug, Clone)]
pub(super) struct Allowance {
    limit: u32,
    forgiving: usize,
    used: u32,
    good: usize,
    /// Letters since all were made up for.
    spent: u64,
}

/// The record that would be one letter too many: everything before it may have its effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) at: Place,
    pub(super) reason: String,
}

impl Allowance {
    /// `forgiving` good ones make up for one of at most `limit`.
    pub(super) fn new(limit: u32, forgiving: usize) -> Self {
        Self {
            limit,
            forgiving,
            used: 0,
            good: 0,
            spent: 0,
        }
    }

    /// For records that cannot be read, or decisions that fail.
    pub(super) fn of_letters(limit: u32) -> Self {
        Self::new(limit, FORGIVING)
    }

    /// Letters that were not all made up for.
    pub(super) fn spent(&self) -> u64 {
        self.spent
    }

    /// Counts what speaks for a reader that works.
    pub(super) fn worked(&mut self, times: usize) {
        self.good += times;
        while self.good >= self.forgiving {
            self.good -= self.forgiving;
            self.used = self.used.saturating_sub(1);
        }
        if self.used == 0 {
            self.spent = 0;
        }
    }

    /// Whether one more is within the limit.
    pub(super) fn spend(&mut self) -> bool {
        let within = self.used < self.limit;
        self.used += u32::from(within);
        self.spent += u64::from(within);
        within
    }

    /// Counts what the records of a batch are.
    ///
    /// # Errors
    /// Too many cannot be read: where and why dead-lettering stops.
    pub(super) fn read(&mut self, records: &[Record], kinds: &[Kind]) -> Result<(), Refusal> {
        for (record, kind) in records.iter().zip(kinds) {
            match kind {
                Kind::Event(_) | Kind::Redriven(_) => self.worked(1),
                Kind::Bad { code, .. } if !is_redriven(record) => {
                    self.spend_on(record, code)?;
                }
                Kind::Bad { .. } | Kind::NoEffect(_) => {}
            }
        }
        Ok(())
    }

    /// Counts what the decisions of a transaction came to.
    ///
    /// # Errors
    /// Too many failed: where and why dead-lettering stops.
    pub(super) fn decided<D>(
        mut self,
        shared: &Shared<D>,
        changes: &[Change<'_>],
        settled: &Settled<'_>,
    ) -> Result<Self, Refusal> {
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

    fn spend_on(&mut self, record: &Record, code: &str) -> Result<(), Refusal> {
        if self.spend() {
            return Ok(());
        }
        let reason = format!(
            "stopped dead-lettering after {} records with hardly a good one among them, next is {code} at offset {} \
             of partition {}; mend the cause, or let more through with DEAD_LETTER_LIMIT",
            self.spent, record.offset, record.partition
        );
        Err(Refusal {
            at: place_of(record),
            reason,
        })
    }
}

/// It was a dead letter already.
fn is_redriven(record: &Record) -> bool {
    record.header(header::REDRIVE_GROUP).is_some()
}

/// A restored database may lack much of what decisions about history need (rule R13). As for what is
/// held back, both the record's partition and its order's home are asked.
fn is_history<D>(shared: &Shared<D>, change: &Change<'_>) -> bool {
    let partitions = [change.record.partition, change.home_partition];
    let quiet = partitions.iter().any(|one| shared.quiet.holds(*one));
    quiet && change.event().is_ok()
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
    fn the_letters_that_were_written_are_counted_until_all_are_made_up_for() {
        let mut allowance = Allowance::of_letters(3);
        let spend = |allowance: &mut Allowance, times| (0..times).all(|_| allowance.spend());
        assert!(spend(&mut allowance, 3));
        allowance.worked(FORGIVING * 2);
        assert!(spend(&mut allowance, 2));
        assert!(!allowance.spend());
        assert_eq!(allowance.spent(), 5);
        allowance.worked(FORGIVING * 3);
        assert_eq!(allowance.spent(), 0);
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
