//! Orders that were rejected or cancelled for no good reason.

use integration_tests::history::{History, Invariant};

use super::{record, records, rewrite, set_header};
use crate::lives::{STARTED, id};
use crate::plant::Plant;
use crate::right::{DECLINED, HOLDER, INVALID, NOT_SOLD, OVERDUE, REFUNDED, SOLD_OUT, too_late};

pub(super) fn all() -> Vec<Plant> {
    [reasons(), stock(), others()]
        .into_iter()
        .flatten()
        .collect()
}

fn reasons() -> Vec<Plant> {
    vec![
        Plant {
            name: "an order was rejected without a reason",
            breaks: Invariant::EndHasAReason,
            plant: |history| {
                let rejected = record(history, SOLD_OUT, "order.rejected");
                rewrite(rejected, ",\"reason\":\"out_of_stock\"", "");
            },
        },
        Plant {
            name: "stock-service rejected for a payment",
            breaks: Invariant::EndHasAReason,
            plant: |history| {
                let rejected = record(history, SOLD_OUT, "order.rejected");
                rewrite(rejected, "out_of_stock", "payment_declined");
            },
        },
        Plant {
            name: "an order was cancelled for want of pieces",
            breaks: Invariant::EndHasAReason,
            plant: |history| {
                let cancelled = record(history, REFUNDED, "order.cancelled");
                rewrite(cancelled, "cancelled_on_request", "out_of_stock");
            },
        },
        Plant {
            name: "payment-service rejected an order because it is late",
            breaks: Invariant::EndHasAReason,
            plant: |history| {
                let rejected = record(history, DECLINED, "order.rejected");
                rewrite(rejected, "payment_declined", "deadline");
            },
        },
    ]
}

fn stock() -> Vec<Plant> {
    vec![
        Plant {
            name: "an order was rejected for want of pieces that were there",
            breaks: Invariant::RejectionIsJustified,
            plant: |history| {
                for adjustment in &mut history.databases.adjustments {
                    if adjustment.product == "book" {
                        adjustment.delta += 5000;
                    }
                }
            },
        },
        Plant {
            name: "an order was rejected for a piece that nobody had before it",
            breaks: Invariant::RejectionIsJustified,
            plant: |history| {
                // Who got the lamp came after it.
                let (first, second) = (placed(history, HOLDER), placed(history, too_late()));
                arrange(history, [second, first]);
            },
        },
        Plant {
            name: "an order was rejected for a piece that was free again",
            breaks: Invariant::RejectionIsJustified,
            plant: |history| {
                let of = |history: &mut History, n, what| records(history, n, what)[0];
                let reserved = of(history, HOLDER, "order.reserved");
                let cancelled = of(history, HOLDER, "order.cancelled");
                let placed = of(history, too_late(), "order.pending");
                let rejected = of(history, too_late(), "order.rejected");
                arrange(history, [reserved, cancelled, placed, rejected]);
            },
        },
        Plant {
            name: "an order was rejected for a product that was there before it",
            breaks: Invariant::RejectionIsJustified,
            plant: |history| {
                let mut entry = history.databases.adjustments[1].clone();
                "unicorn".clone_into(&mut entry.product);
                history.databases.adjustments.push(entry);
            },
        },
        Plant {
            name: "an order was rejected as unknown, and its product is sold",
            breaks: Invariant::RejectionIsJustified,
            plant: |history| {
                let rejected = record(history, SOLD_OUT, "order.rejected");
                rewrite(rejected, "out_of_stock", "unknown_product");
            },
        },
        Plant {
            name: "an order of a product that is not sold was rejected for a rule",
            breaks: Invariant::RejectionIsJustified,
            plant: |history| {
                let rejected = record(history, NOT_SOLD, "order.rejected");
                rewrite(rejected, "unknown_product", "invalid_order");
            },
        },
    ]
}

fn others() -> Vec<Plant> {
    vec![
        Plant {
            name: "an order that keeps all rules was rejected for one",
            breaks: Invariant::RejectionIsJustified,
            plant: |history| {
                let pending = placed(history, INVALID);
                rewrite(&mut history.log[pending], "\"qty\":0", "\"qty\":7");
            },
        },
        Plant {
            name: "an order was rejected for a payment that nobody asked for",
            breaks: Invariant::RejectionIsJustified,
            plant: |history| {
                let order_id = id(DECLINED).to_string();
                let gateway = &mut history.databases.gateway;
                gateway.retain(|entry| entry.order_id != order_id);
            },
        },
        Plant {
            name: "the gateway declined what it charges",
            breaks: Invariant::RejectionIsJustified,
            plant: |history| {
                let mut entries = history.databases.gateway.iter_mut();
                let declined = entries.find(|entry| entry.answer == "declined");
                declined.unwrap().amount = 10_025;
            },
        },
        Plant {
            name: "an order was cancelled for its deadline before that",
            breaks: Invariant::DeadlineHasPassed,
            plant: |history| {
                let cancelled = record(history, OVERDUE, "order.cancelled");
                cancelled.timestamp = Some(STARTED + 59_000);
            },
        },
        Plant {
            name: "an order was cancelled for its deadline, which it lost to another end",
            breaks: Invariant::DeadlineHasPassed,
            plant: |history| {
                let late = record(history, crate::right::SHIPPED, "order.cancelled");
                rewrite(late, "cancelled_on_request", "deadline");
                set_header(late, "ce_id", "another");
            },
        },
    ]
}

/// Where the PENDING of an order is among the records.
fn placed(history: &mut History, n: u128) -> usize {
    let text = id(n).to_string();
    let is_it = |value: &[u8]| {
        let value = String::from_utf8_lossy(value);
        value.contains(&text) && value.contains("\"status\":\"PENDING\"")
    };
    let mut values = history.log.iter().map(|record| record.value.as_deref());
    values.position(|value| value.is_some_and(is_it)).unwrap()
}

/// Puts records of one partition in this order, in the places that they have together.
fn arrange<const N: usize>(history: &mut History, records: [usize; N]) {
    let mut offsets = records.map(|record| history.log[record].offset);
    offsets.sort_unstable();
    for (record, offset) in records.into_iter().zip(offsets) {
        history.log[record].offset = offset;
    }
}
