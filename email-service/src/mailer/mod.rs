//! Handing a message over: to an SMTP server, or to a folder when none is configured.

mod file;
mod session;
mod smtp;
mod smtp_url;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

pub use file::FileMailer;
pub use smtp::{SmtpMailer, SmtpSettings};
pub use smtp_url::{SmtpTls, SmtpUrl, SmtpUrlError};

use crate::message::Outgoing;
use crate::text::{cut, one_line};

/// Longest answer of a server that is kept, in characters.
const MAX_ANSWER: usize = 500;

/// Hands messages over.
pub trait Mailer: Send + Sync + 'static {
    /// Hands `mail` over; `Ok` means that somebody else is responsible for it now.
    ///
    /// # Errors
    /// See [`SendError`]. After an error it is unknown whether the message went out, unless a
    /// server refused it.
    fn send(&self, mail: &Outgoing) -> impl Future<Output = Result<(), SendError>> + Send;
}

/// Why a message was not handed over.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{summary}")]
pub struct SendError {
    permanent: bool,
    summary: String,
    answer: Option<String>,
}

impl SendError {
    /// A later attempt may succeed.
    #[must_use]
    pub fn transient(summary: impl Into<String>) -> Self {
        Self {
            permanent: false,
            summary: summary.into(),
            answer: None,
        }
    }

    /// This message will never be taken.
    #[must_use]
    pub fn permanent(summary: impl Into<String>) -> Self {
        Self {
            permanent: true,
            ..Self::transient(summary)
        }
    }

    /// The same with the server's own words, which often repeat the recipient's address.
    #[must_use]
    pub fn with_answer(mut self, answer: &str) -> Self {
        self.answer = Some(cut(&one_line(answer), MAX_ANSWER));
        self
    }

    /// Whether another attempt is pointless.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.permanent
    }

    /// Everything that is known, with the server's own words: for the job, not for logs.
    #[must_use]
    pub fn detail(&self) -> String {
        match &self.answer {
            Some(answer) => format!("{}: {answer}", self.summary),
            None => self.summary.clone(),
        }
    }
}

impl fmt::Debug for SendError {
    /// Leaves the server's words out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError")
            .field("permanent", &self.permanent)
            .field("summary", &self.summary)
            .finish_non_exhaustive()
    }
}

impl<M: Mailer> Mailer for Arc<M> {
    async fn send(&self, mail: &Outgoing) -> Result<(), SendError> {
        (**self).send(mail).await
    }
}

/// The mailer that the settings ask for.
#[derive(Debug)]
pub enum Outbox {
    /// An SMTP server.
    Smtp(SmtpMailer),
    /// A folder.
    File(FileMailer),
}

impl Outbox {
    /// Takes leave of the server.
    pub async fn close(&self) {
        match self {
            Self::Smtp(mailer) => mailer.close().await,
            Self::File(_) => {}
        }
    }
}

impl Mailer for Outbox {
    async fn send(&self, mail: &Outgoing) -> Result<(), SendError> {
        match self {
            Self::Smtp(mailer) => mailer.send(mail).await,
            Self::File(mailer) => mailer.send(mail).await,
        }
    }
}
