//! `orderctl rebuild`: runs the program that can do it, with its settings and its exit code.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use clap::Args;

use crate::Failure;

const PROGRAM: &str = "order-service";

/// Build the read model anew, by the order service's program
///
/// Runs `order-service rebuild` with these options and ends with its exit code. The program has to
/// have the settings of the order service, its database among them; they are passed on as they are
/// in the environment. In containers: docker compose run --rm order-service rebuild
#[derive(Debug, Args)]
pub struct Rebuild {
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Rebuild also from a log whose beginning was deleted
    #[arg(long)]
    force: bool,
    /// The program [default: order-service beside orderctl, else on PATH]
    #[arg(long, value_name = "FILE", env = "ORDER_SERVICE_PROGRAM")]
    program: Option<PathBuf>,
    /// Further arguments of the program
    #[arg(last = true, value_name = "ARGUMENTS")]
    further: Vec<OsString>,
}

impl Rebuild {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let program = self.program.clone().unwrap_or_else(beside_or_on_path);
        let flags = [("--dry-run", self.dry_run), ("--force", self.force)];
        let flags = flags
            .into_iter()
            .filter_map(|(flag, on)| on.then_some(flag));
        let status = Command::new(&program)
            .arg("rebuild")
            .args(flags)
            .args(&self.further)
            .status()
            .map_err(|error| not_run(&program, &error))?;
        match code_of(status) {
            0 => Ok(()),
            code => Err(Failure::Program(code)),
        }
    }
}

fn beside_or_on_path() -> PathBuf {
    let ours = std::env::current_exe().ok();
    let beside = ours.map(|ours| ours.with_file_name(PROGRAM));
    let there = beside.filter(|beside| beside.is_file());
    there.unwrap_or_else(|| PathBuf::from(PROGRAM))
}

fn not_run(program: &std::path::Path, error: &io::Error) -> Failure {
    let name = program.display();
    match error.kind() {
        io::ErrorKind::NotFound => Failure::Usage(format!(
            "{name} is neither beside orderctl nor on PATH; say where it is with --program"
        )),
        _ => Failure::Failed(format!("{name} cannot be run: {error}")),
    }
}

/// As a shell has it: 128 and the signal for a program that was ended by one.
fn code_of(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
