//! The system as a black box: see the harness in `src/` for how it is started.

// A test fails by panicking, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod commands;
mod documentation;
mod endings;
mod history;
mod interoperability;
mod lifecycle;
mod mail;
mod operator;
mod order_flow;
mod rebuild;
mod streaming;
mod webhooks;

integration_tests::main!(
    commands,
    documentation,
    endings,
    history,
    interoperability,
    lifecycle,
    mail,
    operator,
    order_flow,
    rebuild,
    streaming,
    webhooks
);
