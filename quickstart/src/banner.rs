//! What a newcomer sees first.

use crate::system::System;

/// URLs, and a line to paste.
#[must_use]
pub fn text(system: &System) -> String {
    let urls = system.urls();
    format!(
        r#"
The order system is running: order, stock and email service over an embedded Kafka broker.

  orders      {order}/docs
  stock       {stock}/docs      catalogue: curl {stock}/api/v1/stock
  emails      {email}/docs      mail is written to {mail}
  broker      {broker} (topic `orders`, for any Kafka client)

Place an order:

  curl -i {order}/api/v1/orders -H 'content-type: application/json' \
       -d '{{"name":"book order","qty":5,"price":10000.0,"email":"you@example.com"}}'

Everything is in memory and in {folder}: nothing is kept when you stop it with Ctrl-C.
"#,
        order = urls.order,
        stock = urls.stock,
        email = urls.email,
        mail = system.mail_folder().display(),
        broker = system.bootstrap_servers(),
        folder = system.folder().display(),
    )
}
