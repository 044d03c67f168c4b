//! Records and requests that are wrong, with secret and personal texts in all places.

use integration_tests::canary::Canaries;
use integration_tests::{Client, System};
use serde_json::{Value, json};
use uuid::Uuid;

/// Records that nobody can use, with the texts everywhere.
pub(super) fn poison(address: &str, product: &str) -> Vec<String> {
    let bare = |id: &str, qty: Value, status: &str| {
        let order = json!({
            "orderId": id, "name": product, "qty": qty, "price": 1.0, "email": address,
        });
        json!({"message": address, "status": status, "order": order}).to_string()
    };
    let id = Uuid::new_v4().to_string();
    vec![
        format!("{{\"order\": {address} {product}"),
        bare(address, json!(1), "PENDING"),
        bare(&id, json!(address), "PENDING"),
        bare(&id, json!(1), &format!("STATUS {product}")),
        // An order that is rejected: its mail is refused, too.
        bare(&id, json!(0), "PENDING").replace(address, &format!("{address}\\r\\nBcc: {address}")),
    ]
}

/// Requests of somebody who puts the right thing into the wrong place, each with its answer.
pub(super) async fn mistakes(
    system: &System,
    canaries: &Canaries,
    address: &str,
) -> Vec<(String, u16, String)> {
    let (product, password) = (canaries.get("product"), canaries.get("webhook"));
    let mut answers = Vec::new();
    let paths = |client: &Client, paths: Vec<String>| {
        let client = client.clone();
        async move {
            let mut answers = Vec::new();
            for path in paths {
                let answer = client.get(&path).await;
                answers.push((path, answer.status, answer.text));
            }
            answers
        }
    };
    for (client, wrong) in [
        (
            &system.order,
            vec![
                format!("/{address}"),
                format!("/api/v1/orders/{address}"),
                format!("/api/v1/orders/{address}/events"),
                format!("/api/v1/orders?status={product}"),
                format!("/api/v1/orders?limit={address}"),
                format!("/api/v1/orders?cursor={product}"),
                format!("/api/v1/orders/{}?wait={product}", Uuid::nil()),
            ],
        ),
        (
            &system.stock[0],
            vec![
                format!("/api/v1/stock/no-{product}"),
                format!("/api/v1/stock/%ff{product}"),
            ],
        ),
        (
            &system.email,
            vec![
                format!("/api/v1/emails?orderId={address}"),
                format!("/api/v1/jobs?state={product}"),
                format!("/api/v1/jobs/{address}"),
            ],
        ),
        (&system.payment, vec![format!("/api/v1/payments/{address}")]),
        (
            &system.shipping,
            vec![format!("/api/v1/shipments/{address}")],
        ),
        (&system.webhook, vec![format!("/api/v1/webhooks/{address}")]),
    ] {
        answers.extend(paths(client, wrong).await);
    }
    let orders = "/api/v1/orders";
    for (body, key) in [
        (json!({"name": product, "qty": address, "price": 1}), "a"),
        (
            json!({"name": product, "qty": 0, "price": 1, "email": format!("{address}\r\nBcc: {address}")}),
            "b",
        ),
        (
            json!({"name": format!("{product}\0"), "qty": 1, "price": product}),
            "c",
        ),
        (
            json!({"name": product, "qty": 1, "price": 1, "items": [{"name": address, "qty": product, "price": 1}]}),
            "d",
        ),
        (json!([address, product]), "e"),
        (json!(address), "f"),
        (
            json!({"name": product, "qty": 2, "price": 1, "email": address}),
            "used",
        ),
    ] {
        let answer = system
            .order
            .post(orders, &body, &[("idempotency-key", key)])
            .await
            .unwrap();
        answers.push((body.to_string(), answer.status, answer.text));
    }
    let wrong = json!({"available": address});
    let answer = system.stock[0]
        .put(&format!("/api/v1/stock/{product}"), &wrong)
        .await
        .unwrap();
    answers.push((wrong.to_string(), answer.status, answer.text));
    for wrong in [
        json!({"url": format!("ftp://hook:{password}@receiver.example/{password}")}),
        json!({"url": format!("http://hook:{password}@[receiver/{password}")}),
        json!({"url": "http://receiver.example/", "states": [product]}),
        json!({"url": "http://receiver.example/", "secret": format!("whsec_{password}!")}),
        json!({"url": "http://receiver.example/", "secret": {"is": password}}),
    ] {
        let answer = system
            .webhook
            .post("/api/v1/webhooks", &wrong, &[])
            .await
            .unwrap();
        answers.push((wrong.to_string(), answer.status, answer.text));
    }
    answers
}
