//! What the tests of outages share.

use std::time::Duration;

use integration_tests::System;
use integration_tests::pace::lasting;
use integration_tests::system::PROCESSES;
use tokio::sync::Mutex;

/// Who places orders meanwhile.
pub(crate) const CLIENTS: usize = 4;

/// Traffic before the outage, and after it.
pub(crate) const AROUND: Duration = Duration::from_secs(4);

/// One outage at a time: the traffic of another would slow down the answers that are timed.
pub(crate) static ALONE: Mutex<()> = Mutex::const_new(());

/// How long PostgreSQL or Mailpit is gone.
pub(crate) fn outage() -> Duration {
    lasting(Duration::from_secs(30), Duration::from_secs(10))
}

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
