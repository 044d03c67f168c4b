//! The fold over a dead-letter topic: pure.

use std::collections::BTreeMap;

use super::{Action, DeadLetter, LetterId, Resolution};
use crate::kafka::Record;

/// What became of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetterState {
    /// Nothing yet.
    Open,
    /// Its record was appended to its origin again. If it fails again, that is another letter.
    Redriven,
    /// It was given up.
    Discarded,
}

impl LetterState {
    /// The word for tools.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Redriven => Action::Redriven.as_str(),
            Self::Discarded => Action::Discarded.as_str(),
        }
    }
}

/// A letter and everything that was done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The letter.
    pub letter: DeadLetter,
    /// In the order of the topic.
    pub resolutions: Vec<Resolution>,
}

impl Case {
    /// What the last resolution says.
    #[must_use]
    pub fn state(&self) -> LetterState {
        match self.resolutions.last().map(|last| last.action) {
            None => LetterState::Open,
            Some(Action::Redriven) => LetterState::Redriven,
            Some(Action::Discarded) => LetterState::Discarded,
        }
    }

    /// How often the record was redriven: before it became this letter, and since.
    #[must_use]
    pub fn redrives(&self) -> u32 {
        let redriven = |resolution: &&Resolution| resolution.action == Action::Redriven;
        let since = self.resolutions.iter().filter(redriven).count();
        let since = u32::try_from(since).unwrap_or(u32::MAX);
        self.letter.redriven_before.saturating_add(since)
    }
}

/// The letters of one group with what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LetterBook {
    cases: BTreeMap<LetterId, Case>,
    strays: usize,
}

impl LetterBook {
    /// Folds the records of a dead-letter topic, in any order.
    #[must_use]
    pub fn of(records: Vec<Record>) -> Self {
        let (mut resolutions, letters): (Vec<_>, Vec<_>) =
            records.into_iter().partition(Resolution::is_one);
        let mut book = Self::default();
        for record in letters {
            let letter = DeadLetter::from(record);
            let resolutions = Vec::new();
            let case = Case {
                letter,
                resolutions,
            };
            book.cases.insert(case.letter.id, case);
        }
        resolutions.sort_by_key(|record| (record.partition, record.offset));
        for record in &resolutions {
            let case = Resolution::of(record)
                .filter(|(id, _)| stands_behind(record, *id))
                .and_then(|(id, resolution)| Some((book.cases.get_mut(&id)?, resolution)));
            match case {
                Some((case, resolution)) => case.resolutions.push(resolution),
                None => book.strays += 1,
            }
        }
        book
    }

    /// The letter of this id.
    #[must_use]
    pub fn get(&self, id: LetterId) -> Option<&Case> {
        self.cases.get(&id)
    }

    /// All letters, by partition and offset.
    pub fn cases(&self) -> impl Iterator<Item = &Case> {
        self.cases.values()
    }

    /// Resolutions that cannot be read, or are about no letter before them in their partition.
    #[must_use]
    pub fn strays(&self) -> usize {
        self.strays
    }
}

/// Whether `record` can be about this letter: ours are appended behind it, to its partition.
fn stands_behind(record: &Record, letter: LetterId) -> bool {
    record.partition == letter.partition && record.offset > letter.offset
}
