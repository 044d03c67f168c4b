//! The database and the jobs, on SQLite always and on PostgreSQL when `TEST_POSTGRES` names a
//! server (`postgres://user:password@host/database`; every test makes a schema of its own there).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod database;
mod jobs;
mod support;
mod worker;
