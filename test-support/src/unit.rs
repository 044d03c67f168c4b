//! Databases for unit tests, of what only its own crate can see.

use crate::database::{Fresh, TestDatabase};
use crate::harness::requires_postgres;
use crate::postgres::Server;

/// Runs `body` on SQLite and on PostgreSQL, one after the other.
///
/// libtest cannot say that a test ran on one of two. So what was not run is printed, with the
/// reason, and is a failure where `TEST_REQUIRE` is `postgres`; what can be a test of the harness
/// should be one.
///
/// # Errors
/// A database cannot be made, or PostgreSQL is missing and required.
pub fn on_every_database(mut body: impl FnMut(&TestDatabase)) -> Result<(), String> {
    body(&Fresh::sqlite().map_err(text)?.database());
    match Server::find() {
        Ok(server) => body(&Fresh::on(&server).map_err(text)?.database()),
        Err(reason) if requires_postgres() => return Err(reason),
        Err(reason) => println!("not run on PostgreSQL: {reason}"),
    }
    Ok(())
}

fn text(failed: libtest_mimic::Failed) -> String {
    failed
        .message()
        .unwrap_or("a database cannot be made")
        .to_owned()
}
