//! `orderctl jobs show`.

use clap::Args;
use serde_json::Value;

use super::path;
use crate::cli::JobService;
use crate::output::cell;
use crate::{Context, Failure};

/// Show one job
#[derive(Debug, Args)]
pub struct Show {
    /// Whose job
    service: JobService,
    /// The job, such as charge/0193a5b8-7c1e-7d3a-9f00-5b1f0c9d2e4a
    #[arg(value_name = "JOB")]
    id: String,
}

impl Show {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let api = context.api(self.service.into())?;
        let job = api.get(&path(&self.id), &[]).await?;
        context.output.print(&job, text)
    }
}

fn text(job: &Value) -> String {
    const MEMBERS: [(&str, &str); 10] = [
        ("job", "jobId"),
        ("kind", "kind"),
        ("order", "orderId"),
        ("state", "state"),
        ("attempts", "attempts"),
        ("created", "createdAt"),
        ("next try", "nextTryAt"),
        ("finished", "finishedAt"),
        ("error", "lastError"),
        ("result", "result"),
    ];
    let lines = MEMBERS.iter().map(|(label, name)| (label, cell(job, name)));
    let lines = lines.filter(|(_, value)| !value.is_empty());
    let lines: Vec<String> = lines
        .map(|(label, value)| format!("{label:<10}{value}"))
        .collect();
    lines.join("\n")
}
