//! Why a rebuild ended without a switch.

use std::time::Duration;

use service_runtime::database::{DatabaseError, ErrorClass};
use service_runtime::kafka::ReadError;
use service_runtime::participant::{DecideError, ReplayError};

/// Nothing was switched, for this reason; but for [`Unknown`](Self::Unknown).
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The tables are not there.
    #[error("the database is not up to date: start this version of the service on it first")]
    NotUpToDate,
    /// Another one is at work, or died a moment ago.
    #[error("another rebuild is at work, or was cut off less than {0:?} ago")]
    Busy(Duration),
    /// Another one took this one for dead.
    #[error("another rebuild has begun since this one was last heard of")]
    Overtaken,
    /// It was asked to end.
    #[error("interrupted")]
    Interrupted,
    /// The running instances would have been held up for too long, or were changed under the rebuild.
    #[error("the switch was put off too often: {0}")]
    PutOff(&'static str),
    /// The log does not give what it should have.
    #[error("the log gave nothing for {0:?}, and records are missing")]
    Silent(Duration),
    /// The log is not the database's, or cannot be opened.
    #[error(transparent)]
    Log(#[from] ReplayError),
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Rows could not be made of these records.
    #[error("records {0}: {1}")]
    Decide(String, DecideError),
    /// The database did not say whether the switch was committed.
    #[error("it is not known whether the new read model is in use: {0}")]
    Unknown(DatabaseError),
    /// Of the database.
    #[error("database: {0}")]
    Database(#[from] DatabaseError),
}

impl From<sqlx::Error> for RebuildError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl RebuildError {
    /// Whether it was refused, rather than that something failed.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Busy(_) | Self::NotUpToDate => true,
            Self::Log(error) => error.is_refusal(),
            _ => false,
        }
    }

    /// Whether a race with others was lost, and the same transaction may be tried again at once.
    pub(super) fn is_lost_race(&self) -> bool {
        let (Self::Database(error) | Self::Decide(_, DecideError::Database(error))) = self else {
            return false;
        };
        error.class() == ErrorClass::Again
    }
}
