//! One mail as its job keeps it: everything it is made of, so that nothing has to be asked for
//! when it is sent.

use std::fmt;

use base_domains::{Order, OrderEvent, OrderId, OrderStatus, WireLine, WireOrder};
use serde::{Deserialize, Serialize};

use crate::message_id::MessageId;
use crate::text::cut;

/// Most lines that a mail lists; a valid order has no more.
const MAX_LINES: usize = Order::MAX_LINES;
/// Longest name, reason and number that a mail shows, in characters. Only an order that breaks the
/// rules of the domain can have longer ones.
const MAX_TEXT: usize = 200;
const MAX_NUMBER: usize = 40;
/// More than any address has, so that a cut one is still refused.
const MAX_RECIPIENT: usize = 500;

/// What a mail says and to whom. Texts are those of the event, unchecked but for their length.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mail {
    /// The order.
    pub order_id: OrderId,
    /// The state that is told.
    pub status: OrderStatus,
    /// The same for every attempt.
    pub message_id: MessageId,
    /// Whom it is sent to; `None` when nobody is known. Personal data: never log it.
    pub recipient: Option<String>,
    /// The lines of the order.
    pub lines: Vec<MailLine>,
    /// Further lines, which are not listed.
    #[serde(default)]
    pub more_lines: usize,
    /// What the order costs, such as `50000.00`; `None` when the order breaks a rule.
    pub total: Option<String>,
    /// Why it was rejected or cancelled.
    pub reason: Option<String>,
    /// When it happened, in epoch milliseconds.
    pub occurred_at: Option<i64>,
}

/// One line of the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailLine {
    /// The product.
    pub name: String,
    /// Pieces.
    pub qty: i64,
    /// Price of one piece, such as `10000.00`.
    pub price: String,
}

impl Mail {
    /// The mail that tells `status`, which `event` brought. An order that breaks a rule of the
    /// domain is shown as it was sent. `default_recipient` is for orders without an address.
    #[must_use]
    pub fn new(
        status: OrderStatus,
        event: &OrderEvent,
        message_id: MessageId,
        default_recipient: Option<&str>,
        occurred_at: Option<i64>,
    ) -> Self {
        let order = &event.order;
        let (lines, total) = match order.validate() {
            Ok(valid) => (lines_of(&valid), Some(valid.total().to_string())),
            Err(_) => (lines_as_sent(order), None),
        };
        let given = order.email.as_deref().map(str::trim);
        let recipient = given.filter(|email| !email.is_empty()).or(default_recipient);
        Self {
            order_id: order.order_id,
            status,
            message_id,
            recipient: recipient.map(|email| cut(email, MAX_RECIPIENT)),
            more_lines: order.items.as_ref().map_or(0, |items| {
                items.len().saturating_sub(MAX_LINES)
            }),
            lines,
            total,
            reason: event.reason.as_deref().map(|reason| cut(reason, MAX_TEXT)),
            occurred_at,
        }
    }

    /// The subject. Nothing in it was written by somebody else.
    #[must_use]
    pub fn subject(&self) -> String {
        let what = match self.status {
            OrderStatus::Pending => "was received",
            OrderStatus::Reserved => "is reserved",
            OrderStatus::Paid => "is paid",
            OrderStatus::Shipped => "was shipped",
            OrderStatus::Rejected => "could not be accepted",
            OrderStatus::Cancelled => "was cancelled",
        };
        format!("Your order {} {what}", self.order_id)
    }
}

fn lines_of(order: &Order) -> Vec<MailLine> {
    let lines = order.lines().iter().map(|line| MailLine {
        name: line.name().to_owned(),
        qty: line.qty().into(),
        price: line.price().to_string(),
    });
    lines.collect()
}

fn lines_as_sent(order: &WireOrder) -> Vec<MailLine> {
    let first = WireLine {
        name: order.name.clone(),
        qty: order.qty,
        price: order.price,
    };
    let items = order.items.as_deref().unwrap_or(std::slice::from_ref(&first));
    let lines = items.iter().take(MAX_LINES).map(|line| MailLine {
        name: cut(&line.name, MAX_TEXT),
        qty: line.qty,
        price: cut(&line.price.to_string(), MAX_NUMBER),
    });
    lines.collect()
}

impl fmt::Debug for Mail {
    /// Leaves out what is personal or written by somebody else.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail")
            .field("order_id", &self.order_id)
            .field("status", &self.status)
            .field("message_id", &self.message_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ORDER: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    fn mail(order: serde_json::Value) -> Mail {
        let order: WireOrder = serde_json::from_value(order).unwrap();
        let event = OrderEvent::new(OrderStatus::Pending, order.clone());
        let id = MessageId::new(order.order_id, OrderStatus::Pending, "e", "example.com").unwrap();
        let default = Some("customer@example.com");
        Mail::new(OrderStatus::Pending, &event, id, default, Some(0))
    }

    #[test]
    fn a_valid_order_has_its_lines_and_its_total() {
        let mail = mail(json!({"orderId": ORDER, "name": "book order", "qty": 5, "price": 10000.0}));
        let line = MailLine {
            name: "book order".into(),
            qty: 5,
            price: "10000.00".into(),
        };
        assert_eq!((mail.lines, mail.more_lines), (vec![line], 0));
        assert_eq!(mail.total.as_deref(), Some("50000.00"));
        assert_eq!(mail.recipient.as_deref(), Some("customer@example.com"));
    }

    #[test]
    fn an_order_that_breaks_a_rule_is_shown_as_it_was_sent() {
        let mail = mail(json!({"orderId": ORDER, "name": "", "qty": 0, "price": -1.234,
            "email": " a@example.org "}));
        let line = MailLine {
            name: String::new(),
            qty: 0,
            price: "-1.234".into(),
        };
        assert_eq!((mail.lines, mail.total), (vec![line], None));
        assert_eq!(mail.recipient.as_deref(), Some("a@example.org"));
    }

    #[test]
    fn an_oversized_order_makes_no_oversized_mail() {
        let item = json!({"name": "x".repeat(9000), "qty": 1, "price": 1e300});
        let mail = mail(json!({"orderId": ORDER, "name": "x", "qty": 1, "price": 1.0,
            "email": "y".repeat(9000), "items": vec![item; 51]}));
        assert_eq!((mail.lines.len(), mail.more_lines), (50, 1));
        assert_eq!(mail.lines[0].name.len(), 200);
        assert_eq!(mail.lines[0].price.len(), 40);
        assert_eq!(mail.recipient.unwrap().len(), 500);
    }

    #[test]
    fn a_blank_address_counts_as_none() {
        for email in ["", "  "] {
            let order = json!({"orderId": ORDER, "name": "x", "qty": 1, "price": 1.0, "email": email});
            let recipient = mail(order).recipient;
            assert_eq!(recipient.as_deref(), Some("customer@example.com"));
        }
    }
}
