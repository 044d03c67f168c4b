//! What the commands about orders have in common: the state of one, printed and waited for.

use std::time::Duration;

use base_domains::{OrderId, OrderStatus};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::Failure;
use crate::api::Api;
use crate::output::cell;
use crate::progress::spinner;

/// Longest wait that the service takes in one request.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(500);

/// Reads a status by its name.
pub(super) fn status() -> impl TypedValueParser<Value = OrderStatus> {
    PossibleValuesParser::new(OrderStatus::ALL.map(OrderStatus::as_str))
        .try_map(|name| name.parse::<OrderStatus>())
}

pub(super) fn path(order_id: OrderId) -> String {
    format!("/api/v1/orders/{order_id}")
}

/// An order for people.
pub(super) fn text(order: &Value) -> String {
    let mut lines = vec![
        format!("order    {}", cell(order, "orderId")),
        format!("status   {}", cell(order, "status")),
    ];
    let mut add = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("{name:<9}{value}"));
        }
    };
    add("reason", cell(order, "reason"));
    for line in lines_of(order) {
        add("line", line);
    }
    add("created", cell(order, "createdAt"));
    add("updated", cell(order, "updatedAt"));
    lines.join("\n")
}

/// The lines of an order, as `5 x book order at 10000.0`.
pub(super) fn lines_of(order: &Value) -> Vec<String> {
    let content = &order["order"];
    let line = |line: &Value| {
        let [qty, name, price] = ["qty", "name", "price"].map(|member| cell(line, member));
        format!("{qty} x {name} at {price}")
    };
    match content["items"].as_array() {
        Some(items) => items.iter().map(line).collect(),
        None if content.is_object() => vec![line(content)],
        None => vec![],
    }
}

/// Waits until the order is in the state `until`, a later one or at an end (without `until`, at an
/// end), at most so long. The order as it is then, and whether that was reached.
pub(super) async fn wait_for(
    api: &Api,
    order_id: OrderId,
    until: Option<OrderStatus>,
    wait: Duration,
) -> Result<(Value, bool), Failure> {
    let waiting = spinner(match until {
        Some(status) => format!("Waiting until it is {status} or at an end."),
        None => "Waiting for the end of the order.".to_owned(),
    });
    let deadline = Instant::now() + wait;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let longer = left.min(LONGEST_WAIT);
        let mut query = vec![("wait", format!("{}ms", longer.as_millis()))];
        query.extend(until.map(|status| ("until", status.to_string())));
        let asked = Instant::now();
        match api.get_within(&path(order_id), &query, longer).await {
            Ok(order) => {
                let reached = has_reached(&order, until);
                if reached || Instant::now() >= deadline {
                    waiting.finish_and_clear();
                    return Ok((order, reached));
                }
            }
            // The read model may be behind, or a service just starting.
            Err(Failure::Unavailable(_) | Failure::NotFound(_)) if Instant::now() < deadline => {}
            Err(failure) => return Err(failure),
        }
        // Also a server that does not wait is asked only so often.
        let pause = BETWEEN_ATTEMPTS.saturating_sub(asked.elapsed());
        sleep(pause.min(deadline.saturating_duration_since(Instant::now()))).await;
    }
}

/// The status of an order; `None` for one that this version does not know.
pub(super) fn status_of(order: &Value) -> Option<OrderStatus> {
    order["status"].as_str()?.parse().ok()
}

fn has_reached(order: &Value, until: Option<OrderStatus>) -> bool {
    let Some(status) = status_of(order) else {
        return false;
    };
    status.is_terminal() || until.is_some_and(|until| status.rank() >= until.rank())
}

/// The failure of a wait in vain.
pub(super) fn in_vain(order: &Value, wait: Duration) -> Failure {
    let status = cell(order, "status");
    Failure::Unmet(format!("the order is still {status} after {wait:?}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_order_is_told_in_lines_without_what_it_does_not_have() {
        let order = json!({
            "orderId": "0193", "status": "REJECTED", "reason": "out_of\u{1b}stock",
            "order": {"name": "pen", "qty": 2, "price": 2.5},
        });
        assert_eq!(
            text(&order),
            "order    0193\nstatus   REJECTED\nreason   out_of\\u{1b}stock\nline     2 x pen at 2.5"
        );
    }

    #[test]
    fn every_line_of_an_order_is_told() {
        let items =
            json!([{"name": "pen", "qty": 2, "price": 2.5}, {"name": "ink", "qty": 1, "price": 3}]);
        let order = json!({"order": {"name": "pen", "qty": 2, "price": 2.5, "items": items}});
        assert_eq!(lines_of(&order), ["2 x pen at 2.5", "1 x ink at 3"]);
        assert_eq!(lines_of(&json!({})), Vec::<String>::new());
    }

    #[test]
    fn an_end_reaches_whatever_is_waited_for() {
        let reached = |status: &str, until| has_reached(&json!({"status": status}), until);
        assert!(reached("REJECTED", Some(OrderStatus::Paid)));
        assert!(reached("PAID", Some(OrderStatus::Reserved)));
        assert!(!reached("PENDING", Some(OrderStatus::Reserved)));
        assert!(!reached("PAID", None));
        assert!(!reached("LATER_VERSION", Some(OrderStatus::Pending)));
    }
}
