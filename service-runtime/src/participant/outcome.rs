//! Outcomes: the events that a decision appends, sealed before they are stored.

use base_domains::{
    BadRecord, Effect, EncodeError, EncodedEvent, Encoder, OrderEvent, OrderState, OrderStatus,
    Reading,
};

use crate::fault;

/// Largest outcome: what brokers accept by default (1 MiB), less room for the record's frame.
const MAX_BYTES: usize = 1_000_000;

/// An outcome that every reader of the log is known to understand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) status: OrderStatus,
    pub(super) encoded: EncodedEvent,
    /// As it is stored.
    pub(super) text: String,
}

/// Why an outcome may not be stored (rule R12).
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum SealError {
    /// It cannot be written.
    #[error("the outcome cannot be encoded: {0}")]
    Encode(#[from] EncodeError),
    /// What was written is not readable.
    #[error("the encoded outcome cannot be read: {0}")]
    Read(#[from] BadRecord),
    /// What was written reads as something else.
    #[error("the encoded outcome reads as another event")]
    OtherEvent,
    /// The log would not take it, and after the commit nobody could take it back.
    #[error("the encoded outcome has {0} bytes, more than {MAX_BYTES}")]
    TooLarge(usize),
    /// It cannot be written into a row.
    #[error("the encoded outcome cannot be stored: {0}")]
    Unstorable(String),
    /// It would have no effect on the order it is about.
    #[error("an outcome {outcome} has no effect on an order in state {state}")]
    NoEffect {
        /// Status of the outcome.
        outcome: &'static str,
        /// Folded status of the order.
        state: &'static str,
    },
}

/// Encodes `event` and proves that it decodes and folds, so that no service can store an outcome
/// that the others cannot read (rule R12).
pub(super) fn seal(
    encoder: &Encoder,
    event: &OrderEvent,
    state: OrderState,
    partitions: i32,
    traceparent: Option<&str>,
) -> Result<Outcome, SealError> {
    let encoded = encoder.encode(event, jiff::Timestamp::now(), traceparent)?;
    proven(encoded, event, state, partitions)
}

/// `encoded`, if it is `event` to whoever reads it, and moves an order on that stands at `state`.
fn proven(
    encoded: EncodedEvent,
    event: &OrderEvent,
    state: OrderState,
    partitions: i32,
) -> Result<Outcome, SealError> {
    let Reading::Event(heading) = encoded.read_back(partitions)? else {
        return Err(SealError::OtherEvent);
    };
    let decoded = heading.decode(Some(encoded.value.as_bytes()))?;
    let same = heading.order_id == event.order.order_id && decoded == *event;
    if !same && !fault::mutated("r12.decode") {
        return Err(SealError::OtherEvent);
    }
    let headers: usize = encoded
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    let bytes = encoded.key.len() + headers + encoded.value.len();
    if bytes > MAX_BYTES && !fault::mutated("r12.size") {
        return Err(SealError::TooLarge(bytes));
    }
    let mut folded = state;
    if folded.apply(heading.status) == Effect::NoEffect && !fault::mutated("r12.fold") {
        return Err(SealError::NoEffect {
            outcome: heading.status.as_str(),
            state: state.status().map_or("NEW", OrderStatus::as_str),
        });
    }
    let text = serde_json::to_string(&encoded);
    Ok(Outcome {
        status: heading.status,
        text: text.map_err(|error| SealError::Unstorable(error.to_string()))?,
        encoded,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base_domains::{OrderId, WireOrder};

    fn encoder() -> Encoder {
        Encoder {
            writer: "stock-service".to_owned(),
            type_id: None,
        }
    }

    fn order() -> WireOrder {
        WireOrder {
            order_id: OrderId::from_idempotency_key("test", "seal"),
            name: "book order".to_owned(),
            qty: 5,
            price: 10000.0,
            email: None,
            items: None,
        }
    }

    #[test]
    fn an_outcome_that_reads_back_and_folds_is_sealed() {
        let event = OrderEvent::new(OrderStatus::Reserved, order());
        let state = OrderState::from(Some(OrderStatus::Pending));
        let outcome = seal(&encoder(), &event, state, 3, None).unwrap();
        assert_eq!(outcome.status, OrderStatus::Reserved);
        assert_eq!(outcome.encoded.key, order().order_id.to_string());
    }

    #[test]
    fn an_outcome_without_effect_on_the_folded_state_is_refused() {
        let event = OrderEvent::new(OrderStatus::Reserved, order());
        let state = OrderState::from(Some(OrderStatus::Cancelled));
        assert_eq!(
            seal(&encoder(), &event, state, 3, None),
            Err(SealError::NoEffect {
                outcome: "RESERVED",
                state: "CANCELLED"
            })
        );
    }

    #[test]
    fn an_outcome_that_reads_as_another_event_or_not_at_all_is_refused() {
        let event = OrderEvent::new(OrderStatus::Reserved, order());
        let state = OrderState::from(Some(OrderStatus::Pending));
        let encode = |event| encoder().encode(event, jiff::Timestamp::UNIX_EPOCH, None);
        let other = WireOrder { qty: 6, ..order() };
        let other = OrderEvent::new(OrderStatus::Reserved, other);
        let refused = proven(encode(&other).unwrap(), &event, state, 3);
        assert_eq!(refused, Err(SealError::OtherEvent));
        let mut garbled = encode(&event).unwrap();
        garbled.value.pop();
        let refused = proven(garbled, &event, state, 3);
        assert!(matches!(refused, Err(SealError::Read(_))), "{refused:?}");
    }

    #[test]
    fn an_outcome_that_the_log_would_not_take_is_refused() {
        let huge = WireOrder {
            name: "x".repeat(MAX_BYTES),
            ..order()
        };
        let event = OrderEvent::new(OrderStatus::Reserved, huge);
        let state = OrderState::from(Some(OrderStatus::Pending));
        let refused = seal(&encoder(), &event, state, 3, None);
        assert!(
            matches!(refused, Err(SealError::TooLarge(_))),
            "{refused:?}"
        );
    }

    #[test]
    fn an_outcome_that_cannot_be_written_is_refused() {
        let unwritable = WireOrder {
            price: f64::NAN,
            ..order()
        };
        let event = OrderEvent::new(OrderStatus::Reserved, unwritable);
        let state = OrderState::from(Some(OrderStatus::Pending));
        assert_eq!(
            seal(&encoder(), &event, state, 3, None),
            Err(SealError::Encode(EncodeError::NotFinite))
        );
    }
}
