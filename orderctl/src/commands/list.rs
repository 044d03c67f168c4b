//! `orderctl list`.

use base_domains::OrderStatus;
use clap::Args;
use serde_json::{Value, json};

use super::order::{lines_of, status};
use crate::cli::Service;
use crate::output::{Table, cell, note};
use crate::progress::spinner;
use crate::{Context, Failure};

/// List orders, the newest first
#[derive(Debug, Args)]
pub struct List {
    /// Only orders in these states, separated by commas
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = status())]
    status: Vec<OrderStatus>,
    /// Most orders, 1 to 200
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
        let api = context.api(Service::Order)?;
        let names: Vec<&str> = self.status.iter().map(|status| status.as_str()).collect();
        let mut query = vec![("limit", self.limit.to_string())];
        if !names.is_empty() {
            query.push(("status", names.join(",")));
        }
        let reading = spinner("Reading orders.");
        let (mut orders, mut cursor) = (Vec::new(), self.cursor);
        loop {
            let mut query = query.clone();
            query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let mut page = api.get("/api/v1/orders", &query).await?;
            if let Value::Array(more) = page["orders"].take() {
                orders.extend(more);
            }
            reading.set_message(format!("Reading orders: {} so far.", orders.len()));
            cursor = page["nextCursor"].as_str().map(str::to_owned);
            if !self.all || cursor.is_none() {
                break;
            }
        }
        reading.finish_and_clear();
        let mut document = json!({"orders": orders});
        if let Some(cursor) = &cursor {
            document["nextCursor"] = Value::from(cursor.as_str());
        }
        context.output.print(&document, table)?;
        if let Some(cursor) = cursor.filter(|_| !context.output.json) {
            note(&format!("there are more: --cursor {cursor}, or --all"));
        }
        Ok(())
    }
}

fn table(document: &Value) -> String {
    let mut table = Table::new(&["ORDER", "STATUS", "REASON", "CREATED", "LINES"]);
    for order in document["orders"].as_array().into_iter().flatten() {
        let [id, status, reason, created] =
            ["orderId", "status", "reason", "createdAt"].map(|name| cell(order, name));
        table.row([id, status, reason, created, lines_of(order).join(", ")]);
    }
    table.text()
}
