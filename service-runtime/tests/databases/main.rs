//! The database, the jobs and a whole participant, on SQLite and on PostgreSQL.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod appending;
mod database;
mod dead_letters;
mod job_routes;
mod jobs;
mod jobs_sqlstates;
mod narrow;
mod outcomes;
mod participant;
mod replay;
mod sqlstates;
mod support;
mod vanished;
mod worker;

test_support::main!(
    appending,
    database,
    dead_letters,
    job_routes,
    jobs,
    jobs_sqlstates,
    narrow,
    outcomes,
    participant,
    replay,
    sqlstates,
    vanished,
    worker
);
