//! Why an order was REJECTED or CANCELLED: the values of `reason` that this system writes.
//!
//! Readers treat a value they do not know as text to show.

/// REJECTED: there are fewer pieces than the order asks for.
pub const OUT_OF_STOCK: &str = "out_of_stock";
/// REJECTED: a line names a product that is not in the catalogue.
pub const UNKNOWN_PRODUCT: &str = "unknown_product";
/// REJECTED: the order breaks a rule of the domain, see [`WireOrder::validate`](crate::WireOrder::validate).
pub const INVALID_ORDER: &str = "invalid_order";
/// REJECTED: the payment was declined.
pub const PAYMENT_DECLINED: &str = "payment_declined";
/// CANCELLED: somebody asked for it.
pub const CANCELLED_ON_REQUEST: &str = "cancelled_on_request";
/// CANCELLED: the order did not end in time.
pub const DEADLINE: &str = "deadline";
