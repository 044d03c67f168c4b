//! From a [`Mail`] to the message that goes out.
//!
//! Headers are built by types only, and nothing but the checked recipient comes from an order, so
//! no text of an order can add a header or a recipient.

use std::time::{Duration, SystemTime};

use base_domains::check_email;
use lettre::Address;
use lettre::address::Envelope;
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart};

use crate::mail::Mail;
use crate::message_id::MessageId;
use crate::templates;

/// A message that is ready to be sent to its one recipient.
#[derive(Clone)]
pub struct Outgoing {
    id: MessageId,
    message: Message,
}

/// Why no message can be made, now or later.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The address is none. It is not repeated here: it is personal data.
    #[error("the recipient is not a usable e-mail address")]
    Recipient,
    /// A template or the message builder failed: a defect.
    #[error("the message cannot be built: {0}")]
    Build(String),
}

impl Outgoing {
    /// Composes `mail` to `recipient`. Every attempt gives the same message but for the boundary
    /// between its parts, which is random so that no text can contain it.
    ///
    /// # Errors
    /// See [`ComposeError`].
    pub fn compose(from: &Mailbox, mail: &Mail, recipient: &str) -> Result<Self, ComposeError> {
        let to = address(recipient).ok_or(ComposeError::Recipient)?;
        let build = |error: String| ComposeError::Build(error);
        let bodies = templates::render(mail).map_err(|error| build(error.to_string()))?;
        let envelope = Envelope::new(Some(from.email.clone()), vec![to.clone()])
            .map_err(|error| build(error.to_string()))?;
        let message = Message::builder()
            .from(from.clone())
            .to(Mailbox::new(None, to))
            .envelope(envelope)
            .subject(mail.subject())
            .message_id(Some(mail.message_id.to_string()))
            .date(time_of(mail))
            .header(AutoSubmitted)
            .multipart(MultiPart::alternative_plain_html(bodies.text, bodies.html))
            .map_err(|error| build(error.to_string()))?;
        Ok(Self {
            id: mail.message_id.clone(),
            message,
        })
    }

    /// Its `Message-ID`.
    #[must_use]
    pub fn id(&self) -> &MessageId {
        &self.id
    }

    /// Sender and recipient for the server.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        self.message.envelope()
    }

    /// The message as it goes over the wire.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.message.formatted()
    }
}

/// When it happened, so that a late mail does not look like news.
fn time_of(mail: &Mail) -> SystemTime {
    let millis = mail.occurred_at.and_then(|at| u64::try_from(at).ok());
    // Later years do not fit the header (and `Date` panics past 9999).
    let known = millis.filter(|at| *at < 253_370_764_800_000);
    known.map_or_else(SystemTime::now, |at| {
        SystemTime::UNIX_EPOCH + Duration::from_millis(at)
    })
}

/// Whether a mail can go to this address.
pub(crate) fn is_address(text: &str) -> bool {
    address(text).is_some()
}

/// An address that an order may have, stricter than lettre: no quoted local part.
fn address(text: &str) -> Option<Address> {
    check_email(text).ok()?;
    text.parse().ok()
}

/// `Auto-Submitted: auto-generated` (RFC 3834): nobody's holiday notice answers it.
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

impl std::fmt::Debug for Outgoing {
    /// Leaves the recipient and the text out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Outgoing({})", self.id)
    }
}
