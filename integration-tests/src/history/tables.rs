//! Reads the rows of a [`Databases`]. Nothing but SELECT: the services may still run.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::{
    Adjustment, Databases, GatewayEntry, Job, OrderRow, OwnRow, Participant, Payment, Reservation,
    StockRow, View, ViewStep,
};
use crate::database;
use crate::system::{SERVICES, System};

/// Service, participant, and the name in whose group it reads.
const PARTICIPANTS: [(&str, &str, &str); 7] = [
    ("order", "orders", "order"),
    ("order", "orders-view", "orders-view"),
    ("stock", "stock", "stock"),
    ("email", "email", "email"),
    ("payment", "payment", "payment"),
    ("shipping", "shipping", "shipping"),
    ("webhook", "webhook", "webhook"),
];

const ORDERS: &str = "SELECT participant, order_id, status, state_rank, outcome_rank, failure \
                      FROM participant_orders";
const POSITIONS: &str = "SELECT participant, partition_id, next_offset FROM participant_positions";
const VIEWS: &str = "SELECT order_id, status, reason FROM order_views \
                     WHERE generation = (SELECT generation FROM read_model)";
const STEPS: &str = "SELECT order_id, status, partition_id, record_offset FROM order_history \
                     WHERE generation = (SELECT generation FROM read_model)";
const JOBS: &str = "SELECT job_id, state, attempts FROM jobs";
const ADJUSTMENTS: &str = "SELECT product, delta, created_at FROM stock_adjustments";

/// The rows of all services of `system`.
///
/// # Errors
/// Why a database cannot be read now.
pub(super) async fn read(system: &System) -> Result<Databases, String> {
    let mut all = Databases::default();
    for service in SERVICES {
        let mut connection = database::connect(&system.database(service)).await?;
        let database = &mut connection;
        participants(system, service, database, &mut all).await?;
        match service {
            "order" => order(database, &mut all).await?,
            "stock" => stock(database, &mut all).await?,
            "payment" => payment(database, &mut all).await?,
            "shipping" => {
                let select = "SELECT order_id, state FROM shipments";
                all.shipments = rows(database, select, own_row).await?;
            }
            _ => {}
        }
        let jobs = rows(database, JOBS, |row| Job {
            service: service.to_owned(),
            id: row.get(0),
            state: row.get(1),
            attempts: row.get(2),
        });
        all.jobs.extend(jobs.await?);
    }
    Ok(all)
}

pub(super) async fn rows<T>(
    database: &mut AnyConnection,
    select: &'static str,
    read: impl Fn(&AnyRow) -> T,
) -> Result<Vec<T>, String> {
    let rows = sqlx::query(select).fetch_all(database).await;
    let rows = rows.map_err(|error| error.to_string())?;
    Ok(rows.iter().map(read).collect())
}

fn own_row(row: &AnyRow) -> OwnRow {
    OwnRow {
        order_id: row.get(0),
        state: row.get(1),
    }
}

fn partition(row: &AnyRow, column: usize) -> i32 {
    let partition: i64 = row.get(column);
    partition.try_into().unwrap()
}

async fn participants(
    system: &System,
    service: &str,
    database: &mut AnyConnection,
    all: &mut Databases,
) -> Result<(), String> {
    let orders = rows(database, ORDERS, |row| {
        let order = OrderRow {
            order_id: row.get(1),
            status: row.get(2),
            rank: row.get(3),
            outcome_rank: row.get(4),
            failed: row.get::<i64, _>(5) != 0,
        };
        (row.get::<String, _>(0), order)
    });
    let orders = orders.await?;
    let positions = rows(database, POSITIONS, |row| {
        (row.get::<String, _>(0), (partition(row, 1), row.get(2)))
    });
    let positions = positions.await?;
    for (_, name, group) in PARTICIPANTS.iter().filter(|(of, ..)| *of == service) {
        let own = orders.iter().filter(|(participant, _)| participant == name);
        let at = positions
            .iter()
            .filter(|(participant, _)| participant == name);
        all.participants.push(Participant {
            service: service.to_owned(),
            name: (*name).to_owned(),
            group: system.group(group),
            orders: own.map(|(_, row)| row.clone()).collect(),
            positions: at.map(|(_, position)| *position).collect(),
        });
    }
    Ok(())
}

async fn order(database: &mut AnyConnection, all: &mut Databases) -> Result<(), String> {
    let select = "SELECT order_id, state FROM command_orders";
    all.commands = rows(database, select, own_row).await?;
    all.views = rows(database, VIEWS, |row| View {
        order_id: row.get(0),
        status: row.get(1),
        reason: row.get(2),
    })
    .await?;
    all.steps = rows(database, STEPS, |row| ViewStep {
        order_id: row.get(0),
        status: row.get(1),
        place: (partition(row, 2), row.get(3)),
    })
    .await?;
    Ok(())
}

async fn stock(database: &mut AnyConnection, all: &mut Databases) -> Result<(), String> {
    let select = "SELECT product, available, reserved, shipped FROM stock";
    all.stock = rows(database, select, |row| StockRow {
        product: row.get(0),
        available: row.get(1),
        reserved: row.get(2),
        shipped: row.get(3),
    })
    .await?;
    all.adjustments = rows(database, ADJUSTMENTS, |row| Adjustment {
        product: row.get(0),
        delta: row.get(1),
        at: row.get(2),
    })
    .await?;
    let select = "SELECT order_id, state, lines FROM reservations";
    all.reservations = rows(database, select, |row| {
        let lines: BTreeMap<String, i64> = serde_json::from_str(row.get(2)).unwrap();
        Reservation {
            order_id: row.get(0),
            state: row.get(1),
            lines,
        }
    })
    .await?;
    Ok(())
}

async fn payment(database: &mut AnyConnection, all: &mut Databases) -> Result<(), String> {
    let select = "SELECT order_id, state, amount_minor FROM payments";
    all.payments = rows(database, select, |row| Payment {
        order_id: row.get(0),
        state: row.get(1),
        amount: row.get(2),
    })
    .await?;
    let select = "SELECT order_id, operation, amount_minor, answer FROM sandbox_ledger";
    all.gateway = rows(database, select, |row| GatewayEntry {
        order_id: row.get(0),
        operation: row.get(1),
        amount: row.get(2),
        answer: row.get(3),
    })
    .await?;
    Ok(())
}
