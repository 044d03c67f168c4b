//! The container engine, and what processes of this host left behind on it.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;
use std::{env, process};

use testcontainers_modules::testcontainers::bollard::Docker;
use testcontainers_modules::testcontainers::bollard::query_parameters::{
    ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::network;
use crate::database::runtime;

/// Names the process that owns a container, as `HOST:PID`.
pub(super) const OWNER: &str = "order-system.tests.owner";
/// Names one start of a container.
pub(super) const START: &str = "order-system.tests.start";
/// How long an engine may take to say that it is there.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Whether a container engine answers; asked once.
///
/// # Errors
/// Why not, and what to do.
pub fn engine() -> Result<(), String> {
    static ANSWER: OnceLock<Result<(), String>> = OnceLock::new();
    let ping = || {
        ask(async {
            let answer = timeout(TIMEOUT, connect()?.ping()).await;
            let answer = answer.map_err(|_| format!("no answer within {TIMEOUT:?}"))?;
            answer.map(|_| ()).map_err(|error| error.to_string())
        })
        .map_err(|error| {
            format!("no container engine answers ({error}): start Docker, or set DOCKER_HOST")
        })
    };
    ANSWER.get_or_init(ping).clone()
}

/// Ids of the containers that the process `pid` of this host owns, also those that do not run.
///
/// # Errors
/// The engine does not answer.
pub fn owned_by(pid: u32) -> Result<Vec<String>, String> {
    let its = ask(labelled(format!("{OWNER}={}", owner(pid))))?;
    Ok(its.into_iter().map(|(id, _)| id).collect())
}

/// Runs `work` on a thread of its own, since the caller may be within a runtime, and on a runtime
/// that goes on between two calls.
pub(super) fn ask<T: Send>(
    work: impl Future<Output = Result<T, String>> + Send,
) -> Result<T, String> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let started = RUNTIME.get_or_init(|| runtime(1).map_err(|error| error.to_string()));
    let runtime = started.as_ref().map_err(String::clone)?;
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| runtime.block_on(work));
        let panicked = |_| Err("the engine's client panicked".to_owned());
        asking.join().unwrap_or_else(panicked)
    })
}

/// Removes what processes of this host left behind that do not run any more.
pub(super) async fn remove_leftovers() -> Result<(), String> {
    let owned = labelled(OWNER.to_owned()).await?;
    remove(owned.into_iter().filter(|(_, owner)| is_left_behind(owner))).await?;
    network::remove_leftovers().await
}

/// Removes what a start that failed left behind.
pub(super) async fn remove_started(start: &str) -> Result<(), String> {
    remove(labelled(format!("{START}={start}")).await?.into_iter()).await
}

async fn remove(containers: impl Iterator<Item = (String, String)>) -> Result<(), String> {
    let engine = connect()?;
    for (id, _) in containers {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true);
        let removed = engine.remove_container(&id, Some(options.build())).await;
        removed.ok(); // another process may be at it as well
    }
    Ok(())
}

/// Id and owner of the tests' containers with this label, also those that do not run.
async fn labelled(label: String) -> Result<Vec<(String, String)>, String> {
    let filters = HashMap::from([("label".to_owned(), vec![label])]);
    let options = ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&filters);
    let found = connect()?.list_containers(Some(options.build())).await;
    let found = found.map_err(|error| error.to_string())?.into_iter();
    let owned =
        found.filter_map(|container| Some((container.id?, container.labels?.remove(OWNER)?)));
    Ok(owned.collect())
}

/// This process, as a label says it.
pub(super) fn this_owner() -> String {
    owner(process::id())
}

pub(super) fn connect() -> Result<Docker, String> {
    Docker::connect_with_defaults().map_err(|error| error.to_string())
}

fn owner(pid: u32) -> String {
    format!("{}:{pid}", host())
}

fn host() -> String {
    env::var("HOSTNAME")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"))
        .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}

/// Only what can be known from here: processes of this host.
pub(super) fn is_left_behind(owner: &str) -> bool {
    owner
        .rsplit_once(':')
        .is_some_and(|(owners_host, pid)| owners_host == host() && !is_running(pid))
}

fn is_running(pid: &str) -> bool {
    // `kill -0` asks without doing anything, on every Unix.
    let asked = process::Command::new("kill").args(["-0", pid]).output();
    asked.is_ok_and(|output| output.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_ended_process_of_this_host_owned_is_left_behind() {
        let mut ended = process::Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        assert!(is_left_behind(&owner(ended.id())));
        assert!(!is_left_behind(&this_owner()));
        assert!(!is_left_behind(&format!("another-host:{}", ended.id())));
        assert!(!is_left_behind("nobody"));
    }
}
