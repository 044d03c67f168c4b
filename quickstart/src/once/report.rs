//! What is printed of one order.

use std::fmt::Write as _;

use super::case::Case;
use super::traces::Traces;
use crate::client::Placed;

/// The order, its history, and what it left behind.
pub(super) fn text(case: &Case, placed: &Placed, reason: Option<&str>, traces: &Traces) -> String {
    let mut text = format!(
        "Order {}: {} x {} at {:.2}, {}\n",
        placed.order_id, case.qty, case.product, case.price, case.title
    );
    // Writing to a String cannot fail.
    let mut line = |what: &str, said: String| writeln!(text, "  {what:<9} {said}").ok();
    line("answer", format!("201 {}", placed.message));
    for entry in &traces.history {
        let (status, writer) = (entry.status.as_str(), &entry.writer);
        let (partition, offset) = (entry.partition, entry.offset);
        line(
            "log",
            format!("{partition}@{offset:<3} {status:<9} {writer}"),
        );
    }
    if let Some(reason) = reason {
        line("reason", reason.to_owned());
    }
    if let Some(payment) = &traces.payment {
        let id = payment.payment_id.as_deref().unwrap_or_default();
        line(
            "payment",
            format!("{} {:.2} {id}", payment.state, payment.amount)
                .trim_end()
                .to_owned(),
        );
    }
    if let Some(shipment) = &traces.shipment {
        line(
            "shipment",
            format!("{} {}", shipment.state, shipment.tracking_number),
        );
    }
    let (before, after) = (&traces.before, &traces.after);
    let stock = [
        ("available", before.available, after.available),
        ("reserved", before.reserved, after.reserved),
        ("shipped", before.shipped, after.shipped),
    ]
    .map(|(name, before, after)| match before == after {
        true => format!("{name} {after}"),
        false => format!("{name} {before} -> {after}"),
    });
    line("stock", stock.join(", "));
    for mail in traces.mails.iter().rev() {
        line(
            "mail",
            format!("{:<9} {} {}", mail.status, mail.subject, mail.message_id),
        );
    }
    text
}
