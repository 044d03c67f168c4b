//! `orderctl get`.

use std::time::Duration;

use base_domains::{OrderId, OrderStatus};
use clap::Args;
use serde_json::Value;

use super::order::{in_vain, path, status, text, wait_for};
use crate::cli::{Service, timeout};
use crate::output::{Table, cell};
use crate::{Context, Failure};

/// Show one order
#[derive(Debug, Args)]
pub struct Get {
    /// The order
    #[arg(value_name = "ORDER")]
    id: OrderId,
    /// Show the events of its life instead, with their places in the log
    #[arg(long, conflicts_with = "wait")]
    history: bool,
    /// Wait for the order's end [default: 30s]
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "30s", value_parser = timeout)]
    wait: Option<Duration>,
    /// With --wait: only for this state, a later one or an end
    #[arg(long, value_name = "STATUS", requires = "wait", value_parser = status())]
    until: Option<OrderStatus>,
}

impl Get {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let api = context.api(Service::Order)?;
        if self.history {
            let events = api.get(&format!("{}/events", path(self.id)), &[]).await?;
            return context.output.print(&events, history);
        }
        let Some(wait) = self.wait else {
            let order = api.get(&path(self.id), &[]).await?;
            return context.output.print(&order, text);
        };
        let (order, reached) = wait_for(&api, self.id, self.until, wait).await?;
        context.output.print(&order, text)?;
        match reached {
            true => Ok(()),
            false => Err(in_vain(&order, wait)),
        }
    }
}

fn history(history: &Value) -> String {
    let mut table = Table::new(&["AT", "STATUS", "PARTITION", "OFFSET"]);
    for event in history["events"].as_array().into_iter().flatten() {
        table.row(["at", "status", "partition", "offset"].map(|name| cell(event, name)));
    }
    table.text()
}
