//! The PostgreSQL server of the tests, and a schema on it for each test.

use std::env;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use uuid::Uuid;

/// A server, as long as the tests of one target run.
#[derive(Debug)]
pub(crate) struct Server {
    url: String,
}

impl Server {
    /// The one that `TEST_POSTGRES` names, which then has to answer: nothing else takes its place.
    /// This is where another way to a server belongs.
    ///
    /// # Errors
    /// What to do to have one.
    pub(crate) fn find() -> Result<Self, String> {
        match env::var("TEST_POSTGRES") {
            Ok(url) if !url.is_empty() => Ok(Self { url }),
            _ => Err(
                "no PostgreSQL server: TEST_POSTGRES=postgres://user:password@host/database \
                      names one"
                    .to_owned(),
            ),
        }
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
