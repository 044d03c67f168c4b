//! What a newcomer sees first.

use std::fmt::Write as _;

use crate::client::{Client, ClientError, Product};
use crate::system::System;

/// Of a long catalogue only the first products are listed.
const LISTED: usize = 10;

/// URLs, the catalogue, and a line to paste.
///
/// # Errors
/// The stock service does not tell its catalogue.
pub async fn text(system: &System) -> Result<String, ClientError> {
    let urls = system.urls();
    let products = Client::new(urls.clone()).catalogue().await?;
    let mail = system.mail_folder().map_or_else(
        || "mail is sent to SMTP_URL".to_owned(),
        |folder| format!("mail is written to {}", folder.display()),
    );
    Ok(format!(
        r#"
The order system is running: six services over an embedded Kafka broker.

  orders      {order}/docs
  stock       {stock}/docs
  emails      {email}/docs      {mail}
  payments    {payment}/docs
  shipments   {shipping}/docs
  webhooks    {webhook}/docs
  broker      {broker} (topic `orders`, for any Kafka client)

In stock (curl {stock}/api/v1/stock):

{catalogue}
Place an order:

  curl -i {order}/api/v1/orders -H 'content-type: application/json' \
       -d '{{"name":"book order","qty":5,"price":10000.0,"email":"you@example.com"}}'

Everything is in memory and in {folder}: nothing is kept when you stop it with Ctrl-C.
"#,
        order = urls.order,
        stock = urls.stock,
        email = urls.email,
        payment = urls.payment,
        shipping = urls.shipping,
        webhook = urls.webhook,
        catalogue = catalogue(&products),
        broker = system.bootstrap_servers(),
        folder = system.folder().display(),
    ))
}

/// A line for each product, in the order given.
fn catalogue(products: &[Product]) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    for Product {
        name, available, ..
    } in products.iter().take(LISTED)
    {
        writeln!(text, "  {available:>9}  {name}").ok();
    }
    if products.len() > LISTED {
        writeln!(text, "             and {} more", products.len() - LISTED).ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn products(count: i64) -> Vec<Product> {
        (0..count)
            .map(|available| Product {
                name: format!("product {available}"),
                available,
                reserved: 0,
                shipped: 0,
            })
            .collect()
    }

    #[test]
    fn every_product_of_a_short_catalogue_is_listed_with_its_pieces() {
        assert_eq!(
            catalogue(&products(2)),
            "          0  product 0\n          1  product 1\n"
        );
        assert_eq!(catalogue(&products(10)).lines().count(), 10);
    }

    #[test]
    fn a_long_catalogue_is_cut_and_says_so() {
        let text = catalogue(&products(13));
        assert_eq!(text.lines().count(), 11);
        assert_eq!(text.lines().last(), Some("             and 3 more"));
    }
}
