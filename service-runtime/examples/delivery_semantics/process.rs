//! A consumer of the comparison: this very program as a child process.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::ValueEnum as _;
use service_runtime::kafka::KafkaConfig;

use super::consumer::{Mode, Stop};

/// How long a successor waits for the partitions of the dead. Longer than the 3 s that the mock
/// cluster holds a first join back: it expels members meanwhile.
const SESSION_TIMEOUT: &str = "4s";
const DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks at a child.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The stop on a command line.
pub(crate) fn name(stop: Stop) -> String {
    let value = stop.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// How a consumer and its successor are started.
pub(crate) struct Start<'a> {
    pub(crate) config: &'a KafkaConfig,
    pub(crate) mode: Mode,
    /// Orders in a batch.
    pub(crate) batch: usize,
    pub(crate) group: String,
    pub(crate) ledger: PathBuf,
}

impl Start<'_> {
    /// This very program, with `--mode`.
    pub(crate) fn consumer(&self, stop: Option<Stop>) -> anyhow::Result<Process> {
        let output = self.ledger.with_extension("log");
        let file = File::create(&output)?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["--mode", &self.mode.to_string()])
            .args(["--group", &self.group])
            .args(["--batch", &self.batch.to_string()])
            .arg("--ledger")
            .arg(&self.ledger)
            .args(stop.map(|stop| format!("--stop={}", name(stop))))
            .arg("--end-with-stdin")
            .env_clear()
            .env("KAFKA_BOOTSTRAP_SERVERS", &self.config.bootstrap_servers)
            .env("KAFKA_SESSION_TIMEOUT", SESSION_TIMEOUT)
            .stdin(Stdio::piped())
            .stdout(file.try_clone()?)
            .stderr(file);
        let child = command.spawn().context("the consumer does not start")?;
        Ok(Process { child, output })
    }
}

/// A consumer as a child process. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    output: PathBuf,
}

impl Process {
    pub(crate) fn said(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(&self.output)?)
    }

    pub(crate) async fn until_stopped(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + DEADLINE;
        while !self.said()?.contains("Stopped in batch") {
            if let Some(status) = self.child.try_wait()? {
                bail!("ended before it was killed, {status}: {}", self.said()?);
            }
            ensure!(Instant::now() < deadline, "not stopped: {}", self.said()?);
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// With SIGKILL.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill()?)
    }

    pub(crate) async fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(Instant::now() < deadline, "not ended: {}", self.said()?);
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails when it has ended, which is as good.
        if self.child.kill().is_ok() {
            self.child.wait().ok();
        }
    }
}
