//! Services that saw something else than the log says.

use integration_tests::history::{History, Invariant, Participant, View};

use super::{record, records, set_header};
use crate::lives::id;
use crate::plant::Plant;
use crate::right::{LANDED, REFUNDED, SHIPPED, SOLD_OUT, STOPPED};

fn participant<'a>(history: &'a mut History, name: &str) -> &'a mut Participant {
    let mut participants = history.databases.participants.iter_mut();
    participants
        .find(|participant| participant.name == name)
        .unwrap()
}

fn view(history: &mut History, n: u128) -> &mut View {
    let order_id = id(n).to_string();
    let mut views = history.databases.views.iter_mut();
    views.find(|view| view.order_id == order_id).unwrap()
}

pub(super) fn all() -> Vec<Plant> {
    [endings(), folds(), own()].into_iter().flatten().collect()
}

fn endings() -> Vec<Plant> {
    vec![
        Plant {
            name: "an order never ends",
            breaks: Invariant::EveryOrderEnds,
            plant: |history| {
                let place = records(history, SOLD_OUT, "order.rejected")[0];
                history.log.remove(place);
            },
        },
        Plant {
            name: "an order never ends, and the one poison of it came too late to hold it up",
            breaks: Invariant::EveryOrderEnds,
            plant: |history| {
                for end in ["order.shipped", "order.cancelled"] {
                    let end = records(history, SHIPPED, end)[0];
                    history.log.remove(end);
                }
            },
        },
        Plant {
            name: "an outcome was never published",
            breaks: Invariant::OutcomeIsConfirmed,
            plant: |history| {
                let row = &mut participant(history, "payment").orders[0];
                row.outcome_rank = row.rank + 1;
            },
        },
        Plant {
            name: "a job is still due",
            breaks: Invariant::JobIsDone,
            plant: |history| "due".clone_into(&mut history.databases.jobs[0].state),
        },
        Plant {
            name: "a mail was given up",
            breaks: Invariant::JobIsDone,
            plant: |history| "dead".clone_into(&mut history.databases.jobs[1].state),
        },
        Plant {
            name: "a service ended by itself",
            breaks: Invariant::NobodyEndsByItself,
            plant: |history| history.ended_by_themselves.push("stock-0".to_owned()),
        },
    ]
}

fn folds() -> Vec<Plant> {
    vec![
        Plant {
            name: "one service sees another end",
            breaks: Invariant::StatusIsTheLogs,
            plant: |history| {
                let order_id = id(REFUNDED).to_string();
                let rows = participant(history, "shipping").orders.iter_mut();
                let row = rows.into_iter().find(|row| row.order_id == order_id);
                "SHIPPED".clone_into(&mut row.unwrap().status);
            },
        },
        Plant {
            name: "all services see another end than the log says",
            breaks: Invariant::StatusIsTheLogs,
            plant: |history| {
                let late = records(history, REFUNDED, "order.shipped")[0];
                let end = records(history, REFUNDED, "order.cancelled")[0];
                let (one, other) = (history.log[late].offset, history.log[end].offset);
                (history.log[late].offset, history.log[end].offset) = (other, one);
            },
        },
        Plant {
            name: "one service does not know an order",
            breaks: Invariant::StatusIsTheLogs,
            plant: |history| {
                participant(history, "email").orders.remove(0);
            },
        },
        Plant {
            name: "one service knows an order that is not in the log",
            breaks: Invariant::StatusIsTheLogs,
            plant: |history| {
                let rows = &mut participant(history, "webhook").orders;
                let mut row = rows[0].clone();
                row.order_id = id(98).to_string();
                rows.push(row);
            },
        },
        Plant {
            name: "a rank is not that of its status",
            breaks: Invariant::StatusIsTheLogs,
            plant: |history| participant(history, "orders").orders[0].rank = 3,
        },
    ]
}

fn own() -> Vec<Plant> {
    vec![
        Plant {
            name: "the read model shows another status",
            breaks: Invariant::HistoryIsTheLogs,
            plant: |history| "PAID".clone_into(&mut view(history, SHIPPED).status),
        },
        Plant {
            name: "the read model shows another reason",
            breaks: Invariant::HistoryIsTheLogs,
            plant: |history| "deadline".clone_into(&mut view(history, REFUNDED).reason),
        },
        Plant {
            name: "the read model does not know an order",
            breaks: Invariant::HistoryIsTheLogs,
            plant: |history| {
                let order_id = id(SHIPPED).to_string();
                history
                    .databases
                    .views
                    .retain(|view| view.order_id != order_id);
            },
        },
        Plant {
            name: "the read model left out a step",
            breaks: Invariant::HistoryIsTheLogs,
            plant: |history| {
                let order_id = id(LANDED).to_string();
                let steps = &mut history.databases.steps;
                steps.retain(|step| step.order_id != order_id || step.status != "PAID");
            },
        },
        Plant {
            name: "the read model tells a step by its repetition",
            breaks: Invariant::HistoryIsTheLogs,
            plant: |history| {
                let again = records(history, REFUNDED, "order.paid")[1];
                let place = (history.log[again].partition, history.log[again].offset);
                let order_id = id(REFUNDED).to_string();
                let mut steps = history.databases.steps.iter_mut();
                let step = steps.find(|step| step.order_id == order_id && step.status == "PAID");
                step.unwrap().place = place;
            },
        },
        Plant {
            name: "the command side could still cancel an order that is SHIPPED",
            breaks: Invariant::CommandRowIsTheLogs,
            plant: |history| {
                let order_id = id(SHIPPED).to_string();
                let mut rows = history.databases.commands.iter_mut();
                let row = rows.find(|row| row.order_id == order_id);
                "open".clone_into(&mut row.unwrap().state);
            },
        },
        Plant {
            name: "an order that was ended by a poison can still be cancelled",
            breaks: Invariant::CommandRowIsTheLogs,
            plant: |history| {
                let order_id = id(STOPPED).to_string();
                let mut rows = history.databases.commands.iter_mut();
                let row = rows.find(|row| row.order_id == order_id);
                "open".clone_into(&mut row.unwrap().state);
            },
        },
        Plant {
            name: "the read model gives a reason that nobody can read",
            breaks: Invariant::HistoryIsTheLogs,
            plant: |history| "deadline".clone_into(&mut view(history, STOPPED).reason),
        },
        Plant {
            name: "a mail tells of an event that another one repeats under a new id",
            breaks: Invariant::MailHasItsState,
            plant: |history| {
                set_header(record(history, SHIPPED, "order.paid"), "ce_id", "another");
            },
        },
    ]
}
