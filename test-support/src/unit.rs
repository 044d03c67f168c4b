//! Databases for unit tests, of what only its own crate can see.

use crate::database::{Fresh, TestDatabase};
use crate::harness::requires_postgres;
use crate::postgres::Server;

/// Runs `body` on SQLite and on PostgreSQL, one after the other; on the second as
/// [`on_postgres`] does.
///
/// # Errors
/// A database cannot be made, or PostgreSQL is missing and required.
pub fn on_every_database(body: impl Fn(&TestDatabase)) -> Result<(), String> {
    body(&Fresh::sqlite().map_err(text)?.database());
    on_postgres([body])
}

/// Runs each of `bodies` on a schema of its own, all on one server.
///
/// libtest cannot say at run time that a test did not run. So that is printed, with the reason, and
/// is a failure where `TEST_REQUIRE` is `postgres`; what can be a test of the harness should be one.
///
/// # Errors
/// A schema cannot be made, or PostgreSQL is missing and required.
pub fn on_postgres<B: Fn(&TestDatabase)>(
    bodies: impl IntoIterator<Item = B>,
) -> Result<(), String> {
    let server = match Server::find() {
        Ok(server) => server,
        Err(reason) if requires_postgres() => return Err(reason),
        Err(reason) => {
            println!("not run on PostgreSQL: {reason}");
            return Ok(());
        }
    };
    for body in bodies {
        body(&Fresh::on(&server).map_err(text)?.database());
    }
    Ok(())
}

fn text(failed: libtest_mimic::Failed) -> String {
    failed
        .message()
        .unwrap_or("a database cannot be made")
        .to_owned()
}
