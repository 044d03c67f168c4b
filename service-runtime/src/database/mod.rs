//! The service's own database: SQLite by default, PostgreSQL by URL, one SQL text for both.
//!
//! Contract:
//! - SQL is written with `$n` placeholders and the column types TEXT, BIGINT and BLOB/BYTEA only
//!   (times are epoch milliseconds, flags are BIGINT 0/1): that is what sqlx's `Any` driver maps on
//!   both. Where the dialects differ, [`Dialect`] has the words.
//! - Writes go through [`Database::begin`]: on SQLite it takes the write lock at once
//!   (`BEGIN IMMEDIATE`) and writers of this process queue in order; on PostgreSQL rows are locked
//!   with [`Dialect::for_update`]. Reads may use [`Database::pool`].
//! - A commit that returned is durable: SQLite runs WAL with `synchronous=FULL`. A commit that
//!   failed is *unknown*: read again before acting on it.
//! - [`DatabaseError::class`] decides what a caller does: again, wait, or report a bug.

mod config;
mod dialect;
mod error;
mod handle;
mod migrations;
pub mod sql;
mod tx;

pub use config::DatabaseConfig;
pub use dialect::Dialect;
pub use error::{DatabaseError, ErrorClass};
pub use handle::{Database, within};
pub use tx::Tx;
