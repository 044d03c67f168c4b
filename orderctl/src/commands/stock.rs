//! `orderctl stock`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::api::segment;
use crate::cli::Service;
use crate::output::{Table, cell};
use crate::{Context, Failure};

/// Show and set stock
#[derive(Debug, Subcommand)]
pub enum Stock {
    /// Show the stock of one product, or of all
    Get(Get),
    /// Set how many pieces of a product are available; creates the product if it is missing
    Set(Set),
}

/// Show the stock of one product, or of all.
#[derive(Debug, Args)]
pub struct Get {
    /// The product; all products without it
    #[arg(value_name = "PRODUCT")]
    name: Option<String>,
}

/// Set how many pieces of a product are available.
#[derive(Debug, Args)]
pub struct Set {
    /// The product
    #[arg(value_name = "PRODUCT")]
    name: String,
    /// Pieces that can be reserved from now on; those that are reserved come on top
    #[arg(allow_negative_numbers = true)]
    available: i64,
}

impl Stock {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let api = context.api(Service::Stock)?;
        match self {
            Self::Get(Get { name: None }) => {
                let all = api.get("/api/v1/stock", &[]).await?;
                context.output.print(&all, |all| {
                    table(all["products"].as_array().map_or(&[][..], Vec::as_slice))
                })
            }
            Self::Get(Get { name: Some(name) }) => {
                let product = api.get(&path(&name), &[]).await?;
                context
                    .output
                    .print(&product, |product| table(std::slice::from_ref(product)))
            }
            Self::Set(Set { name, available }) => {
                let body = json!({"available": available});
                let product = api.put(&path(&name), &body).await?;
                context
                    .output
                    .print(&product, |product| table(std::slice::from_ref(product)))
            }
        }
    }
}

fn path(name: &str) -> String {
    format!("/api/v1/stock/{}", segment(name))
}

fn table(products: &[Value]) -> String {
    let mut table = Table::new(&["PRODUCT", "AVAILABLE", "RESERVED", "SHIPPED"]);
    for product in products {
        table.row(["name", "available", "reserved", "shipped"].map(|name| cell(product, name)));
    }
    table.text()
}
