//! Runs the parts of a service together: HTTP, participants, job workers.
//!
//! A service is alive as long as all of its parts are. The first part that fails ends the others,
//! and its reason is what the service ends with: nothing goes on half alive.
//!
//! A service opens a [`Base`] from its [`CommonConfig`], makes its participants of it, serves its
//! routes, follows the log with them ([`Base::follow_log`]), adds its other parts and runs.

mod base;
mod config;
mod follow;

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use sqlx::migrate::Migrator;
use tokio::task::JoinSet;

use crate::database::{Database, DatabaseError, ErrorClass};
use crate::health::Component;
use crate::jobs::Backoff;
use crate::kafka::KafkaProducer;
use crate::lifecycle::Shutdown;

pub use base::Base;
pub use config::CommonConfig;
pub use follow::Migrated;

/// Waits between attempts to reach a database that is down at start.
const DATABASE_BACKOFF: Backoff = Backoff {
    initial: Duration::from_millis(200),
    max: Duration::from_secs(5),
};
/// How long queued records may take at the end; they are acknowledged or given up by then.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// The running parts of one service.
#[derive(Debug)]
pub struct Service {
    shutdown: Shutdown,
    parts: JoinSet<(&'static str, Result<(), String>)>,
}

impl Service {
    /// No parts yet; they end with `shutdown`.
    #[must_use]
    pub fn new(shutdown: &Shutdown) -> Self {
        Self {
            shutdown: shutdown.clone(),
            parts: JoinSet::new(),
        }
    }

    /// Starts a part. It has to return soon after the shutdown is triggered.
    pub fn spawn<E>(
        &mut self,
        name: &'static str,
        part: impl Future<Output = Result<(), E>> + Send + 'static,
    ) where
        E: Display + Send + 'static,
    {
        let guard = self.shutdown.part(name);
        self.parts.spawn(async move {
            let result = part.await.map_err(|error| error.to_string());
            drop(guard);
            (name, result)
        });
    }

    /// Waits for all parts and flushes `producer` last, since the parts may still have produced.
    ///
    /// # Errors
    /// The reason of the first part that failed, panicked or ended before the shutdown.
    pub async fn run(mut self, producer: Option<&KafkaProducer>) -> anyhow::Result<()> {
        let mut first_failure = None;
        while let Some(joined) = self.parts.join_next().await {
            let failure = match joined {
                Ok((_, Ok(()))) if self.shutdown.is_cancelled() => continue,
                Ok((name, Ok(()))) => format!("{name} ended by itself"),
                Ok((name, Err(reason))) => format!("{name}: {reason}"),
                Err(error) => format!("a part of the service panicked: {error}"),
            };
            tracing::error!(reason = failure, "A part of the service failed.");
            self.shutdown.trigger();
            first_failure.get_or_insert(failure);
        }
        if let Some(producer) = producer
            && let Err(error) = producer.flush(FLUSH_TIMEOUT).await
        {
            tracing::warn!(%error, "Records were still queued at the end; their results are unknown.");
        }
        match first_failure {
            None => Ok(()),
            Some(reason) => Err(anyhow::Error::msg(reason)),
        }
    }
}

/// Brings the database's schema up to date, waiting as long as the database is down. `false`: the
/// shutdown came first.
///
/// # Errors
/// A migration that cannot be applied.
pub async fn migrate_when_up(
    database: &Database,
    migrations: &[&'static Migrator],
    health: &Component,
    shutdown: &Shutdown,
) -> Result<bool, DatabaseError> {
    for attempt in 1.. {
        let migrated = tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(false),
            migrated = database.migrate(migrations) => migrated,
        };
        match migrated {
            Ok(()) => break,
            Err(error) if error.class() == ErrorClass::Bug => return Err(error),
            Err(error) => {
                health.set_not_ready(format!("database: {error}"));
                if attempt == 1 {
                    tracing::warn!(%error, "Waiting for the database.");
                }
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(false),
            () = tokio::time::sleep(DATABASE_BACKOFF.wait(attempt)) => {}
        }
    }
    health.set_ready();
    Ok(!shutdown.is_cancelled())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_failure_ends_all_parts_and_is_returned() {
        let shutdown = Shutdown::new();
        let mut service = Service::new(&shutdown);
        let until = shutdown.clone();
        service.spawn("patient", async move {
            until.cancelled().await;
            Ok::<(), String>(())
        });
        service.spawn("broken", async { Err("no luck") });
        let error = service.run(None).await.unwrap_err();
        assert_eq!(error.to_string(), "broken: no luck");
        assert!(shutdown.is_cancelled());
    }

    #[tokio::test]
    async fn a_part_that_panics_or_ends_too_early_is_a_failure() {
        let mut service = Service::new(&Shutdown::new());
        service.spawn("hasty", async { Ok::<(), String>(()) });
        let error = service.run(None).await.unwrap_err();
        assert_eq!(error.to_string(), "hasty ended by itself");

        let mut service = Service::new(&Shutdown::new());
        service.spawn("panicking", async {
            assert!(std::hint::black_box(false), "a panic of the test");
            Ok::<(), String>(())
        });
        let error = service.run(None).await.unwrap_err().to_string();
        assert!(error.contains("panicked"), "{error}");
    }

    #[tokio::test]
    async fn parts_that_end_with_the_shutdown_are_a_clean_end() {
        let shutdown = Shutdown::new();
        let mut service = Service::new(&shutdown);
        let until = shutdown.clone();
        service.spawn("part", async move {
            until.cancelled().await;
            Ok::<(), String>(())
        });
        shutdown.trigger();
        service.run(None).await.unwrap();
    }
}
