//! `orderctl cancel`.

use base_domains::OrderId;
use clap::Args;
use serde_json::Value;

use super::order::{path, text};
use crate::cli::Service;
use crate::{Context, Failure};

/// Cancel an order, if it is not too late
///
/// Ends with 4 when the order has come to another end already.
#[derive(Debug, Args)]
pub struct Cancel {
    /// The order
    #[arg(value_name = "ORDER")]
    id: OrderId,
}

impl Cancel {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let api = context.api(Service::Order)?;
        let path = format!("{}/cancel", path(self.id));
        let order = api.post(&path, None::<&Value>, &[]).await?;
        context.output.print(&order, text)
    }
}
