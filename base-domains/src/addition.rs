//! What a step adds to its event.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Reads what a step added. Whatever JSON cannot be read as a `T` is none: an addition never makes the event
/// unreadable, however deep it is nested and however large its numbers are.
pub(crate) fn if_readable<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = Box::<RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(text.get()).ok())
}
