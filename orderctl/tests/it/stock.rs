//! Stock.

use serde_json::json;

use crate::support::{Server, orderctl};

#[tokio::test]
async fn stock_is_shown_and_set_also_of_a_product_with_an_awkward_name() {
    let product = json!({"name": "a/b ü", "available": 3, "reserved": 1, "shipped": 0});
    let server = Server::answering(200, json!({"products": [product]})).await;
    let environment = [("STOCK_URL", server.url.as_str())];
    let all = orderctl(&["stock", "get"], &environment).await;
    let table = "PRODUCT  AVAILABLE  RESERVED  SHIPPED\na/b ü    3          1         0\n";
    assert_eq!((all.code, &*all.stdout), (0, table));
    server.then(200, product.clone());
    let one = orderctl(&["stock", "get", "a/b ü"], &environment).await;
    assert_eq!(one.stdout, table);
    server.then(201, product.clone());
    let set = orderctl(&["stock", "set", "a/b ü", "3", "--json"], &environment).await;
    assert_eq!(set.json(), product);
    assert_eq!(
        server.lines(),
        [
            "GET /api/v1/stock",
            "GET /api/v1/stock/a%2Fb%20%C3%BC",
            "PUT /api/v1/stock/a%2Fb%20%C3%BC",
        ]
    );
    assert_eq!(server.asked()[2].body, json!({"available": 3}));
}

#[tokio::test]
async fn a_name_cannot_play_with_the_terminal() {
    let product =
        json!({"name": "\u{1b}]0;owned\u{7}\npen", "available": 3, "reserved": 1, "shipped": 0});
    let server = Server::answering(200, product.clone()).await;
    server.then(200, product.clone());
    let environment = [("STOCK_URL", server.url.as_str())];
    let text = orderctl(&["stock", "get", "pen"], &environment).await;
    assert!(
        text.stdout.contains("\\u{1b}]0;owned\\u{7} pen  3"),
        "{text:?}"
    );
    let json = orderctl(&["stock", "get", "pen", "--json"], &environment).await;
    assert_eq!(json.json(), product);
}
