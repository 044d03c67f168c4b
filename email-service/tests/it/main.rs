//! The service from outside: what it puts into a mail and how it hands it over.

mod message;
mod mailer;
mod support;
