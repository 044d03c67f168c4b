//! What every service has folded, and that nothing is left to do.

use std::collections::BTreeMap;

use base_domains::OrderStatus;

use super::super::Invariant::{
    CommandRowIsTheLogs, EveryOrderEnds, HistoryIsTheLogs, JobIsDone, NobodyEndsByItself,
    OutcomeIsConfirmed, StatusIsTheLogs,
};
use super::super::{OrderRow, Participant, Place, View};
use super::story::Story;
use super::{Case, Findings};

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    for (order_id, story) in &case.orders {
        found.unless(story.is_over(), EveryOrderEnds, || {
            format!("{order_id} is {} at rest", status(Some(story)))
        });
    }
    for participant in &case.history.databases.participants {
        folded(case, participant, found);
    }
    read_model(case, found);
    histories(case, found);
    commands(case, found);
    for job in &case.history.databases.jobs {
        // Whether a receiver of webhooks answers is not the system's promise.
        let given_up = job.state == "dead" && job.service == "webhook";
        let over = ["done", "skipped"].contains(&job.state.as_str()) || given_up;
        found.unless(over, JobIsDone, || {
            format!("{} of {} is {}", job.id, job.service, job.state)
        });
    }
    for process in &case.history.ended_by_themselves {
        found.add(
            NobodyEndsByItself,
            format!("ended by itself or with a failure: {process}"),
        );
    }
}

fn status(story: Option<&Story<'_>>) -> &'static str {
    let status = story.and_then(Story::status);
    status.map_or("nothing", OrderStatus::as_str)
}

fn folded(case: &Case<'_>, participant: &Participant, found: &mut Findings) {
    let name = &participant.name;
    let mut rows = BTreeMap::<&str, &OrderRow>::new();
    for row in &participant.orders {
        rows.insert(&row.order_id, row);
        let story = case.story(&row.order_id);
        let (expected, rank) = (
            status(story),
            story.and_then(Story::status).map_or(0, OrderStatus::rank),
        );
        // A row without a status was made to be locked, by somebody who asked for an order that there is not.
        let same = row.status == expected || (row.status.is_empty() && story.is_none());
        found.unless(same && row.rank == rank, StatusIsTheLogs, || {
            format!(
                "{name} has {} as {} (rank {}), the log says {expected}",
                row.order_id, row.status, row.rank
            )
        });
        found.unless(row.outcome_rank <= row.rank, OutcomeIsConfirmed, || {
            format!(
                "{name} has an outcome of rank {} for {}, which is {}",
                row.outcome_rank, row.order_id, row.status
            )
        });
    }
    for order_id in case.orders.keys() {
        found.unless(
            rows.contains_key(order_id.to_string().as_str()),
            StatusIsTheLogs,
            || format!("{name} does not know {order_id}"),
        );
    }
}

fn read_model(case: &Case<'_>, found: &mut Findings) {
    let views = &case.history.databases.views;
    let views: BTreeMap<&str, &View> = views.iter().map(|v| (v.order_id.as_str(), v)).collect();
    for order_id in views.keys().filter(|id| case.story(id).is_none()) {
        found.add(
            HistoryIsTheLogs,
            format!("the read model has {order_id}, the log has not"),
        );
    }
    for (order_id, story) in &case.orders {
        let Some(view) = views.get(order_id.to_string().as_str()) else {
            found.add(
                HistoryIsTheLogs,
                format!("the read model does not know {order_id}"),
            );
            continue;
        };
        let reason = story.ending().and_then(|event| event.body()?.reason);
        let reason = reason.unwrap_or_default();
        let same = view.status == status(Some(story)) && view.reason == reason;
        found.unless(same, HistoryIsTheLogs, || {
            format!(
                "the read model has {order_id} as {} {}, the log says {} {reason}",
                view.status,
                view.reason,
                status(Some(story))
            )
        });
    }
}

fn histories(case: &Case<'_>, found: &mut Findings) {
    let mut told = BTreeMap::<&str, Vec<(Place, &str)>>::new();
    for step in &case.history.databases.steps {
        let steps = told.entry(&step.order_id).or_default();
        steps.push((step.place, &step.status));
    }
    for (order_id, story) in &case.orders {
        let mut steps = told
            .remove(order_id.to_string().as_str())
            .unwrap_or_default();
        let mut expected: Vec<(Place, &str)> = story
            .steps()
            .map(|step| (step.place(), step.heading.status.as_str()))
            .collect();
        if story.loose {
            // Whether the rest was read before it, nobody knows.
            steps.retain(|(_, status)| *status != "PENDING");
            expected.retain(|(_, status)| *status != "PENDING");
        }
        steps.sort_unstable();
        expected.sort_unstable();
        found.unless(steps == expected, HistoryIsTheLogs, || {
            format!("{order_id}: the read model tells {steps:?}, the log {expected:?}")
        });
    }
    for (order_id, steps) in told {
        found.add(
            HistoryIsTheLogs,
            format!("{order_id}: the read model tells {steps:?}, the log nothing"),
        );
    }
}

/// The command side has read every end, and knows of what it cannot end.
fn commands(case: &Case<'_>, found: &mut Findings) {
    let rows = &case.history.databases.commands;
    let rows: BTreeMap<&str, &str> = rows
        .iter()
        .map(|r| (r.order_id.as_str(), r.state.as_str()))
        .collect();
    for (order_id, story) in case.over() {
        let state = rows.get(order_id.to_string().as_str()).copied();
        // Its first event says what was ordered.
        let unreadable = story.steps().next().is_some_and(|first| first.poison);
        let expected = match (story.end(), unreadable) {
            (Some(_), _) => "ended",
            (None, true) => "unreadable",
            (None, false) => "open",
        };
        found.unless(state == Some(expected), CommandRowIsTheLogs, || {
            let status = status(Some(story));
            format!("{order_id} is {status}, and the command side has it as {state:?}")
        });
    }
    for order_id in rows.keys().filter(|id| case.story(id).is_none()) {
        found.add(
            CommandRowIsTheLogs,
            format!("the command side has {order_id}, the log has not"),
        );
    }
}
