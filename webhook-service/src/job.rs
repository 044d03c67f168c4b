//! Delivers the notification of one job.
//!
//! Each webhook has jobs of a kind of its own, and so a worker of its own. The payload of a job is the body
//! as it is sent, the same at every attempt; URL and secret are read at each.

use std::time::Duration;

use base_domains::{OrderId, OrderStatus};
use secrecy::ExposeSecret as _;
use service_runtime::database::Database;
use service_runtime::fault;
use service_runtime::jobs::{self, Attempted, Job, JobHandler, JobResult, RecordError, Recorded};
use uuid::Uuid;

use crate::failure::{Answer, Failure};
use crate::secret::Secret;
use crate::sender::Sender;
use crate::store::{self, Webhook, WebhookState};

/// How the kind of every delivery begins; the webhook's id follows.
pub const KIND_PREFIX: &str = "webhook/";
/// How every id of a delivery begins.
pub const ID_PREFIX: &str = "msg_";

/// The kind of a webhook's jobs.
#[must_use]
pub fn kind(webhook: Uuid) -> String {
    format!("{KIND_PREFIX}{webhook}")
}

/// The id of a delivery, which is that of its job and the value of its header `webhook-id`: the same for
/// every attempt, and for a replay of the log.
#[must_use]
pub fn delivery_id(webhook: Uuid, order_id: OrderId, status: OrderStatus) -> String {
    let name = format!("{order_id}/{status}");
    let id = Uuid::new_v5(&webhook, name.as_bytes());
    format!("{ID_PREFIX}{}", id.simple())
}

/// Delivers for one webhook.
#[derive(Debug)]
pub struct DeliveryHandler {
    webhook: Uuid,
    kind: String,
    database: Database,
    sender: Sender,
    max_age: Duration,
    retry_max_delay: Duration,
}

impl DeliveryHandler {
    /// A handler for the jobs of `webhook`. What is older than `max_age` is given up; a receiver may ask
    /// for as long a rest as `retry_max_delay`.
    #[must_use]
    pub fn new(
        webhook: Uuid,
        database: Database,
        sender: Sender,
        max_age: Duration,
        retry_max_delay: Duration,
    ) -> Self {
        Self {
            webhook,
            kind: kind(webhook),
            database,
            sender,
            max_age,
            retry_max_delay,
        }
    }

    async fn deliver(&self, job: &Job, webhook: &Webhook) -> JobResult {
        let Ok(secret) = Secret::parse(webhook.secret.expose_secret()) else {
            let error = "the secret in the database is not usable".to_owned();
            return JobResult::Dead { error };
        };
        let (url, body) = (webhook.url.expose_secret(), job.payload.clone());
        fault::point("webhook.post.before");
        let sent = self.sender.send(url, &secret, &job.job_id, body).await;
        fault::point("webhook.post.after");
        self.log(job, &sent.as_ref().map(|_| ()).map_err(|failure| *failure));
        match sent {
            Ok(status) => JobResult::Done {
                result: Some(status.as_u16().to_string()),
            },
            Err(failure) if failure.is_permanent() => JobResult::Dead {
                error: failure.to_string(),
            },
            Err(failure) => JobResult::Retry {
                error: failure.to_string(),
            },
        }
    }

    /// Never the URL, which can hold credentials.
    fn log(&self, job: &Job, sent: &Result<(), Failure>) {
        let (webhook, order_id, delivery) = (self.webhook, &job.order_id, &job.job_id);
        match sent {
            Ok(()) => {
                tracing::info!(%webhook, %order_id, %delivery, "A notification was delivered.");
            }
            Err(error) => {
                tracing::warn!(%webhook, %order_id, %delivery, %error, "A notification was not delivered.");
            }
        }
    }
}

/// What is not even tried, because of its age. Of old history when it was read: skipped. Grown old in
/// waiting for its receiver: dead, so that an operator sees it.
fn expired(job: &Job, max_age: Duration) -> Option<JobResult> {
    let older =
        |at: i64| at > job.age_from && Duration::from_millis(at.abs_diff(job.age_from)) > max_age;
    let hours = max_age.as_secs() / 3600;
    if older(job.created_at) {
        let reason = format!("the event was more than {hours}h old when it was read");
        return Some(JobResult::Skipped { reason });
    }
    older(job.leased_at).then(|| JobResult::Dead {
        error: format!("not delivered within {hours}h"),
    })
}

impl JobHandler for DeliveryHandler {
    fn kind(&self) -> &str {
        &self.kind
    }

    async fn run(&self, job: &Job) -> JobResult {
        if let Some(expired) = expired(job, self.max_age) {
            return expired;
        }
        match store::find(&self.database, self.webhook).await {
            Ok(Some(webhook)) if webhook.state == WebhookState::Enabled => {
                self.deliver(job, &webhook).await
            }
            // Whoever enables it again may want what was not delivered.
            Ok(Some(webhook)) if webhook.state == WebhookState::Disabled => JobResult::Dead {
                error: "the webhook is disabled".to_owned(),
            },
            Ok(_) => JobResult::Skipped {
                reason: "the webhook was deleted".to_owned(),
            },
            Err(error) => {
                tracing::warn!(webhook = %self.webhook, %error, "A webhook cannot be read.");
                let error = "the webhook could not be read from the database".to_owned();
                JobResult::Retry { error }
            }
        }
    }

    /// With what the answer means for the webhook: a rest, or its end.
    async fn record(
        &self,
        database: &Database,
        attempted: &Attempted<'_>,
    ) -> Result<Recorded, RecordError> {
        let mut attempted = *attempted;
        let answer = match attempted.result {
            JobResult::Retry { error } | JobResult::Dead { error } => error.parse::<Answer>().ok(),
            _ => None,
        };
        if let Some(rest) = answer.and_then(|answer| answer.rest) {
            attempted.delay = attempted.delay.max(rest).min(self.retry_max_delay);
        }
        let (mut tx, dialect) = (database.begin().await?, database.dialect());
        if answer.is_some_and(Answer::is_gone) {
            let reason = "the receiver answered 410 Gone";
            store::disable(&mut tx, dialect, self.webhook, reason).await?;
        }
        if !jobs::record(&mut tx, dialect, &attempted).await? {
            return Ok(Recorded::LeaseLost);
        }
        tx.commit().await?;
        Ok(Recorded::Committed(Box::pin(std::future::ready(()))))
    }
}
