//! Servers in containers, owned by the process of the tests.
//!
//! A container is removed when its handle is dropped, and on SIGINT and SIGTERM. SIGKILL
//! leaves it behind: the next process that starts one removes it by its label.

mod kafka;
mod kafka_cluster;
mod network;
mod postgres;

use std::collections::HashMap;
use std::time::Duration;
use std::{env, process};

use testcontainers_modules::testcontainers::bollard::Docker;
use testcontainers_modules::testcontainers::bollard::query_parameters::{
    ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
};
use testcontainers_modules::testcontainers::runners::AsyncRunner;
use testcontainers_modules::testcontainers::{ContainerAsync, ContainerRequest, Image, ImageExt};
use tokio::runtime::Runtime;
use tokio::time::timeout;

pub use kafka::Kafka;
pub use kafka_cluster::KafkaCluster;
pub(crate) use postgres::PostgresServer;

use crate::database::runtime;

/// Names the process that owns a container, as `HOST:PID`.
const OWNER: &str = "order-system.tests.owner";
/// How long an engine may take to say that it is there.
const ENGINE_TIMEOUT: Duration = Duration::from_secs(5);

/// A container and the runtime that talks to its engine. Dropping it removes the container; not
/// within a runtime.
#[derive(Debug)]
pub(crate) struct Container<I: Image> {
    container: Option<ContainerAsync<I>>,
    runtime: Runtime,
}

/// Whether a container engine answers.
///
/// # Errors
/// Why not, and what to do.
pub fn engine() -> Result<(), String> {
    apart(|runtime| {
        let ping = async {
            let engine = Docker::connect_with_defaults().map_err(|error| error.to_string())?;
            let answer = timeout(ENGINE_TIMEOUT, engine.ping()).await;
            let answer = answer.map_err(|_| format!("no answer within {ENGINE_TIMEOUT:?}"))?;
            answer.map_err(|error| error.to_string())
        };
        runtime.block_on(ping).map(|_| ()).map_err(|error| {
            format!("no container engine answers ({error}): start Docker, or set DOCKER_HOST")
        })
    })
}

impl<I: Image + 'static> Container<I> {
    fn start(request: ContainerRequest<I>) -> Result<Self, String> {
        engine()?;
        apart(move |runtime| {
            let container = runtime.block_on(async {
                remove_leftovers().await?;
                let request = request.with_label(OWNER, owner(process::id()));
                request.start().await.map_err(|error| error.to_string())
            })?;
            Ok(Self {
                container: Some(container),
                runtime,
            })
        })
    }

    /// `HOST:PORT` under which this machine reaches `port` of the container.
    fn address(&self, port: u16) -> Result<String, String> {
        let Some(container) = &self.container else {
            return Err("the container is gone".to_owned());
        };
        let address = async {
            let host = container.get_host().await?;
            let port = container.get_host_port_ipv4(port).await?;
            Ok(format!("{host}:{port}"))
        };
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| self.runtime.block_on(address));
            asking
                .join()
                .map_err(|_| "the engine's client panicked".to_owned())?
                .map_err(
                    |error: testcontainers_modules::testcontainers::TestcontainersError| {
                        error.to_string()
                    },
                )
        })
    }
}

impl<I: Image> Drop for Container<I> {
    fn drop(&mut self) {
        if let Some(container) = self.container.take()
            && let Err(error) = self.runtime.block_on(container.rm())
        {
            eprintln!("a container of the tests was not removed: {error}");
        }
    }
}

/// Removes what processes of this host left behind that do not run any more.
async fn remove_leftovers() -> Result<(), String> {
    let engine = Docker::connect_with_defaults().map_err(|error| error.to_string())?;
    let labelled = HashMap::from([("label".to_owned(), vec![OWNER.to_owned()])]);
    let options = ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&labelled);
    let found = engine.list_containers(Some(options.build())).await;
    for container in found.map_err(|error| error.to_string())? {
        let owner = container.labels.and_then(|mut labels| labels.remove(OWNER));
        if let (Some(id), Some(owner)) = (container.id, owner)
            && is_left_behind(&owner)
        {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true);
            // Another process may be at it as well.
            engine
                .remove_container(&id, Some(options.build()))
                .await
                .ok();
        }
    }
    network::remove_leftovers(&engine).await
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
fn is_left_behind(owner: &str) -> bool {
    owner
        .rsplit_once(':')
        .is_some_and(|(owners_host, pid)| owners_host == host() && !is_running(pid))
}

fn is_running(pid: &str) -> bool {
    // `kill -0` asks without doing anything, on every Unix.
    let asked = process::Command::new("kill").args(["-0", pid]).output();
    asked.is_ok_and(|output| output.status.success())
}

/// Runs `work` with a runtime on a thread of its own: the caller may be within another.
fn apart<T: Send>(work: impl FnOnce(Runtime) -> Result<T, String> + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let working = scope.spawn(|| {
            // Threads, so that it goes on between two calls.
            let runtime = runtime(1).map_err(|error| error.to_string())?;
            work(runtime)
        });
        let joined = working.join();
        joined.unwrap_or_else(|_| Err("the engine's client panicked".to_owned()))
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
        assert!(!is_left_behind(&owner(process::id())));
        assert!(!is_left_behind(&format!("another-host:{}", ended.id())));
        assert!(!is_left_behind("nobody"));
    }
}
