//! `orderctl jobs list`.

use base_domains::OrderId;
use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};
use service_runtime::jobs::JobState;

use super::{pages, table};
use crate::cli::JobService;
use crate::output::note;
use crate::{Context, Failure};

/// List jobs, the newest first
#[derive(Debug, Args)]
pub struct List {
    /// Whose jobs
    service: JobService,
    /// Only jobs in this state
    #[arg(long, value_parser = PossibleValuesParser::new(JobState::ALL.map(JobState::as_str)))]
    state: Option<String>,
    /// Only jobs of this kind, such as mail, charge or refund
    #[arg(long)]
    kind: Option<String>,
    /// Only jobs of this order
    #[arg(long)]
    order: Option<OrderId>,
    /// Most jobs, 1 to 200
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Go on behind a page before, by its `nextCursor`
    #[arg(long)]
    cursor: Option<String>,
    /// Every page, not only the first one
    #[arg(long)]
    all: bool,
}

impl List {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let api = context.api(self.service.into())?;
        let optional = [
            ("state", self.state),
            ("kind", self.kind),
            ("orderId", self.order.map(|id| id.to_string())),
            ("cursor", self.cursor),
        ];
        let mut query = vec![("limit", self.limit.to_string())];
        query.extend(
            optional
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        let (jobs, cursor) = pages(&api, &query, self.all).await?;
        let mut document = json!({"jobs": jobs});
        if let Some(cursor) = &cursor {
            document["nextCursor"] = Value::from(cursor.as_str());
        }
        context.output.print(&document, |document| {
            table(document["jobs"].as_array().into_iter().flatten())
        })?;
        if let Some(cursor) = cursor.filter(|_| !context.output.json) {
            note(&format!("there are more: --cursor {cursor}, or --all"));
        }
        Ok(())
    }
}
