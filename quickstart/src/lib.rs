//! Everything in one process, with nothing to install: an embedded broker that speaks the Kafka
//! protocol, and the services that talk over it.
//!
//! - [`embedded`] is the broker; [`system`] starts it and the services, as they run everywhere else.
//! - [`once`] places three orders, follows them and verifies what came of them.
//! - Nothing is kept between runs: the log lives in memory, and a database that outlived it would
//!   contradict it.

pub mod arguments;
pub mod banner;
mod client;
pub mod embedded;
pub mod once;
pub mod ports;
pub mod system;
