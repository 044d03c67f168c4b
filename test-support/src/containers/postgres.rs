//! One PostgreSQL server.

use testcontainers_modules::postgres::Postgres;
use testcontainers_modules::testcontainers::ImageExt;
use testcontainers_modules::testcontainers::core::Mount;

use super::Container;

const TAG: &str = "17-alpine";

/// PostgreSQL in a container, which keeps nothing on a disk.
#[derive(Debug)]
pub(crate) struct PostgresServer {
    pub(crate) url: String,
    _container: Container<Postgres>,
}

impl PostgresServer {
    pub(crate) fn start() -> Result<Self, String> {
        let request = Postgres::default()
            .with_tag(TAG)
            .with_mount(Mount::tmpfs_mount("/var/lib/postgresql/data"));
        let container = Container::start(request)?;
        let address = container.address(5432)?;
        Ok(Self {
            // The module's own user, password and database.
            url: format!("postgres://postgres:postgres@{address}/postgres"),
            _container: container,
        })
    }
}
