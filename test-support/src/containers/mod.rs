//! Servers in containers, owned by the process of the tests.
//!
//! A container is removed when its handle is dropped, and on SIGINT, SIGTERM and SIGQUIT. SIGKILL
//! leaves it behind: the next process that starts one removes it by its label.

mod control;
mod ending;
mod engine;
mod kafka;
mod kafka_behind;
mod kafka_cluster;
mod mailpit;
mod network;
mod ports;
mod postgres;

use std::net::Ipv4Addr;

use testcontainers_modules::testcontainers::bollard::models::HostConfig;
use testcontainers_modules::testcontainers::runners::AsyncRunner;
use testcontainers_modules::testcontainers::{
    ContainerAsync, ContainerRequest, Image, ImageExt, TestcontainersError,
};
use uuid::Uuid;

pub use engine::{Owned, engine, owned_by};
pub use kafka::Kafka;
pub use kafka_behind::KafkaBehind;
pub use kafka_cluster::KafkaCluster;
pub use mailpit::Mailpit;
pub use network::Network;
pub use postgres::PostgresServer;

use engine::{OWNER, START, ask, remove_leftovers, remove_started, this_owner};

/// Seconds that a server has to end by itself when it is stopped.
const STOP_SECONDS: i32 = 20;

/// A container; dropping it removes it.
#[derive(Debug)]
pub(crate) struct Container<I: Image> {
    started: Option<ContainerAsync<I>>,
    /// Whether its ports are published on loopback alone.
    on_loopback: bool,
}

impl<I: Image + 'static> Container<I> {
    /// Starts a container and waits until it is ready; what fails half-way is removed. Works within
    /// a runtime, which it blocks, as everything here.
    fn start(request: ContainerRequest<I>) -> Result<Self, String> {
        engine()?;
        let creating = ending::creating()?;
        let start = Uuid::new_v4().to_string();
        let request = request
            .with_label(OWNER, this_owner())
            .with_label(START, &start);
        let started = ask(async {
            remove_leftovers().await?;
            request.start().await.map_err(text)
        });
        match started {
            Ok(container) => Ok(Self {
                started: Some(container),
                on_loopback: false,
            }),
            Err(error) => {
                drop(creating);
                ending::await_end_if_ending();
                ask(remove_started(&start)).ok(); // the first error says more
                Err(error)
            }
        }
    }

    /// Starts a container that has each of `ports` on a fixed port of this machine, instead of one
    /// that the engine chooses anew with every start, and only for this machine.
    fn start_on_fixed_ports(
        request: impl Fn() -> ContainerRequest<I>,
        ports: &[u16],
    ) -> Result<Self, String> {
        ports::or_with_others(|| {
            let free = ports::free(ports.len())?;
            let fixed: Vec<_> = ports.iter().copied().zip(free).collect();
            let publish = move |host: &mut HostConfig| ports::publish(host, &fixed);
            let mut container = Self::start(request().with_host_config_modifier(publish))?;
            container.on_loopback = true;
            Ok(container)
        })
    }

    /// `HOST:PORT` under which this machine reaches `port` of the container.
    fn address(&self, port: u16) -> Result<String, String> {
        let container = self.get()?;
        ask(async {
            let host = container.get_host().await.map_err(text)?.to_string();
            let port = container.get_host_port_ipv4(port).await.map_err(text)?;
            // `localhost` may be an IPv6 address first, where the port can be another container's.
            if self.on_loopback || host == "localhost" {
                return Ok(format!("{}:{port}", Ipv4Addr::LOCALHOST));
            }
            Ok(format!("{host}:{port}"))
        })
    }

    /// Stops what runs in it; what it wrote stays.
    fn stop(&self) -> Result<(), String> {
        let container = self.get()?;
        ask(async {
            let stopped = container.stop_with_timeout(Some(STOP_SECONDS)).await;
            stopped.map_err(text)
        })
    }

    /// Starts it again after a stop, without waiting until it is ready. Only one that
    /// [started on fixed ports](Self::start_on_fixed_ports) has the same address then.
    fn start_again(&self) -> Result<(), String> {
        let container = self.get()?;
        ask(async { container.start().await.map_err(text) })
    }

    /// Ends what runs in it by SIGKILL; what it wrote stays.
    fn kill(&self) -> Result<(), String> {
        engine::kill(self.get()?.id())
    }

    /// Freezes what runs in it.
    fn freeze(&self) -> Result<(), String> {
        let container = self.get()?;
        ask(async { container.pause().await.map_err(text) })
    }

    /// Lets it go on.
    fn thaw(&self) -> Result<(), String> {
        let container = self.get()?;
        ask(async { container.unpause().await.map_err(text) })
    }

    fn get(&self) -> Result<&ContainerAsync<I>, String> {
        self.started
            .as_ref()
            .ok_or_else(|| "the container is gone".to_owned())
    }
}

impl<I: Image> Drop for Container<I> {
    fn drop(&mut self) {
        let Some(container) = self.started.take() else {
            return;
        };
        let removed = ask(async { container.rm().await.map_err(text) });
        ending::await_end_if_ending();
        if let Err(error) = removed {
            eprintln!("a container of the tests was not removed: {error}");
        }
    }
}

fn text(error: TestcontainersError) -> String {
    error.to_string()
}
