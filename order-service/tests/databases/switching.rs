//! Those who read while a rebuilt read model takes the place of the old one.

use base_domains::OrderStatus;
use serde_json::Value;
use test_support::{Test, TestDatabase, test};
use tokio::net::TcpStream;

use crate::support::{Answer, EventStream, Request, World, order, order_id, rebuilt};

use OrderStatus::{Pending, Rejected, Reserved};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(streams_go_on_and_are_resumed_across_the_switch),
        test!(a_wait_goes_on_across_the_switch),
        test!(pages_go_on_across_the_switch),
    ]
}

const ALL: &str = "/api/v1/orders/events";

async fn switch(world: &World) {
    let report = rebuilt(&world.url, world.topic.source(), false)
        .await
        .unwrap();
    assert_eq!((report.different, report.switched), (0, true));
}

async fn streams_go_on_and_are_resumed_across_the_switch(database: TestDatabase) {
    let world = World::with_orders(database).await;
    let address = world.service.address;
    let id = order_id("followed");
    let one = format!("/api/v1/orders/{id}/events");
    let mut all = EventStream::open(address, ALL, None).await;
    world.live.handle(&world.topic.story(id, &[Pending])).await;
    let seen = all.next().await.unwrap();
    let mut single = EventStream::open(address, &one, None).await;
    assert_eq!(single.statuses(1).await, ["PENDING"]);

    switch(&world).await;
    world.live.handle(&world.topic.story(id, &[Reserved])).await;
    assert_eq!(all.statuses(1).await, ["RESERVED"]);
    switch(&world).await;
    world.live.handle(&world.topic.story(id, &[Rejected])).await;
    assert_eq!(all.statuses(1).await, ["REJECTED"]);
    assert_eq!(single.statuses(2).await, ["RESERVED", "REJECTED"]);
    assert_eq!(single.next().await, None);

    let mut resumed = EventStream::open(address, ALL, Some(&seen.id)).await;
    assert_eq!(resumed.statuses(2).await, ["RESERVED", "REJECTED"]);
    let mut whole = EventStream::open(address, ALL, Some("-")).await;
    let told = whole.statuses(66 + 3).await;
    assert_eq!(told.last().map(String::as_str), Some("REJECTED"));
}

async fn a_wait_goes_on_across_the_switch(database: TestDatabase) {
    let world = World::with_orders(database).await;
    let get = Request::get(&format!("/api/v1/orders/{}?wait=10s", order(1)));
    let waiting: TcpStream = get.start(world.service.address).await;
    world.service.waiting(1).await;
    switch(&world).await;
    let end = world.topic.story(order(1), &[Rejected]);
    world.live.handle(&end).await;
    let answer = Answer::read(waiting).await;
    assert_eq!(answer.json()["status"], "REJECTED");
}

async fn pages_go_on_across_the_switch(database: TestDatabase) {
    let world = World::with_orders(database).await;
    let mut seen = Vec::new();
    let mut path = "/api/v1/orders?limit=15".to_owned();
    loop {
        let page = Request::get(&path).send(world.service.address).await.json();
        let orders = page["orders"].as_array().unwrap();
        seen.extend(orders.iter().map(|order| order["orderId"].clone()));
        let Value::String(cursor) = &page["nextCursor"] else {
            break;
        };
        path = format!("/api/v1/orders?limit=15&cursor={cursor}");
        switch(&world).await;
    }
    let newest_first: Vec<Value> = (0..40).rev().map(|n| order(n).to_string().into()).collect();
    assert_eq!(seen, newest_first);
}
