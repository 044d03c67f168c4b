//! What is printed of one order.

use std::fmt::Write as _;

use super::Case;
use super::client::{Mail, Placed};
use super::history::Entry;

/// The order, its history and its mails.
pub(super) fn text(case: &Case, placed: &Placed, history: &[Entry], mails: &[Mail]) -> String {
    let mut text = format!(
        "Order {}: {} x {}, {}\n  answer    201 {}\n",
        placed.order_id, case.qty, case.product, case.title, placed.message
    );
    // Writing to a String cannot fail.
    for entry in history {
        let _ = writeln!(
            text,
            "  log       {}@{:<3} {:<9} {}",
            entry.partition,
            entry.offset,
            entry.status.as_str(),
            entry.writer
        );
    }
    if let Some(reason) = case.reason {
        let _ = writeln!(text, "  reason    {reason}");
    }
    for mail in mails.iter().rev() {
        let _ = writeln!(
            text,
            "  mail      {:<9} {} {}",
            mail.status, mail.subject, mail.message_id
        );
    }
    text
}
