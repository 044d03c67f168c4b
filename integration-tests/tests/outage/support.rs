//! Traffic during an outage, and what the services say of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use integration_tests::system::order;
use integration_tests::{Answer, Client, System};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use uuid::Uuid;

/// Traffic before the outage, and after it.
pub(crate) const AROUND: Duration = Duration::from_secs(4);

/// One outage at a time: the traffic of another would slow down the answers that are timed.
pub(crate) static ALONE: Mutex<()> = Mutex::const_new(());

/// How long PostgreSQL or Mailpit is gone.
pub(crate) fn outage() -> Duration {
    let seconds = std::env::var("TEST_OUTAGE_SECONDS").map_or(30, |given| {
        given
            .parse()
            .expect("TEST_OUTAGE_SECONDS is a number of seconds")
    });
    Duration::from_secs(seconds)
}

/// An order that was tried.
#[derive(Debug)]
pub(crate) struct Tried {
    /// Under an `Idempotency-Key`, which the order service keeps in its database.
    pub(crate) keyed: bool,
    pub(crate) answer: Answer,
    pub(crate) took: Duration,
}

/// What each order asks for, of `book order`: so much that a long outage sells out.
pub(crate) const PIECES: i64 = 2;

/// Four clients that place orders one after the other, until [`end`](Self::end).
pub(crate) struct Traffic {
    clients: JoinSet<Vec<Tried>>,
    over: Arc<AtomicBool>,
}

impl Traffic {
    /// `keyed` of the clients use idempotency keys; each rests for `pause` after an answer.
    pub(crate) fn start(system: &System, keyed: usize, pause: Duration) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for number in 0..4 {
            clients.spawn(place(
                system.order.clone(),
                number < keyed,
                pause,
                Arc::clone(&over),
            ));
        }
        Self { clients, over }
    }

    /// Everything that was tried.
    pub(crate) async fn end(self) -> Vec<Tried> {
        self.over.store(true, Ordering::SeqCst);
        self.clients
            .join_all()
            .await
            .into_iter()
            .flatten()
            .collect()
    }
}

async fn place(client: Client, keyed: bool, pause: Duration, over: Arc<AtomicBool>) -> Vec<Tried> {
    let mut tried = Vec::new();
    while !over.load(Ordering::SeqCst) {
        let key = Uuid::new_v4().to_string();
        let headers: &[(&str, &str)] = if keyed {
            &[("idempotency-key", &key)]
        } else {
            &[]
        };
        let started = Instant::now();
        let body = order("book order", PIECES);
        let answer = client.post("/api/v1/orders", &body, headers).await.unwrap();
        tried.push(Tried {
            keyed,
            answer,
            took: started.elapsed(),
        });
        tokio::time::sleep(pause).await;
    }
    tried
}

/// The processes of a usual system.
pub(crate) const PROCESSES: [&str; 3] = ["order", "stock-0", "email"];

/// How often each process logged this so far.
pub(crate) fn logged(system: &mut System, message: &str) -> Vec<usize> {
    let count = |name| system.process(name).output().matches(message).count();
    PROCESSES.map(count).to_vec()
}

/// How often partitions came to each process and left it: a rebalance, also one that changes
/// nothing, is logged by every member of its group.
pub(crate) fn rebalances(system: &mut System) -> Vec<usize> {
    let assigned = logged(system, "Partitions assigned.");
    assert!(assigned.iter().all(|times| *times > 0), "{assigned:?}");
    [assigned, logged(system, "Partitions revoked.")].concat()
}

/// No process ended by itself.
pub(crate) fn all_run(system: &mut System) {
    for name in PROCESSES {
        let running = system.process(name).is_running();
        let output = system.process(name).output();
        assert!(running, "{name} ended by itself:\n{output}");
    }
}
