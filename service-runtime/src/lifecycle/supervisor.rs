//! Watches the running service: signals, drain, deadline.
//!
//! It runs on the main thread in a runtime of its own, so that neither signals nor the deadline
//! depend on the service's worker threads, which a blocking call could hold.

use std::io;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::{JoinError, JoinHandle},
    time::{sleep, timeout},
};

use super::{LifecycleConfig, Shutdown};

/// How the process ends.
pub(super) const CLEAN: u8 = 0;
pub(super) const FAILED: u8 = 1;

/// A signal that ends the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Signal {
    pub(super) name: &'static str,
    number: u8,
}

impl Signal {
    /// The exit code of a process that it ended, as a shell shows it.
    pub(super) fn code(self) -> u8 {
        128 + self.number
    }
}

pub(super) const TERMINATE: Signal = Signal {
    name: "SIGTERM",
    number: 15,
};
pub(super) const INTERRUPT: Signal = Signal {
    name: "SIGINT",
    number: 2,
};

/// Starts to listen; until then a signal ends the process in the system's own way.
pub(super) fn listen() -> io::Result<mpsc::Receiver<Signal>> {
    let (sender, receiver) = mpsc::channel(4);
    for (kind, which) in [
        (SignalKind::terminate(), TERMINATE),
        (SignalKind::interrupt(), INTERRUPT),
    ] {
        let mut stream = signal(kind)?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() && sender.send(which).await.is_ok() {}
        });
    }
    Ok(receiver)
}

/// Waits for the service to end, asks it to when a signal comes, and returns the exit code.
pub(super) async fn supervise(
    mut service: JoinHandle<anyhow::Result<()>>,
    mut signals: mpsc::Receiver<Signal>,
    shutdown: &Shutdown,
    config: &LifecycleConfig,
) -> u8 {
    tokio::select! {
        result = &mut service => return exit_code(result),
        Some(signal) = signals.recv() => {
            tracing::info!(signal = signal.name, "Shutdown was requested.");
        }
        () = shutdown.announced() => {}
    }
    tokio::select! {
        code = drain(service, shutdown, config) => code,
        Some(signal) = signals.recv() => {
            tracing::warn!(signal = signal.name, "Second signal, ending at once.");
            signal.code()
        }
    }
}

async fn drain(
    mut service: JoinHandle<anyhow::Result<()>>,
    shutdown: &Shutdown,
    config: &LifecycleConfig,
) -> u8 {
    shutdown.announce();
    tokio::select! {
        result = &mut service => return exit_code(result),
        () = sleep(config.shutdown_delay) => {}
        () = shutdown.cancelled() => {}
    }
    shutdown.trigger();
    match timeout(config.shutdown_timeout, service).await {
        Ok(result) => exit_code(result),
        Err(_) => {
            let timeout = config.shutdown_timeout;
            let still_running = shutdown.running_parts();
            tracing::error!(?timeout, ?still_running, "Shutdown took too long.");
            FAILED
        }
    }
}

fn exit_code(result: Result<anyhow::Result<()>, JoinError>) -> u8 {
    match result {
        Ok(Ok(())) => {
            tracing::info!("Service ended.");
            CLEAN
        }
        Ok(Err(error)) => {
            tracing::error!(error = format!("{error:#}"), "Service failed.");
            FAILED
        }
        Err(error) => {
            tracing::error!(%error, "Service panicked.");
            FAILED
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        time::{Duration, Instant},
    };

    use super::*;

    const SHORT: LifecycleConfig = LifecycleConfig {
        shutdown_delay: Duration::from_millis(30),
        shutdown_timeout: Duration::from_millis(40),
    };
    /// A test that has to wait for one of these never ends.
    const ENDLESS: LifecycleConfig = LifecycleConfig {
        shutdown_delay: Duration::MAX,
        shutdown_timeout: Duration::MAX,
    };

    /// Supervises a service that gets the shutdown, with the given signals already there.
    async fn run<F>(
        config: &LifecycleConfig,
        signals: &[Signal],
        service: impl FnOnce(Shutdown) -> F,
    ) -> u8
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(4);
        for signal in signals {
            sender.try_send(*signal).unwrap();
        }
        let shutdown = Shutdown::new();
        let service = tokio::spawn(service(shutdown.clone()));
        supervise(service, receiver, &shutdown, config).await
    }

    #[tokio::test]
    async fn a_service_that_ends_by_itself_decides_the_exit_code() {
        assert_eq!(run(&ENDLESS, &[], async |_| Ok(())).await, CLEAN);
        let failing = async |_| Err(anyhow::anyhow!("no broker"));
        assert_eq!(run(&ENDLESS, &[], failing).await, FAILED);
    }

    #[tokio::test]
    async fn a_panic_of_the_service_is_a_failure() {
        let service = |_| async { std::panic::resume_unwind(Box::new("bug")) };
        assert_eq!(run(&ENDLESS, &[], service).await, FAILED);
    }

    #[tokio::test]
    async fn a_signal_announces_first_and_stops_work_after_the_delay() {
        // The signal is there already: whoever is late sees the delay longer, never shorter.
        let start = Instant::now();
        let code = run(&SHORT, &[TERMINATE], async |shutdown: Shutdown| {
            shutdown.announced().await;
            anyhow::ensure!(!shutdown.is_cancelled());
            shutdown.cancelled().await;
            Ok(())
        });
        assert_eq!(code.await, CLEAN);
        assert!(start.elapsed() >= SHORT.shutdown_delay);
    }

    #[tokio::test]
    async fn a_service_that_ends_during_the_delay_is_not_waited_for() {
        let code = run(&ENDLESS, &[TERMINATE], async |shutdown: Shutdown| {
            shutdown.announced().await;
            Ok(())
        });
        assert_eq!(code.await, CLEAN);
    }

    #[tokio::test]
    async fn a_drain_that_takes_too_long_is_a_failure() {
        let start = Instant::now();
        let code = run(&SHORT, &[INTERRUPT], async |_| pending().await);
        assert_eq!(code.await, FAILED);
        assert!(start.elapsed() >= SHORT.shutdown_delay + SHORT.shutdown_timeout);
    }

    #[tokio::test]
    async fn a_second_signal_ends_at_once_with_its_own_code() {
        for (second, code) in [(TERMINATE, 143), (INTERRUPT, 130)] {
            let signals = [TERMINATE, second];
            let ended = run(&ENDLESS, &signals, async |_| pending().await).await;
            assert_eq!(ended, code);
        }
    }

    #[tokio::test]
    async fn a_service_may_ask_for_its_own_shutdown() {
        let code = run(&ENDLESS, &[], async |shutdown: Shutdown| {
            shutdown.trigger();
            shutdown.cancelled().await;
            Ok(())
        });
        assert_eq!(code.await, CLEAN);
    }
}
