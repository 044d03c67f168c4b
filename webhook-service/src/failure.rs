//! Why a notification was not delivered.
//!
//! The text is what a job keeps as its error, and is read back from there. It holds nothing of the
//! receiver's own words and nothing of its URL.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use axum::http::StatusCode;

use crate::target::TargetError;

/// Why one attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The receiver answered, and not with success.
    Answered(Answer),
    /// The URL is not, or not any more, one that may be used.
    Target(TargetError),
    /// Its name leads to no address that may be used.
    Private,
    /// Its name leads nowhere.
    Name,
    /// There is no connection.
    Connect,
    /// The time is up.
    TimeOut,
    /// Anything else, such as an answer that is no HTTP.
    Broken,
}

/// An answer that is not success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// What it was.
    pub status: StatusCode,
    /// How long the receiver wants to be left alone (`Retry-After` in seconds, with 429 and 503).
    pub rest: Option<Duration>,
}

const ANSWERED: &str = "the receiver answered ";
const REST: &str = " and wants to rest for ";

impl Failure {
    /// Whether another attempt could not help.
    #[must_use]
    pub fn is_permanent(self) -> bool {
        match self {
            Self::Target(_) | Self::Private => true,
            Self::Answered(answer) => answer.is_gone(),
            Self::Name | Self::Connect | Self::TimeOut | Self::Broken => false,
        }
    }
}

impl Answer {
    /// Whether the receiver is gone for good, by its own word: 410.
    #[must_use]
    pub fn is_gone(self) -> bool {
        self.status == StatusCode::GONE
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ANSWERED}{}", self.status.as_u16())?;
        match self.rest {
            Some(rest) => write!(f, "{REST}{}s", rest.as_secs()),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(answer) => answer.fmt(f),
            Self::Target(error) => write!(f, "the URL {error}"),
            Self::Private => f.write_str(
                "the name of the receiver leads only to private, local or reserved addresses",
            ),
            Self::Name => f.write_str("the name of the receiver cannot be resolved"),
            Self::Connect => f.write_str("the receiver cannot be reached"),
            Self::TimeOut => f.write_str("no answer in time"),
            Self::Broken => f.write_str("the request failed"),
        }
    }
}

/// A text tells of no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the text of an answer")]
pub struct NoAnswer;

impl FromStr for Answer {
    type Err = NoAnswer;

    fn from_str(text: &str) -> Result<Self, NoAnswer> {
        let answer = text.strip_prefix(ANSWERED).ok_or(NoAnswer)?;
        let (status, rest) = match answer.split_once(REST) {
            Some((status, rest)) => (status, Some(rest)),
            None => (answer, None),
        };
        let seconds = |text: &str| {
            let seconds = text.strip_suffix('s').ok_or(NoAnswer)?.parse();
            seconds.map(Duration::from_secs).map_err(|_| NoAnswer)
        };
        Ok(Self {
            status: status.parse().map_err(|_| NoAnswer)?,
            rest: rest.map(seconds).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_back_from_the_text_of_a_failure() {
        for (code, rest, text) in [
            (500, None, "the receiver answered 500"),
            (
                503,
                Some(120),
                "the receiver answered 503 and wants to rest for 120s",
            ),
        ] {
            let status = StatusCode::from_u16(code).unwrap();
            let rest = rest.map(Duration::from_secs);
            let answer = Answer { status, rest };
            assert_eq!(Failure::Answered(answer).to_string(), text);
            assert_eq!(text.parse(), Ok(answer));
        }
        for other in [Failure::TimeOut, Failure::Private, Failure::Connect] {
            assert_eq!(other.to_string().parse::<Answer>(), Err(NoAnswer));
        }
    }

    #[test]
    fn only_gone_and_what_is_not_allowed_is_permanent() {
        let answered = |code| {
            let status = StatusCode::from_u16(code).unwrap();
            Failure::Answered(Answer { status, rest: None })
        };
        assert!(answered(410).is_permanent());
        assert!(Failure::Private.is_permanent());
        assert!(Failure::Target(TargetError::Private).is_permanent());
        for code in [301, 400, 401, 404, 408, 429, 500, 503] {
            assert!(!answered(code).is_permanent(), "{code}");
        }
        assert!(!Failure::Name.is_permanent() && !Failure::TimeOut.is_permanent());
    }
}
