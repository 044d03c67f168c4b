//! Names of record headers: the `CloudEvents` 1.0 Kafka binding in binary mode, W3C Trace Context, and our own.

/// Version of `CloudEvents`.
pub const CE_SPECVERSION: &str = "ce_specversion";
/// Id of the event, see [`event_id`](crate::event_id).
pub const CE_ID: &str = "ce_id";
/// Type of the event, such as `order.pending`; it tells the status before the body is parsed.
pub const CE_TYPE: &str = "ce_type";
/// Who wrote the event, such as `/stock-service`.
pub const CE_SOURCE: &str = "ce_source";
/// The order id.
pub const CE_SUBJECT: &str = "ce_subject";
/// When the event was made, RFC 3339.
pub const CE_TIME: &str = "ce_time";
/// Media type of the body.
pub const CONTENT_TYPE: &str = "content-type";
/// The trace that the event belongs to.
pub const TRACEPARENT: &str = "traceparent";
/// The Java class that Spring's `JsonDeserializer` reads the body into.
pub const TYPE_ID: &str = "__TypeId__";
/// The one consumer group that a redriven record is meant for.
pub const REDRIVE_GROUP: &str = "redrive-group";

/// What the name of each `CloudEvents` header starts with.
pub(crate) const CE_PREFIX: &str = "ce_";
