//! `orderctl jobs`: work that leaves a service's database, such as mail and charges.

mod list;
mod retry;
mod show;

use clap::Subcommand;
use serde_json::Value;

use crate::api::{Api, segment};
use crate::output::{Table, cell};
use crate::{Context, Failure};

const PATH: &str = "/api/v1/jobs";

/// Look at the jobs of a service and retry dead ones
#[derive(Debug, Subcommand)]
pub enum Jobs {
    /// List jobs, the newest first
    List(list::List),
    /// Show one job
    Show(show::Show),
    /// Try dead jobs again
    Retry(retry::Retry),
}

impl Jobs {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::List(command) => command.run(context).await,
            Self::Show(command) => command.run(context).await,
            Self::Retry(command) => command.run(context).await,
        }
    }
}

/// A job's id has a `/` in it, which must not end its part of the path.
fn path(job_id: &str) -> String {
    format!("{PATH}/{}", segment(job_id))
}

/// Reads pages; all of them, or the first one. Returns the jobs and where the next page begins.
async fn pages(
    api: &Api,
    query: &[(&str, String)],
    all: bool,
) -> Result<(Vec<Value>, Option<String>), Failure> {
    let (mut jobs, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut query = query.to_vec();
        if let Some(cursor) = cursor.take() {
            query.retain(|(name, _)| *name != "cursor");
            query.push(("cursor", cursor));
        }
        let mut page = api.get(PATH, &query).await?;
        if let Value::Array(more) = page["jobs"].take() {
            jobs.extend(more);
        }
        cursor = page["nextCursor"].as_str().map(str::to_owned);
        if !all || cursor.is_none() {
            return Ok((jobs, cursor));
        }
    }
}

fn table<'a>(jobs: impl IntoIterator<Item = &'a Value>) -> String {
    let mut table = Table::new(&["JOB", "STATE", "ATTEMPTS", "CREATED", "LAST ERROR"]);
    for job in jobs {
        let members = ["jobId", "state", "attempts", "createdAt", "lastError"];
        table.row(members.map(|name| cell(job, name)));
    }
    table.text()
}
