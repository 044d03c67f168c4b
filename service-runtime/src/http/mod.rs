//! The HTTP side of a service: a server with limits, errors as problem documents, and the
//! endpoints that every service has.
//!
//! [`router`] puts a service's own routes behind the limits of [`HttpConfig`] and adds
//! `/health/live`, `/health/ready`, `/metrics`, `/openapi.json` and `/docs`; [`serve`] runs it.
//! Every error that a client sees is a [`Problem`] (RFC 9457); extractors of this module answer
//! with one, and so do routes that do not exist, panics, exceeded limits, and requests that are none.

mod bodies;
mod config;
mod connection;
mod database;
mod descriptors;
mod extract;
mod farewell;
mod limits;
mod line;
mod operations;
mod places;
mod problem;
mod quoted;
mod receive;
mod router;
mod server;
mod stream;

pub use config::HttpConfig;
pub use extract::{Json, Path, Query};
pub use problem::{FieldError, Problem};
pub use router::{ServiceInfo, router};
pub use server::{bind, serve};
