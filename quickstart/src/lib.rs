//! Everything in one process, with nothing to install: an embedded broker that speaks the Kafka
//! protocol, and the services that talk over it.

pub mod embedded;
