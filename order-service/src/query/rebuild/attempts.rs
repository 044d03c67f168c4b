//! How often a transaction that loses races is tried.

use std::time::Duration;

use super::error::RebuildError;

/// Attempts for one transaction.
const MOST: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// The attempts for one transaction so far.
#[derive(Debug, Default)]
pub(super) struct Attempts(u32);

impl Attempts {
    /// Waits until there may be another attempt.
    ///
    /// # Errors
    /// `error`, where another attempt is of no use, or there were enough.
    pub(super) async fn another(&mut self, error: RebuildError) -> Result<(), RebuildError> {
        self.0 += 1;
        if !error.is_lost_race() || self.0 >= MOST {
            return Err(error);
        }
        tracing::debug!(%error, "A transaction of the rebuild is repeated.");
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use service_runtime::database::DatabaseError;

    use super::*;

    #[tokio::test]
    async fn only_a_lost_race_is_run_again_and_not_for_ever() {
        let lost = || RebuildError::from(DatabaseError::WriterBusy(Duration::ZERO));
        let mut attempts = Attempts::default();
        for _ in 1..MOST {
            attempts.another(lost()).await.unwrap();
        }
        let ended = attempts.another(lost()).await;
        assert!(matches!(ended, Err(RebuildError::Database(_))), "{ended:?}");

        let ended = Attempts::default().another(RebuildError::Overtaken).await;
        assert!(matches!(ended, Err(RebuildError::Overtaken)), "{ended:?}");
        let down = DatabaseError::NoAnswer(Duration::ZERO);
        let ended = Attempts::default().another(down.into()).await;
        assert!(matches!(ended, Err(RebuildError::Database(_))), "{ended:?}");
    }
}
