//! Sends the mail of one job.

use lettre::message::Mailbox;
use service_runtime::fault;
use service_runtime::jobs::{Job, JobHandler, JobResult};

use crate::mail::Mail;
use crate::mailer::{Mailer, SendError};
use crate::message::Outgoing;

/// The kind of these jobs.
pub const KIND: &str = "mail";

/// Composes and hands over.
#[derive(Debug)]
pub struct MailHandler<M> {
    from: Mailbox,
    mailer: M,
}

impl<M: Mailer> MailHandler<M> {
    /// A handler that sends in the name of `from`.
    pub fn new(from: Mailbox, mailer: M) -> Self {
        Self { from, mailer }
    }

    async fn send(&self, mail: &Mail) -> JobResult {
        let Some(recipient) = &mail.recipient else {
            return JobResult::Skipped {
                reason: "the order has no e-mail address, and there is no default recipient".into(),
            };
        };
        let message = match Outgoing::compose(&self.from, mail, recipient) {
            Ok(message) => message,
            Err(error) => {
                return JobResult::Dead {
                    error: error.to_string(),
                };
            }
        };
        fault::point("mail.send.before");
        let sent = self.mailer.send(&message).await;
        fault::point("mail.send.after");
        log(mail, &sent);
        match sent {
            Ok(()) => JobResult::Done { result: None },
            Err(error) if error.is_permanent() => JobResult::Dead {
                error: error.detail(),
            },
            Err(error) => JobResult::Retry {
                error: error.detail(),
            },
        }
    }
}

/// Never the address, nor the server's own words, which may repeat it.
fn log(mail: &Mail, sent: &Result<(), SendError>) {
    let (order_id, status, message_id) = (mail.order_id, mail.status, &mail.message_id);
    match sent {
        Ok(()) => tracing::info!(%order_id, %status, %message_id, "Mail was handed over."),
        Err(error) if error.is_permanent() => {
            tracing::warn!(%order_id, %status, %error, "Mail was refused.");
        }
        Err(error) => tracing::warn!(%order_id, %status, %error, "Mail waits for another attempt."),
    }
}

impl<M: Mailer> JobHandler for MailHandler<M> {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn run(&self, job: &Job) -> JobResult {
        match job.payload_as::<Mail>() {
            Ok(mail) => self.send(&mail).await,
            Err(error) => JobResult::Dead {
                error: format!("the payload is not a mail: {error}"),
            },
        }
    }
}
