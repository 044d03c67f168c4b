//! The PostgreSQL server of the tests, and a schema on it for each test.

use std::env;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use uuid::Uuid;

use crate::containers::PostgresServer;

/// A server, as long as the tests of one target run.
#[derive(Debug)]
pub(crate) struct Server {
    url: String,
    /// Removed with the server; none if it was given.
    _container: Option<PostgresServer>,
}

impl Server {
    /// The one that `TEST_POSTGRES` names, which then has to answer: nothing else takes its place.
    /// Without it, one in a container.
    ///
    /// # Errors
    /// What to do to have one.
    pub(crate) fn find() -> Result<Self, String> {
        if let Some(url) = env::var("TEST_POSTGRES").ok().filter(|url| !url.is_empty()) {
            return Ok(Self {
                url,
                _container: None,
            });
        }
        let container = PostgresServer::start().map_err(|error| {
            format!(
                "no PostgreSQL server: {error}, or name one by \
                 TEST_POSTGRES=postgres://user:password@host/database"
            )
        })?;
        Ok(Self {
            url: container.url().to_owned(),
            _container: Some(container),
        })
    }

    /// The URL of a new schema.
    pub(crate) async fn create_schema(&self) -> Result<Schema, sqlx::Error> {
        let name = format!("test_{}", Uuid::now_v7().simple());
        self.execute(format!("CREATE SCHEMA {name}")).await?;
        Ok(Schema { name })
    }

    pub(crate) async fn drop_schema(&self, schema: &Schema) -> Result<(), sqlx::Error> {
        let name = &schema.name;
        self.execute(format!("DROP SCHEMA {name} CASCADE")).await
    }

    /// The URL under which the schema is all there is.
    pub(crate) fn url_of(&self, schema: &Schema) -> String {
        let separator = if self.url.contains('?') { '&' } else { '?' };
        format!(
            "{}{separator}options[search_path]={}",
            self.url, schema.name
        )
    }

    async fn execute(&self, sql: String) -> Result<(), sqlx::Error> {
        let options: PgConnectOptions = self.url.parse()?;
        let mut connection: PgConnection = options.connect().await?;
        connection.execute(AssertSqlSafe(sql)).await?;
        connection.close().await
    }
}

/// A schema with a name that nobody else has.
#[derive(Debug)]
pub(crate) struct Schema {
    name: String,
}
