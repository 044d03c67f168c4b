//! Which letters a command is about.

use clap::Args;
use service_runtime::kafka::letters::{Case, LetterBook, LetterId, LetterState};

use crate::Failure;

/// Which letters, and who deals with them
#[derive(Debug, Args)]
pub(super) struct Selection {
    /// Whose letters
    pub(super) group: String,
    /// The letters, as `dlt list` prints them
    #[arg(
        value_name = "ID",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    ids: Vec<LetterId>,
    /// Every open letter
    #[arg(long)]
    all: bool,
    /// With --all: only letters with this cause
    #[arg(long, value_name = "CODE", requires = "all")]
    cause: Option<String>,
    /// Only say what would be done
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Who does it, for the audit line
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown")]
    pub(super) by: String,
    /// Why, for the audit line
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
}

impl Selection {
    /// The chosen letters. Those that are named have to be there, and to be open unless `again`.
    pub(super) fn of<'a>(
        &self,
        book: &'a LetterBook,
        again: bool,
    ) -> Result<Vec<&'a Case>, Failure> {
        if self.all {
            let wanted = |case: &&Case| {
                let cause = self.cause.as_ref();
                case.state() == LetterState::Open
                    && cause.is_none_or(|cause| *cause == case.letter.code)
            };
            return Ok(book.cases().filter(wanted).collect());
        }
        let mut cases: Vec<&Case> = Vec::new();
        for id in &self.ids {
            let group = &self.group;
            let case = book
                .get(*id)
                .ok_or_else(|| Failure::NotFound(format!("group {group} has no letter {id}")))?;
            if case.state() != LetterState::Open && !again {
                let done = case.state().as_str();
                return Err(Failure::Refused(format!("letter {id} is {done} already")));
            }
            // Named twice it is still one letter.
            if !cases.iter().any(|chosen| chosen.letter.id == *id) {
                cases.push(case);
            }
        }
        Ok(cases)
    }

    /// Whether every open letter was asked for, so that one that cannot be dealt with is passed over.
    pub(super) fn is_sweeping(&self) -> bool {
        self.all
    }
}
