//! Webhooks that were told too little or too much.

use base_domains::OrderStatus;
use integration_tests::history::{Invariant, Told};
use webhook_service::job::delivery_id;

use crate::lives::id;
use crate::plant::Plant;
use crate::right::{LANDED, REFUNDED, SHIPPED, STOPPED};

pub(super) fn all() -> Vec<Plant> {
    vec![
        Plant {
            name: "a receiver was not told that an order is SHIPPED",
            breaks: Invariant::NotificationIsSent,
            plant: |history| {
                let gone = (id(LANDED), OrderStatus::Shipped);
                let told = &mut history.webhooks[0].told;
                told.retain(|one| (one.order_id, one.status) != gone);
            },
        },
        Plant {
            name: "a receiver was not told of an end whose body nobody can read",
            breaks: Invariant::NotificationIsSent,
            plant: |history| {
                let gone = (id(STOPPED), OrderStatus::Cancelled);
                let told = &mut history.webhooks[0].told;
                told.retain(|one| (one.order_id, one.status) != gone);
            },
        },
        Plant {
            name: "a receiver was told of a SHIPPED that came too late",
            breaks: Invariant::NotificationHasItsState,
            plant: |history| {
                let (order_id, status) = (id(REFUNDED), OrderStatus::Shipped);
                let webhook = &mut history.webhooks[0];
                let id = delivery_id(webhook.id, order_id, status);
                webhook.told.push(Told {
                    id,
                    order_id,
                    status,
                });
            },
        },
        Plant {
            name: "a receiver was told of an order that there is not",
            breaks: Invariant::NotificationHasItsState,
            plant: |history| {
                let told = &mut history.webhooks[0].told;
                told[0].order_id = id(93);
            },
        },
        Plant {
            name: "a receiver was told of what it did not register for",
            breaks: Invariant::NotificationHasItsState,
            plant: |history| {
                let states = &mut history.webhooks[0].states;
                states.retain(|status| *status != OrderStatus::Paid);
            },
        },
        Plant {
            name: "a receiver was told again under another id",
            breaks: Invariant::NotificationHasItsState,
            plant: |history| {
                let told = &mut history.webhooks[0].told;
                let mut again = told[0].clone();
                again.id = delivery_id(uuid::Uuid::nil(), id(SHIPPED), OrderStatus::Pending);
                told.push(again);
            },
        },
        Plant {
            name: "a receiver was told twice in one attempt",
            breaks: Invariant::NotificationRepeatsAreBounded,
            plant: |history| {
                let told = &mut history.webhooks[0].told;
                told.push(told[0].clone());
            },
        },
    ]
}
