//! Stock that does not agree with the ledger or with the orders.

use integration_tests::history::{History, Invariant, Reservation, StockRow};

use crate::lives::id;
use crate::plant::Plant;
use crate::right::{HOLDER, REFUNDED, SHIPPED, STOPPED, STUCK, too_late};

fn reservation(history: &mut History, n: u128) -> &mut Reservation {
    let order_id = id(n).to_string();
    let mut all = history.databases.reservations.iter_mut();
    all.find(|reservation| reservation.order_id == order_id)
        .unwrap()
}

fn books(history: &mut History) -> &mut StockRow {
    &mut history.databases.stock[0]
}

pub(super) fn all() -> Vec<Plant> {
    [levels(), reservations()].into_iter().flatten().collect()
}

/// Levels that do not agree with the ledger.
fn levels() -> Vec<Plant> {
    vec![
        Plant {
            name: "a piece of stock is gone",
            breaks: Invariant::StockIsConserved,
            plant: |history| books(history).available -= 1,
        },
        Plant {
            name: "pieces were released twice",
            breaks: Invariant::StockIsConserved,
            plant: |history| (books(history).available, books(history).shipped) = (1050, 0),
        },
        Plant {
            name: "pieces came without an entry in the ledger",
            breaks: Invariant::StockIsConserved,
            plant: |history| history.stock[0].pieces += 1,
        },
        Plant {
            name: "a piece was missing for a moment",
            breaks: Invariant::StockIsConserved,
            plant: |history| history.observations[1].row.reserved -= 1,
        },
        Plant {
            name: "for a moment there was what there had been long before",
            breaks: Invariant::StockIsConserved,
            plant: |history| history.observations[4].row.available -= 50,
        },
        Plant {
            name: "for a moment there was what there should be later",
            breaks: Invariant::StockIsConserved,
            plant: |history| history.observations[0].row.available += 50,
        },
        Plant {
            name: "a product was seeded twice",
            breaks: Invariant::StockIsConserved,
            plant: |history| {
                let pens = history.databases.adjustments[1].clone();
                history.databases.stock[1].available += pens.delta;
                history.databases.adjustments.push(pens);
            },
        },
        Plant {
            name: "a product came from nowhere, with an entry in the ledger",
            breaks: Invariant::StockIsConserved,
            plant: |history| {
                let mut entry = history.databases.adjustments[3].clone();
                let mut row = history.databases.stock[3].clone();
                for product in [&mut entry.product, &mut row.product] {
                    "unicorn".clone_into(product);
                }
                history.databases.adjustments.push(entry);
                history.databases.stock.push(row);
            },
        },
        Plant {
            name: "stock was below zero for a moment",
            breaks: Invariant::StockIsNotNegative,
            plant: |history| {
                let row = &mut history.observations[0].row;
                (row.available, row.reserved) = (-1, 1001);
            },
        },
        Plant {
            name: "stock is below zero",
            breaks: Invariant::StockIsNotNegative,
            plant: |history| (books(history).available, books(history).shipped) = (-5, 1055),
        },
    ]
}

/// Orders that hold what is not theirs, or do not hold what is.
fn reservations() -> Vec<Plant> {
    vec![
        Plant {
            name: "the pieces of a cancelled order are still held",
            breaks: Invariant::ReservationIsTheLogs,
            plant: |history| {
                "held".clone_into(&mut reservation(history, REFUNDED).state);
                (books(history).available, books(history).reserved) = (1044, 1);
            },
        },
        Plant {
            name: "the pieces of an order that a poison ended are still held",
            breaks: Invariant::ReservationIsTheLogs,
            plant: |history| {
                "held".clone_into(&mut reservation(history, STOPPED).state);
                let chairs = &mut history.databases.stock[2];
                (chairs.available, chairs.reserved) = (7, 2);
            },
        },
        Plant {
            name: "an order that is stuck holds nothing",
            breaks: Invariant::ReservationIsTheLogs,
            plant: |history| {
                let order_id = id(STUCK).to_string();
                let reservations = &mut history.databases.reservations;
                reservations.retain(|one| one.order_id != order_id);
                let chairs = &mut history.databases.stock[2];
                (chairs.available, chairs.reserved) = (9, 0);
            },
        },
        Plant {
            name: "an order was rejected for want of pieces that it got",
            breaks: Invariant::ReservationIsTheLogs,
            plant: |history| {
                let mut released = reservation(history, HOLDER).clone();
                released.order_id = id(too_late()).to_string();
                history.databases.reservations.push(released);
            },
        },
        Plant {
            name: "a SHIPPED order took other pieces than it asked for",
            breaks: Invariant::ReservationIsTheLogs,
            plant: |history| {
                reservation(history, SHIPPED)
                    .lines
                    .insert("book".to_owned(), 4);
                (books(history).available, books(history).shipped) = (1046, 4);
            },
        },
        Plant {
            name: "somebody who is not in the log has a reservation",
            breaks: Invariant::ReservationIsTheLogs,
            plant: |history| {
                let mut stranger = reservation(history, REFUNDED).clone();
                stranger.order_id = id(97).to_string();
                history.databases.reservations.push(stranger);
            },
        },
    ]
}
