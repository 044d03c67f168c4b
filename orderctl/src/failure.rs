//! Why a command did not do what it was told, and the exit code for it.

use std::io;

use service_runtime::kafka::{ProduceError, ReadError, TopicError};

/// Exit code of an unusable command line, as clap has it.
pub(crate) const USAGE: u8 = 2;

/// Why a command failed. Each kind has an exit code that scripts can rely on.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// 1: something went wrong that has no code of its own.
    #[error("{0}")]
    Failed(String),
    /// 2: the command line, a setting, or a parameter cannot be used.
    #[error("{0}")]
    Usage(String),
    /// 3: there is no such order, product, job, letter or topic.
    #[error("{0}")]
    NotFound(String),
    /// 4: a rule forbids it.
    #[error("{0}")]
    Refused(String),
    /// 5: a service or the broker does not answer. Whether it was done may be unknown.
    #[error("{0}")]
    Unavailable(String),
    /// 6: a condition does not hold, or not in time.
    #[error("{0}")]
    Unmet(String),
    /// The code of a program that was run, which has said what was wrong.
    #[error("the program ended with {0}")]
    Program(u8),
    /// Whoever reads the output has seen enough.
    #[error("the output was closed")]
    OutputClosed,
}

impl Failure {
    /// The exit code of the process.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::OutputClosed => 0,
            Self::Failed(_) => 1,
            Self::Usage(_) => USAGE,
            Self::NotFound(_) => 3,
            Self::Refused(_) => 4,
            Self::Unavailable(_) => 5,
            Self::Unmet(_) => 6,
            Self::Program(code) => *code,
        }
    }

    /// What the user is told, unless it was told already.
    #[must_use]
    pub fn message(&self) -> Option<String> {
        match self {
            Self::OutputClosed | Self::Program(_) => None,
            other => Some(other.to_string()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Missing(_) => Self::NotFound(error.to_string()),
            ReadError::CutOff | ReadError::Deleted => Self::Failed(error.to_string()),
            ReadError::Kafka(_) | ReadError::TimedOut(_) => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<TopicError> for Failure {
    fn from(error: TopicError) -> Self {
        match error {
            TopicError::Missing(_) => Self::NotFound(error.to_string()),
            TopicError::Refused { .. } => Self::Refused(error.to_string()),
            TopicError::Kafka(_) => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<ProduceError> for Failure {
    fn from(error: ProduceError) -> Self {
        match error {
            ProduceError::Refused(_) => Self::Refused(error.to_string()),
            ProduceError::Fatal(_) => Self::Failed(error.to_string()),
            ProduceError::QueueFull | ProduceError::Unknown(_) => {
                Self::Unavailable(error.to_string())
            }
        }
    }
}
