//! Jobs as an operator looks at them: one, or page by page, the newest first.

use std::{fmt, str::FromStr};

use sqlx::AssertSqlSafe;

use super::{JobFilter, JobRow, JobState};
use crate::database::{Database, DatabaseError};

/// The place of a job among all jobs, newest first. It never changes, so new jobs shift no page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobCursor {
    /// Epoch milliseconds.
    pub created_at: i64,
    /// Among those of one moment.
    pub job_id: String,
}

/// A text that is no [`JobCursor`].
#[derive(Debug, thiserror::Error)]
#[error("must be a nextCursor that this API has answered")]
pub struct UnknownCursor;

impl From<&JobRow> for JobCursor {
    fn from(row: &JobRow) -> Self {
        Self {
            created_at: row.created_at,
            job_id: row.job_id.clone(),
        }
    }
}

impl fmt::Display for JobCursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.created_at, self.job_id)
    }
}

impl FromStr for JobCursor {
    type Err = UnknownCursor;

    fn from_str(text: &str) -> Result<Self, UnknownCursor> {
        let (created_at, job_id) = text.split_once('.').ok_or(UnknownCursor)?;
        // PostgreSQL takes no NUL in a text.
        if job_id.is_empty() || job_id.contains('\0') {
            return Err(UnknownCursor);
        }
        Ok(Self {
            created_at: created_at.parse().map_err(|_| UnknownCursor)?,
            job_id: job_id.to_owned(),
        })
    }
}

/// The job of this id.
///
/// # Errors
/// Those of the database.
pub async fn find(database: &Database, job_id: &str) -> Result<Option<JobRow>, DatabaseError> {
    let query = sqlx::query_as("SELECT * FROM jobs WHERE job_id = $1").bind(job_id);
    Ok(query.fetch_optional(database.pool()).await?)
}

/// Jobs, the newest first.
///
/// # Errors
/// Those of the database.
pub async fn list(
    database: &Database,
    filter: &JobFilter,
    limit: u32,
) -> Result<Vec<JobRow>, DatabaseError> {
    page(database, filter, None, limit).await
}

/// Jobs that come after a place, the newest first.
///
/// # Errors
/// Those of the database.
pub async fn page(
    database: &Database,
    filter: &JobFilter,
    after: Option<&JobCursor>,
    limit: u32,
) -> Result<Vec<JobRow>, DatabaseError> {
    let wanted = [
        ("kind", filter.kind.as_deref()),
        ("order_id", filter.order_id.as_deref()),
        ("state", filter.state.map(JobState::as_str)),
    ];
    let mut text = String::from("SELECT * FROM jobs WHERE $1 >= 0");
    let mut values = Vec::new();
    for (column, value) in wanted {
        if let Some(value) = value {
            values.push(value);
            text.push_str(&format!(" AND {column} = ${}", values.len() + 1));
        }
    }
    if after.is_some() {
        let (time, id) = (values.len() + 2, values.len() + 3);
        text.push_str(&format!(
            " AND (created_at < ${time} OR (created_at = ${time} AND job_id > ${id}))"
        ));
    }
    text.push_str(" ORDER BY created_at DESC, job_id LIMIT $1");
    let mut query = sqlx::query_as(AssertSqlSafe(text)).bind(i64::from(limit));
    for value in values {
        query = query.bind(value);
    }
    if let Some(after) = after {
        query = query.bind(after.created_at).bind(after.job_id.as_str());
    }
    Ok(query.fetch_all(database.pool()).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        let cursor = JobCursor {
            created_at: 1_763_720_130_187,
            job_id: "charge/0193a5b8.7c1e".to_owned(),
        };
        let read: JobCursor = cursor.to_string().parse().unwrap();
        assert_eq!(read, cursor);
        for text in ["", "1", "1.", ".a", "then.a", "1.a\0"] {
            assert!(text.parse::<JobCursor>().is_err(), "{text:?}");
        }
    }
}
