//! A service as a child process, with its output kept.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::wait::{DEADLINE, eventually_within};

/// A signal to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ends it at once.
    Kill,
    /// Asks it to end.
    Terminate,
    /// As Ctrl-C does.
    Interrupt,
    /// Freezes it.
    Stop,
    /// Lets a frozen one go on.
    Continue,
}

/// The program that is any service: built with the tests, beside the folder of their binaries.
///
/// # Panics
/// The test binary has no folder.
#[must_use]
pub fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join("service")
}

/// A running service. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: PathBuf,
}

impl Process {
    /// Starts `service` (a name that `src/bin/service.rs` knows) with exactly this environment.
    ///
    /// # Panics
    /// The process cannot be started.
    #[must_use]
    pub fn start(service: &str, environment: &BTreeMap<String, String>, output: PathBuf) -> Self {
        let file = File::create(&output).unwrap();
        let program = program();
        let child = Command::new(&program)
            .env_clear()
            .env("SERVICE", service)
            .envs(environment)
            // Closed when this process ends, however it ends: the service ends itself then.
            .stdin(Stdio::piped())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        Self {
            name: service.to_owned(),
            child,
            output,
        }
    }

    /// Sends `signal`.
    ///
    /// # Panics
    /// The process is not there any more.
    pub fn signal(&self, signal: Signal) {
        let name = match signal {
            Signal::Kill => "KILL",
            Signal::Terminate => "TERM",
            Signal::Interrupt => "INT",
            Signal::Stop => "STOP",
            Signal::Continue => "CONT",
        };
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.child.id().to_string())
            .status();
        assert!(sent.unwrap().success(), "SIG{name} to {}", self.name);
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// It does not end within `deadline`.
    pub async fn ended(&mut self, deadline: Duration) -> ExitStatus {
        let child = std::sync::Mutex::new(&mut self.child);
        let look = || async { child.lock().unwrap().try_wait().unwrap() };
        eventually_within(&format!("end of {}", self.name), deadline, look).await
    }

    /// How it ended, if it did.
    ///
    /// # Panics
    /// The system does not know the process.
    pub fn try_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Whether it still runs.
    ///
    /// # Panics
    /// The system does not know the process.
    pub fn is_running(&mut self) -> bool {
        self.try_ended().is_none()
    }

    /// Whether SIGSTOP stopped it.
    ///
    /// # Panics
    /// It is not there any more.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // After the name, which may hold anything.
        let state = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.chars().next());
        state == Some('T')
    }

    /// The port it listens on, as its log says.
    ///
    /// # Panics
    /// It ended, or does not listen in time.
    pub async fn port(&mut self) -> u16 {
        let process = std::sync::Mutex::new(self);
        eventually_within("port", DEADLINE, || async {
            let mut process = process.lock().unwrap();
            let output = process.output();
            let port = output.lines().find_map(port_of);
            assert!(
                port.is_some() || process.is_running(),
                "{} ended",
                process.name
            );
            port
        })
        .await
    }

    /// What it wrote so far, stdout and stderr.
    ///
    /// # Panics
    /// The file is gone.
    #[must_use]
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap()).into_owned()
    }
}

/// The port, if the line says that the service listens; in both formats of the log.
fn port_of(line: &str) -> Option<u16> {
    let address = match serde_json::from_str::<Value>(line) {
        Ok(event) if event["message"] == "Listening." => event["address"].as_str()?.to_owned(),
        Ok(_) => return None,
        Err(_) => line.split_once("Listening. address=")?.1.to_owned(),
    };
    address.trim().rsplit(':').next()?.parse().ok()
}

impl Drop for Process {
    fn drop(&mut self) {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        if std::thread::panicking() {
            let output = self.output();
            let lines: Vec<&str> = output.lines().collect();
            let last = &lines[lines.len().saturating_sub(40)..];
            eprintln!(
                "--- last lines of {} ({killed:?})\n{}",
                self.name,
                last.join("\n")
            );
        }
    }
}
