//! Migrations of the runtime and of the service, merged into one sequence.

use std::{collections::BTreeMap, time::Duration};

use sqlx::{AssertSqlSafe, Executor, migrate::Migration, migrate::Migrator};

use super::{Database, DatabaseError, Dialect};

/// The runtime's own tables.
static RUNTIME: Migrator = sqlx::migrate!("./migrations");

/// Versions below belong to the runtime, the others to the service.
const FIRST_SERVICE_VERSION: i64 = 1000;

/// Applies what is missing; see [`Database::migrate`].
pub(super) async fn run(
    database: &Database,
    services: &[&'static Migrator],
    lock_timeout: Duration,
) -> Result<(), DatabaseError> {
    let migrator = merge(services)?;
    match database.dialect() {
        Dialect::Sqlite => run_sqlite(database, &migrator).await,
        Dialect::Postgres => run_postgres(database, &migrator, lock_timeout).await,
    }
}

/// sqlx has no lock for SQLite: the write transaction around the whole run is the lock, in which
/// each migration is a savepoint.
async fn run_sqlite(database: &Database, migrator: &Migrator) -> Result<(), DatabaseError> {
    let mut tx = database.begin().await?;
    migrator.run_direct(None, &mut *tx, false).await?;
    tx.commit().await
}

/// Under sqlx's advisory lock of the session. The connection leaves the pool: after an error it
/// still holds that lock, and a migration may take longer than a statement otherwise may.
async fn run_postgres(
    database: &Database,
    migrator: &Migrator,
    lock_timeout: Duration,
) -> Result<(), DatabaseError> {
    let mut connection = database.pool().acquire().await?.detach();
    let limits = format!(
        "SET statement_timeout = 0; SET lock_timeout = {}",
        lock_timeout.as_millis()
    );
    connection.execute(AssertSqlSafe(limits)).await?;
    migrator.run_direct(None, &mut connection, false).await?;
    sqlx::Connection::close(connection).await?;
    Ok(())
}

/// One migrator out of all, or what is wrong with them.
fn merge(services: &[&Migrator]) -> Result<Migrator, DatabaseError> {
    let mut merged = BTreeMap::new();
    for migration in RUNTIME.iter() {
        if migration.version >= FIRST_SERVICE_VERSION {
            return Err(invalid(migration, "of the runtime is not below 1000"));
        }
        insert(&mut merged, migration)?;
    }
    for migration in services.iter().flat_map(|migrator| migrator.iter()) {
        if migration.version < FIRST_SERVICE_VERSION {
            return Err(invalid(migration, "of a service is below 1000"));
        }
        insert(&mut merged, migration)?;
    }
    Ok(Migrator::with_migrations(merged.into_values().collect()))
}

fn insert(
    merged: &mut BTreeMap<i64, Migration>,
    migration: &Migration,
) -> Result<(), DatabaseError> {
    if migration.no_tx {
        return Err(invalid(migration, "must run in a transaction"));
    }
    match merged.insert(migration.version, migration.clone()) {
        None => Ok(()),
        Some(_) => Err(invalid(migration, "is there twice")),
    }
}

fn invalid(migration: &Migration, problem: &'static str) -> DatabaseError {
    DatabaseError::Migrations {
        version: migration.version,
        problem,
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{SqlSafeStr, migrate::MigrationType};

    use super::*;

    fn migrator(versions: &[i64]) -> Migrator {
        let migration = |version: &i64| {
            let sql = "SELECT 1".into_sql_str();
            Migration::new(*version, "test".into(), MigrationType::Simple, sql, false)
        };
        Migrator::with_migrations(versions.iter().map(migration).collect())
    }

    #[test]
    fn migrations_are_ordered_by_version() {
        let (one, two) = (migrator(&[2000, 1001]), migrator(&[1000]));
        let merged = merge(&[&one, &two]).unwrap();
        let versions: Vec<i64> = merged.iter().map(|migration| migration.version).collect();
        let mut sorted = versions.clone();
        sorted.sort_unstable();
        assert_eq!(versions, sorted);
        assert!(versions.ends_with(&[1000, 1001, 2000]));
        assert_eq!(versions.len(), RUNTIME.iter().count() + 3);
    }

    #[test]
    fn a_service_may_not_use_the_versions_of_the_runtime() {
        let error = merge(&[&migrator(&[999])]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "migration 999 of a service is below 1000"
        );
    }

    #[test]
    fn a_version_may_be_there_only_once() {
        let (one, two) = (migrator(&[1000]), migrator(&[1000]));
        let error = merge(&[&one, &two]).unwrap_err();
        assert_eq!(error.to_string(), "migration 1000 is there twice");
    }
}
