//! Waits until the system is at rest, and says what keeps it from that.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use integration_tests::log::Story;
use integration_tests::system::SERVICES;
use integration_tests::{System, database};
use tokio::time::sleep;

const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How long it took until every process was ready, every order of the log at its end, the same in every
/// service, and no job open.
///
/// # Errors
/// What was not so after `deadline`.
pub(crate) async fn come(system: &System, deadline: Duration) -> Result<Duration, String> {
    let started = Instant::now();
    loop {
        let missing = match missing(system).await {
            Ok(()) => return Ok(started.elapsed()),
            Err(missing) => missing,
        };
        if started.elapsed() > deadline {
            return Err(missing);
        }
        sleep(LOOK_AGAIN).await;
    }
}

async fn missing(system: &System) -> Result<(), String> {
    for client in system.clients() {
        let answer = client.try_get("/health/ready").await;
        let answer = answer.map_err(|error| format!("no answer: {error}"))?;
        if answer.status != 200 {
            return Err(format!("not ready: {}", answer.text));
        }
    }
    let log = system.log.orders_if_readable().await;
    let log = log.ok_or("the log cannot be read")?;
    let open = |(id, story): (&_, &Story)| (!story.has_ended()).then(|| (*id, story.status()));
    let open: Vec<_> = log.iter().filter_map(open).collect();
    if let Some(first) = open.first() {
        return Err(format!("{} orders have no end, as {first:?}", open.len()));
    }
    let log: BTreeMap<String, String> = log
        .iter()
        .map(|(id, story)| (id.to_string(), story.status().to_owned()))
        .collect();
    for service in SERVICES {
        let url = system.database(service);
        let seen = database::statuses(&url).await;
        if let Some((id, status)) = log
            .iter()
            .find(|(id, status)| seen.get(*id) != Some(status))
        {
            let seen = seen.get(id);
            return Err(format!("{id} is {status}, and in {service} {seen:?}"));
        }
        let jobs = database::jobs(&url).await;
        let open = |state: &str| ["due", "leased"].contains(&state);
        if let Some(job) = jobs.iter().find(|(_, state)| open(state)) {
            return Err(format!("a job of {service} is open: {job:?}"));
        }
    }
    Ok(())
}
