//! One connection to an SMTP server, with a deadline for every step.
//!
//! lettre's own pool is not used: its timeout covers nothing but the TCP connect, and a send that
//! is dropped half-way puts its connection back among the usable ones. The next mail would then
//! take the late answer to this one for its own, and one of them would count as sent without
//! having been accepted. Here a connection is used again only after a complete success.

use std::time::{Duration, Instant};

use lettre::address::Envelope;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Noop, Quit, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::{Error, response::Response};
use secrecy::ExposeSecret as _;
use tokio::time::timeout;

use super::{SendError, SmtpTls, SmtpUrl};

/// "Authentication or encryption required": the set-up is refused, not the mail.
const SETUP_REFUSED: u16 = 530;

/// A connection that waits for commands.
pub(super) struct Session {
    connection: AsyncSmtpConnection,
    /// When the last command succeeded.
    used: Instant,
}

impl Session {
    /// Connects, encrypts and logs in; `limit` holds for each of the three. Every failure is
    /// transient, a 5xx too: it is about this client or the server, not about a mail.
    pub(super) async fn open(server: &SmtpUrl, limit: Duration) -> Result<Self, SendError> {
        let hello = ClientId::default();
        let address = (server.host.as_str(), server.port);
        let tls = match server.tls {
            SmtpTls::None => None,
            _ => Some(tls_parameters(&server.host)?),
        };
        let implicit = tls.clone().filter(|_| server.tls == SmtpTls::Implicit);
        let connect =
            AsyncSmtpConnection::connect_tokio1(address, Some(limit), &hello, implicit, None);
        let mut connection = set_up("connect", limit, connect).await?;
        let start = match server.tls {
            SmtpTls::Required => true,
            SmtpTls::Opportunistic => connection.can_starttls(),
            SmtpTls::None | SmtpTls::Implicit => false,
        };
        if let Some(tls) = tls.filter(|_| start) {
            set_up("start TLS", limit, connection.starttls(tls, &hello)).await?;
        }
        if let Some((user, password)) = &server.credentials {
            let login = Credentials::new(user.clone(), password.expose_secret().to_owned());
            set_up("log in", limit, connection.auth(DEFAULT_MECHANISMS, &login)).await?;
        }
        Ok(Self {
            connection,
            used: Instant::now(),
        })
    }

    /// For how long it was not used.
    pub(super) fn idle(&self) -> Duration {
        self.used.elapsed()
    }

    /// Whether the server still answers.
    pub(super) async fn is_alive(&mut self, limit: Duration) -> bool {
        matches!(timeout(limit, self.connection.command(Noop)).await, Ok(Ok(_)))
    }

    /// Hands one message to one recipient over. After an error the session must not be used again.
    pub(super) async fn send(
        &mut self,
        envelope: &Envelope,
        bytes: &[u8],
        limit: Duration,
        data_limit: Duration,
    ) -> Result<(), SendError> {
        let options = self.options(envelope, bytes)?;
        let sender = Mail::new(envelope.from().cloned(), options);
        transfer("MAIL", limit, self.connection.command(sender)).await?;
        for recipient in envelope.to() {
            let recipient = Rcpt::new(recipient.clone(), Vec::new());
            transfer("RCPT", limit, self.connection.command(recipient)).await?;
        }
        let go_on = transfer("DATA", limit, self.connection.command(Data)).await?;
        expect(&go_on, 354)?;
        let done = transfer("the message", data_limit, self.connection.message(bytes)).await?;
        expect(&done, 250)?;
        self.used = Instant::now();
        Ok(())
    }

    fn options(&self, envelope: &Envelope, bytes: &[u8]) -> Result<Vec<MailParameter>, SendError> {
        let mut addresses = envelope.from().into_iter().chain(envelope.to());
        let mut options = Vec::new();
        if !addresses.all(|address| AsRef::<str>::as_ref(address).is_ascii()) {
            if !self.connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(SendError::permanent(
                    "the server does not take addresses with letters outside of ASCII",
                ));
            }
            options.push(MailParameter::SmtpUtfEight);
        }
        if !bytes.is_ascii() {
            options.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        Ok(options)
    }

    /// Takes leave. Whether the server answers makes no difference.
    pub(super) async fn quit(mut self, limit: Duration) {
        if !matches!(timeout(limit, self.connection.command(Quit)).await, Ok(Ok(_))) {
            tracing::debug!("The SMTP server did not answer to QUIT.");
        }
    }
}

fn tls_parameters(host: &str) -> Result<TlsParameters, SendError> {
    TlsParameters::new(host.to_owned()).map_err(|error| setup_failed("prepare TLS", &error))
}

async fn set_up<T>(
    step: &str,
    limit: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, SendError> {
    match timeout(limit, work).await {
        Ok(result) => result.map_err(|error| setup_failed(step, &error)),
        Err(_) => Err(SendError::transient(format!("cannot {step}: no answer within {limit:?}"))),
    }
}

fn setup_failed(step: &str, error: &Error) -> SendError {
    let (summary, answer) = describe(error);
    with_answer(SendError::transient(format!("cannot {step}: {summary}")), answer)
}

async fn transfer(
    step: &str,
    limit: Duration,
    work: impl Future<Output = Result<Response, Error>>,
) -> Result<Response, SendError> {
    let error = match timeout(limit, work).await {
        Ok(Ok(response)) => return Ok(response),
        Ok(Err(error)) => error,
        Err(_) => {
            let summary = format!("no answer to {step} within {limit:?}");
            return Err(SendError::transient(summary));
        }
    };
    let refused = error.is_permanent() && error.status().map(u16::from) != Some(SETUP_REFUSED);
    let (summary, answer) = describe(&error);
    let summary = format!("{step}: {summary}");
    let failed = if refused {
        SendError::permanent(summary)
    } else {
        SendError::transient(summary)
    };
    Err(with_answer(failed, answer))
}

/// A positive answer that is not the one to this step: client and server are out of step.
fn expect(response: &Response, code: u16) -> Result<(), SendError> {
    if response.has_code(code) {
        return Ok(());
    }
    let summary = format!("the server answered {} instead of {code}", response.code());
    Err(SendError::transient(summary))
}

/// What may be logged, and the words that may not because the server chose them.
fn describe(error: &Error) -> (String, Option<String>) {
    let words = std::error::Error::source(error).map(ToString::to_string);
    match error.status() {
        Some(code) => (format!("the server answered {code}"), words),
        None if error.is_response() => ("the server gave no valid answer".to_owned(), words),
        None => (error.to_string(), None),
    }
}

fn with_answer(error: SendError, answer: Option<String>) -> SendError {
    match answer {
        Some(answer) => error.with_answer(&answer),
        None => error,
    }
}
