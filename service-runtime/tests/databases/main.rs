//! The database, the jobs and a whole participant, on SQLite and on PostgreSQL.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod appending;
mod database;
mod jobs;
mod outcomes;
mod participant;
mod replay;
mod support;
mod vanished;
mod worker;

test_support::main!(
    appending,
    database,
    jobs,
    outcomes,
    participant,
    replay,
    vanished,
    worker
);
