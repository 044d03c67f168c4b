//! Webhooks: each receiver is told of each effective state that it is registered for, and of nothing else.

use std::collections::{BTreeMap, BTreeSet};

use base_domains::{OrderId, OrderStatus};
use webhook_service::job::delivery_id;

use super::super::Invariant::{
    NotificationHasItsState, NotificationIsSent, NotificationRepeatsAreBounded,
};
use super::super::Webhook;
use super::{Case, Findings};

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    let jobs = case.history.databases.jobs.iter();
    let jobs = jobs.filter(|job| job.service == "webhook");
    let attempts: BTreeMap<&str, i64> = jobs.map(|job| (job.id.as_str(), job.attempts)).collect();
    for webhook in &case.history.webhooks {
        let mut times = BTreeMap::<&str, i64>::new();
        for told in &webhook.told {
            *times.entry(&told.id).or_default() += 1;
            has_its_state(case, webhook, &told.id, (told.order_id, told.status), found);
        }
        for (id, times) in &times {
            let tried = attempts.get(id).copied().unwrap_or(0);
            found.unless(*times <= tried, NotificationRepeatsAreBounded, || {
                format!("{id} was told {times} times in {tried} attempts")
            });
        }
        let ids = times.into_keys().collect();
        sent(case, webhook, &ids, found);
    }
}

fn has_its_state(
    case: &Case<'_>,
    webhook: &Webhook,
    id: &str,
    (order_id, status): (OrderId, OrderStatus),
    found: &mut Findings,
) {
    let story = case.orders.get(&order_id);
    let passed = story.is_some_and(|story| story.passed(status));
    let its_own = id == delivery_id(webhook.id, order_id, status);
    let kept = passed && its_own && webhook.states.contains(&status);
    found.unless(kept, NotificationHasItsState, || {
        format!("{id} tells of {order_id} {status}: effective {passed}, under its own id {its_own}")
    });
}

fn sent(case: &Case<'_>, webhook: &Webhook, ids: &BTreeSet<&str>, found: &mut Findings) {
    for (order_id, story) in &case.orders {
        for step in story.steps() {
            let status = step.heading.status;
            // Whether it was read before the rest, nobody knows.
            let unsure = status == OrderStatus::Pending && story.loose;
            if unsure || !webhook.states.contains(&status) {
                continue;
            }
            let there = ids.contains(&*delivery_id(webhook.id, *order_id, status));
            found.unless(there, NotificationIsSent, || {
                format!("{order_id} was {status}, and {} was not told", webhook.id)
            });
        }
    }
}
