//! `orderctl dlt discard`.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use clap::Args;
use serde::Serialize;
use service_runtime::kafka::letters::{Action, Case, Resolution};
use service_runtime::kafka::{EventProducer as _, KafkaConfig, KafkaProducer};

use super::describe::{Line, Summary, table};
use super::selection::Selection;
use super::{now, read};
use crate::output::{Table, note, printable};
use crate::progress::bar;
use crate::{Context, Failure};

/// Give letters up; they stay where they are, marked as discarded
///
/// Asks on the terminal; without one it needs --yes. Who did it, when and why is kept in the
/// dead-letter topic.
#[derive(Debug, Args)]
pub struct Discard {
    #[command(flatten)]
    selection: Selection,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// What was done, or would be.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    group: String,
    dry_run: bool,
    discarded: Vec<Done>,
}

#[derive(Debug, Serialize)]
struct Done {
    id: String,
    #[serde(flatten)]
    line: Line,
}

impl Discard {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let config = context.kafka()?;
        let dry_run = self.selection.dry_run;
        if !self.yes && !dry_run && !io::stdin().is_terminal() {
            let words = "discarding has to be confirmed: there is no terminal, so use --yes";
            return Err(Failure::Usage(words.to_owned()));
        }
        let book = read(context, &config, &self.selection.group).await?;
        let cases = self.selection.of(&book, false)?;
        if !self.yes && !dry_run && !cases.is_empty() {
            self.ask(&cases)?;
        }
        let mut report = Report {
            group: self.selection.group.clone(),
            dry_run,
            discarded: Vec::new(),
        };
        let ended = self.work(&config, &cases, &mut report).await;
        // What was done is told, also when the rest was not.
        context.output.print(&report, lines)?;
        if dry_run {
            let count = cases.len();
            note(&format!(
                "letters that would be discarded: {count}; nothing was done"
            ));
        }
        ended
    }

    fn ask(&self, cases: &[&Case]) -> Result<(), Failure> {
        let group = &self.selection.group;
        let letters: Vec<Summary> = cases.iter().map(|case| Summary::new(group, case)).collect();
        let (count, table) = (cases.len(), table(&letters));
        let group = printable(group);
        let mut stderr = io::stderr().lock();
        write!(
            stderr,
            "{table}Discard these letters of {group} ({count})? [y/N] "
        )?;
        stderr.flush()?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        match is_yes(&answer) {
            true => Ok(()),
            false => Err(Failure::Refused("nothing was discarded".to_owned())),
        }
    }

    async fn work(
        &self,
        config: &KafkaConfig,
        cases: &[&Case],
        report: &mut Report,
    ) -> Result<(), Failure> {
        let producer =
            KafkaProducer::new(config).map_err(|error| Failure::Failed(error.to_string()))?;
        let progress = bar(cases.len(), "Discarding");
        for case in cases {
            let resolution = Resolution {
                action: Action::Discarded,
                by: self.selection.by.clone(),
                at: now(),
                reason: self.selection.reason.clone(),
                to: None,
            };
            if !self.selection.dry_run {
                let group = &self.selection.group;
                let line = resolution.record(&config.topic, group, &case.letter);
                producer.enqueue(&line)?.await?;
            }
            report.discarded.push(Done {
                id: case.letter.id.to_string(),
                line: Line::new(&resolution),
            });
            progress.inc(1);
        }
        progress.finish_and_clear();
        Ok(())
    }
}

fn lines(report: &Report) -> String {
    let mut table = Table::new(&["ID", "DONE"]);
    for done in &report.discarded {
        table.row([done.id.clone(), done.line.text()]);
    }
    table.text()
}

/// Everything else is a no, the end of the input as well.
fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        assert!(["y\n", "YES\r\n", " yes "].into_iter().all(is_yes));
        assert!(!["", "\n", "n\n", "yess", "ja"].into_iter().any(is_yes));
    }
}
