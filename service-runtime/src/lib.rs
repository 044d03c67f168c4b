//! service-runtime

pub mod database;
