//! An empty database per test, which is gone afterwards.

use libtest_mimic::Failed;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::postgres::{Schema, Server};

/// The databases that the services run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file in a folder of its own.
    Sqlite,
    /// A schema of its own on the server.
    Postgres,
}

impl Kind {
    /// Every database.
    pub const ALL: &'static [Self] = &[Self::Sqlite, Self::Postgres];

    /// As the name of a test ends, and a URL begins.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// An empty database that exists for one test.
#[derive(Debug, Clone)]
pub struct TestDatabase {
    kind: Kind,
    url: String,
}

impl TestDatabase {
    /// Which database it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it is, as a service is configured.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Keeps a database until it is dropped, on a thread that runs nothing asynchronous.
pub(crate) struct Fresh<'a> {
    database: TestDatabase,
    schema: Option<(&'a Server, Schema)>,
    _folder: Option<TempDir>,
}

impl<'a> Fresh<'a> {
    pub(crate) fn sqlite() -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        // The database makes the folder; a space in a path is common on some systems.
        let file = folder.path().join("a folder").join("test.db");
        Ok(Self {
            database: TestDatabase {
                kind: Kind::Sqlite,
                url: format!("sqlite://{}", file.display()),
            },
            schema: None,
            _folder: Some(folder),
        })
    }

    pub(crate) fn on(server: &'a Server) -> Result<Self, Failed> {
        let schema = runtime(0)?.block_on(server.create_schema())?;
        Ok(Self {
            database: TestDatabase {
                kind: Kind::Postgres,
                url: server.url_of(&schema),
            },
            schema: Some((server, schema)),
            _folder: None,
        })
    }

    pub(crate) fn database(&self) -> TestDatabase {
        self.database.clone()
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        let Some((server, schema)) = &self.schema else {
            return;
        };
        let removed = runtime(0)
            .map_err(|error| error.to_string())
            .and_then(|runtime| {
                let dropping = runtime.block_on(server.drop_schema(schema));
                dropping.map_err(|error| error.to_string())
            });
        if let Err(error) = removed {
            eprintln!("the schema of a test was not removed: {error}");
        }
    }
}

/// A runtime with so many worker threads; 0 runs everything on the calling thread.
pub(crate) fn runtime(threads: usize) -> std::io::Result<Runtime> {
    let mut builder = match threads {
        0 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if threads > 0 {
        builder.worker_threads(threads);
    }
    builder.enable_all().build()
}
