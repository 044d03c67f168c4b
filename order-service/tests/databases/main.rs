//! The service over a real socket, with a database and a producer that does as it is told.

#![allow(clippy::unwrap_used, clippy::panic)]

mod answers;
mod cancel;
mod cancelling;
mod cleaning;
mod documentation;
mod events;
mod hostile;
mod idempotency;
mod interleavings;
mod keeping;
mod listing;
mod migrating;
mod outages;
mod overload;
mod process;
mod projection;
mod reading;
mod rebuilding;
mod rebuilding_busy;
mod rebuilding_log;
mod streaming;
mod support;
mod switching;
mod unfinished;
mod waiting;

test_support::main!(
    answers,
    cancel,
    cancelling,
    cleaning,
    documentation,
    events,
    hostile,
    idempotency,
    interleavings,
    keeping,
    listing,
    migrating,
    outages,
    overload,
    process,
    projection,
    reading,
    rebuilding,
    rebuilding_busy,
    rebuilding_log,
    streaming,
    switching,
    unfinished,
    waiting,
);
