//! What a test is given.

use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, Connection as _, Executor as _};
use test_support::{Kind, Test, TestDatabase, test};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_database_is_empty_for_one_test),
        test!(a_database_is_empty_for_another_test),
        test!(sqlite_is_a_file_that_is_not_there_yet).only(Kind::Sqlite),
        test!(a_test_can_have_threads).threads(2),
    ]
}

async fn create_table(database: &TestDatabase) {
    install_default_drivers();
    let create = match database.kind() {
        Kind::Sqlite => {
            let file = database.url().strip_prefix("sqlite://").unwrap();
            let folder = std::path::Path::new(file).parent().unwrap();
            std::fs::create_dir(folder).unwrap();
            "?mode=rwc"
        }
        Kind::Postgres => "",
    };
    let url = format!("{}{create}", database.url());
    let mut connection = AnyConnection::connect(&url).await.unwrap();
    let table = "CREATE TABLE of_this_test (a BIGINT)";
    connection.execute(table).await.unwrap();
    connection.close().await.unwrap();
}

async fn a_database_is_empty_for_one_test(database: TestDatabase) {
    create_table(&database).await;
}

async fn a_database_is_empty_for_another_test(database: TestDatabase) {
    create_table(&database).await;
}

async fn sqlite_is_a_file_that_is_not_there_yet(database: TestDatabase) {
    let file = database.url().strip_prefix("sqlite://").unwrap();
    assert!(!std::path::Path::new(file).exists());
}

async fn a_test_can_have_threads(_: TestDatabase) {
    let (sender, receiver) = std::sync::mpsc::channel();
    tokio::spawn(async move { sender.send(()).unwrap() });
    // Would block the only thread otherwise.
    receiver.recv().unwrap();
}
