//! Every service is killed or ended, one after the other, and started again.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use integration_tests::history::{Kind, Recorder};
use integration_tests::system::PROCESSES;
use integration_tests::{Signal, System};

/// Of a service that is asked to end.
const DRAIN: Duration = Duration::from_secs(30);
/// Longest time that a service is away, and longest time between two of them.
const LONGEST_AWAY: u64 = 1500;

/// How often each was restarted.
pub(crate) struct Restarts {
    killed: BTreeMap<&'static str, usize>,
    ended: BTreeMap<&'static str, usize>,
}

impl Restarts {
    /// Goes on until `enough`, but restarts each service at least twice: killed once, asked to end once.
    pub(crate) async fn until(
        system: &mut System,
        recorder: &Recorder,
        mut random: Rng,
        enough: impl Fn() -> bool,
    ) -> Self {
        let mut restarts = Self {
            killed: BTreeMap::new(),
            ended: BTreeMap::new(),
        };
        let mut round = 0;
        while round < 2 || !enough() {
            let mut names = PROCESSES;
            random.shuffle(&mut names);
            for (n, name) in names.into_iter().enumerate() {
                // Each in turn, so that both happen to everybody.
                let place = PROCESSES.iter().position(|process| *process == name);
                let kill = (round + place.unwrap_or(n)) % 2 == 0;
                let what = if kill { Kind::Kill } else { Kind::End };
                recorder.interrupted(name, what);
                restarts.one(system, &mut random, name, kill).await;
            }
            round += 1;
        }
        restarts
    }

    async fn one(&mut self, system: &mut System, random: &mut Rng, name: &'static str, kill: bool) {
        let process = system.process(name);
        let (signal, count) = match kill {
            true => (Signal::Kill, &mut self.killed),
            false => (Signal::Terminate, &mut self.ended),
        };
        process.signal(signal);
        let status = process.ended(DRAIN).await;
        assert!(kill || status.success(), "{name}: {}", process.output());
        *count.entry(name).or_default() += 1;
        let mut pause = || Duration::from_millis(random.u64(..LONGEST_AWAY));
        // The scenario itself.
        tokio::time::sleep(pause()).await;
        system.spawn(name).await;
        tokio::time::sleep(pause()).await;
    }
}

impl fmt::Display for Restarts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (killed, ended) = (&self.killed, &self.ended);
        write!(formatter, "killed: {killed:?}, asked to end: {ended:?}")
    }
}
