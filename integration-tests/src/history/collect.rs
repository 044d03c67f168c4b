//! Waits for a system to come to rest, and reads what it left. There is one meaning of rest: every process is ready,
//! and of what [`check`] looks at nothing is still to come.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use email_service::mail::Mail as Payload;
use sqlx::Row;
use stock_service::catalogue::Catalogue;

use super::{History, Invariant, Mail, Recorder, StockLevel, Violation, check, tables};
use crate::database;
use crate::mail;
use crate::system::{GROUPS, System};

/// A group may have to elect its members anew before it goes on, and a cluster its leaders before that.
pub const SETTLING: Duration = Duration::from_secs(180);

const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
/// After the time is over, to read what is there then: servers may just have started.
const LAST_LOOKS: Duration = Duration::from_secs(60);

/// A history, and whether the system had come to rest when it was read.
#[derive(Debug)]
pub struct Rest {
    /// Everything.
    pub history: History,
    /// How long that took.
    pub took: Duration,
    /// What was still to come, if something was.
    pub missing: Option<String>,
}

/// The history of `system`, with what `recorder` noted, once it is at rest; after [`SETTLING`] as it is then,
/// for [`check`] to say what is missing.
///
/// # Panics
/// The log or a database cannot be read by then.
pub async fn collect(system: &System, recorder: &Recorder) -> History {
    collect_within(system, recorder, SETTLING).await.history
}

/// The same with another patience, and with how it came to rest.
///
/// # Panics
/// As above.
pub async fn collect_within(system: &System, recorder: &Recorder, patience: Duration) -> Rest {
    let started = Instant::now();
    let mut missing = come(system, recorder, patience).await.err();
    let took = started.elapsed();
    // From here on nothing moves that was at rest: rows that are read one after the other belong together.
    let reading = Instant::now();
    loop {
        match whole(system, recorder.history()).await {
            Ok(history) => {
                missing = missing.or_else(|| still_to_come(&history, false));
                return Rest {
                    history,
                    took,
                    missing,
                };
            }
            Err(reason) if reading.elapsed() > LAST_LOOKS => panic!("{reason}"),
            Err(_) => tokio::time::sleep(BETWEEN_LOOKS).await,
        }
    }
}

/// Returns once the system is at rest.
async fn come(system: &System, recorder: &Recorder, patience: Duration) -> Result<(), String> {
    let started = Instant::now();
    loop {
        let missing = match look(system, recorder.history()).await {
            Ok(None) => return Ok(()),
            Ok(Some(missing)) | Err(missing) => missing,
        };
        if started.elapsed() > patience {
            return Err(missing);
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

/// What keeps the system from being at rest. The databases are only read when the log says that there may be nothing.
async fn look(system: &System, noted: History) -> Result<Option<String>, String> {
    for client in system.clients() {
        let answer = client.try_get("/health/ready").await;
        let answer = answer.map_err(|error| format!("no answer: {error}"))?;
        if answer.status != 200 {
            return Ok(Some(format!("not ready: {}", answer.text)));
        }
    }
    let log = of_the_log(system, noted).await?;
    if let Some(missing) = still_to_come(&log, true) {
        return Ok(Some(missing));
    }
    let history = with_rows(system, log).await?;
    Ok(still_to_come(&history, false))
}

/// What will change without anybody doing something.
fn still_to_come(history: &History, log_only: bool) -> Option<String> {
    use Invariant::{
        EveryOrderEnds, EverythingIsCommitted, JobIsDone, LogIsWhole, NothingIsPassedOver,
        OutcomeIsConfirmed,
    };
    let of_the_log = [EveryOrderEnds, EverythingIsCommitted, LogIsWhole];
    let of_rows = [JobIsDone, NothingIsPassedOver, OutcomeIsConfirmed];
    let moves = |violation: &Violation| match violation.invariant {
        // One that was given up stays so.
        JobIsDone => {
            violation.evidence.ends_with(" is due") || violation.evidence.ends_with(" is leased")
        }
        one => of_the_log.contains(&one) || (!log_only && of_rows.contains(&one)),
    };
    let found = check(history);
    let mut moving = found.iter().filter(|violation| moves(violation));
    let first = moving.next()?;
    Some(format!("{first}, and {} more", moving.count()))
}

/// Everything, with the ends of the log last: so nothing has more than the log, unless the system is not at rest.
async fn whole(system: &System, noted: History) -> Result<History, String> {
    let log = system.log.try_records().await?;
    let history = with_rows(system, History { log, ..noted }).await?;
    let mails = mails(system).await?;
    let mut dead_letters = BTreeMap::new();
    for service in GROUPS {
        let group = system.group(service);
        let letters = system.log.dead_letters(&group).await;
        dead_letters.insert(group, letters);
    }
    let offsets = of_the_log(system, History::default()).await?.offsets;
    Ok(History {
        partitions: system.log.partitions(),
        stock: stock(&history),
        mails,
        dead_letters,
        offsets,
        ..history
    })
}

/// The records and where everybody is in them.
async fn of_the_log(system: &System, noted: History) -> Result<History, String> {
    let log = system.log.try_records().await?;
    let mut offsets = BTreeMap::new();
    for service in GROUPS {
        let group = system.group(service);
        offsets.insert(group.clone(), system.log.lag(&group).await?);
    }
    Ok(History {
        partitions: system.log.partitions(),
        log,
        offsets,
        ..noted
    })
}

async fn with_rows(system: &System, history: History) -> Result<History, String> {
    let databases = tables::read(system).await?;
    Ok(History {
        databases,
        ..history
    })
}

/// The catalogue, but for what was set by hand.
fn stock(history: &History) -> Vec<StockLevel> {
    let set: BTreeSet<&str> = history.stock.iter().map(|level| &*level.product).collect();
    let catalogue = Catalogue::built_in().expect("the catalogue");
    let products = catalogue.products().iter();
    let seeded = products.filter(|(product, _)| !set.contains(product.as_str()));
    let seeded = seeded.map(|(product, pieces)| StockLevel {
        product: product.clone(),
        pieces: *pieces,
    });
    seeded.chain(history.stock.iter().cloned()).collect()
}

/// What arrived: in a folder everything, on a server what the mail jobs say that they sent.
async fn mails(system: &System) -> Result<Vec<Mail>, String> {
    let arrived = match &system.mail {
        mail::Mail::Folder(_) => system.mail.all().await,
        mail::Mail::Server { .. } => {
            let mut all = Vec::new();
            for message_id in message_ids(system).await? {
                all.extend(system.mail.arrived(&message_id).await);
            }
            all
        }
    };
    let mails = arrived.into_iter().map(|mail| Mail {
        message_id: mail.message_id,
        recipients: mail.recipients,
    });
    Ok(mails.collect())
}

async fn message_ids(system: &System) -> Result<Vec<String>, String> {
    let mut connection = database::connect(&system.database("email")).await?;
    let select = "SELECT payload FROM jobs WHERE kind = 'mail'";
    let ids = tables::rows(&mut connection, select, |row| {
        let mail: Payload = serde_json::from_str(row.get(0)).unwrap();
        mail.message_id.to_string()
    });
    ids.await
}
