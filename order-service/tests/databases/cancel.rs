//! `POST /api/v1/orders/{id}/cancel` on the whole service, with a log that speaks for itself.

use std::time::{Duration, Instant};

use base_domains::{OrderEvent, OrderStatus, header, home_partition, reason};
use futures_util::future::join_all;
use serde_json::{Value, json};
use service_runtime::database::{Database, DatabaseConfig};
use service_runtime::kafka::{NewRecord, Record};
use test_support::{Kind, Test, TestDatabase, test};

use crate::support::{
    Answer, Broker, DEADLINE, PARTITIONS, Request, Running, SEATS, Service, distinct_events_of,
    events_of, eventually, order_id, plain,
};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(an_order_is_cancelled_once_and_repetitions_are_told_so).threads(2),
        test!(whoever_comes_after_the_end_is_told_which_it_was).threads(2),
        test!(an_order_that_is_not_there_or_cannot_be_read_is_not_cancelled).threads(2),
        test!(without_its_broker_a_cancellation_is_unconfirmed_and_then_found_by_repeating)
            .threads(2),
        test!(without_a_broker_or_a_database_nobody_is_told_what_is_not_known),
        test!(a_request_that_there_is_no_seat_for_is_asked_to_come_back),
        test!(instances_answer_for_partitions_that_another_one_reads)
            .only(Kind::Postgres)
            .threads(4),
        test!(an_order_that_does_not_end_in_time_is_cancelled_once_by_two_instances)
            .only(Kind::Postgres)
            .threads(4),
    ]
}

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn book() -> Value {
    json!({"name": "book order", "qty": 5, "price": 10000, "email": "ann@example.org"})
}

fn cancelled(id: &str, reason: &str) -> Value {
    json!({"orderId": id, "status": "CANCELLED", "reason": reason})
}

async fn place(running: &Running) -> String {
    Request::post(&book()).send(running.address).await.placed()
}

/// The body of a 200.
#[track_caller]
fn ok(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    answer.json()
}

fn event(status: &str, reason: Option<&str>) -> (String, Option<String>) {
    (status.to_owned(), reason.map(str::to_owned))
}

async fn an_order_is_cancelled_once_and_repetitions_are_told_so(database: TestDatabase) {
    let broker = Broker::new();
    let running = broker.start(database.url(), &[]).await;
    let id = place(&running).await;
    let cancel = Request::cancel(&id);
    let traced = cancel.clone().header("traceparent", TRACE);
    let first = running.until(&traced, |answer| answer.status != 503).await;
    assert_eq!(ok(&first), cancelled(&id, "cancelled_on_request"));
    // Whatever a client sends along.
    let body = Request::with_body(&format!("POST /api/v1/orders/{id}/cancel"), b"{\"why\": 1}");
    for again in [cancel, body] {
        let again = again.send(running.address).await;
        assert_eq!(ok(&again), cancelled(&id, "cancelled_on_request"));
    }
    let get = Request::get(&format!("/api/v1/orders/{id}?wait=15s"));
    let view = ok(&get.send(running.address).await);
    assert_eq!(
        (&view["status"], &view["reason"]),
        (&json!("CANCELLED"), &json!("cancelled_on_request"))
    );

    // Another one follows, so that a second record of the first would be read.
    let other = Request::cancel(&place(&running).await);
    ok(&running.until(&other, |answer| answer.status != 503).await);
    running.end().await;
    let records = broker.records_of(&id).await;
    assert_eq!(
        distinct_events_of(&records),
        [
            event("PENDING", None),
            event("CANCELLED", Some(reason::CANCELLED_ON_REQUEST))
        ]
    );
    assert_eq!(records[1].header("ce_source"), Some("/order-service"));
    assert_eq!(records[1].header("traceparent"), Some(TRACE));
    let event = OrderEvent::from_json(records[1].value.as_deref().unwrap()).unwrap();
    assert_eq!(event.order.email.as_deref(), Some("ann@example.org"));
}

async fn whoever_comes_after_the_end_is_told_which_it_was(database: TestDatabase) {
    use OrderStatus::{Cancelled, Paid, Pending, Rejected, Reserved, Shipped};
    let broker = Broker::new();
    let running = broker.start(database.url(), &[]).await;
    let lives: [(&str, &[OrderStatus]); 3] = [
        ("shipped", &[Pending, Reserved, Paid, Shipped]),
        ("rejected", &[Pending, Rejected]),
        ("cancelled", &[Pending, Cancelled]),
    ];
    for (name, statuses) in lives {
        for status in statuses {
            let event = OrderEvent::new(*status, plain(order_id(name)));
            let event = match status {
                Rejected => event.with_reason(reason::OUT_OF_STOCK),
                _ => event,
            };
            broker.append(&[event]).await;
        }
    }
    // Records that are acknowledged may not be read yet.
    let ask = async |name: &str, status: u16| {
        let cancel = Request::cancel(&order_id(name).to_string());
        running
            .until(&cancel, |answer| answer.status == status)
            .await
    };
    let shipped = ask("shipped", 409).await;
    let id = order_id("shipped").to_string();
    assert_eq!(
        shipped.problem(409),
        json!({
            "type": "urn:problem-type:order-ended", "title": "Order ended", "status": 409,
            "detail": "the order is SHIPPED and cannot be cancelled any more",
            "orderId": id, "orderStatus": "SHIPPED",
        })
    );
    assert_eq!(shipped.header("retry-after"), None);
    let rejected = ask("rejected", 409).await.problem(409);
    assert_eq!(rejected["orderStatus"], "REJECTED");
    assert_eq!(rejected["reason"], "out_of_stock");
    let id = order_id("cancelled").to_string();
    let by_another = ok(&ask("cancelled", 200).await);
    assert_eq!(by_another, json!({"orderId": id, "status": "CANCELLED"}));
    running.end().await;
    // Whoever asked before the end was read appended a cancellation, which came too late in the log.
    for (name, statuses) in lives {
        let events = events_of(&broker.records_of(&order_id(name).to_string()).await);
        let known: Vec<&str> = statuses.iter().map(|status| status.as_str()).collect();
        let found = events.iter().map(|(status, _)| status.as_str());
        assert!(found.take(known.len()).eq(known), "{events:?}");
        assert!(
            events[statuses.len()..]
                .iter()
                .all(|(status, _)| status == "CANCELLED")
        );
    }
}

async fn an_order_that_is_not_there_or_cannot_be_read_is_not_cancelled(database: TestDatabase) {
    let broker = Broker::new();
    let running = broker.start(database.url(), &[]).await;
    let id = order_id("nobody").to_string();
    let nobody = Request::cancel(&id);
    let answer = running.until(&nobody, |answer| answer.status != 503).await;
    let problem = answer.problem(404);
    assert_eq!(problem["orderId"], *id);
    assert_eq!(problem["detail"], format!("there is no order {id}"));
    let answer = Request::cancel("17").send(running.address).await;
    assert_eq!(answer.fields(400), ["id"]);
    let get = Request::get(&format!("/api/v1/orders/{id}/cancel"));
    assert_eq!(get.send(running.address).await.status, 405);

    let id = order_id("broken");
    let headers = [
        (header::CE_SUBJECT, id.to_string()),
        (header::CE_TYPE, "order.pending".to_owned()),
    ];
    let broken = NewRecord {
        topic: "orders".to_owned(),
        partition: Some(home_partition(id, PARTITIONS)),
        key: Some(id.to_string().into_bytes()),
        headers: headers
            .map(|(name, text)| (name.to_owned(), text.into_bytes()))
            .into(),
        value: Some(b"{garbage".to_vec()),
    };
    broker.produce(&broken).await;
    let cancel = Request::cancel(&id.to_string());
    let answer = running.until(&cancel, |answer| answer.status == 409).await;
    assert_eq!(
        answer.problem(409),
        json!({
            "type": "urn:problem-type:order-unreadable", "title": "Order not readable", "status": 409,
            "detail": "no event that says what was ordered could be read",
            "orderId": id.to_string(), "orderStatus": "PENDING",
        })
    );
    running.end().await;
    assert_eq!(broker.read("orders").await.len(), 1);
    let letters = broker.read("orders.orders.dlt").await;
    // There may be copies, of work that was repeated.
    assert!(!letters.is_empty());
    let garbage = |letter: &Record| letter.value.as_deref() == Some(&b"{garbage"[..]);
    assert!(letters.iter().all(garbage), "{letters:?}");
}

async fn without_its_broker_a_cancellation_is_unconfirmed_and_then_found_by_repeating(
    database: TestDatabase,
) {
    let broker = Broker::new();
    let settings = [
        ("KAFKA_DELIVERY_TIMEOUT", "3s"),
        ("HTTP_REQUEST_TIMEOUT", "6s"),
    ];
    let running = broker.start(database.url(), &settings).await;
    let id = place(&running).await;
    let known = Request::get(&format!("/api/v1/orders/{id}"));
    running.until(&known, |answer| answer.status == 200).await;
    // The participant of the command side knows it as well.
    let reader = Database::open(&DatabaseConfig::new(database.url())).unwrap();
    let deadline = Instant::now() + DEADLINE;
    let read = "SELECT COUNT(*) FROM command_orders";
    while sqlx::query_scalar::<_, i64>(read)
        .fetch_one(reader.pool())
        .await
        .unwrap()
        == 0
    {
        assert!(Instant::now() < deadline, "the order is not read");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    broker.mock.broker_down(1).unwrap();
    let cancel = Request::cancel(&id);
    for _ in 0..2 {
        let answer = cancel.send(running.address).await;
        assert_eq!(answer.unconfirmed(), id);
        assert_eq!(
            answer.json()["type"],
            "urn:problem-type:cancellation-unconfirmed"
        );
    }
    broker.mock.broker_up(1).unwrap();
    let answer = running.until(&cancel, |answer| answer.status != 503).await;
    assert_eq!(ok(&answer), cancelled(&id, "cancelled_on_request"));
    running.end().await;
    let records = broker.records_of(&id).await;
    // What timed out may have been taken all the same, and swept again: the same bytes.
    assert_eq!(
        events_of(&records[..2])[1],
        event("CANCELLED", Some("cancelled_on_request"))
    );
    assert!(
        records[2..]
            .iter()
            .all(|again| again.value == records[1].value)
    );
}

async fn without_a_broker_or_a_database_nobody_is_told_what_is_not_known(database: TestDatabase) {
    let service = Service::start(database).await;
    let id = order_id("perhaps").to_string();
    let cancel = Request::cancel(&id);
    let answer = cancel.send(service.address).await;
    assert_eq!(answer.unconfirmed(), id);
    assert_eq!(answer.json()["detail"], "the log is not read to its end");
    service.database.close().await;
    let answer = cancel.send(service.address).await;
    assert_eq!(answer.unconfirmed(), id);
    assert_eq!(answer.json()["detail"], "the database cannot be used now");
    assert_eq!(service.producer.taken(), []);
}

async fn a_request_that_there_is_no_seat_for_is_asked_to_come_back(database: TestDatabase) {
    let service = Service::start(database).await;
    let seats = service
        .seats
        .try_acquire_many(SEATS.try_into().unwrap())
        .unwrap();
    let id = order_id("any").to_string();
    let answer = Request::cancel(&id).send(service.address).await;
    assert_eq!(answer.unconfirmed(), id);
    assert_eq!(answer.json()["detail"], "too many requests are waiting");
    drop(seats);
    // A request that waits ends with the service.
    let waiting = Request::cancel(&id).start(service.address).await;
    service.waiting(1).await;
    service.shutdown.trigger();
    assert_eq!(Answer::read(waiting).await.unconfirmed(), id);
    eventually("the seat", || service.seats.available_permits() == SEATS).await;
}

async fn instances_answer_for_partitions_that_another_one_reads(database: TestDatabase) {
    let broker = Broker::new();
    let instances = [
        broker.start(database.url(), &[]).await,
        broker.start(database.url(), &[]).await,
    ];
    let mut ids = Vec::new();
    for _ in 0..12 {
        let id = place(&instances[0]).await;
        let asking = [0, 1, 0, 1].map(|n| {
            // While a partition moves to the other instance nobody reads it.
            let (instance, cancel) = (&instances[n], Request::cancel(&id));
            async move { instance.until(&cancel, |answer| answer.status != 503).await }
        });
        for answer in join_all(asking).await {
            assert_eq!(ok(&answer), cancelled(&id, "cancelled_on_request"));
        }
        ids.push(id);
    }
    for instance in instances {
        instance.end().await;
    }
    for id in ids {
        let events = distinct_events_of(&broker.records_of(&id).await);
        let cancelled = event("CANCELLED", Some("cancelled_on_request"));
        assert_eq!(events, [event("PENDING", None), cancelled]);
    }
}

async fn an_order_that_does_not_end_in_time_is_cancelled_once_by_two_instances(
    database: TestDatabase,
) {
    let broker = Broker::new();
    let settings = [("ORDER_DEADLINE", "2s")];
    let instances = [
        broker.start(database.url(), &settings).await,
        broker.start(database.url(), &settings).await,
    ];
    let mut late = Vec::new();
    for n in 0..12 {
        late.push(place(&instances[n % 2]).await);
    }
    let shipped = order_id("shipped");
    // At once: it is not to be overdue before it is shipped.
    let life = [OrderStatus::Pending, OrderStatus::Shipped];
    let life = life.map(|status| OrderEvent::new(status, plain(shipped)));
    broker.append(&life).await;
    for id in &late {
        let get = Request::get(&format!("/api/v1/orders/{id}"));
        let ended = |answer: &Answer| answer.json()["status"] == "CANCELLED";
        let view = instances[0].until(&get, ended).await.json();
        assert_eq!(view["reason"], "deadline");
        // By whomever; a database that is slow to answer is asked again.
        let cancel = Request::cancel(id);
        let answer = instances[1].until(&cancel, |answer| answer.status != 503);
        let answer = answer.await;
        assert_eq!(ok(&answer), cancelled(id, "deadline"));
    }
    for instance in instances {
        instance.end().await;
    }
    for id in late {
        let events = distinct_events_of(&broker.records_of(&id).await);
        assert_eq!(
            events,
            [event("PENDING", None), event("CANCELLED", Some("deadline"))]
        );
    }
    let events = distinct_events_of(&broker.records_of(&shipped.to_string()).await);
    assert_eq!(events, [event("PENDING", None), event("SHIPPED", None)]);
}
