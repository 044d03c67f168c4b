//! The HTTP server over real sockets.

#![allow(clippy::unwrap_used, clippy::panic)]

mod errors;
mod limits;
mod operations;
mod shutdown;
mod support;
