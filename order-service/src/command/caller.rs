//! Who sends a request.

/// The caller whose idempotency keys a request uses. Requests are not authenticated, so all are one caller;
/// authentication changes this function and nothing else.
pub(super) const fn caller() -> &'static str {
    "anonymous"
}
