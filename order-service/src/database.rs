//! Makes the database usable and watches it: a database that is down is waited for.

use std::time::Duration;

use anyhow::Context as _;
use service_runtime::database::{Database, ErrorClass};
use service_runtime::health::Component;
use service_runtime::jobs::Backoff;
use service_runtime::lifecycle::Shutdown;

use crate::storage::Storage;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

const BACKOFF: Backoff = Backoff {
    initial: Duration::from_millis(200),
    max: Duration::from_secs(5),
};
/// Between two looks at a database that answers.
const PING_EVERY: Duration = Duration::from_secs(5);

/// Migrates, as soon as the database answers, and provides it. `false`: shut down meanwhile.
///
/// # Errors
/// The database answers and cannot be migrated; waiting would not help.
pub(crate) async fn prepare(
    database: &Database,
    storage: &Storage,
    health: &Component,
    shutdown: &Shutdown,
) -> anyhow::Result<bool> {
    for attempt in 1.. {
        let error = tokio::select! {
            () = shutdown.cancelled() => return Ok(false),
            migrated = database.migrate(&[&MIGRATIONS]) => match migrated {
                Ok(()) => break,
                Err(error) => error,
            },
        };
        if error.class() == ErrorClass::Bug {
            return Err(error).context("the database cannot be migrated");
        }
        health.set_not_ready(error.to_string());
        tokio::select! {
            () = shutdown.cancelled() => return Ok(false),
            () = tokio::time::sleep(BACKOFF.wait(attempt)) => {}
        }
    }
    storage.provide(database.clone());
    health.set_ready();
    Ok(true)
}

/// Reports whether the database answers, until the shutdown.
pub(crate) async fn watch(database: &Database, health: &Component, shutdown: &Shutdown) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(PING_EVERY) => {}
        }
        match database.ping().await {
            Ok(()) => health.set_ready(),
            Err(error) => health.set_not_ready(error.to_string()),
        }
    }
}
