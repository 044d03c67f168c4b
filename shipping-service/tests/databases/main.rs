//! The shipping service on a real database: what the log makes of shipments, when SHIPPED is appended,
//! and that no interleaving hands a parcel over twice or for an order that ended otherwise.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod decider;
mod dispatch;
mod http;
mod interleavings;
mod jobs;
mod service;
mod world;

test_support::main!(decider, dispatch, http, interleavings, jobs, service);
