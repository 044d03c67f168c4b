//! `orderctl dlt show`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use service_runtime::kafka::letters::{Case, LetterId};

use super::describe::{Line, Summary, escaped};
use super::read;
use crate::output::{note, printable};
use crate::{Context, Failure};

/// Show one letter with its headers and its payload
#[derive(Debug, Args)]
pub struct Show {
    /// Whose letter
    group: String,
    /// The letter, as `dlt list` prints it
    id: LetterId,
    /// Write only the payload, byte for byte, into this file; `-` is stdout
    #[arg(long, value_name = "FILE")]
    raw: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole {
    #[serde(flatten)]
    summary: Summary,
    headers: Vec<Header>,
    /// The text, or with `payloadEncoding` `escaped` the bytes with `\xff` for those that are none.
    payload: Option<String>,
    payload_encoding: Option<&'static str>,
    payload_bytes: usize,
    resolutions: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Header {
    name: String,
    value: String,
}

impl Show {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let config = context.kafka()?;
        let book = read(context, &config, &self.group).await?;
        let (group, id) = (&self.group, self.id);
        let case = book
            .get(id)
            .ok_or_else(|| Failure::NotFound(format!("group {group} has no letter {id}")))?;
        let Some(file) = self.raw else {
            return context.output.print(&Whole::new(group, case), text);
        };
        let payload = case.letter.record.value.as_deref();
        let payload =
            payload.ok_or_else(|| Failure::NotFound(format!("letter {id} has no payload")))?;
        if file.as_os_str() == "-" {
            return context.output.bytes(payload);
        }
        tokio::fs::write(&file, payload).await.map_err(|error| {
            Failure::Failed(format!("{} cannot be written: {error}", file.display()))
        })?;
        note(&format!(
            "{} bytes are in {}",
            payload.len(),
            file.display()
        ));
        Ok(())
    }
}

impl Whole {
    fn new(group: &str, case: &Case) -> Self {
        let value = case.letter.record.value.as_deref();
        let valid = value.and_then(|bytes| std::str::from_utf8(bytes).ok());
        let headers = case.letter.original_headers();
        Self {
            summary: Summary::new(group, case),
            headers: headers
                .map(|(name, value)| Header {
                    name: name.clone(),
                    value: escaped(value),
                })
                .collect(),
            payload: valid.map(str::to_owned).or_else(|| value.map(escaped)),
            payload_encoding: value.map(|_| if valid.is_some() { "utf-8" } else { "escaped" }),
            payload_bytes: value.map_or(0, <[u8]>::len),
            resolutions: case.resolutions.iter().map(Line::new).collect(),
        }
    }
}

fn text(whole: &Whole) -> String {
    let summary = &whole.summary;
    let mut lines = vec![
        format!("letter    {} of {}", summary.id, printable(&summary.group)),
        format!("state     {}", summary.state),
        format!("cause     {}", printable(&summary.cause.code)),
        format!("          {}", printable(&summary.cause.message)),
        format!("from      {}", printable(&summary.from())),
        format!("key       {}", summary.key.as_deref().unwrap_or("none")),
        format!("redrives  {}", summary.redrives),
    ];
    lines.extend(summary.at.iter().map(|at| format!("at        {at}")));
    if summary.unread {
        lines.push("          no group could read it: see `dlt redrive --as-new-event`".to_owned());
    }
    let label = |n| if n == 0 { "headers" } else { "" };
    for (n, Header { name, value }) in whole.headers.iter().enumerate() {
        lines.push(format!("{:<10}{}: {value}", label(n), printable(name)));
    }
    for line in &whole.resolutions {
        lines.push(format!("done      {}", line.text()));
    }
    match &whole.payload {
        Some(payload) => {
            lines.push(format!("payload   {} bytes", whole.payload_bytes));
            lines.push(printable(payload));
        }
        None => lines.push("payload   none".to_owned()),
    }
    lines.join("\n")
}
