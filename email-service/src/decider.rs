//! The service's part in a batch: one job per order and state that is mailed.

use std::sync::Arc;

use base_domains::{BadRecord, OrderStatus};
use service_runtime::database::{Dialect, Tx};
use service_runtime::jobs::{self, NewJob};
use service_runtime::participant::{Change, DecideError, Decider, Decision};
use tokio::sync::Notify;

use crate::config::MailConfig;
use crate::job::KIND;
use crate::mail::Mail;
use crate::message_id::MessageId;

/// Inserts the jobs. It appends nothing to the log.
#[derive(Debug)]
pub struct MailDecider {
    dialect: Dialect,
    states: Vec<OrderStatus>,
    message_id_domain: String,
    default_recipient: Option<String>,
    wake: Arc<Notify>,
}

impl MailDecider {
    /// A decider for a database of this kind; `wake` is notified when there is mail.
    #[must_use]
    pub fn new(config: &MailConfig, dialect: Dialect, wake: Arc<Notify>) -> Self {
        Self {
            dialect,
            states: config.states.clone(),
            message_id_domain: config.message_id_domain.clone(),
            default_recipient: config.default_recipient.clone(),
            wake,
        }
    }

    fn is_mailed(&self, status: OrderStatus) -> bool {
        self.states.contains(&status)
    }

    /// The job for one change. An order that breaks a rule of the domain is mailed all the same:
    /// its sender shall learn of the rejection.
    fn job(&self, change: &Change<'_>) -> Result<Result<NewJob, BadRecord>, DecideError> {
        let event = match change.event() {
            Ok(event) => event,
            Err(error) => return Ok(Err(error)),
        };
        let (order_id, status) = (change.order_id(), change.heading.status);
        let event_id = &change.heading.event_id;
        let message_id = MessageId::new(order_id, status, event_id, &self.message_id_domain)
            .map_err(|error| DecideError::Bug(error.to_string()))?;
        // A producer without a clock writes zero or less.
        let occurred_at = change.record.timestamp.filter(|at| *at > 0);
        let default_recipient = self.default_recipient.as_deref();
        let mail = Mail::new(status, &event, message_id, default_recipient, occurred_at);
        let payload =
            serde_json::to_string(&mail).map_err(|error| DecideError::Bug(error.to_string()))?;
        Ok(Ok(NewJob {
            job_id: format!("mail/{order_id}/{status}"),
            kind: KIND.to_owned(),
            order_id: order_id.to_string(),
            partition: change.home_partition,
            payload,
            age_from: occurred_at,
            due_at: None,
        }))
    }
}

impl Decider for MailDecider {
    async fn decide(
        &self,
        tx: &mut Tx,
        changes: &[Change<'_>],
    ) -> Result<Vec<Decision>, DecideError> {
        let mut decisions = Vec::with_capacity(changes.len());
        let mut jobs = Vec::new();
        for change in changes {
            let job = self
                .is_mailed(change.heading.status)
                .then(|| self.job(change));
            decisions.push(match job.transpose()? {
                Some(Err(error)) => Decision::unreadable(&error),
                Some(Ok(job)) => {
                    jobs.push(job);
                    Decision::Done
                }
                None => Decision::Done,
            });
        }
        jobs::insert(tx, self.dialect, &jobs).await?;
        Ok(decisions)
    }

    fn committed(&self, changes: &[Change<'_>]) {
        if changes
            .iter()
            .any(|change| self.is_mailed(change.heading.status))
        {
            self.wake.notify_one();
        }
    }
}
