//! The words every service speaks: what an order is, how its life is folded from events, and how an
//! event looks on the topic `orders`.
//!
//! Pure code without a runtime, a database or a Kafka client, so each rule can be tested by itself:
//!
//! - [`OrderState::apply`] is the only state machine of the system.
//! - [`WireOrder`], [`OrderEvent`], [`Encoder`] and the files under `fixtures/` are the wire contract.
//! - [`read`] says what one record of the topic means, before its body is parsed.
//! - [`WireOrder::validate`] and [`NewOrder::into_order`] are the only ways to an [`Order`].

mod addition;
mod bad_record;
mod email;
mod encode;
mod event;
mod event_id;
mod event_status;
mod field_error;
pub mod header;
mod line;
mod money;
mod name_based;
mod new_order;
mod order;
mod order_id;
mod partition;
mod payment;
mod quantity;
pub mod reason;
mod record;
mod redacted;
mod shipment;
mod state;
mod status;
mod traceparent;
mod wire;

pub use bad_record::BadRecord;
pub use email::check_email;
pub use encode::{EncodeError, EncodedEvent, Encoder};
pub use event::{DecodeError, OrderEvent};
pub use event_id::event_id;
pub use event_status::EventStatus;
pub use field_error::FieldError;
pub use line::OrderLine;
pub use money::{Money, MoneyError, Total};
pub use new_order::NewOrder;
pub use order::Order;
pub use order_id::{OrderId, ParseOrderIdError};
pub use partition::home_partition;
pub use payment::Payment;
pub use quantity::{Quantity, QuantityError};
pub use record::{Heading, Reading, RecordRef, read};
pub use shipment::Shipment;
pub use state::{Effect, OrderState};
pub use status::{OrderStatus, ParseStatusError};
pub use wire::{WireLine, WireOrder};
