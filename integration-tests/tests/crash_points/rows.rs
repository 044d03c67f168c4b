//! The rows of the matrix: every crash point of the code, and where it is reached.

/// A crash point that one of the services is to be struck at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// Its name in the code.
    pub(crate) point: &'static str,
    /// The process that is struck.
    pub(crate) process: &'static str,
    /// What has to have happened before, for it to come there at all.
    pub(crate) before: Before,
}

/// What happens before a process is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// Nothing but the usual load.
    Nothing,
    /// It died at this point: an outcome is lost that no repeated record brings back.
    Death(&'static str),
    /// Its database was lost: it reads the log from the beginning, and quietly (rule R13).
    LostDatabase,
}

const fn stock(point: &'static str) -> Row {
    Row {
        point,
        process: "stock-0",
        before: Before::Nothing,
    }
}

const fn payment(point: &'static str) -> Row {
    Row {
        point,
        process: "payment",
        before: Before::Nothing,
    }
}

const fn sweep(point: &'static str) -> Row {
    Row {
        point,
        process: "payment",
        before: Before::Death("outcome.publish.before"),
    }
}

const fn history(point: &'static str) -> Row {
    Row {
        point,
        process: "stock-0",
        before: Before::LostDatabase,
    }
}

/// The points of `service-runtime`, which every service has: batches by the stock service, which decides in
/// them, jobs by the payment service, whose results are outcomes.
pub(crate) const RUNTIME: [Row; 29] = [
    stock("batch.read.after"),
    stock("dead_letter.before"),
    stock("dead_letter.enqueued"),
    stock("dead_letter.after"),
    stock("batch.lock.after"),
    stock("batch.fold.after"),
    stock("batch.decide.after"),
    stock("batch.commit.before"),
    stock("batch.commit.after"),
    stock("publish.before"),
    stock("publish.enqueued"),
    stock("publish.after"),
    stock("offsets.store.before"),
    stock("offsets.store.after"),
    payment("job.lease.before"),
    payment("job.lease.after"),
    payment("job.run.before"),
    payment("job.run.after"),
    payment("job.record.before"),
    payment("job.record.after"),
    payment("outcome.commit.before"),
    payment("outcome.commit.after"),
    payment("outcome.publish.before"),
    payment("outcome.publish.after"),
    sweep("sweep.publish.before"),
    sweep("sweep.publish.after"),
    history("history.begin.after"),
    history("history.end.before"),
    history("history.end.after"),
];

/// Processes that die together, each at a point of its own.
pub(crate) type Deaths = &'static [(&'static str, &'static str)];

/// What the workers of the services do outside of their databases. Those that wait for long leases die together.
pub(crate) const WORKERS: [Deaths; 5] = [
    &[
        ("email", "mail.send.before"),
        ("payment", "gateway.charge.before"),
        ("webhook", "webhook.post.before"),
    ],
    &[
        ("email", "mail.send.after"),
        ("shipping", "dispatch.decided"),
        ("webhook", "webhook.post.after"),
    ],
    &[("payment", "gateway.charge.after")],
    &[("payment", "gateway.refund.before")],
    &[("payment", "gateway.refund.after")],
];

/// The order service between a request to place an order under a key and its answer.
pub(crate) const PLACING: [&str; 6] = [
    "place.claim.before",
    "place.claim.after",
    "place.produce.before",
    "place.produce.enqueued",
    "place.produce.after",
    "place.acknowledge.after",
];

/// The order service between a request to cancel an order and its answer.
pub(crate) const CANCELLING: [&str; 2] = ["cancel.commit.before", "cancel.commit.after"];

/// The order service when an order is overdue.
pub(crate) const OVERDUE: &str = "deadline.publish.before";

/// The command `rebuild` of the order service.
pub(crate) const REBUILDING: [&str; 3] = [
    "rebuild.fill.after",
    "rebuild.switch.before",
    "rebuild.switch.after",
];

/// `orderctl dlt redrive`.
pub(crate) const REDRIVING: [&str; 3] = [
    "redrive.produce.before",
    "redrive.produce.after",
    "redrive.note.after",
];

/// Every row, in the order of the printed table.
pub(crate) fn all() -> Vec<&'static str> {
    let runtime = RUNTIME.iter().map(|row| row.point);
    let workers = WORKERS.into_iter().flatten().map(|(_, point)| *point);
    let order = PLACING.into_iter().chain(CANCELLING).chain([OVERDUE]);
    let tools = REBUILDING.into_iter().chain(REDRIVING);
    runtime.chain(workers).chain(order).chain(tools).collect()
}
