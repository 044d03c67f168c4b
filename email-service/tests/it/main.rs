//! The service from outside: which mails an order causes, what is in them, how they are handed over
//! and what is told about them.

mod decider;
mod http;
mod mailer;
mod message;
mod support;
mod worker;
