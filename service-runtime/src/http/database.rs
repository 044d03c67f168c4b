//! What a client is told when the database failed: nothing about the database.

use std::time::Duration;

use super::Problem;
use crate::database::{DatabaseError, ErrorClass};

const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Problem {
    /// 503: the database is not there, or not ready yet.
    pub fn no_database() -> Self {
        Self::unavailable("the database is not available", RETRY_AFTER)
    }
}

/// 503 for what passes by itself, else 500; logged either way.
impl From<DatabaseError> for Problem {
    fn from(error: DatabaseError) -> Self {
        match error.class() {
            ErrorClass::Again | ErrorClass::Unavailable => {
                tracing::warn!(%error, "The database did not answer a request.");
                Self::no_database()
            }
            ErrorClass::Bug => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header;
    use axum::response::IntoResponse as _;

    use super::*;

    #[test]
    fn a_database_that_is_away_is_a_503_that_says_when_to_come_back() {
        let away = [
            DatabaseError::NoAnswer(Duration::from_secs(5)),
            DatabaseError::WriterBusy(Duration::from_secs(5)),
        ];
        for error in away {
            let problem = Problem::from(error);
            assert_eq!(
                problem.to_string(),
                "503 Service Unavailable: the database is not available"
            );
            let response = problem.into_response();
            assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        }
    }

    #[test]
    fn a_defect_is_a_500_that_says_nothing() {
        let problem = Problem::from(DatabaseError::Url("of somebody".to_owned()));
        assert_eq!(problem.to_string(), "500 Internal Server Error");
    }
}
