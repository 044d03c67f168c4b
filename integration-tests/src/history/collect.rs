//! Waits for a system to come to rest, and reads what it left.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use email_service::mail::Mail as Payload;
use sqlx::Row;

use super::{History, Invariant, Mail, Recorder, check, tables};
use crate::mail;
use crate::system::{SERVICES, System};

/// A group may have to elect its members anew before it goes on, and a cluster its leaders before that.
pub const SETTLING: Duration = Duration::from_secs(180);

const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

/// The history of `system`, with what `recorder` noted, once it is at rest; after [`SETTLING`] as it is then,
/// for [`check`] to say what is missing.
///
/// # Panics
/// The log or a database cannot be read by then.
pub async fn collect(system: &System, recorder: &Recorder) -> History {
    collect_within(system, recorder, SETTLING).await
}

/// The same with another patience.
///
/// # Panics
/// As above.
pub async fn collect_within(system: &System, recorder: &Recorder, patience: Duration) -> History {
    let started = Instant::now();
    loop {
        let in_time = started.elapsed() < patience;
        match look(system, recorder.history(), in_time).await {
            Ok(Some(history)) => return history,
            Err(reason) if !in_time => panic!("{reason}"),
            Ok(None) | Err(_) => tokio::time::sleep(BETWEEN_LOOKS).await,
        }
    }
}

/// The whole history; nothing while there is time and the system is not at rest.
async fn look(system: &System, noted: History, in_time: bool) -> Result<Option<History>, String> {
    let history = read(system, noted).await?;
    if in_time && !is_at_rest(&history) {
        return Ok(None);
    }
    let mails = mails(system).await?;
    Ok(Some(History { mails, ..history }))
}

/// The log first and its ends last: so nothing has more than the log, unless the system is not at rest.
async fn read(system: &System, noted: History) -> Result<History, String> {
    let log = system.log.try_records().await?;
    let databases = tables::read(system).await?;
    let (mut dead_letters, mut offsets) = (BTreeMap::new(), BTreeMap::new());
    for service in SERVICES.into_iter().chain(["orders-view"]) {
        let group = system.group(service);
        let letters = system.log.dead_letters(&group).await;
        dead_letters.insert(group.clone(), letters);
        offsets.insert(group.clone(), system.log.lag(&group).await?);
    }
    Ok(History {
        partitions: system.log.partitions(),
        log,
        databases,
        dead_letters,
        offsets,
        ..noted
    })
}

/// Nobody has anything left to do: what is still missing then will not come.
fn is_at_rest(history: &History) -> bool {
    use Invariant::{EveryOrderEnds, LogIsWhole, NothingIsPassedOver, OutcomeIsConfirmed};
    let open = ["due", "leased"];
    let mut jobs = history.databases.jobs.iter();
    let not_yet = [
        EveryOrderEnds,
        LogIsWhole,
        NothingIsPassedOver,
        OutcomeIsConfirmed,
    ];
    let over = jobs.all(|job| !open.contains(&job.state.as_str()));
    over && check(history)
        .iter()
        .all(|violation| !not_yet.contains(&violation.invariant))
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
    let database = tables::open(system, "email")?;
    let select = "SELECT payload FROM jobs WHERE kind = 'mail'";
    let ids = tables::rows(&database, select, |row| {
        let mail: Payload = serde_json::from_str(row.get(0)).unwrap();
        mail.message_id.to_string()
    });
    let ids = ids.await?;
    database.close().await;
    Ok(ids)
}
