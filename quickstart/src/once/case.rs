//! What is ordered, and what has to come of it.

use base_domains::OrderStatus::{self, Cancelled, Paid, Pending, Rejected, Reserved, Shipped};
use base_domains::reason;

/// One order.
pub(super) struct Case {
    pub(super) title: &'static str,
    pub(super) product: &'static str,
    pub(super) qty: i64,
    /// Of one piece; the sandbox decides by the cents of the total.
    pub(super) price: f64,
    /// It is cancelled as soon as it is this.
    pub(super) cancelled_when: Option<OrderStatus>,
    pub(super) history: &'static [OrderStatus],
    pub(super) reason: Option<&'static str>,
    /// States that are mailed.
    pub(super) mails: &'static [&'static str],
    /// State of its payment, if there is one.
    pub(super) payment: Option<&'static str>,
    /// State of its shipment, if there is one.
    pub(super) shipment: Option<&'static str>,
    /// By how much its product's available, reserved and shipped pieces changed in the end.
    pub(super) moved: [i64; 3],
}

/// `book order` and `sold out book` are in the built-in catalogue.
pub(super) const CASES: [Case; 4] = [
    Case {
        title: "an order that is paid and shipped",
        product: "book order",
        qty: 5,
        price: 10000.0,
        cancelled_when: None,
        history: &[Pending, Reserved, Paid, Shipped],
        reason: None,
        mails: &["PAID", "PENDING", "SHIPPED"],
        payment: Some("charged"),
        shipment: Some("dispatched"),
        moved: [-5, 0, 5],
    },
    Case {
        title: "an order whose payment is declined",
        product: "book order",
        qty: 1,
        price: 10000.02,
        cancelled_when: None,
        history: &[Pending, Reserved, Rejected],
        reason: Some(reason::PAYMENT_DECLINED),
        mails: &["PENDING", "REJECTED"],
        payment: Some("declined"),
        shipment: None,
        moved: [0, 0, 0],
    },
    Case {
        title: "an order of a product that is out of stock",
        product: "sold out book",
        qty: 1,
        price: 10000.0,
        cancelled_when: None,
        history: &[Pending, Rejected],
        reason: Some(reason::OUT_OF_STOCK),
        mails: &["PENDING", "REJECTED"],
        payment: None,
        shipment: None,
        moved: [0, 0, 0],
    },
    Case {
        title: "an order that is cancelled after it was paid",
        product: "book order",
        qty: 2,
        price: 10000.0,
        cancelled_when: Some(Paid),
        history: &[Pending, Reserved, Paid, Cancelled],
        reason: Some(reason::CANCELLED_ON_REQUEST),
        mails: &["CANCELLED", "PAID", "PENDING"],
        payment: Some("refunded"),
        shipment: Some("cancelled"),
        moved: [0, 0, 0],
    },
];
