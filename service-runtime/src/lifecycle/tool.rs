//! Commands that only one service has, beside those of every service.
//!
//! A tool takes the settings of its service and ends by itself. The first SIGTERM or SIGINT triggers the
//! shutdown that it was given, and it then has `SHUTDOWN_TIMEOUT` to end; a second signal ends it at once.

use std::fmt;

use anyhow::Context as _;
use futures_util::future::BoxFuture;
use tokio::{runtime, time::timeout};

use super::{
    LifecycleConfig, Shutdown,
    supervisor::{FAILED, Signal, listen},
};

/// How a tool ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolEnd {
    /// It is done; the exit code that says how.
    Code(u8),
    /// It gave up because it was asked to end: the exit code is 128 + the signal's number.
    Interrupted,
}

type Work<C> =
    dyn FnOnce(C, clap::ArgMatches, Shutdown) -> BoxFuture<'static, anyhow::Result<ToolEnd>> + Send;

/// A command of one service.
pub struct Tool<C> {
    pub(super) command: clap::Command,
    pub(super) work: Box<Work<C>>,
}

impl<C> Tool<C> {
    /// A command with its own arguments, and what it does.
    pub fn new<F>(
        command: clap::Command,
        work: impl FnOnce(C, clap::ArgMatches, Shutdown) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = anyhow::Result<ToolEnd>> + Send + 'static,
    {
        Self {
            command,
            work: Box::new(move |config, matches, shutdown| {
                Box::pin(work(config, matches, shutdown))
            }),
        }
    }

    pub(super) fn name(&self) -> &str {
        self.command.get_name()
    }
}

impl<C> fmt::Debug for Tool<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Tool({})", self.name())
    }
}

/// Runs a tool to its end; the exit code.
pub(super) fn run(
    lifecycle: &LifecycleConfig,
    shutdown: &Shutdown,
    work: BoxFuture<'static, anyhow::Result<ToolEnd>>,
) -> anyhow::Result<u8> {
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        let mut signals = listen().context("cannot listen for signals")?;
        let mut work = runtime.spawn(work);
        let signal = tokio::select! {
            ended = &mut work => return code(ended.context("the work panicked")??, None),
            Some(signal) = signals.recv() => signal,
        };
        shutdown.trigger();
        tokio::select! {
            ended = timeout(lifecycle.shutdown_timeout, work) => {
                let ended = ended.context("the work did not end in time")?;
                code(ended.context("the work panicked")??, Some(signal))
            }
            Some(second) = signals.recv() => Ok(second.code()),
        }
    });
    // A question to a server that does not answer must not hold the exit.
    runtime.shutdown_background();
    ended
}

fn code(ended: ToolEnd, signal: Option<Signal>) -> anyhow::Result<u8> {
    Ok(match ended {
        ToolEnd::Code(code) => code,
        ToolEnd::Interrupted => signal.map_or(FAILED, Signal::code),
    })
}
