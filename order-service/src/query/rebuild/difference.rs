//! In what two generations differ about an order: pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base_domains::OrderId;
use sha2::{Digest as _, Sha256};

use crate::query::store::compare::Stored;

/// What the two say about one field of an order; empty where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The order.
    pub order_id: OrderId,
    /// `status`, `reason`, `order`, `createdAt`, `updatedAt`, or a step of its history such as `event PAID`.
    pub field: String,
    /// In the generation that was in use.
    pub old: String,
    /// In the one made from the log.
    pub new: String,
}

/// All differences of these orders, in their order.
pub(super) fn differences(
    orders: &[OrderId],
    old: &BTreeMap<OrderId, Stored>,
    new: &BTreeMap<OrderId, Stored>,
) -> Vec<Difference> {
    let nothing = Stored::default();
    let mut all = Vec::new();
    for order_id in orders {
        let old = fields(old.get(order_id).unwrap_or(&nothing));
        let new = fields(new.get(order_id).unwrap_or(&nothing));
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            let (old, new) = (old.get(name), new.get(name));
            if old != new {
                all.push(Difference {
                    order_id: *order_id,
                    field: name[2..].to_owned(),
                    old: old.cloned().unwrap_or_default(),
                    new: new.cloned().unwrap_or_default(),
                });
            }
        }
    }
    all
}

/// Every field by its name, with two characters before it for their order.
fn fields(stored: &Stored) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    if let Some((status, reason, content, created_at, updated_at)) = &stored.view {
        let view = [
            ("1 status", status.clone()),
            ("2 reason", text(reason)),
            ("3 order", digest(content)),
            ("4 createdAt", created_at.to_string()),
            ("5 updatedAt", updated_at.to_string()),
        ];
        fields.extend(view.map(|(name, value)| (name.to_owned(), value)));
    }
    for (status, (reason, partition, offset, at)) in &stored.steps {
        let place = format!("{partition}:{offset} at {at}");
        let step = match text(reason) {
            reason if reason.is_empty() => place,
            reason => format!("{place} {reason}"),
        };
        fields.insert(format!("6 event {status}"), step);
    }
    fields.retain(|_, value| !value.is_empty());
    fields
}

/// Text of somebody else on one line.
fn text(text: &str) -> String {
    const MOST: usize = 60;
    text.chars()
        .take(MOST)
        .flat_map(char::escape_debug)
        .collect()
}

/// What was ordered is not shown: this is printed where logs are.
fn digest(content: &str) -> String {
    if content.is_empty() {
        return String::new();
    }
    let hash = Sha256::digest(content.as_bytes());
    let start: String = hash
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256 {start}")
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &str| match value {
            "" => "-".to_owned(),
            value => value.to_owned(),
        };
        let (old, new) = (shown(&self.old), shown(&self.new));
        write!(
            formatter,
            "{}  {}: {old} -> {new}",
            self.order_id, self.field
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(status: &str, content: &str, steps: &[(&str, i64)]) -> Stored {
        Stored {
            view: Some((status.to_owned(), String::new(), content.to_owned(), 1, 2)),
            steps: steps
                .iter()
                .map(|(status, offset)| ((*status).to_owned(), (String::new(), 0, *offset, 7)))
                .collect(),
        }
    }

    fn told(old: Option<Stored>, new: Option<Stored>) -> Vec<String> {
        let id = OrderId::from_idempotency_key("test", "a");
        let side = |stored: Option<Stored>| stored.into_iter().map(|stored| (id, stored)).collect();
        let found = differences(&[id], &side(old), &side(new));
        let prefix = format!("{id}  ");
        let line = |found: &Difference| found.to_string().strip_prefix(&prefix).unwrap().to_owned();
        found.iter().map(line).collect()
    }

    #[test]
    fn what_is_the_same_is_not_told() {
        let one = stored("PAID", "{}", &[("PAID", 3)]);
        assert!(told(Some(one.clone()), Some(one)).is_empty());
    }

    #[test]
    fn every_field_that_differs_is_told_with_both_values() {
        let old = stored("PENDING", "{\"name\":\"x\"}", &[("PENDING", 1)]);
        let new = stored("PAID", "", &[("PENDING", 1), ("PAID", 4)]);
        assert_eq!(
            told(Some(old), Some(new)),
            [
                "status: PENDING -> PAID",
                "order: sha256 0229d37e -> -",
                "event PAID: - -> 0:4 at 7",
            ]
        );
    }

    #[test]
    fn an_order_that_only_one_has_is_told_field_by_field() {
        let lines = told(None, Some(stored("PENDING", "", &[])));
        assert_eq!(
            lines,
            [
                "status: - -> PENDING",
                "createdAt: - -> 1",
                "updatedAt: - -> 2"
            ]
        );
    }

    #[test]
    fn a_reason_cannot_break_the_line() {
        let mut old = stored("PENDING", "", &[]);
        if let Some(view) = &mut old.view {
            view.1 = format!("a\nb{}", "c".repeat(100));
        }
        let lines = told(Some(old), Some(stored("PENDING", "", &[])));
        assert_eq!(lines, [format!("reason: a\\nb{} -> -", "c".repeat(57))]);
    }
}
