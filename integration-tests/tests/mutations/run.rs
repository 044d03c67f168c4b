//! One test in a process of its own, and what came of it.

use std::fmt;
use std::fs::{File, read_to_string};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::cases::Case;
use crate::programs::Programs;

/// Longest time for one test. None is meant to be caught by it: the tests have deadlines of their own.
const LIMIT: Duration = Duration::from_secs(60);

/// What one run of a test says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    /// By an assertion, or whatever panicked there.
    Failed(String),
    /// It needs a server that is not there.
    NotRun,
    /// It was killed.
    TimedOut,
    /// Anything else, such as a test that does not exist.
    Odd(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => write!(f, "passed"),
            Self::Failed(place) => write!(f, "failed at {place}"),
            Self::NotRun => write!(f, "not run"),
            Self::TimedOut => write!(f, "no result within {LIMIT:?}"),
            Self::Odd(text) => write!(f, "neither passed nor failed:\n{text}"),
        }
    }
}

/// Runs the test of `case`, with `mutation` switched on.
pub(crate) fn run(
    programs: &Programs,
    case: &Case,
    mutation: Option<&str>,
) -> Result<Verdict, String> {
    let failure = |error: std::io::Error| format!("{}: {error}", case.test);
    let built = programs.get(case.program)?;
    let folder = TempDir::new().map_err(failure)?;
    let path = folder.path().join("output");
    let output = File::create(&path).map_err(failure)?;
    let mut command = Command::new(&built.executable);
    command
        .args([case.test, "--exact", "--nocapture"])
        .current_dir(&built.folder)
        .env_remove("FAILPOINTS")
        .stdout(output.try_clone().map_err(failure)?)
        .stderr(output);
    if !case.on_postgres {
        // So that nobody looks for a PostgreSQL, or starts one, for a test that needs none.
        command
            .env_remove("TEST_POSTGRES")
            .env_remove("TEST_REQUIRE")
            .env("DOCKER_HOST", "tcp://127.0.0.1:1");
    }
    if let Some(mutation) = mutation {
        command.env("FAILPOINTS", format!("mutation.{mutation}=return"));
    }
    let ended = wait(command.spawn().map_err(failure)?).map_err(failure)?;
    let text = read_to_string(&path).map_err(failure)?;
    Ok(match ended {
        None => Verdict::TimedOut,
        Some(status) => verdict(status, &text),
    })
}

/// `None`: it took too long and was killed.
fn wait(mut child: Child) -> std::io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + LIMIT;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

/// Exactly one test has to have been run.
fn verdict(status: ExitStatus, text: &str) -> Verdict {
    let result = text.lines().find(|line| line.starts_with("test result: "));
    let counts = result
        .and_then(|line| line.split_once(". "))
        .map(|(_, counts)| counts);
    let is = |expected| counts.is_some_and(|counts| counts.starts_with(expected));
    let odd = || Verdict::Odd(format!("{status}\n{text}"));
    if status.success() && text.contains("not run on PostgreSQL") {
        Verdict::NotRun
    } else if status.success() && is("1 passed; 0 failed; 0 ignored") {
        Verdict::Passed
    } else if !status.success() && is("0 passed; 1 failed; 0 ignored") {
        panic_place(text).map_or_else(odd, Verdict::Failed)
    } else {
        odd()
    }
}

/// Where the last panic was, as `FILE:LINE`.
fn panic_place(text: &str) -> Option<String> {
    let (_, place) = text.rsplit_once("panicked at ")?;
    let mut parts = place.lines().next()?.split(':');
    Some(format!("{}:{}", parts.next()?, parts.next()?))
}
