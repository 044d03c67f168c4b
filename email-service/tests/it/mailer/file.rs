//! Mail as files.

use std::fs;

use base_domains::OrderStatus;
use email_service::mailer::{FileMailer, Mailer as _};

use crate::support::{ORDER, message, parsed::Parsed};

#[tokio::test]
async fn each_message_is_one_complete_file_however_often_it_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let mailer = FileMailer::new(folder.path().join("not/there/yet"));
    let paid = message(OrderStatus::Paid, "a@example.org");
    for _ in 0..3 {
        mailer.send(&paid).await.unwrap();
    }
    let shipped = message(OrderStatus::Shipped, "a@example.org");
    mailer.send(&shipped).await.unwrap();
    let entries = fs::read_dir(mailer.folder()).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let name = |status: &str| format!("{ORDER}.{status}.event-1.eml");
    assert_eq!(names, [name("paid"), name("shipped")]);
    let kept = fs::read(mailer.folder().join(name("paid"))).unwrap();
    assert_eq!(kept, paid.bytes());
    assert_eq!(Parsed::read(&kept).header("To"), "a@example.org");
}

#[tokio::test]
async fn the_same_message_may_be_written_by_many_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mailer = FileMailer::new(folder.path());
    let paid = message(OrderStatus::Paid, "a@example.org");
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (mailer, paid) = (mailer.clone(), paid.clone());
        writers.spawn(async move { mailer.send(&paid).await });
    }
    for result in writers.join_all().await {
        result.unwrap();
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_tried_again_later() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let mailer = FileMailer::new(file);
    let error = mailer
        .send(&message(OrderStatus::Paid, "a@example.org"))
        .await
        .unwrap_err();
    assert!(!error.is_permanent());
    assert!(error.to_string().starts_with("the mail cannot be written: "));
}
