//! The service over a real socket, with a database and a producer that does as it is told.

#![allow(clippy::unwrap_used, clippy::panic)]

mod answers;
mod cancel;
mod cancelling;
mod documentation;
mod events;
mod idempotency;
mod interleavings;
mod keeping;
mod listing;
mod outages;
mod process;
mod projection;
mod reading;
mod streaming;
mod support;
mod unfinished;
mod waiting;

test_support::main!(
    answers,
    cancel,
    cancelling,
    documentation,
    events,
    idempotency,
    interleavings,
    keeping,
    listing,
    outages,
    process,
    projection,
    reading,
    streaming,
    unfinished,
    waiting,
);
