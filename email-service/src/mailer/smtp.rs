//! Mail by SMTP.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::session::Session;
use super::{Mailer, SendError, SmtpUrl};
use crate::message::Outgoing;

/// How long all farewells to the server may take: nothing depends on them.
const FAREWELL: Duration = Duration::from_secs(2);
/// A connection that was idle for longer is not used again; most servers close it after minutes.
const MAX_IDLE: Duration = Duration::from_secs(30);

/// How patient the client is.
#[derive(Debug, Clone)]
pub struct SmtpSettings {
    /// The server.
    pub server: SmtpUrl,
    /// For connecting, encrypting, logging in, and for the answer to each command.
    pub timeout: Duration,
    /// For the answer to the whole message. Longer, because a server that took the message may
    /// still be storing it: giving up then means sending it twice.
    pub data_timeout: Duration,
    /// Most idle connections that are kept.
    pub connections: usize,
}

impl SmtpSettings {
    /// The default of [`Self::timeout`].
    pub const TIMEOUT: Duration = Duration::from_secs(10);
    /// The default of [`Self::data_timeout`]. RFC 5321 (4.5.3.2.6) asks for ten minutes, but the
    /// lease of a mail has to be longer than this, and a crash holds the mail back for its lease.
    pub const DATA_TIMEOUT: Duration = Duration::from_secs(120);

    /// The longest that one attempt can take: a stale connection, three steps to a new one, three
    /// commands and the message.
    #[must_use]
    pub fn longest_attempt(&self) -> Duration {
        self.timeout
            .saturating_mul(7)
            .saturating_add(self.data_timeout)
    }
}

/// Sends by SMTP and keeps connections for the next mail.
pub struct SmtpMailer {
    settings: SmtpSettings,
    idle: Mutex<Vec<Session>>,
}

impl SmtpMailer {
    /// A mailer; nothing is contacted yet.
    #[must_use]
    pub fn new(settings: SmtpSettings) -> Self {
        Self {
            settings,
            idle: Mutex::default(),
        }
    }

    /// Ends the kept connections, politely if the server answers at once.
    pub async fn close(&self) {
        let sessions = std::mem::take(&mut *self.lock());
        let limit = self.settings.timeout;
        let farewells = async {
            for session in sessions {
                session.quit(limit).await;
            }
        };
        if tokio::time::timeout(FAREWELL, farewells).await.is_err() {
            tracing::debug!("The SMTP server did not answer the farewell.");
        }
    }

    async fn session(&self) -> Result<Session, SendError> {
        let timeout = self.settings.timeout;
        let kept = {
            let mut idle = self.lock();
            idle.retain(|session| session.idle() < MAX_IDLE);
            idle.pop()
        };
        if let Some(mut session) = kept
            && session.is_alive(timeout).await
        {
            return Ok(session);
        }
        Session::open(&self.settings.server, timeout).await
    }

    fn keep(&self, session: Session) {
        let mut idle = self.lock();
        if idle.len() < self.settings.connections {
            idle.push(session);
        }
    }

    /// A panic elsewhere cannot leave the list half-changed.
    fn lock(&self) -> MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Outgoing) -> Result<(), SendError> {
        let mut session = self.session().await?;
        let bytes = mail.bytes();
        let SmtpSettings {
            timeout,
            data_timeout,
            ..
        } = self.settings;
        session
            .send(mail.envelope(), &bytes, timeout, data_timeout)
            .await?;
        self.keep(session);
        Ok(())
    }
}

impl fmt::Debug for SmtpMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmtpMailer({:?})", self.settings.server)
    }
}
