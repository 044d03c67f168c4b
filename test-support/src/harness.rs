//! Runs every test once per database and says which ones it could not run.

use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::{env, fs, io};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::database::{Fresh, Kind, TestDatabase, runtime};
use crate::postgres::Server;

/// A test on its way; it fails by panicking.
pub type Running = Pin<Box<dyn Future<Output = ()>>>;

/// One test function; [`test!`](crate::test) makes it.
#[derive(Debug, Clone)]
pub struct Test {
    name: &'static str,
    body: Body,
    kinds: &'static [Kind],
    threads: usize,
    /// Why it cannot run.
    missing: Option<String>,
}

#[derive(Debug, Clone, Copy)]
enum Body {
    Plain(fn() -> Running),
    OnDatabase(fn(TestDatabase) -> Running),
}

impl Test {
    /// Runs on every database.
    #[must_use]
    pub fn new(name: &'static str, body: fn(TestDatabase) -> Running) -> Self {
        Self::of(name, Body::OnDatabase(body), Kind::ALL)
    }

    /// Runs once.
    #[must_use]
    pub fn without_database(name: &'static str, body: fn() -> Running) -> Self {
        Self::of(name, Body::Plain(body), &[])
    }

    fn of(name: &'static str, body: Body, kinds: &'static [Kind]) -> Self {
        Self {
            // Without the name of the target.
            name: name.split_once("::").map_or(name, |(_, name)| name),
            body,
            kinds,
            threads: 0,
            missing: None,
        }
    }

    /// Runs on this database only.
    #[must_use]
    pub fn only(mut self, kind: Kind) -> Self {
        let place = usize::from(kind == Kind::Postgres);
        self.kinds = &Kind::ALL[place..=place];
        self
    }

    /// Runs on so many threads, instead of one that also has its logs and metrics to itself.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Where this is missing, the test is reported as not run, with the reason.
    #[must_use]
    pub fn needs(mut self, this: Result<(), String>) -> Self {
        self.missing = this.err();
        self
    }

    fn has_database(&self) -> bool {
        self.kinds.contains(&Kind::Postgres)
    }

    fn trials(&self, server: &Arc<Result<Server, String>>, required: bool) -> Vec<Trial> {
        let (body, threads) = (self.body, self.threads);
        if let Some(reason) = self.missing.clone() {
            // Who asks for ignored tests gets to know why.
            let refuse = move || Err(reason.into());
            return vec![Trial::test(self.name, refuse).with_ignored_flag(true)];
        }
        match body {
            Body::Plain(body) => {
                let run = move || {
                    runtime(threads)?.block_on(body());
                    Ok(())
                };
                vec![Trial::test(self.name, run)]
            }
            Body::OnDatabase(body) => {
                let trial = |kind: &Kind| {
                    let (kind, server) = (*kind, Arc::clone(server));
                    let missing = kind == Kind::Postgres && server.is_err() && !required;
                    let name = format!("{} [{}]", self.name, kind.name());
                    let run = move || run_on(kind, &server, threads, body);
                    Trial::test(name, run).with_ignored_flag(missing)
                };
                self.kinds.iter().map(trial).collect()
            }
        }
    }
}

fn run_on(
    kind: Kind,
    server: &Result<Server, String>,
    threads: usize,
    body: fn(TestDatabase) -> Running,
) -> Result<(), Failed> {
    let fresh = match kind {
        Kind::Sqlite => Fresh::sqlite()?,
        Kind::Postgres => Fresh::on(server.as_ref()?)?,
    };
    // Dropped before the database, and with it every connection that the test left open.
    let runtime = runtime(threads)?;
    runtime.block_on(body(fresh.database()));
    Ok(())
}

/// Runs `tests`, whose sources are in `folder`, as the command line says.
///
/// Without a server the tests on PostgreSQL are reported as ignored, unless `TEST_REQUIRE` is
/// `postgres`: then they fail. What was not run is counted in a line of its own, with the reasons.
pub fn run(folder: &'static str, tests: Vec<Test>) -> ExitCode {
    let arguments = Arguments::from_args();
    let has_database = tests.iter().any(Test::has_database);
    let server = if !arguments.list && has_database {
        Server::find()
    } else {
        Err("nobody asked for one".to_owned())
    };
    let server = Arc::new(server);
    let required = requires_postgres();
    let listed = move || no_test_is_overlooked(folder);
    let mut trials = vec![Trial::test("every_test_is_known_to_this_harness", listed)];
    trials.extend(tests.iter().flat_map(|test| test.trials(&server, required)));
    let conclusion = libtest_mimic::run(&arguments, trials);
    if conclusion.num_ignored > 0 {
        let mut reasons: Vec<&str> = tests
            .iter()
            .filter_map(|test| test.missing.as_deref())
            .collect();
        reasons.extend(
            server
                .as_ref()
                .as_ref()
                .err()
                .filter(|_| has_database)
                .map(String::as_str),
        );
        reasons.dedup();
        println!(
            "not run: {}, {}\n",
            conclusion.num_ignored,
            reasons.join("; ")
        );
    }
    conclusion.exit_code()
}

/// Whether tests on PostgreSQL have to run.
pub(crate) fn requires_postgres() -> bool {
    env::var("TEST_REQUIRE").is_ok_and(|kind| kind == Kind::Postgres.name())
}

/// The compiler drops `#[test]` functions of a target without libtest in silence.
fn no_test_is_overlooked(folder: &str) -> Result<(), Failed> {
    let mut folders = vec![folder.into()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir::<std::path::PathBuf>(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if is_overlooked(&fs::read_to_string(&path)?) {
                let text = format!("{}: list the test instead of marking it", path.display());
                return Err(io::Error::other(text).into());
            }
        }
    }
    Ok(())
}

fn is_overlooked(source: &str) -> bool {
    let marked = |line: &str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    source.lines().map(str::trim_start).any(marked)
}
