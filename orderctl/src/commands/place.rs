//! `orderctl place`.

use std::str::FromStr;
use std::time::Duration;

use base_domains::{NewOrder, OrderId, OrderStatus, WireLine};
use clap::Args;
use serde_json::Value;
use uuid::Uuid;

use super::order::{in_vain, path, status, status_of, text, wait_for};
use crate::api::Api;
use crate::cli::{Service, timeout};
use crate::output::cell;
use crate::{Context, Failure};

/// Place an order
///
/// Either --name, --qty and --price, or one --item for each line. After exit code 5 the order may
/// have been placed: the message names its id, and the same command with --id makes no second one.
/// With --idempotency-key the same command as it is makes none.
#[derive(Debug, Args)]
pub struct Place {
    /// The product
    #[arg(long, required_unless_present = "item", conflicts_with = "item", requires_all = ["qty", "price"])]
    name: Option<String>,
    /// Pieces
    #[arg(long, requires = "name", allow_negative_numbers = true)]
    qty: Option<i64>,
    /// Price of one piece
    #[arg(long, requires = "name", allow_negative_numbers = true)]
    price: Option<f64>,
    /// One line, such as "book order:5:10000.0"; may be given several times
    #[arg(long, value_name = "NAME:QTY:PRICE")]
    item: Vec<Item>,
    /// Where mail about the order goes
    #[arg(long)]
    email: Option<String>,
    /// Your name for this order: repeated with the same content it is the same order
    #[arg(long, value_name = "KEY", conflicts_with = "id")]
    idempotency_key: Option<String>,
    /// Your own id for this order, or the one that an attempt before has named
    #[arg(long, value_name = "UUID")]
    id: Option<OrderId>,
    /// Wait for the order's end [default: 30s]
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "30s", value_parser = timeout)]
    wait: Option<Duration>,
    /// With --wait: only for this state, a later one or an end
    #[arg(long, value_name = "STATUS", requires = "wait", value_parser = status())]
    until: Option<OrderStatus>,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq)]
struct Item(WireLine);

impl FromStr for Item {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "must be NAME:QTY:PRICE";
        // From the right: a name may have a colon in it.
        let mut parts = text.rsplitn(3, ':');
        let [Some(price), Some(qty), Some(name)] = [parts.next(), parts.next(), parts.next()]
        else {
            return Err(FORM);
        };
        Ok(Self(WireLine {
            name: name.to_owned(),
            qty: qty.parse().map_err(|_| FORM)?,
            price: price.parse().map_err(|_| FORM)?,
        }))
    }
}

impl Place {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let api = context.api(Service::Order)?;
        let placed = self.place(&api).await?;
        let Some(wait) = self.wait else {
            return context.output.print(&placed, |placed| {
                format!("{}  {}", cell(placed, "orderId"), cell(placed, "status"))
            });
        };
        let order_id = placed["orderId"].as_str().and_then(|id| id.parse().ok());
        let order_id: OrderId = order_id
            .ok_or_else(|| Failure::Failed("the answer does not name the order".to_owned()))?;
        let (order, reached) = wait_for(&api, order_id, self.until, wait)
            .await
            .map_err(|failure| after_placing(order_id, failure))?;
        context.output.print(&order, text)?;
        match status_of(&order) {
            Some(OrderStatus::Rejected | OrderStatus::Cancelled) => {
                let (status, reason) = (cell(&order, "status"), cell(&order, "reason"));
                let reason = match reason.is_empty() {
                    true => String::new(),
                    false => format!(": {reason}"),
                };
                Err(Failure::Refused(format!("the order is {status}{reason}")))
            }
            _ if reached => Ok(()),
            _ => Err(in_vain(&order, wait)),
        }
    }

    async fn place(&self, api: &Api) -> Result<Value, Failure> {
        let items: Vec<WireLine> = self.item.iter().map(|Item(line)| line.clone()).collect();
        let body = NewOrder {
            name: self.name.clone(),
            qty: self.qty,
            price: self.price,
            email: self.email.clone(),
            items: (!items.is_empty()).then_some(items),
        };
        let (answer, again) = match &self.idempotency_key {
            Some(key) => {
                let headers = [("idempotency-key", key.as_str())];
                let answer = api.post("/api/v1/orders", Some(&body), &headers).await;
                (answer, "with the same --idempotency-key".to_owned())
            }
            None => {
                // Chosen here, so that it is known also when no answer comes.
                let id = self.id.unwrap_or_else(|| OrderId::new(Uuid::now_v7()));
                (api.put(&path(id), &body).await, format!("with --id {id}"))
            }
        };
        answer.map_err(|failure| of_unknown_fate(failure, &again))
    }
}

/// Says how to repeat the command where the order may have been placed.
fn of_unknown_fate(failure: Failure, again: &str) -> Failure {
    let words = format!(
        "{failure}\n  the order may have been placed: repeat the command {again}, which makes no second one"
    );
    match failure {
        Failure::Unavailable(_) => Failure::Unavailable(words),
        Failure::Failed(_) => Failure::Failed(words),
        known => known,
    }
}

/// The order is placed, whatever went wrong afterwards.
fn after_placing(order_id: OrderId, failure: Failure) -> Failure {
    let words =
        format!("order {order_id} is placed, but what became of it is not known: {failure}");
    match failure {
        Failure::Unavailable(_) | Failure::NotFound(_) => Failure::Unavailable(words),
        _ => Failure::Failed(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_item_may_have_a_colon() {
        let item: Item = "a: b:5:10000.5".parse().unwrap();
        assert_eq!(
            (item.0.name.as_str(), item.0.qty, item.0.price),
            ("a: b", 5, 10000.5)
        );
        for text in ["", "pen", "pen:5", "pen:5:", "pen:x:1", "pen:1.5:1"] {
            assert!(text.parse::<Item>().is_err(), "{text}");
        }
    }
}
