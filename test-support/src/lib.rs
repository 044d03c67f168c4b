//! A harness for tests that run on every database from one source.
//!
//! A test is an `async fn` with a [`TestDatabase`], an empty database of its own, and one line in
//! its module's list. It is run, counted and named once per database:
//!
//! ```text
//! test jobs::a_job_is_inserted_once [sqlite]   ... ok
//! test jobs::a_job_is_inserted_once [postgres] ... ignored
//! ```
//!
//! libtest cannot say at run time that a test did not run, and a test that only returns would
//! count as passed. Hence a target of its own, `tests/databases/` with `harness = false`, whose
//! `main.rs` is [`main!`]:
//!
//! ```
//! mod jobs {
//!     use test_support::{Kind, Test, TestDatabase, test};
//!
//!     pub(crate) fn tests() -> Vec<Test> {
//!         vec![
//!             test!(its_url_names_it),
//!             test!(a_plain_test_has_no_database, no database),
//!             test!(only_sqlite_is_a_file).only(Kind::Sqlite).threads(2),
//!         ]
//!     }
//!
//!     async fn its_url_names_it(database: TestDatabase) {
//!         assert!(database.url().starts_with(database.kind().name()));
//!     }
//!
//!     async fn a_plain_test_has_no_database() {}
//!
//!     async fn only_sqlite_is_a_file(database: TestDatabase) {
//!         assert!(database.url().ends_with(".db"));
//!     }
//! }
//! # let tests = jobs::tests();
//! # assert_eq!(tests.len(), 3);
//! ```
//!
//! A function that is in no list is a warning of the compiler, which CI refuses.

pub mod containers;
mod database;
mod harness;
mod open_files;
mod postgres;
mod proxy;
mod unit;

pub use database::{Kind, TestDatabase};
pub use harness::{Running, Test, run};
pub use open_files::allowed_sockets;
pub use proxy::{Direction, Fault, Proxy};
pub use unit::{on_every_database, on_postgres};

/// Registers an `async fn(TestDatabase)`, or with `no database` an `async fn()`.
#[macro_export]
macro_rules! test {
    ($name:ident) => {
        $crate::Test::new(
            concat!(module_path!(), "::", stringify!($name)),
            |database| Box::pin($name(database)),
        )
    };
    ($name:ident, no database) => {
        $crate::Test::without_database(concat!(module_path!(), "::", stringify!($name)), || {
            Box::pin($name())
        })
    };
}

/// The `main` of a target `tests/databases/`: runs what the function `tests` of each module lists.
#[macro_export]
macro_rules! main {
    ($($module:ident),+ $(,)?) => {
        fn main() -> std::process::ExitCode {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/", env!("CARGO_CRATE_NAME"));
            $crate::run(folder, [$($module::tests()),+].concat())
        }
    };
}
