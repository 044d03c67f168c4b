//! The mutation check: with any one rule switched off, the test that stands for it fails.
//!
//! For each mutation of `service_runtime::fault` its test runs twice as a process of its own, without the
//! mutation, when it has to pass, and with it, when it has to fail. The test programs are those of the
//! crates, built once with the feature `fault-injection`. A table at the end says what caught what.
//!
//! `cargo verify-mutations` runs all, `cargo verify-mutations r5` those whose name holds `r5`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

mod cases;
mod programs;
mod run;
mod table;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Failed, Trial};
use service_runtime::fault::MUTATIONS;

use cases::{CASES, Case};
use programs::Programs;
use run::{Verdict, run};
use table::Table;

fn main() -> ExitCode {
    let programs = Arc::new(OnceLock::new());
    let table = Table::default();
    let mut trials = vec![Trial::test(
        "every_mutation_has_a_test",
        every_mutation_has_a_test,
    )];
    trials.extend(CASES.iter().map(|case| {
        let (programs, table) = (Arc::clone(&programs), table.clone());
        Trial::test(case.mutation, move || {
            let programs: &Result<Programs, String> = programs.get_or_init(Programs::build);
            let result = check(programs.as_ref()?, case);
            table.note(case, &result);
            result.map(drop)
        })
    }));
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    table.print();
    conclusion.exit_code()
}

fn every_mutation_has_a_test() -> Result<(), Failed> {
    let listed: BTreeSet<&str> = MUTATIONS.iter().map(|mutation| mutation.name).collect();
    let tested: BTreeSet<&str> = CASES.iter().map(|case| case.mutation).collect();
    let odd: Vec<&&str> = listed.symmetric_difference(&tested).collect();
    if odd.is_empty() && tested.len() == CASES.len() {
        return Ok(());
    }
    Err(format!("without a test or without a mutation, or twice: {odd:?}").into())
}

fn requires_postgres() -> bool {
    std::env::var("TEST_REQUIRE").is_ok_and(|required| required == "postgres")
}

/// What the mutation's test said; the error is why the mutation does not count as caught.
fn check(programs: &Programs, case: &Case) -> Result<String, Failed> {
    match run(programs, case, None)? {
        Verdict::Passed => {}
        // Where it is required, it is not a result.
        Verdict::NotRun if requires_postgres() => {
            return Err("not run, though TEST_REQUIRE is postgres".into());
        }
        Verdict::NotRun => return Ok("not run: without a PostgreSQL".to_owned()),
        verdict => return Err(format!("without the mutation: {verdict}").into()),
    }
    match run(programs, case, Some(case.mutation))? {
        Verdict::Failed(place) => Ok(format!("caught at {place}")),
        Verdict::Passed => Err("not caught".into()),
        verdict => Err(format!("with the mutation: {verdict}").into()),
    }
}
