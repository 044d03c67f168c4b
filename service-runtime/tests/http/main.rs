//! The HTTP server over real sockets.

#![allow(clippy::unwrap_used, clippy::panic)]

mod busy;
mod crowd;
mod descriptors;
mod errors;
mod limits;
mod operations;
mod refusals;
mod shutdown;
mod slow_readers;
mod support;
