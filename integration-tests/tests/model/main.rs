//! A model of the whole system, small enough to go through every interleaving: one home partition, the
//! participants with their cursors, rows, outcomes and jobs, a gateway, and people who cancel.
//!
//! What the services decide is not modelled: it is their own rule books that are called, the fold of
//! `base_domains`, `stock_service::decision`, `payment_service::payment`, `shipping_service::shipment`,
//! `order_service::command::judge`, and the states and ids of email-service. The model is what stands around
//! them: how participants read, store, publish and die ([`participant`]), and who calls the rules with what
//! ([`decision`], [`effect`]).
//!
//! Each world is gone through whole: every order of the steps that can be taken, with as many deaths, rereads,
//! repeated records and lost answers as it allows, at any moment and in any service ([`step`]). Everything is
//! checked in every state ([`check`]), and from each one the system has to come to rest without further luck.
//! What makes no difference is left out, and so is email-service, which has a place of its own ([`reduction`],
//! [`readers`]).
//!
//! Defects that are planted ([`mutation`]) prove that the checks find what they are for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

mod check;
mod decision;
mod effect;
mod explore;
mod key;
mod mutation;
mod mutations;
mod participant;
mod readers;
mod reduction;
mod state;
mod step;
mod world;
mod worlds;
