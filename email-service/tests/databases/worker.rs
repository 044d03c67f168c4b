//! From the job to the mail, through failures.

use std::time::Duration;

use base_domains::OrderStatus;
use email_service::mailer::{FileMailer, SmtpMailer, SmtpSettings};
use service_runtime::jobs::{JobRow, JobState};
use test_support::{Test, TestDatabase, test};

use crate::support::order;
use crate::support::sink::{Reply::Say, Sink};
use crate::world::{Event, World, mail_of};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(every_mail_is_sent_once_with_its_message_id),
        test!(a_server_that_is_down_is_tried_until_it_takes_the_mail),
        test!(a_refused_mail_is_dead_and_its_job_keeps_the_servers_words),
        test!(a_bad_address_is_dead_without_bothering_the_server),
        test!(a_mail_to_nobody_is_skipped),
        test!(mail_about_old_events_is_skipped),
    ]
}

const FAST: (&str, &str) = ("EMAIL_RETRY_MAX_DELAY", "10ms");

fn smtp(sink: &Sink) -> SmtpMailer {
    SmtpMailer::new(SmtpSettings {
        server: sink.url().parse().unwrap(),
        timeout: Duration::from_secs(20),
        data_timeout: Duration::from_secs(20),
        connections: 4,
    })
}

fn all(state: JobState) -> impl Fn(&[JobRow]) -> bool {
    move |jobs| jobs.iter().all(|job| job.state == state)
}

async fn pending(world: &World, email: &str) {
    world
        .decide(&[Event::new(OrderStatus::Pending, order(email))])
        .await;
}

async fn every_mail_is_sent_once_with_its_message_id(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let events = OrderStatus::ALL.map(|status| Event::new(status, order("ann@example.org")));
    world.decide(&events).await;
    let sink = Sink::start(&[]).await;
    world.work(smtp(&sink), all(JobState::Done)).await;
    let mut sent: Vec<String> = sink
        .accepted()
        .iter()
        .map(|mail| mail.message_id())
        .collect();
    let jobs = world.jobs().await;
    let mut expected: Vec<String> = jobs
        .iter()
        .map(|job| mail_of(job).message_id.to_string())
        .collect();
    sent.sort();
    expected.sort();
    assert_eq!(sent, expected);
    assert!(jobs.iter().all(|job| job.attempts == 1), "{jobs:?}");
}

async fn a_server_that_is_down_is_tried_until_it_takes_the_mail(database: TestDatabase) {
    let world = World::new(database, &[FAST]).await;
    pending(&world, "ann@example.org").await;
    // More often than jobs are tried by default.
    let sink = Sink::start(&[("CONNECT", Say("421 4.3.2 not now")); 30]).await;
    world.work(smtp(&sink), all(JobState::Done)).await;
    assert_eq!(sink.accepted().len(), 1);
    assert_eq!(world.jobs().await[0].attempts, 31);
}

async fn a_refused_mail_is_dead_and_its_job_keeps_the_servers_words(database: TestDatabase) {
    let world = World::new(database, &[FAST]).await;
    pending(&world, "ann@example.org").await;
    let sink = Sink::start(&[("RCPT", Say("550 5.1.1 <ann@example.org>: unknown"))]).await;
    world.work(smtp(&sink), all(JobState::Dead)).await;
    let jobs = world.jobs().await;
    assert_eq!(jobs[0].attempts, 1);
    assert_eq!(
        jobs[0].last_error.as_deref(),
        Some("RCPT: the server answered 550: 5.1.1 <ann@example.org>: unknown")
    );
}

async fn a_bad_address_is_dead_without_bothering_the_server(database: TestDatabase) {
    let world = World::new(database, &[FAST]).await;
    pending(&world, "ann@example.org\r\nRCPT TO:<eve@example.net>").await;
    let sink = Sink::start(&[]).await;
    world.work(smtp(&sink), all(JobState::Dead)).await;
    assert_eq!(sink.count("CONNECT"), 0);
    assert_eq!(
        world.jobs().await[0].last_error.as_deref(),
        Some("the recipient is not a usable e-mail address")
    );
}

async fn a_mail_to_nobody_is_skipped(database: TestDatabase) {
    let world = World::new(database, &[("EMAIL_DEFAULT_RECIPIENT", "none")]).await;
    pending(&world, "").await;
    let sink = Sink::start(&[]).await;
    world.work(smtp(&sink), all(JobState::Skipped)).await;
    assert_eq!(sink.count("CONNECT"), 0);
    assert!(
        world.jobs().await[0]
            .result
            .as_deref()
            .unwrap()
            .contains("no e-mail address")
    );
}

async fn mail_about_old_events_is_skipped(database: TestDatabase) {
    let world = World::new(database, &[("EMAIL_MAX_AGE", "72h")]).await;
    let mut old = Event::new(OrderStatus::Pending, order("ann@example.org"));
    old.record.timestamp = Some(1_577_836_800_000);
    world.decide(&[old]).await;
    let folder = tempfile::tempdir().unwrap();
    let mailer = FileMailer::new(folder.path());
    world.work(mailer, all(JobState::Skipped)).await;
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
