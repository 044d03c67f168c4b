//! Pages of orders, newest first.

use base_domains::{OrderEvent, OrderStatus};
use serde_json::Value;
use test_support::{Test, TestDatabase, test};

use crate::support::{Answer, Log, Request, Service, order_id, plain};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(without_orders_the_page_is_empty_and_the_last),
        test!(orders_are_listed_newest_first_each_as_it_is_shown_alone),
        test!(pages_hold_every_order_once_also_when_new_ones_come_and_old_ones_move_on),
        test!(orders_of_one_millisecond_are_all_listed_across_pages),
        test!(only_orders_in_the_wanted_states_are_listed_across_pages),
        test!(a_bad_parameter_is_answered_with_400_that_names_it),
    ]
}

async fn list(service: &Service, query: &str) -> Answer {
    let get = Request::get(&format!("/api/v1/orders{query}"));
    get.send(service.address).await
}

fn ids(page: &Value) -> Vec<String> {
    let orders = page["orders"].as_array().unwrap();
    let ids = orders.iter().map(|order| order["orderId"].as_str());
    ids.map(|id| id.unwrap().to_owned()).collect()
}

/// The ids of `names`.
fn named(names: &[&str]) -> Vec<String> {
    names
        .iter()
        .map(|name| order_id(name).to_string())
        .collect()
}

/// Reads to the last page; `between` happens after each page.
async fn all_pages(service: &Service, query: &str, mut between: impl AsyncFnMut()) -> Vec<Value> {
    let mut pages = vec![list(service, query).await.json()];
    while let Some(cursor) = pages.last().unwrap()["nextCursor"]
        .as_str()
        .map(str::to_owned)
    {
        between().await;
        let next = list(service, &format!("{query}&cursor={cursor}")).await;
        assert_eq!(next.status, 200, "{next:?}");
        pages.push(next.json());
    }
    pages
}

async fn without_orders_the_page_is_empty_and_the_last(database: TestDatabase) {
    let service = Service::start(database).await;
    let page = list(&service, "").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.json(), serde_json::json!({"orders": []}));
}

async fn orders_are_listed_newest_first_each_as_it_is_shown_alone(database: TestDatabase) {
    let service = Service::start(database).await;
    let mut log = Log::default();
    for name in ["a", "b", "c"] {
        log.bring(&service, order_id(name), OrderStatus::Pending)
            .await;
    }
    log.bring(&service, order_id("a"), OrderStatus::Rejected)
        .await;
    let page = list(&service, "").await.json();
    assert_eq!(ids(&page), named(&["c", "b", "a"]));
    let get = Request::get(&format!("/api/v1/orders/{}", order_id("a")));
    assert_eq!(page["orders"][2], get.send(service.address).await.json());
    assert!(!page.to_string().contains("canary"));
}

async fn pages_hold_every_order_once_also_when_new_ones_come_and_old_ones_move_on(
    database: TestDatabase,
) {
    let service = Service::start(database).await;
    let mut log = Log::default();
    let names: Vec<String> = (0..7).map(|n| format!("order {n}")).collect();
    for name in &names {
        log.bring(&service, order_id(name), OrderStatus::Pending)
            .await;
    }
    let mut round = 0;
    let pages = all_pages(&service, "?limit=3", async || {
        round += 1;
        let (new, old) = (order_id(&format!("new {round}")), order_id(&names[0]));
        log.bring(&service, new, OrderStatus::Pending).await;
        let event = log.event(old, [OrderStatus::Reserved, OrderStatus::Paid][round - 1]);
        log.fold(&service, &[event]).await;
    })
    .await;
    let sizes: Vec<usize> = pages.iter().map(|page| ids(page).len()).collect();
    assert_eq!(sizes, [3, 3, 1]);
    let listed: Vec<String> = pages.iter().flat_map(ids).collect();
    let expected: Vec<&str> = names.iter().rev().map(String::as_str).collect();
    assert_eq!(listed, named(&expected));
    assert_eq!(pages[2]["orders"][0]["status"], "PAID");
}

async fn orders_of_one_millisecond_are_all_listed_across_pages(database: TestDatabase) {
    let service = Service::start(database).await;
    let mut log = Log::default();
    let names: Vec<String> = (0..5).map(|n| format!("order {n}")).collect();
    let events = names.iter().map(|name| {
        let event = OrderEvent::new(OrderStatus::Pending, plain(order_id(name)));
        log.record(&event, 1_763_720_130_187)
    });
    let events: Vec<_> = events.collect();
    log.fold(&service, &events).await;
    let pages = all_pages(&service, "?limit=2", async || {}).await;
    let mut listed: Vec<String> = pages.iter().flat_map(ids).collect();
    assert_eq!(listed.len(), 5);
    listed.sort();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut expected = named(&names);
    expected.sort();
    assert_eq!(listed, expected);
}

async fn only_orders_in_the_wanted_states_are_listed_across_pages(database: TestDatabase) {
    use OrderStatus::{Pending, Rejected, Reserved};
    let service = Service::start(database).await;
    let mut log = Log::default();
    for n in 0..9 {
        let id = order_id(&format!("order {n}"));
        log.bring(&service, id, Pending).await;
        if n % 3 > 0 {
            log.bring(&service, id, [Reserved, Rejected][n % 3 - 1])
                .await;
        }
    }
    let numbers = |pages: &[Value]| -> Vec<usize> {
        let listed = pages.iter().flat_map(ids);
        let number =
            |id: String| (0..9).find(|n| id == order_id(&format!("order {n}")).to_string());
        listed.map(|id| number(id).unwrap()).collect()
    };
    let rejected = all_pages(&service, "?limit=2&status=REJECTED", async || {}).await;
    assert_eq!(numbers(&rejected), [8, 5, 2]);
    let two = all_pages(&service, "?limit=2&status=RESERVED,PENDING", async || {}).await;
    assert_eq!(numbers(&two), [7, 6, 4, 3, 1, 0]);
    let none = list(&service, "?status=SHIPPED").await.json();
    assert_eq!(ids(&none), Vec::<String>::new());
}

async fn a_bad_parameter_is_answered_with_400_that_names_it(database: TestDatabase) {
    let service = Service::start(database).await;
    for (query, field) in [
        ("?status=DONE", "status"),
        ("?status=PAID&status=SHIPPED", "status"),
        ("?limit=0", "limit"),
        ("?limit=1000", "limit"),
        ("?cursor=1%27%20OR%201=1", "cursor"),
    ] {
        assert_eq!(list(&service, query).await.fields(400), [field], "{query}");
    }
}
