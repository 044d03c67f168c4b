//! The webhook service on a real database: who is told of what, that it arrives signed and once, and
//! that no receiver is in another one's way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod crew;
mod decider;
mod delivery;
mod http;
mod receiver;
mod service;
mod world;

test_support::main!(crew, decider, delivery, http, service);
