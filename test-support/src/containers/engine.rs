//! The container engine, and what processes of this host left behind on it.

use std::collections::HashMap;
use std::process;
use std::sync::OnceLock;
use std::time::Duration;

use testcontainers_modules::testcontainers::bollard::Docker;
use testcontainers_modules::testcontainers::bollard::query_parameters::{
    KillContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use uuid::Uuid;

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

/// What a process owns on the engine, by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owned {
    /// Also those that do not run.
    pub containers: Vec<String>,
    /// Networks.
    pub networks: Vec<String>,
}

/// What the process `pid` of this host owns.
///
/// # Errors
/// The engine does not answer.
pub fn owned_by(pid: u32) -> Result<Owned, String> {
    let label = format!("{OWNER}={}", owner(pid));
    ask(async {
        let containers = labelled(label.clone()).await?.into_iter();
        let networks = network::labelled(label).await?.into_iter();
        Ok(Owned {
            containers: containers.map(|(id, _)| id).collect(),
            networks: networks.map(|(id, _)| id).collect(),
        })
    })
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

/// Ends what runs in a container by SIGKILL.
pub(super) fn kill(id: &str) -> Result<(), String> {
    let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
    ask(async {
        let killed = connect()?.kill_container(id, Some(options)).await;
        killed.map_err(|error| error.to_string())
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

/// Removes the containers of this process, and says how many it found.
pub(super) async fn remove_owned() -> Result<usize, String> {
    let owned = labelled(format!("{OWNER}={}", this_owner())).await?;
    let found = owned.len();
    remove(owned.into_iter()).await?;
    Ok(found)
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
    static HOST: OnceLock<String> = OnceLock::new();
    let name = || hostname::get().ok()?.into_string().ok();
    format!("{}:{pid}", HOST.get_or_init(|| host(name())))
}

/// Without a name of its own it has one for this process: nothing is taken for left behind then,
/// since an engine may serve several hosts.
fn host(name: Option<String>) -> String {
    let is_shared = |name: &str| ["", "(none)"].contains(&name) || name.starts_with("localhost");
    let its_own = name.filter(|name| !is_shared(name));
    its_own.unwrap_or_else(|| Uuid::new_v4().to_string())
}

/// Only what can be known from here: processes of this host.
pub(super) fn is_left_behind(owner: &str) -> bool {
    let pid = owner.rsplit_once(':').and_then(|(_, pid)| pid.parse().ok());
    pid.is_some_and(|pid| owner == self::owner(pid) && !is_running(pid))
}

/// `kill -0` asks without doing anything, on every Unix. It fails for the processes of others too.
fn is_running(pid: u32) -> bool {
    let asked = process::Command::new("kill")
        .args(["-0", &pid.to_string()])
        .env("LC_ALL", "C")
        .output();
    asked.map_or(true, |output| {
        !String::from_utf8_lossy(&output.stderr).contains("No such process")
    })
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

    #[test]
    fn a_host_without_a_name_of_its_own_shares_none_with_another() {
        assert_eq!(host(Some("builder-7".to_owned())), "builder-7");
        let shared = ["", "(none)", "localhost", "localhost.localdomain"];
        for name in shared.map(Some).into_iter().chain([None]) {
            let name = name.map(str::to_owned);
            assert_ne!(host(name.clone()), host(name.clone()), "{name:?}");
        }
    }
}
