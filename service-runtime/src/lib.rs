//! service-runtime

pub mod database;
pub mod jobs;
