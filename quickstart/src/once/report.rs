//! What is printed of one order.

use std::fmt::Write as _;

use super::Case;
use super::history::Entry;
use crate::client::{Mail, Placed};

/// The order, its history and its mails.
pub(super) fn text(
    case: &Case,
    placed: &Placed,
    reason: Option<&str>,
    history: &[Entry],
    mails: &[Mail],
) -> String {
    let mut text = format!(
        "Order {}: {} x {}, {}\n  answer    201 {}\n",
        placed.order_id, case.qty, case.product, case.title, placed.message
    );
    // Writing to a String cannot fail.
    for entry in history {
        writeln!(
            text,
            "  log       {}@{:<3} {:<9} {}",
            entry.partition,
            entry.offset,
            entry.status.as_str(),
            entry.writer
        )
        .ok();
    }
    if let Some(reason) = reason {
        writeln!(text, "  reason    {reason}").ok();
    }
    for mail in mails.iter().rev() {
        writeln!(
            text,
            "  mail      {:<9} {} {}",
            mail.status, mail.subject, mail.message_id
        )
        .ok();
    }
    text
}
