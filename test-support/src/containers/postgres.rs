//! One PostgreSQL server.

use testcontainers_modules::postgres::Postgres;
use testcontainers_modules::testcontainers::core::Mount;
use testcontainers_modules::testcontainers::{ContainerRequest, ImageExt};

use super::Container;

const TAG: &str = "17-alpine";
const PORT: u16 = 5432;
/// Without syncing, as the module has it by itself, and for many systems side by side: each of
/// their processes may open ten connections.
const SETTINGS: [&str; 4] = ["-c", "fsync=off", "-c", "max_connections=1000"];

/// PostgreSQL in a container.
#[derive(Debug)]
pub struct PostgresServer {
    url: String,
    pub(super) container: Container<Postgres>,
}

impl PostgresServer {
    /// Starts a server that keeps nothing on a disk, and waits until it is there. Works within a
    /// runtime, which it blocks.
    ///
    /// # Errors
    /// No engine answers, the image cannot be had, or the server does not start.
    pub fn start() -> Result<Self, String> {
        let on_tmpfs = Mount::tmpfs_mount("/var/lib/postgresql/data");
        Self::of(Container::start(request().with_mount(on_tmpfs))?)
    }

    /// As [`start`](Self::start), for a test that stops it: its address and its data stay.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_to_be_stopped() -> Result<Self, String> {
        Self::of(Container::start_on_fixed_ports(request, &[PORT])?)
    }

    fn of(container: Container<Postgres>) -> Result<Self, String> {
        let address = container.address(PORT)?;
        Ok(Self {
            // The module's own user, password and database.
            url: format!("postgres://postgres:postgres@{address}/postgres"),
            container,
        })
    }

    /// URL of its one database.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

fn request() -> ContainerRequest<Postgres> {
    Postgres::default().with_tag(TAG).with_cmd(SETTINGS)
}
