//! `orderctl jobs retry`.

use clap::Args;
use serde_json::{Value, json};

use super::{pages, path, table};
use crate::api::Api;
use crate::cli::JobService;
use crate::output::note;
use crate::progress::bar;
use crate::{Context, Failure};

/// Try dead jobs again
///
/// They are due at once and as new. With --all, a job that is not dead any more is passed over.
#[derive(Debug, Args)]
pub struct Retry {
    /// Whose jobs
    service: JobService,
    /// The jobs
    #[arg(
        value_name = "JOB",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    ids: Vec<String>,
    /// Every dead job
    #[arg(long)]
    all: bool,
    /// With --all: only jobs of this kind
    #[arg(long, requires = "all")]
    kind: Option<String>,
    /// Only say which jobs would be tried again
    #[arg(long)]
    dry_run: bool,
}

impl Retry {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let api = context.api(self.service.into())?;
        let jobs = self.wanted(&api).await?;
        if self.dry_run {
            return tell(context, &jobs, true);
        }
        let (mut retried, mut ended) = (Vec::new(), Ok(()));
        let progress = bar(jobs.len(), "Retrying");
        for job in &jobs {
            let id = job["jobId"].as_str().unwrap_or_default();
            let answer = api
                .post(&format!("{}/retry", path(id)), None::<&Value>, &[])
                .await;
            match answer {
                Ok(job) => retried.push(job),
                // Somebody was quicker.
                Err(Failure::Refused(_) | Failure::NotFound(_)) if self.all => {}
                Err(failure) => {
                    ended = Err(failure);
                    break;
                }
            }
            progress.inc(1);
        }
        progress.finish_and_clear();
        // What was done is told, also when the rest was not.
        tell(context, &retried, false)?;
        ended
    }

    async fn wanted(&self, api: &Api) -> Result<Vec<Value>, Failure> {
        if self.all {
            let mut query = vec![("state", "dead".to_owned()), ("limit", "200".to_owned())];
            query.extend(self.kind.clone().map(|kind| ("kind", kind)));
            return Ok(pages(api, &query, true).await?.0);
        }
        // Looked up first: an id that was mistyped stops the command before anything is done.
        let mut jobs = Vec::new();
        for id in &self.ids {
            let job = api.get(&path(id), &[]).await?;
            if job["state"] != "dead" {
                let state = job["state"].as_str().unwrap_or_default();
                return Err(Failure::Refused(format!("job {id} is {state}, not dead")));
            }
            jobs.push(job);
        }
        Ok(jobs)
    }
}

fn tell(context: &Context, jobs: &[Value], dry_run: bool) -> Result<(), Failure> {
    let document = json!({"jobs": jobs, "dryRun": dry_run});
    context.output.print(&document, |_| table(jobs))?;
    if dry_run {
        note(&format!(
            "jobs that would be tried again: {}; nothing was done",
            jobs.len()
        ));
    }
    Ok(())
}
