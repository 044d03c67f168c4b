//! Mail: one for each effective state that is mailed, to whom it concerns, and again only where it was tried again because
//! somebody was interrupted who had to note that it was sent.

use std::collections::{BTreeMap, BTreeSet};

use base_domains::{OrderId, OrderStatus};
use email_service::message_id::MessageId;

use super::super::Invariant::{MailHasItsState, MailHasOneId, MailIsSent, MailRepeatsAreBounded};
use super::super::{Job, Mail};
use super::story::{Event, Story};
use super::{Case, Findings};

/// The mails of an order and a state, which is in lower case.
type Mails<'a> = BTreeMap<(OrderId, String), Vec<&'a Mail>>;

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    let mut mails = Mails::new();
    for mail in &case.history.mails {
        match about(&mail.message_id) {
            Some(about) => mails.entry(about).or_default().push(mail),
            None => found.add(
                MailHasItsState,
                format!("{} names no order and state", mail.message_id),
            ),
        }
    }
    let jobs: BTreeMap<&str, &Job> = jobs(case).map(|job| (job.id.as_str(), job)).collect();
    let forgotten = interruptions(case);
    for (about, mails) in &mails {
        let (order_id, state) = about;
        let ids: BTreeSet<&str> = mails.iter().map(|mail| mail.message_id.as_str()).collect();
        found.unless(ids.len() == 1, MailHasOneId, || {
            format!("{order_id} {state} was mailed with the ids {ids:?}")
        });
        // An attempt is counted before it sends, and sends once; the next one sends again only if nobody noted that.
        let job = jobs.get(format!("mail/{order_id}/{}", state.to_uppercase()).as_str());
        let attempts = job.map_or(0, |job| usize::try_from(job.attempts).unwrap_or(0));
        let most = attempts.min(1 + forgotten);
        found.unless(mails.len() <= most, MailRepeatsAreBounded, || {
            format!(
                "{order_id} {state} was mailed {} times in {attempts} attempts, at most {most} are explained",
                mails.len()
            )
        });
        let step = case
            .orders
            .get(order_id)
            .and_then(|story| step(case, story, state));
        match step {
            Some((story, step)) => concerns(case, story, step, mails, found),
            None => found.add(
                MailHasItsState,
                format!("{order_id} was mailed of {state}, which it never was"),
            ),
        }
    }
    sent(case, &mails, found);
}

/// How often the email service, its database or the mail server was interrupted.
fn interruptions(case: &Case<'_>) -> usize {
    let concerned =
        |process: &str| process.starts_with("email") || ["postgres", "mailpit"].contains(&process);
    let interruptions = case.history.interruptions.iter();
    interruptions.filter(|one| concerned(&one.process)).count()
}

fn jobs<'a>(case: &Case<'a>) -> impl Iterator<Item = &'a Job> {
    let jobs = case.history.databases.jobs.iter();
    jobs.filter(|job| job.service == "email")
}

/// `<order id.state.event id@domain>`.
fn about(message_id: &str) -> Option<(OrderId, String)> {
    let mut parts = message_id.strip_prefix('<')?.splitn(3, '.');
    let order_id = parts.next()?.parse().ok()?;
    Some((order_id, parts.next()?.to_owned()))
}

/// The effective event by which an order came to `state`, if that is mailed.
fn step<'a, 'b>(
    case: &Case<'_>,
    story: &'b Story<'a>,
    state: &str,
) -> Option<(&'b Story<'a>, &'b Event<'a>)> {
    let is_it = |status: OrderStatus| {
        status.as_str().to_lowercase() == state && case.history.bounds.mailed.contains(&status)
    };
    let step = story.steps().find(|step| is_it(step.heading.status))?;
    Some((story, step))
}

/// The id comes from the effective event, and the recipient from its order.
fn concerns(
    case: &Case<'_>,
    story: &Story<'_>,
    step: &Event<'_>,
    mails: &[&Mail],
    found: &mut Findings,
) {
    let (order_id, status) = (step.heading.order_id, step.heading.status);
    let expected = MessageId::new(order_id, status, &step.heading.event_id, "any.example");
    let expected = expected.ok().map(|id| id.local().to_owned());
    let email = step.body().and_then(|event| event.order.email);
    let nobody = case.history.bounds.default_recipient.as_str();
    for mail in mails {
        let id: Option<MessageId> = mail.message_id.parse().ok();
        let same = id.as_ref().map(MessageId::local) == expected.as_deref();
        found.unless(same || story.loose, MailHasItsState, || {
            format!(
                "{} is not of the event at {:?}",
                mail.message_id,
                step.place()
            )
        });
        let to_them = mail.recipients == [email.as_deref().unwrap_or(nobody)];
        // Whose address it was stays out of the evidence.
        found.unless(to_them, MailHasItsState, || {
            format!(
                "{} went to somebody else than the order says",
                mail.message_id
            )
        });
    }
}

fn sent(case: &Case<'_>, mails: &Mails<'_>, found: &mut Findings) {
    let skipped: BTreeSet<&str> = jobs(case)
        .filter(|job| job.state == "skipped")
        .map(|job| job.id.as_str())
        .collect();
    let most = case.history.bounds.skipped_mails;
    found.unless(skipped.len() <= most, MailIsSent, || {
        format!("of {skipped:?} at most {most} may be skipped")
    });
    for (order_id, story) in &case.orders {
        for step in story.steps() {
            let status = step.heading.status;
            let job = format!("mail/{order_id}/{status}");
            let unsure = status == OrderStatus::Pending && story.loose;
            let excused = unsure || step.body().is_none() || skipped.contains(job.as_str());
            if excused || !case.history.bounds.mailed.contains(&status) {
                continue;
            }
            let there = mails.contains_key(&(*order_id, status.as_str().to_lowercase()));
            found.unless(there, MailIsSent, || {
                format!("{order_id} was {status}, and nobody was told")
            });
        }
    }
}
