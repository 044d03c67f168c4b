//! Query parameters: each is given once, and one that cannot be read is named.

use base_domains::OrderStatus;

/// A parameter that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadParameter {
    pub(super) name: &'static str,
    pub(super) problem: String,
}

/// The value of parameter `name`, if it is there.
pub(super) fn single<'a>(
    parameters: &'a [(String, String)],
    name: &'static str,
) -> Result<Option<&'a str>, BadParameter> {
    let mut values = parameters.iter().filter(|(key, _)| key == name);
    let value = values.next().map(|(_, value)| value.as_str());
    match values.next() {
        None => Ok(value),
        Some(_) => Err(bad(name, "must be given once")),
    }
}

/// Reads a status, such as `RESERVED`.
pub(super) fn status_of(name: &'static str, text: &str) -> Result<OrderStatus, BadParameter> {
    text.parse().map_err(|_| {
        let names = OrderStatus::ALL.map(OrderStatus::as_str).join(", ");
        bad(name, format!("must be one of {names}"))
    })
}

pub(super) fn bad(name: &'static str, problem: impl ToString) -> BadParameter {
    BadParameter {
        name,
        problem: problem.to_string(),
    }
}
