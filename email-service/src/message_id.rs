//! The `Message-ID` of a mail: the same for every attempt, so that a mailbox can tell a repeat.

use std::fmt;
use std::str::FromStr;

use base_domains::{OrderId, OrderStatus};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Longest event id that is taken over as it is, in bytes.
const MAX_EVENT_ID: usize = 64;

/// `<order id.status.event id@domain>`.
///
/// It comes from the event that is told about. Order and status are in it as well, because event
/// ids of other producers may be unique for one source or one order only, and two mails with one
/// id would be taken for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MessageId {
    local: String,
    domain: String,
}

/// A text is no message id of this service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a message id")]
pub struct InvalidMessageId;

impl MessageId {
    /// The id of the mail that tells about `event_id`, which brought `status` to the order.
    ///
    /// An event id comes from outside: one that does not fit is replaced by a UUID made of it.
    ///
    /// # Errors
    /// `domain` is not a domain name.
    pub fn new(
        order_id: OrderId,
        status: OrderStatus,
        event_id: &str,
        domain: &str,
    ) -> Result<Self, InvalidMessageId> {
        let status = status.as_str().to_lowercase();
        let event_id = if event_id.len() <= MAX_EVENT_ID && is_dot_atom(event_id) {
            event_id.to_owned()
        } else {
            Uuid::new_v5(&order_id.as_uuid(), event_id.as_bytes()).to_string()
        };
        if !is_dot_atom(domain) {
            return Err(InvalidMessageId);
        }
        Ok(Self {
            local: format!("{order_id}.{status}.{event_id}"),
            domain: domain.to_owned(),
        })
    }

    /// The part before the `@`; it is safe as the name of a file.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }
}

/// Whether `text` is words of letters, digits, `-` and `_`, joined by single dots.
pub(crate) fn is_dot_atom(text: &str) -> bool {
    text.split('.').all(|word| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !word.is_empty() && word.bytes().all(fits)
    })
}

impl fmt::Display for MessageId {
    /// Writes it as the header has it, in angle brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}@{}>", self.local, self.domain)
    }
}

impl FromStr for MessageId {
    type Err = InvalidMessageId;

    fn from_str(text: &str) -> Result<Self, InvalidMessageId> {
        let inner = text.strip_prefix('<').and_then(|t| t.strip_suffix('>'));
        match inner.and_then(|inner| inner.split_once('@')) {
            Some((local, domain)) if is_dot_atom(local) && is_dot_atom(domain) => Ok(Self {
                local: local.to_owned(),
                domain: domain.to_owned(),
            }),
            _ => Err(InvalidMessageId),
        }
    }
}

impl TryFrom<String> for MessageId {
    type Error = InvalidMessageId;

    fn try_from(text: String) -> Result<Self, InvalidMessageId> {
        text.parse()
    }
}

impl From<MessageId> for String {
    fn from(id: MessageId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    fn message_id(event_id: &str) -> String {
        let order_id = ORDER.parse().unwrap();
        MessageId::new(order_id, OrderStatus::Paid, event_id, "orders.example.com")
            .unwrap()
            .to_string()
    }

    #[test]
    fn a_plain_event_id_is_taken_over() {
        for event_id in ["1", "A_b-9.c", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"] {
            assert_eq!(
                message_id(event_id),
                format!("<{ORDER}.paid.{event_id}@orders.example.com>")
            );
        }
    }

    #[test]
    fn an_event_id_that_does_not_fit_becomes_a_uuid_of_its_own() {
        let long = "x".repeat(65);
        let strange = ["", ".", "..", "../../x", "a..b", "a b", "a@b", "a>b", "é", &long];
        let ids: std::collections::BTreeSet<String> = strange
            .iter()
            .map(|event_id| {
                let id = message_id(event_id);
                let local = id.strip_suffix("@orders.example.com>").unwrap();
                let uuid = local.strip_prefix(&format!("<{ORDER}.paid.")).unwrap();
                assert_eq!(uuid.parse::<Uuid>().unwrap().get_version_num(), 5);
                id
            })
            .collect();
        assert_eq!(ids.len(), strange.len());
        assert_eq!(message_id("a b"), message_id("a b"));
    }

    #[test]
    fn the_id_reads_back_from_its_text() {
        let id = message_id("e-1");
        assert_eq!(id.parse::<MessageId>().unwrap().to_string(), id);
        for text in ["", "<>", "a@b", "<a@b", "<a@b@c>", "<a/b@c>", "<a@b>\r\nX: y"] {
            assert_eq!(text.parse::<MessageId>(), Err(InvalidMessageId), "{text:?}");
        }
    }

    #[test]
    fn a_domain_that_is_none_is_refused() {
        for domain in ["", "a b", "example.com>", "a\r\nb"] {
            let order_id = ORDER.parse().unwrap();
            let id = MessageId::new(order_id, OrderStatus::Paid, "1", domain);
            assert_eq!(id, Err(InvalidMessageId), "{domain:?}");
        }
    }
}
