//! `orderctl dlt list`.

use clap::Args;
use serde::Serialize;
use service_runtime::kafka::letters::{LetterState, letter_groups};

use super::describe::{Summary, table};
use super::read;
use crate::output::note;
use crate::{Context, Failure};

/// List the letters of all groups, or of some; open ones unless told otherwise
#[derive(Debug, Args)]
pub struct List {
    /// Only letters of these groups; of all that have a dead-letter topic without
    #[arg(value_name = "GROUP")]
    groups: Vec<String>,
    /// Also letters that were redriven or discarded
    #[arg(long)]
    all: bool,
    /// Only letters with this cause
    #[arg(long, value_name = "CODE")]
    cause: Option<String>,
}

#[derive(Debug, Serialize)]
struct Letters {
    letters: Vec<Summary>,
}

impl List {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let config = context.kafka()?;
        let groups = match self.groups.is_empty() {
            true => letter_groups(&config, context.timeout()).await?,
            false => self.groups,
        };
        if groups.is_empty() {
            note(&format!("topic {} has no dead-letter topics", config.topic));
        }
        let mut found = Letters {
            letters: Vec::new(),
        };
        for group in groups {
            let book = read(context, &config, &group).await?;
            let cause = self.cause.as_ref();
            let wanted = book.cases().filter(|case| {
                (self.all || case.state() == LetterState::Open)
                    && cause.is_none_or(|cause| *cause == case.letter.code)
            });
            found
                .letters
                .extend(wanted.map(|case| Summary::new(&group, case)));
        }
        context.output.print(&found, |found| table(&found.letters))
    }
}
