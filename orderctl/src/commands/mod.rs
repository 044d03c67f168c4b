//! The commands, one file each.

pub mod cancel;
pub mod completions;
pub mod dlt;
pub mod get;
pub mod jobs;
pub mod lag;
pub mod list;
mod order;
pub mod place;
pub mod rebuild;
pub mod stock;
pub mod watch;

use crate::cli::{Cli, Command};
use crate::{Context, Failure};

/// Does what the command line says.
pub(crate) async fn run(cli: Cli) -> Result<(), Failure> {
    let context = Context::new(cli.global);
    match cli.command {
        Command::Place(command) => command.run(&context).await,
        Command::Get(command) => command.run(&context).await,
        Command::Watch(command) => command.run(&context).await,
        Command::List(command) => command.run(&context).await,
        Command::Cancel(command) => command.run(&context).await,
        Command::Stock(command) => command.run(&context).await,
        Command::Dlt(command) => command.run(&context).await,
        Command::Jobs(command) => command.run(&context).await,
        Command::Lag(command) => command.run(&context).await,
        Command::Rebuild(command) => command.run(),
        Command::Completions(command) => command.run(&context),
    }
}
