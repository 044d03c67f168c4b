//! Dead letters as an operator deals with them: read, redriven, discarded.
//!
//! The dead-letter topic of a group is a log too. Beside the letters that
//! [`DeadLetters`](super::DeadLetters) appends it holds *resolutions*: what somebody did about one
//! of them ([`Resolution`]). What is open is a fold over the topic ([`LetterBook`]).
//!
//! - A letter is named by its place in that topic ([`LetterId`]).
//! - A *redrive* appends the record to its origin again, under its key, with a header that names
//!   the one group that takes it (rule R2): the failed decision is made again from the group's
//!   row. Once it has worked, every further redrive is without effect.
//! - A record that could not even be *read* was folded by nobody, so no single group may take it.
//!   It is appended as a new event, for all groups, or not at all ([`redriven`]).
//! - Nobody removes a letter. One that was dealt with is resolved, and can be looked at for ever.

mod book;
mod id;
mod letter;
mod redrive;
mod resolution;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;

pub use book::{Case, LetterBook, LetterState};
pub use id::{BadLetterId, LetterId};
pub use letter::{DeadLetter, Source};
pub use redrive::{CannotRedrive, REDRIVE_COUNT, Scope, redriven};
pub use resolution::{Action, Resolution, UnknownAction};

use super::log_reader::asked_again;
use super::{KafkaConfig, ReadError, client, dead_letter_topic, read_all};

/// Everything that stands in the dead-letter topic of `group`.
///
/// # Errors
/// The broker does not answer, there is no such topic, or its end is not reached within `timeout`.
pub async fn read_letters(
    config: &KafkaConfig,
    group: &str,
    timeout: Duration,
) -> Result<LetterBook, ReadError> {
    let topic = dead_letter_topic(&config.topic, group);
    let records = read_all(config, &topic, timeout).await?;
    Ok(LetterBook::of(records))
}

/// The groups that have a dead-letter topic of this log, sorted.
///
/// # Errors
/// The broker does not answer within `timeout`.
pub async fn letter_groups(
    config: &KafkaConfig,
    timeout: Duration,
) -> Result<Vec<String>, ReadError> {
    let admin: AdminClient<DefaultClientContext> = client::admin(config).create()?;
    let log = config.topic.clone();
    let asking = tokio::task::spawn_blocking(move || {
        let deadline = Instant::now() + timeout;
        let metadata = asked_again(deadline, |left| admin.inner().fetch_metadata(None, left))?;
        let topics = metadata.topics().iter();
        let groups = topics.filter_map(|topic| group_of(topic.name(), &log));
        let groups: BTreeSet<String> = groups.map(str::to_owned).collect();
        Ok(groups.into_iter().collect())
    });
    asking.await.unwrap_or(Err(ReadError::CutOff))
}

/// The group whose dead letters of `log` are in `topic`.
fn group_of<'a>(topic: &'a str, log: &str) -> Option<&'a str> {
    let group = topic.strip_prefix(log)?.strip_prefix('.')?;
    group.strip_suffix(".dlt").filter(|group| !group.is_empty())
}
