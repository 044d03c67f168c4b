//! Settings of the service.

use std::path::PathBuf;
use std::time::Duration;

use base_domains::OrderStatus;
use lettre::message::Mailbox;
use secrecy::ExposeSecret as _;
use service_runtime::config::Reader;
use service_runtime::jobs::{Backoff, WorkerConfig};
use service_runtime::lifecycle::{ProcessConfig, ServiceConfig};
use service_runtime::participant::ParticipantSettings;
use service_runtime::service::CommonConfig;

use crate::mailer::SmtpSettings;
use crate::message::is_address;
use crate::message_id::is_dot_atom;

const PORT: u16 = 8082;
const DATABASE_URL: &str = "sqlite://data/email.db";
/// RESERVED is left out: to the customer it says nothing that PENDING and PAID do not say.
const STATES: [OrderStatus; 5] = [
    OrderStatus::Pending,
    OrderStatus::Paid,
    OrderStatus::Shipped,
    OrderStatus::Rejected,
    OrderStatus::Cancelled,
];
/// The value of `EMAIL_DEFAULT_RECIPIENT` that stands for nobody.
const NOBODY: &str = "none";
/// For a file, which is written at once or not at all.
const FILE_LEASE: Duration = Duration::from_secs(30);

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Config {
    /// What every service has.
    pub common: CommonConfig,
    /// Group and bounds.
    pub participant: ParticipantSettings,
    /// Which mail is sent, and how.
    pub mail: MailConfig,
}

/// Which mail is sent, and how.
#[derive(Debug, Clone)]
pub struct MailConfig {
    /// States of an order that are mailed.
    pub states: Vec<OrderStatus>,
    /// Sender of every mail, such as `Orders <orders@example.com>`.
    pub from: String,
    /// Domain of every `Message-ID`.
    pub message_id_domain: String,
    /// Who gets the mail of orders without an address; `None`: nobody.
    pub default_recipient: Option<String>,
    /// Mail about older events is skipped.
    pub max_age: Duration,
    /// Longest wait between two attempts.
    pub retry_max_delay: Duration,
    /// Most mails that are handed over at a time.
    pub concurrency: usize,
    /// Where mail goes.
    pub transport: Transport,
}

/// Where mail goes.
#[derive(Debug, Clone)]
pub enum Transport {
    /// To an SMTP server.
    Smtp(SmtpSettings),
    /// Into a folder, as files.
    Folder(PathBuf),
}

impl ServiceConfig for Config {
    fn read(reader: &mut Reader) -> Self {
        Self {
            common: CommonConfig::read(reader, crate::NAME, PORT, DATABASE_URL),
            participant: ParticipantSettings::read(reader, "KAFKA_GROUP", "email"),
            mail: MailConfig::read(reader),
        }
    }

    fn process(&self) -> &ProcessConfig {
        &self.common.process
    }

    fn common(&self) -> Option<&CommonConfig> {
        Some(&self.common)
    }

    fn groups(&self) -> Vec<&str> {
        vec![&self.participant.group]
    }
}

impl MailConfig {
    fn read(reader: &mut Reader) -> Self {
        let (from, domain) = sender(reader);
        let states = reader.list(
            "EMAIL_STATES",
            STATES.to_vec(),
            "states of an order that are mailed",
        );
        let concurrency = reader.get_in(
            "EMAIL_CONCURRENCY",
            4,
            1..=100,
            "most mails that are handed over at a time",
        );
        Self {
            states,
            message_id_domain: message_id_domain(reader, domain),
            from,
            default_recipient: default_recipient(reader),
            max_age: reader.duration(
                "EMAIL_MAX_AGE",
                Duration::from_secs(72 * 60 * 60),
                "mail about an older event is recorded as skipped",
            ),
            retry_max_delay: reader.duration_in(
                "EMAIL_RETRY_MAX_DELAY",
                Duration::from_secs(60),
                Duration::from_millis(10)..=Duration::from_secs(24 * 60 * 60),
                "longest wait between two attempts; they double from one second",
            ),
            concurrency,
            transport: transport(reader, concurrency),
        }
    }

    /// How the jobs are worked on.
    ///
    /// Attempts have no limit: a mail server may be down for longer than any number of them takes,
    /// and that is no fault of the mail. What ends a mail is an answer that is permanent, or its age.
    #[must_use]
    pub fn worker(&self) -> WorkerConfig {
        WorkerConfig {
            concurrency: self.concurrency,
            batch: self.concurrency,
            lease: self.transport.lease(),
            backoff: Backoff {
                initial: Duration::from_secs(1),
                max: self.retry_max_delay,
            },
            max_attempts: None,
            max_age: Some(self.max_age),
            ..WorkerConfig::default()
        }
    }
}

impl Transport {
    /// Longer than any attempt: one whose lease ends is cut off, and the mail goes out again.
    fn lease(&self) -> Duration {
        match self {
            // A worker cuts an attempt off at nine tenths of its lease.
            Self::Smtp(settings) => {
                settings.longest_attempt().mul_f64(1.2) + Duration::from_secs(5)
            }
            Self::Folder(_) => FILE_LEASE,
        }
    }
}

/// The sender as it was given, and the domain of its address.
fn sender(reader: &mut Reader) -> (String, String) {
    const NAME: &str = "EMAIL_FROM";
    let text = reader.get(
        NAME,
        "orders@example.com".to_owned(),
        "sender, such as Orders <orders@example.com>",
    );
    let mailbox = text.parse::<Mailbox>().ok();
    let address = mailbox.map(|mailbox| mailbox.email);
    let domain = match address.filter(|address| is_address(address.as_ref())) {
        Some(address) => address.domain().to_owned(),
        None => {
            reader.problem(NAME, "must be an address such as orders@example.com");
            String::new()
        }
    };
    (text, domain)
}

fn message_id_domain(reader: &mut Reader, default: String) -> String {
    const NAME: &str = "EMAIL_MESSAGE_ID_DOMAIN";
    let missing = default.is_empty();
    let domain = reader.get(
        NAME,
        default,
        "domain of every Message-ID; by default the sender's",
    );
    // Without a sender its problem is told already.
    let told = missing && domain.is_empty();
    if !told && !is_dot_atom(&domain) {
        reader.problem(NAME, "must be a domain name in ASCII such as example.com");
    }
    domain
}

fn default_recipient(reader: &mut Reader) -> Option<String> {
    const NAME: &str = "EMAIL_DEFAULT_RECIPIENT";
    let recipient = reader.get(
        NAME,
        "customer@example.com".to_owned(),
        "who gets the mail of orders without an address; none: nobody, it is recorded as skipped",
    );
    if recipient == NOBODY {
        return None;
    }
    if !is_address(&recipient) {
        reader.problem(
            NAME,
            "must be a plain address such as customer@example.com, or none",
        );
    }
    Some(recipient)
}

fn transport(reader: &mut Reader, connections: usize) -> Transport {
    const NAME: &str = "SMTP_URL";
    let limits = Duration::from_millis(1)..=Duration::from_secs(60 * 60);
    let url = reader.url(
        NAME,
        "",
        "smtp://[user:password@]host[:port][?tls=required] or smtps://…; mail goes into EMAIL_FOLDER if empty",
    );
    let timeout = reader.duration_in(
        "SMTP_TIMEOUT",
        SmtpSettings::TIMEOUT,
        limits.clone(),
        "for connecting and for the answer to each SMTP command",
    );
    let data_timeout = reader.duration_in(
        "SMTP_DATA_TIMEOUT",
        SmtpSettings::DATA_TIMEOUT,
        limits,
        "for the answer to the whole message; less risks sending it twice, more delays the repeat after a crash",
    );
    let folder: String = reader.get(
        "EMAIL_FOLDER",
        "data/mail".to_owned(),
        "folder that mail is written into when SMTP_URL is empty",
    );
    if url.expose_secret().is_empty() {
        return Transport::Folder(folder.into());
    }
    match url.expose_secret().parse() {
        Ok(server) => Transport::Smtp(SmtpSettings {
            server,
            timeout,
            data_timeout,
            connections,
        }),
        Err(problem) => {
            reader.problem(NAME, problem);
            Transport::Folder(folder.into())
        }
    }
}

#[cfg(test)]
mod tests;
