//! Handing over.

mod file;
mod smtp;
