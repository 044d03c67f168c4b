//! `orderctl dlt redrive`.

use clap::Args;
use serde::Serialize;
use service_runtime::fault;
use service_runtime::kafka::letters::{Action, Case, Resolution, Scope, redriven};
use service_runtime::kafka::{
    Delivered, EventProducer as _, KafkaConfig, KafkaProducer, NewRecord, partition_count,
};

use super::describe::place;
use super::selection::Selection;
use super::{now, read};
use crate::output::{Table, note, printable};
use crate::progress::bar;
use crate::{Context, Failure};

/// Append records to their origin again, for the group that could not handle them
///
/// The record goes to the topic and partition that it came from, under its key, with a header that
/// names the one group that takes it. The group then makes the failed decision again; if it fails
/// again, there is another letter. Redriving twice has no second effect.
///
/// A record that could not be read at all was folded by no group, so it is not for one of them:
/// with --as-new-event it is appended for all groups, if it can be read by now.
#[derive(Debug, Args)]
pub struct Redrive {
    #[command(flatten)]
    selection: Selection,
    /// Also letters that were redriven or discarded already
    #[arg(long, conflicts_with = "all")]
    again: bool,
    /// Append records that no group could read as new events, for all groups
    #[arg(long)]
    as_new_event: bool,
}

/// What was done, or would be.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    group: String,
    dry_run: bool,
    redriven: Vec<Done>,
    skipped: Vec<Skipped>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Done {
    id: String,
    /// How often its record was redriven, this time included.
    redrives: u32,
    /// Whether it is for all groups.
    as_new_event: bool,
    /// Where it is now; nothing after a dry run.
    to: Option<String>,
}

#[derive(Debug, Serialize)]
struct Skipped {
    id: String,
    reason: String,
}

/// A letter and the record that redrives it.
struct Planned<'a> {
    case: &'a Case,
    record: NewRecord,
}

impl Redrive {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let config = context.kafka()?;
        let book = read(context, &config, &self.selection.group).await?;
        let cases = self.selection.of(&book, self.again)?;
        let producer =
            KafkaProducer::new(&config).map_err(|error| Failure::Failed(error.to_string()))?;
        let mut report = Report {
            group: self.selection.group.clone(),
            dry_run: self.selection.dry_run,
            ..Report::default()
        };
        let planned = match cases.is_empty() {
            true => Vec::new(),
            false => {
                let timeout = context.timeout();
                let partitions = partition_count(&producer, &config.topic, timeout).await?;
                self.plan(&cases, &config.topic, partitions, &mut report)?
            }
        };
        let ended = self.work(&config, &producer, &planned, &mut report).await;
        // What was done is told, also when the rest was not.
        context.output.print(&report, table)?;
        if !context.output.json {
            tell(&report);
        }
        ended
    }

    /// Everything is checked before anything is appended.
    fn plan<'a>(
        &self,
        cases: &[&'a Case],
        log: &str,
        partitions: i32,
        report: &mut Report,
    ) -> Result<Vec<Planned<'a>>, Failure> {
        let scope = match self.as_new_event {
            true => Scope::AsNewEvent,
            false => Scope::OneGroup,
        };
        let mut planned = Vec::new();
        for case in cases {
            let id = case.letter.id;
            match redriven(case, &self.selection.group, log, partitions, scope) {
                Ok(record) => planned.push(Planned { case, record }),
                Err(reason) if self.selection.is_sweeping() => report.skipped.push(Skipped {
                    id: id.to_string(),
                    reason: reason.to_string(),
                }),
                Err(reason) => return Err(Failure::Refused(format!("letter {id}: {reason}"))),
            }
        }
        Ok(planned)
    }

    async fn work(
        &self,
        config: &KafkaConfig,
        producer: &KafkaProducer,
        planned: &[Planned<'_>],
        report: &mut Report,
    ) -> Result<(), Failure> {
        let progress = bar(planned.len(), "Redriving");
        for Planned { case, record } in planned {
            let mut done = Done {
                id: case.letter.id.to_string(),
                redrives: case.redrives().saturating_add(1),
                as_new_event: case.letter.is_unread(),
                to: None,
            };
            if !self.selection.dry_run {
                fault::point("redrive.produce.before");
                let Delivered { partition, offset } = producer.enqueue(record)?.await?;
                fault::point("redrive.produce.after");
                let to = place(&record.topic, partition, offset);
                done.to = Some(to.clone());
                let noted = self.note(config, producer, case, to).await;
                noted.map_err(|failure| unnoted(&done, failure))?;
            }
            report.redriven.push(done);
            progress.inc(1);
        }
        progress.finish_and_clear();
        Ok(())
    }

    /// Appends the audit line.
    async fn note(
        &self,
        config: &KafkaConfig,
        producer: &KafkaProducer,
        case: &Case,
        to: String,
    ) -> Result<(), Failure> {
        let resolution = Resolution {
            action: Action::Redriven,
            by: self.selection.by.clone(),
            at: now(),
            reason: self.selection.reason.clone(),
            to: Some(to),
        };
        let line = resolution.record(&config.topic, &self.selection.group, &case.letter);
        producer.enqueue(&line)?.await?;
        fault::point("redrive.note.after");
        Ok(())
    }
}

/// The letter looks open, so it will be redriven again, which does no harm.
fn unnoted(done: &Done, failure: Failure) -> Failure {
    let to = done.to.as_deref().unwrap_or_default();
    let words = format!(
        "letter {} is redriven to {to}, but could not be marked so: {failure}",
        done.id
    );
    match failure {
        Failure::Unavailable(_) => Failure::Unavailable(words),
        _ => Failure::Failed(words),
    }
}

fn table(report: &Report) -> String {
    let mut table = Table::new(&["ID", "REDRIVES", "FOR", "TO"]);
    for done in &report.redriven {
        table.row([
            done.id.clone(),
            done.redrives.to_string(),
            match done.as_new_event {
                true => "all groups".to_owned(),
                false => printable(&report.group),
            },
            done.to.as_deref().map(printable).unwrap_or_default(),
        ]);
    }
    table.text()
}

fn tell(report: &Report) {
    for Skipped { id, reason } in &report.skipped {
        note(&format!("letter {id} is passed over: {reason}"));
    }
    let count = report.redriven.len();
    match report.dry_run {
        true => note(&format!(
            "letters that would be redriven: {count}; nothing was done"
        )),
        false => note(&format!("letters redriven: {count}")),
    }
}
