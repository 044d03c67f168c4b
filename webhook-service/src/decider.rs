//! The service's part in a batch: one job per effective event and webhook that is registered for it.

use std::collections::BTreeSet;
use std::mem::take;
use std::sync::{Arc, Mutex, PoisonError};

use base_domains::OrderStatus;
use jiff::Timestamp;
use service_runtime::database::{Dialect, Tx};
use service_runtime::jobs::{self, NewJob};
use service_runtime::participant::{Change, DecideError, Decider, Decision};
use uuid::Uuid;

use crate::job::{delivery_id, kind};
use crate::payload::Notification;
use crate::store;
use crate::wakes::Wakes;

/// Inserts the jobs. It appends nothing to the log, and needs no body: header and time tell all.
#[derive(Debug)]
pub struct WebhookDecider {
    dialect: Dialect,
    public_url: String,
    wakes: Arc<Wakes>,
    /// Who gets something by the batch, once it is committed.
    told: Mutex<BTreeSet<Uuid>>,
}

impl WebhookDecider {
    /// A decider for a database of this kind, that links to orders under `public_url`.
    #[must_use]
    pub fn new(dialect: Dialect, public_url: String, wakes: Arc<Wakes>) -> Self {
        Self {
            dialect,
            public_url,
            wakes,
            told: Mutex::default(),
        }
    }

    /// What is told of a change, and from when its age counts.
    fn notification(&self, change: &Change<'_>) -> Result<(String, Option<i64>), DecideError> {
        // A producer without a clock writes zero or less.
        let age_from = change.record.timestamp.filter(|at| *at > 0);
        let at = age_from.and_then(|at| Timestamp::from_millisecond(at).ok());
        let at = at.unwrap_or_else(Timestamp::now);
        let status = change.heading.status;
        let notification = Notification::new(change.order_id(), status, at, &self.public_url);
        let body = serde_json::to_string(&notification);
        let body = body.map_err(|error| DecideError::Bug(error.to_string()))?;
        Ok((body, age_from))
    }

    fn jobs(
        &self,
        changes: &[Change<'_>],
        webhooks: &[(Uuid, Vec<OrderStatus>)],
    ) -> Result<Vec<NewJob>, DecideError> {
        let mut jobs = Vec::new();
        let mut told = BTreeSet::new();
        for change in changes {
            let (order_id, status) = (change.order_id(), change.heading.status);
            let wanted = webhooks
                .iter()
                .filter(|(_, states)| states.contains(&status));
            let mut wanted = wanted.map(|(webhook, _)| *webhook).peekable();
            if wanted.peek().is_none() {
                continue;
            }
            let (payload, age_from) = self.notification(change)?;
            for webhook in wanted {
                told.insert(webhook);
                jobs.push(NewJob {
                    job_id: delivery_id(webhook, order_id, status),
                    kind: kind(webhook),
                    order_id: order_id.to_string(),
                    partition: change.home_partition,
                    payload: payload.clone(),
                    age_from,
                    due_at: None,
                });
            }
        }
        let mut all = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(told);
        Ok(jobs)
    }
}

impl Decider for WebhookDecider {
    async fn decide(
        &self,
        tx: &mut Tx,
        changes: &[Change<'_>],
    ) -> Result<Vec<Decision>, DecideError> {
        let webhooks = store::enabled(tx).await?;
        let jobs = self.jobs(changes, &webhooks)?;
        jobs::insert(tx, self.dialect, &jobs).await?;
        Ok(vec![Decision::Done; changes.len()])
    }

    fn committed(&self, _: &[Change<'_>]) {
        let told = take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner));
        for webhook in told {
            self.wakes.deliver(webhook);
        }
    }
}
