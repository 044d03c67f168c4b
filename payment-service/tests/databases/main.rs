//! The payment service on a real database: which charges and refunds the log causes, what gateways
//! answer, and that no interleaving of them takes money twice or keeps it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod decider;
mod gateway;
mod http;
mod interleavings;
mod jobs;
mod restore;
mod sandbox;
mod service;
mod stub;
mod world;

test_support::main!(
    decider,
    gateway,
    http,
    interleavings,
    jobs,
    restore,
    sandbox,
    service
);
