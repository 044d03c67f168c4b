//! `--once`: four orders, what became of each, and whether that is right.

mod case;
mod history;
mod report;
mod traces;

use std::path::Path;
use std::time::Duration;

use base_domains::OrderStatus;
use service_runtime::kafka::ReadError;

use crate::client::{Client, Mail, Placed};
use crate::system::System;
use case::{CASES, Case};
use traces::Traces;

pub use crate::client::ClientError;

/// How long an order may take to its end, and each service to follow.
const WITHIN: Duration = Duration::from_secs(20);

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
    for case in &CASES {
        one(system, &client, case).await?;
    }
    if let Some(folder) = system.mail_folder() {
        println!(
            "Mail was written to {}, which is removed now.",
            folder.display()
        );
    }
    println!("All four orders came to the right end.");
    Ok(())
}

async fn one(system: &System, client: &Client, case: &Case) -> Result<(), OnceError> {
    let before = client.stock(case.product).await?;
    let placed = client.place(case.product, case.qty, case.price).await?;
    let state = bring_to_its_end(client, case, &placed).await?;
    // Of another end there are other traces, which nobody should wait for.
    let last = case.history.last().copied();
    equal(case.title, "the state", Some(state.status), last)?;
    let reason = state.reason.as_deref();
    equal(case.title, "the reason", reason, case.reason)?;

    let traces = Traces::complete(system, client, case, &placed, &before).await?;
    println!("{}", report::text(case, &placed, reason, &traces));
    traces.verify(case)?;
    match system.mail_folder() {
        Some(folder) => verify_files(case, &folder, &traces.mails),
        None => Ok(()),
    }
}

async fn bring_to_its_end(
    client: &Client,
    case: &Case,
    placed: &Placed,
) -> Result<crate::client::State, OnceError> {
    if let Some(when) = case.cancelled_when {
        let state = client.follow(placed.order_id, when, WITHIN).await?;
        equal(case.title, "the state to cancel in", state.status, when)?;
        client.cancel(placed.order_id).await?;
    }
    let end = OrderStatus::Shipped;
    Ok(client.follow(placed.order_id, end, WITHIN).await?)
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
