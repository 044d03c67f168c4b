//! The services' databases, read after the fact.

use std::collections::BTreeMap;
use std::path::Path;

use service_runtime::database::{Database, DatabaseConfig};
use sqlx::Row;

/// Folded status of every order in the database `file` of a service, by order id.
///
/// # Panics
/// The database cannot be read.
pub async fn statuses(file: &Path) -> BTreeMap<String, String> {
    let rows = rows(file, "SELECT order_id, status FROM participant_orders").await;
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// State of every reservation in the stock service's database, by order id.
///
/// # Panics
/// The database cannot be read.
pub async fn reservations(file: &Path) -> BTreeMap<String, String> {
    let rows = rows(file, "SELECT order_id, state FROM reservations").await;
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

async fn rows(file: &Path, select: &'static str) -> Vec<sqlx::any::AnyRow> {
    let url = format!("sqlite://{}", file.display());
    let database = Database::open(&DatabaseConfig::new(url)).unwrap();
    let rows = sqlx::query(select)
        .fetch_all(database.pool())
        .await
        .unwrap();
    database.close().await;
    rows
}
