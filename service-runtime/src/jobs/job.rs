//! What a job is: when it is inserted, while it is leased, and as an operator sees it.

use std::{fmt, str::FromStr};

use serde::de::DeserializeOwned;

/// A job to be inserted.
#[derive(Clone, PartialEq, Eq)]
pub struct NewJob {
    /// Names the effect: a second job with this id is not inserted. At best derived from the order
    /// and the event that asks for the effect.
    pub job_id: String,
    /// Which worker takes it.
    pub kind: String,
    /// The order it belongs to.
    pub order_id: String,
    /// Home partition of that order.
    pub partition: i32,
    /// What the handler needs, as JSON text.
    pub payload: String,
    /// From when the maximum age counts, in epoch milliseconds (when the cause happened, so that a
    /// replay of old history is recognised); the time of the insertion when absent.
    pub age_from: Option<i64>,
    /// When it falls due, in epoch milliseconds; at once when absent.
    pub due_at: Option<i64>,
}

/// A leased job, as its handler gets it.
#[derive(Clone, PartialEq, Eq)]
pub struct Job {
    /// See [`NewJob::job_id`].
    pub job_id: String,
    /// See [`NewJob::kind`].
    pub kind: String,
    /// See [`NewJob::order_id`].
    pub order_id: String,
    /// See [`NewJob::partition`].
    pub partition: i32,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// See [`NewJob::payload`].
    pub payload: String,
    /// See [`NewJob::age_from`].
    pub age_from: i64,
    /// When it was inserted; unlike [`age_from`](Self::age_from) an operator's retry leaves it.
    pub created_at: i64,
    /// When the lease began, in epoch milliseconds by the clock of the database.
    pub leased_at: i64,
    pub(super) lease_token: String,
}

impl Job {
    /// The payload, decoded.
    ///
    /// # Errors
    /// When it is not JSON of this form.
    pub fn payload_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.payload)
    }

    /// The earliest time that is known of the job, in epoch milliseconds: its cause or its insertion.
    #[must_use]
    pub fn known_since(&self) -> i64 {
        self.age_from.min(self.created_at)
    }
}

/// A job as it is stored.
#[derive(Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct JobRow {
    /// See [`NewJob::job_id`].
    pub job_id: String,
    /// See [`NewJob::kind`].
    pub kind: String,
    /// See [`NewJob::order_id`].
    pub order_id: String,
    /// See [`NewJob::partition`].
    #[sqlx(rename = "partition_id")]
    pub partition: i32,
    /// What became of it so far.
    #[sqlx(try_from = "String")]
    pub state: JobState,
    /// How often it was leased.
    pub attempts: i64,
    /// When it falls, or fell, due; epoch milliseconds by the clock of the database, like all times.
    pub next_try_at: i64,
    /// When another worker may take it over; only while it is leased.
    pub lease_until: Option<i64>,
    /// See [`NewJob::payload`].
    pub payload: String,
    /// What the handler reported when it was done, or why the job was skipped.
    pub result: Option<String>,
    /// The error of the last attempt that failed, at most 1 KiB.
    pub last_error: Option<String>,
    /// See [`NewJob::age_from`].
    pub age_from: i64,
    /// When it was inserted.
    pub created_at: i64,
    /// When it was done, skipped, or given up.
    pub finished_at: Option<i64>,
}

/// Which jobs [`list`](super::list) gives: those that match everything that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Only of this kind.
    pub kind: Option<String>,
    /// Only of this order.
    pub order_id: Option<String>,
    /// Only in this state.
    pub state: Option<JobState>,
}

/// What became of a job so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Waits for its time or for a worker.
    Due,
    /// A worker is at it, or died over it.
    Leased,
    /// Its effect happened.
    Done,
    /// It failed for good; an operator decides.
    Dead,
    /// Its effect was not wanted any more.
    Skipped,
}

impl JobState {
    /// All states.
    pub const ALL: [Self; 5] = [
        Self::Due,
        Self::Leased,
        Self::Done,
        Self::Dead,
        Self::Skipped,
    ];

    /// The name in the database, in metrics and for operators.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Leased => "leased",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Skipped => "skipped",
        }
    }
}

/// A text that names no [`JobState`].
#[derive(Debug, thiserror::Error)]
#[error("unknown job state, expected one of due, leased, done, dead, skipped")]
pub struct UnknownJobState;

impl FromStr for JobState {
    type Err = UnknownJobState;

    fn from_str(text: &str) -> Result<Self, UnknownJobState> {
        let named = |state: &Self| state.as_str() == text;
        Self::ALL.into_iter().find(named).ok_or(UnknownJobState)
    }
}

impl TryFrom<String> for JobState {
    type Error = UnknownJobState;

    fn try_from(text: String) -> Result<Self, UnknownJobState> {
        text.parse()
    }
}

// What a job carries may be personal data: Debug leaves it out.

impl fmt::Debug for NewJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewJob")
            .field("job_id", &self.job_id)
            .field("kind", &self.kind)
            .field("order_id", &self.order_id)
            .field("partition", &self.partition)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("job_id", &self.job_id)
            .field("kind", &self.kind)
            .field("order_id", &self.order_id)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for JobRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobRow")
            .field("job_id", &self.job_id)
            .field("kind", &self.kind)
            .field("order_id", &self.order_id)
            .field("state", &self.state)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_read_back_from_its_name() {
        for state in JobState::ALL {
            assert_eq!(state.as_str().parse::<JobState>().unwrap(), state);
        }
        assert!("DONE".parse::<JobState>().is_err());
    }

    #[test]
    fn debug_shows_no_payload() {
        let job = NewJob {
            job_id: "mail/1".into(),
            kind: "mail".into(),
            order_id: "1".into(),
            partition: 0,
            payload: r#"{"to":"ann@example.org"}"#.into(),
            age_from: None,
            due_at: None,
        };
        let text = format!("{job:?}");
        assert!(text.contains("mail/1"), "{text}");
        assert!(!text.contains("ann@example.org"), "{text}");
    }
}
