//! `--once`: three orders, what became of each, and whether that is right.

mod history;
mod report;

use std::path::Path;
use std::time::Duration;

use base_domains::OrderId;
use service_runtime::kafka::{ReadError, read_all};

use crate::client::{Client, Mail, State};
use crate::system::System;
use history::{Entry, history_of};

pub use crate::client::ClientError;

/// How long an order may take to its end, and its mails to be written.
const WITHIN: Duration = Duration::from_secs(20);

/// What is ordered, and what has to come of it.
struct Case {
    title: &'static str,
    product: &'static str,
    qty: i64,
    history: &'static [&'static str],
    reason: Option<&'static str>,
    mails: &'static [&'static str],
}

/// `sold out book` and `book order` are in the built-in catalogue, the last is not.
const CASES: [Case; 3] = [
    Case {
        title: "an order that is reserved",
        product: "book order",
        qty: 5,
        history: &["PENDING", "RESERVED"],
        reason: None,
        mails: &["PENDING"],
    },
    Case {
        title: "an order of a product that is out of stock",
        product: "sold out book",
        qty: 1,
        history: &["PENDING", "REJECTED"],
        reason: Some("out_of_stock"),
        mails: &["PENDING", "REJECTED"],
    },
    Case {
        title: "an order of a product that nobody knows",
        product: "book of sand",
        qty: 1,
        history: &["PENDING", "REJECTED"],
        reason: Some("unknown_product"),
        mails: &["PENDING", "REJECTED"],
    },
];

/// Why the run is no success.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    /// A service did not answer as it should.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The mails cannot be looked at.
    #[error("the mail folder cannot be read")]
    Folder(#[source] std::io::Error),
    /// Something is not as it has to be.
    #[error("{title}: {what} is {found}, not {expected}")]
    Wrong {
        /// Which order.
        title: &'static str,
        /// What was looked at.
        what: &'static str,
        /// What it is.
        found: String,
        /// What it has to be.
        expected: String,
    },
}

/// Places the orders over HTTP, prints what became of them, and verifies it.
///
/// # Errors
/// The first thing that is not as it has to be.
pub async fn run(system: &System) -> Result<(), OnceError> {
    let client = Client::new(system.urls().clone());
    let available_before = client.available("book order").await?;
    for case in &CASES {
        one(system, &client, case).await?;
    }
    let available = client.available("book order").await?;
    equal(
        CASES[0].title,
        "the stock that is left",
        available,
        available_before - CASES[0].qty,
    )?;
    println!("Stock of `book order`: {available_before} before, {available} now.");
    if let Some(folder) = system.mail_folder() {
        println!(
            "Mail was written to {}, which is removed now.",
            folder.display()
        );
    }
    println!("All three orders came to the right end.");
    Ok(())
}

async fn one(system: &System, client: &Client, case: &Case) -> Result<(), OnceError> {
    let placed = client.place(case.product, case.qty).await?;
    let state = client.follow(&placed, WITHIN).await?;
    // Of another end there are other mails, which nobody should wait for.
    let last = case.history.last().copied();
    equal(case.title, "the state", Some(state.status.as_str()), last)?;
    let mails = client.mails(&placed, case.mails.len(), WITHIN).await?;
    let history = log_of(system, placed.order_id).await?;
    println!(
        "{}",
        report::text(case, &placed, state.reason.as_deref(), &history, &mails)
    );
    verify(case, &state, &history, &mails)?;
    match system.mail_folder() {
        Some(folder) => verify_files(case, &folder, &mails),
        None => Ok(()),
    }
}

/// Every mail that is said to be sent is a file with its Message-ID.
fn verify_files(case: &Case, folder: &Path, mails: &[Mail]) -> Result<(), OnceError> {
    let texts: Vec<String> = std::fs::read_dir(folder)
        .and_then(|entries| {
            entries
                .map(|entry| std::fs::read_to_string(entry?.path()))
                .collect()
        })
        .map_err(OnceError::Folder)?;
    for mail in mails {
        let header = format!("Message-ID: {}", mail.message_id);
        let files = texts.iter().filter(|text| text.contains(&header)).count();
        equal(case.title, "the number of files of a mail", files, 1)?;
    }
    Ok(())
}

async fn log_of(system: &System, order_id: OrderId) -> Result<Vec<Entry>, OnceError> {
    let kafka = system.kafka();
    let records = read_all(&kafka, &kafka.topic, WITHIN).await?;
    Ok(history_of(order_id, &records, kafka.partitions))
}

fn verify(case: &Case, state: &State, history: &[Entry], mails: &[Mail]) -> Result<(), OnceError> {
    let events: Vec<&str> = history.iter().map(|entry| entry.status.as_str()).collect();
    equal(case.title, "the history", events, case.history.to_vec())?;
    equal(
        case.title,
        "the reason",
        state.reason.as_deref(),
        case.reason,
    )?;
    let mut mailed: Vec<&str> = mails.iter().map(|mail| mail.status.as_str()).collect();
    mailed.sort_unstable();
    equal(case.title, "the list of mails", mailed, case.mails.to_vec())?;
    for mail in mails {
        equal(
            case.title,
            "the state of a mail",
            mail.state.as_str(),
            "sent",
        )?;
    }
    Ok(())
}

fn equal<T: PartialEq + std::fmt::Debug>(
    title: &'static str,
    what: &'static str,
    found: T,
    expected: T,
) -> Result<(), OnceError> {
    if found == expected {
        return Ok(());
    }
    Err(OnceError::Wrong {
        title,
        what,
        found: format!("{found:?}"),
        expected: format!("{expected:?}"),
    })
}
