//! SQL of the webhook service.

use base_domains::OrderStatus;
use secrecy::{ExposeSecret as _, SecretString};
use service_runtime::database::{Database, DatabaseError, Dialect, Tx};
use service_runtime::jobs;
use sqlx::any::AnyRow;
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use crate::job::kind;

/// The service's tables.
pub static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

const COLUMNS: &str = "id, url, secret, states, state, reason, created_at";

/// Who is told of what. URL and secret are not in `Debug`.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Its id.
    pub id: Uuid,
    /// Where notifications go; empty once it is deleted.
    pub url: SecretString,
    /// What they are signed with; empty once it is deleted.
    pub secret: SecretString,
    /// Which states of an order it is told of.
    pub states: Vec<OrderStatus>,
    /// Whether it is told at all.
    pub state: WebhookState,
    /// Why it is disabled.
    pub reason: Option<String>,
    /// When it was registered, in epoch milliseconds by the clock of the database.
    pub created_at: i64,
}

/// Whether a webhook is told of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookState {
    /// It is.
    Enabled,
    /// Its receiver said that it is gone.
    Disabled,
    /// It does not exist any more.
    Deleted,
}

/// A webhook to register.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    /// See [`Webhook::id`].
    pub id: Uuid,
    /// See [`Webhook::url`].
    pub url: SecretString,
    /// See [`Webhook::secret`].
    pub secret: SecretString,
    /// See [`Webhook::states`].
    pub states: Vec<OrderStatus>,
}

impl WebhookState {
    const ALL: [Self; 3] = [Self::Enabled, Self::Disabled, Self::Deleted];

    /// Its name in the database and for clients.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
        }
    }
}

/// Registers a webhook, unless there are `limit` already. `false`: there are.
///
/// # Errors
/// Of the database.
pub async fn register(
    database: &Database,
    new: &NewWebhook,
    limit: i64,
) -> Result<bool, DatabaseError> {
    let mut tx = database.begin().await?;
    if database.dialect() == Dialect::Postgres {
        // Two at a time would not see each other. Readers go on.
        sqlx::query("LOCK TABLE webhooks IN EXCLUSIVE MODE")
            .execute(&mut *tx)
            .await?;
    }
    let insert = format!(
        "INSERT INTO webhooks ({COLUMNS}) \
         SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT), 'enabled', '', {now} \
         WHERE (SELECT COUNT(*) FROM webhooks WHERE state <> 'deleted') < $5",
        now = database.dialect().now_ms()
    );
    let states: Vec<&str> = new.states.iter().map(|status| status.as_str()).collect();
    let done = sqlx::query(AssertSqlSafe(insert))
        .bind(new.id.to_string())
        .bind(new.url.expose_secret())
        .bind(new.secret.expose_secret())
        .bind(states.join(","))
        .bind(limit)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(done.rows_affected() == 1)
}

/// All webhooks that exist, in the order of their registration.
///
/// # Errors
/// Of the database.
pub async fn list(database: &Database) -> Result<Vec<Webhook>, DatabaseError> {
    let select = format!("SELECT {COLUMNS} FROM webhooks WHERE state <> 'deleted' ORDER BY id");
    let rows = sqlx::query(AssertSqlSafe(select))
        .fetch_all(database.pool())
        .await?;
    rows.iter().map(webhook).collect()
}

/// One webhook, also a deleted one.
///
/// # Errors
/// Of the database.
pub async fn find(database: &Database, id: Uuid) -> Result<Option<Webhook>, DatabaseError> {
    let select = format!("SELECT {COLUMNS} FROM webhooks WHERE id = $1");
    let row = sqlx::query(AssertSqlSafe(select))
        .bind(id.to_string())
        .fetch_optional(database.pool())
        .await?;
    row.as_ref().map(webhook).transpose()
}

/// Which states each enabled webhook is told of.
///
/// # Errors
/// Of the database.
pub async fn enabled(tx: &mut Tx) -> Result<Vec<(Uuid, Vec<OrderStatus>)>, DatabaseError> {
    let rows = sqlx::query("SELECT id, states FROM webhooks WHERE state = 'enabled' ORDER BY id")
        .fetch_all(&mut **tx)
        .await?;
    rows.iter()
        .map(|row| Ok((id(row)?, states(row, 1)?)))
        .collect()
}

/// The webhooks that need a worker: those that exist, and deleted ones as long as anything of them is
/// open, which their worker then skips.
///
/// # Errors
/// Of the database.
pub async fn to_work_for(database: &Database) -> Result<Vec<Uuid>, DatabaseError> {
    let select = format!(
        "SELECT id FROM webhooks WHERE state <> 'deleted' OR EXISTS (SELECT 1 FROM jobs \
         WHERE kind = '{prefix}' || webhooks.id AND jobs.state IN ('due', 'leased')) ORDER BY id",
        prefix = crate::job::KIND_PREFIX
    );
    let rows = sqlx::query(AssertSqlSafe(select))
        .fetch_all(database.pool())
        .await?;
    rows.iter().map(id).collect()
}

/// Deletes a webhook with its URL and its secret; its deliveries that wait are skipped. `false`: there is
/// none.
///
/// # Errors
/// Of the database.
pub async fn delete(database: &Database, id: Uuid) -> Result<bool, DatabaseError> {
    let mut tx = database.begin().await?;
    let update = "UPDATE webhooks SET state = 'deleted', url = '', secret = '', reason = '' \
                  WHERE id = $1 AND state <> 'deleted'";
    let done = sqlx::query(update)
        .bind(id.to_string())
        .execute(&mut *tx)
        .await?;
    let reason = "the webhook was deleted";
    jobs::skip_due(&mut tx, database.dialect(), &kind(id), reason).await?;
    tx.commit().await?;
    Ok(done.rows_affected() == 1)
}

/// Disables a webhook; its deliveries that wait are skipped.
///
/// # Errors
/// Of the database.
pub async fn disable(
    tx: &mut Tx,
    dialect: Dialect,
    id: Uuid,
    reason: &str,
) -> Result<(), DatabaseError> {
    let update = "UPDATE webhooks SET state = 'disabled', reason = $1 \
                  WHERE id = $2 AND state = 'enabled'";
    sqlx::query(update)
        .bind(reason)
        .bind(id.to_string())
        .execute(&mut **tx)
        .await?;
    jobs::skip_due(tx, dialect, &kind(id), "the webhook was disabled").await?;
    Ok(())
}

/// Enables a webhook, if it is not. `false`: there is none.
///
/// # Errors
/// Of the database.
pub async fn enable(database: &Database, id: Uuid) -> Result<bool, DatabaseError> {
    let mut tx = database.begin().await?;
    let update = "UPDATE webhooks SET state = 'enabled', reason = '' \
                  WHERE id = $1 AND state <> 'deleted'";
    let done = sqlx::query(update)
        .bind(id.to_string())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(done.rows_affected() == 1)
}

fn webhook(row: &AnyRow) -> Result<Webhook, DatabaseError> {
    let (url, secret): (String, String) = (row.try_get(1)?, row.try_get(2)?);
    let (state, reason): (String, String) = (row.try_get(4)?, row.try_get(5)?);
    let named = |known: &WebhookState| known.as_str() == state;
    let state = WebhookState::ALL.into_iter().find(named);
    Ok(Webhook {
        id: id(row)?,
        url: url.into(),
        secret: secret.into(),
        states: states(row, 3)?,
        state: state.ok_or_else(|| unreadable(UnknownState))?,
        reason: (!reason.is_empty()).then_some(reason),
        created_at: row.try_get(6)?,
    })
}

fn id(row: &AnyRow) -> Result<Uuid, DatabaseError> {
    let id: String = row.try_get(0)?;
    Uuid::try_parse(&id).map_err(unreadable)
}

fn states(row: &AnyRow, column: usize) -> Result<Vec<OrderStatus>, DatabaseError> {
    let states: String = row.try_get(column)?;
    let states = states.split(',').map(str::parse);
    states.collect::<Result<_, _>>().map_err(unreadable)
}

#[derive(Debug, thiserror::Error)]
#[error("not the state of a webhook")]
struct UnknownState;

/// A stored text that this program did not write.
fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> DatabaseError {
    sqlx::Error::Decode(Box::new(error)).into()
}
