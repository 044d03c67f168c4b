//! The usual course of a service: first its tables, then its participant, and then whatever else needs
//! the tables.

use sqlx::migrate::Migrator;
use tokio::sync::watch;

use super::{Base, Service, migrate_when_up};
use crate::lifecycle::Shutdown;
use crate::participant::{Decider, Participant};

/// Tells when the tables are there.
#[derive(Debug, Clone)]
pub struct Migrated {
    there: watch::Receiver<bool>,
    shutdown: Shutdown,
}

impl Migrated {
    /// Waits for the tables. `false`: the shutdown came first.
    pub async fn wait(mut self) -> bool {
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => false,
            // Without its sender nothing migrates any more, and the service ends.
            true = async { self.there.wait_for(|there| *there).await.is_ok() } => true,
        }
    }
}

impl Base {
    /// Adds the part that brings the tables of `migrations` up to date and then runs `participant`.
    /// Parts that need the tables as well wait for what this returns.
    pub fn follow_log<D: Decider>(
        &self,
        service: &mut Service,
        participant: Participant<D>,
        migrations: &[&'static Migrator],
    ) -> Migrated {
        let (done, there) = watch::channel(false);
        let (database, shutdown) = (self.database.clone(), self.shutdown.clone());
        let (schema, migrations) = (self.schema.clone(), migrations.to_vec());
        service.spawn("participant", async move {
            if migrate_when_up(&database, &migrations, &schema, &shutdown).await? {
                done.send_replace(true);
                participant.run(shutdown).await?;
            }
            anyhow::Ok(())
        });
        Migrated {
            there,
            shutdown: self.shutdown.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migrated() -> (watch::Sender<bool>, Migrated, Shutdown) {
        let (done, there) = watch::channel(false);
        let shutdown = Shutdown::new();
        let migrated = Migrated {
            there,
            shutdown: shutdown.clone(),
        };
        (done, migrated, shutdown)
    }

    #[tokio::test]
    async fn everybody_who_waits_for_the_tables_gets_to_know_of_them() {
        let (done, migrated, _shutdown) = migrated();
        let early = tokio::spawn(migrated.clone().wait());
        done.send_replace(true);
        assert!(early.await.unwrap());
        drop(done);
        assert!(migrated.wait().await);
    }

    #[tokio::test]
    async fn a_migration_that_failed_is_waited_for_until_the_shutdown() {
        let (done, migrated, shutdown) = migrated();
        let waiting = tokio::spawn(migrated.wait());
        drop(done);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        shutdown.trigger();
        assert!(!waiting.await.unwrap());
    }
}
