//! What the services count, summed up over the lives of their processes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use integration_tests::{Client, System};
use tokio::task::JoinHandle;
use tokio::time::sleep;

const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Counters, with what is counted.
const COUNTED: [(&str, &str); 6] = [
    ("events_total{", "events folded"),
    ("outcomes_published_total{", "outcomes published"),
    (
        "outcomes_republished_total{",
        "outcomes published again after a redelivery",
    ),
    (
        "outcomes_swept_total{",
        "outcomes published again by the sweep",
    ),
    ("jobs_lease_lost_total{", "leases lost"),
    ("http_requests_shed_total", "requests shed"),
];

/// Looks at the metrics until the end. What a process counts between the last look and its death is
/// lost, so the sums are lower bounds.
pub(crate) struct Counters {
    ended: Arc<AtomicBool>,
    looking: JoinHandle<BTreeMap<String, f64>>,
}

impl Counters {
    pub(crate) fn start(system: &System) -> Self {
        let ended: Arc<AtomicBool> = Arc::default();
        let clients: Vec<Client> = system.clients().cloned().collect();
        let until = Arc::clone(&ended);
        let looking = tokio::spawn(async move {
            let mut sums = Sums::default();
            loop {
                let last = until.load(Ordering::SeqCst);
                for (process, client) in clients.iter().enumerate() {
                    if let Ok(answer) = client.try_get("/metrics").await {
                        sums.add(process, &answer.text);
                    }
                }
                if last {
                    return sums.by_name;
                }
                sleep(LOOK_AGAIN).await;
            }
        });
        Self { ended, looking }
    }

    /// The sums by what is counted.
    pub(crate) async fn end(self) -> BTreeMap<String, f64> {
        self.ended.store(true, Ordering::SeqCst);
        self.looking.await.expect("somebody who does not panic")
    }
}

#[derive(Debug, Default)]
struct Sums {
    by_name: BTreeMap<String, f64>,
    seen: BTreeMap<(usize, String), f64>,
}

impl Sums {
    fn add(&mut self, process: usize, metrics: &str) {
        for line in metrics.lines() {
            let counted = COUNTED.iter().find(|(name, _)| line.starts_with(name));
            let (Some((_, what)), Some((series, value))) = (counted, line.rsplit_once(' ')) else {
                continue;
            };
            let Ok(value) = value.parse::<f64>() else {
                continue;
            };
            let name = match series.split("effect=\"").nth(1) {
                Some(effect) => format!("{what}, {}", effect.trim_end_matches("\"}")),
                None => (*what).to_owned(),
            };
            let before = self.seen.insert((process, series.to_owned()), value);
            // A new process counts from nothing.
            let more = before.filter(|before| *before <= value);
            *self.by_name.entry(name).or_default() += value - more.unwrap_or(0.0);
        }
    }
}
