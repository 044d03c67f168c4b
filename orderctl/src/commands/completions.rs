//! `orderctl completions`.

use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};

use crate::cli::Cli;
use crate::{Context, Failure};

/// Print a completion script for a shell
///
/// For bash: orderctl completions bash > ~/.local/share/bash-completion/completions/orderctl
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self, context: &Context) -> Result<(), Failure> {
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), "orderctl", &mut script);
        context.output.bytes(&script)
    }
}
