//! One problem of one field, named so that a client can show it beside the field.

use serde::Serialize;

/// A field that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{field} {message}")]
pub struct FieldError {
    /// The path of the field as in the JSON, such as `qty` or `items[1].price`.
    pub field: String,
    /// What is wrong, to be read after the field's name: `must be from 1 to 1000000`.
    pub message: String,
}

impl FieldError {
    pub(crate) fn new(field: impl Into<String>, message: impl ToString) -> Self {
        Self {
            field: field.into(),
            message: message.to_string(),
        }
    }
}
