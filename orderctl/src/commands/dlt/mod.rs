//! `orderctl dlt`: dead letters, see [`service_runtime::kafka::letters`].

mod describe;
mod discard;
mod list;
mod redrive;
mod selection;
mod show;

use clap::Subcommand;
use jiff::Timestamp;
use service_runtime::kafka::KafkaConfig;
use service_runtime::kafka::letters::{LetterBook, read_letters};

use crate::output::note;
use crate::progress::spinner;
use crate::{Context, Failure};

/// Look at dead letters, redrive or discard them
#[derive(Debug, Subcommand)]
pub enum Dlt {
    /// List the letters of all groups, or of some; open ones unless told otherwise
    List(list::List),
    /// Show one letter with its headers and its payload
    Show(show::Show),
    /// Append records to their origin again, for the group that could not handle them
    Redrive(redrive::Redrive),
    /// Give letters up; they stay where they are, marked as discarded
    Discard(discard::Discard),
}

impl Dlt {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::List(command) => command.run(context).await,
            Self::Show(command) => command.run(context).await,
            Self::Redrive(command) => command.run(context).await,
            Self::Discard(command) => command.run(context).await,
        }
    }
}

async fn read(context: &Context, config: &KafkaConfig, group: &str) -> Result<LetterBook, Failure> {
    let reading = spinner(format!("Reading the dead letters of {group}."));
    let book = read_letters(config, group, context.timeout()).await?;
    reading.finish_and_clear();
    if book.strays() > 0 {
        let strays = book.strays();
        note(&format!(
            "{group}: {strays} resolutions are about no letter that is there"
        ));
    }
    Ok(book)
}

fn now() -> String {
    // Whole seconds are enough for an audit line.
    let now = Timestamp::now().as_second();
    Timestamp::from_second(now).unwrap_or_default().to_string()
}
