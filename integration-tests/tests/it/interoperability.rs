//! Records that others write: the tutorial's, and garbage.

use integration_tests::system::GROUPS;
use integration_tests::{System, eventually};
use service_runtime::kafka::dlt;
use test_support::{Test, test};
use uuid::Uuid;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(the_tutorials_record_without_key_and_headers_is_shipped_and_mailed, no database),
        test!(a_bare_order_of_nothing_is_rejected_as_invalid, no database),
        test!(a_line_of_garbage_is_dead_lettered_and_the_order_in_the_next_line_works, no database),
        test!(garbage_is_dead_lettered_byte_for_byte_by_every_group_and_holds_nobody_up, no database),
        test!(garbage_that_only_compression_made_small_enough_is_dead_lettered_too, no database),
    ]
}

fn tutorial_record(order_id: Uuid) -> String {
    format!(
        r#"{{"message":"order status is in pending state","status":"PENDING","order":{{"orderId":"{order_id}","name":"book order","qty":5,"price":10000.0}}}}"#
    )
}

async fn the_tutorials_record_without_key_and_headers_is_shipped_and_mailed() {
    let system = System::start().await;
    // More than there are partitions, so that some are not in their home partition.
    let orders: Vec<Uuid> = (0..10).map(|_| Uuid::new_v4()).collect();
    let lines: Vec<String> = orders.iter().copied().map(tutorial_record).collect();
    system.log.append_lines(&lines).await;
    for order_id in &orders {
        let order_id = order_id.to_string();
        assert_eq!(system.ended(&order_id).await["status"], "SHIPPED");
        let mails = system.mails(&order_id, 3).await;
        assert_eq!(mails[0]["recipient"], "customer@example.com");
    }
    system.stock_becomes("book order", (950, 0, 50)).await;
}

/// Rule R4: what decodes but breaks a domain rule is an order that ends, not a dead letter.
async fn a_bare_order_of_nothing_is_rejected_as_invalid() {
    let system = System::start().await;
    let order_id = Uuid::new_v4();
    let record = tutorial_record(order_id).replace(r#""qty":5"#, r#""qty":0"#);
    system.log.append_bare(record.as_bytes()).await;
    let ended = system.ended(&order_id.to_string()).await;
    assert_eq!(
        (&ended["status"], &ended["reason"]),
        (&"REJECTED".into(), &"invalid_order".into())
    );
    assert_eq!(
        system.log.dead_letters(&system.group("stock")).await,
        vec![]
    );
}

async fn a_line_of_garbage_is_dead_lettered_and_the_order_in_the_next_line_works() {
    let system = System::start().await;
    let order_id = Uuid::new_v4();
    let garbage = "no order at all".to_owned();
    system
        .log
        .append_lines(&[garbage.clone(), tutorial_record(order_id)])
        .await;
    let ended = system.ended(&order_id.to_string()).await;
    assert_eq!(ended["status"], "SHIPPED");
    for service in GROUPS {
        let group = system.group(service);
        let letter = eventually("dead letter", || async {
            system.log.dead_letters(&group).await.pop()
        })
        .await;
        assert_eq!(letter.value.as_deref(), Some(garbage.as_bytes()));
    }
}

async fn garbage_is_dead_lettered_byte_for_byte_by_every_group_and_holds_nobody_up() {
    let system = System::start().await;
    let garbage = b"\xff\xfe not an order \0".as_slice();
    let (partition, offset) = system.log.append_bare(garbage).await;
    for service in GROUPS {
        let group = system.group(service);
        let letter = eventually("dead letter", || async {
            system.log.dead_letters(&group).await.pop()
        })
        .await;
        assert_eq!(letter.value.as_deref(), Some(garbage));
        let header = |name: &str| {
            let found = letter.headers.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        assert_eq!(header(dlt::ORIGINAL_PARTITION), partition.to_be_bytes());
        assert_eq!(header(dlt::ORIGINAL_OFFSET), offset.to_be_bytes());
        assert_eq!(header(dlt::ORIGINAL_CONSUMER_GROUP), group.as_bytes());
        assert_eq!(header(dlt::EXCEPTION_FQCN), b"invalid_body");
        assert_eq!(header(dlt::ORIGINAL_TOPIC), system.log.topic().as_bytes());
        assert_eq!(system.log.dead_letters(&group).await.len(), 1, "in {group}");
        assert!(!header(dlt::EXCEPTION_MESSAGE).is_empty());
    }
    let next = system.place("book order", 1).await;
    assert_eq!(system.ended(&next).await["status"], "SHIPPED");
}

/// A broker's limit is on the compressed record, a producer's on what it is given.
async fn garbage_that_only_compression_made_small_enough_is_dead_lettered_too() {
    let system = System::start().await;
    let garbage = vec![b'x'; 6 * 1024 * 1024];
    system.log.append_bare(&garbage).await;
    let next = system.place("book order", 1).await;
    assert_eq!(system.ended(&next).await["status"], "SHIPPED");
    for service in GROUPS {
        let group = system.group(service);
        let letter = eventually("dead letter", || async {
            system.log.dead_letters(&group).await.pop()
        })
        .await;
        assert!(letter.value == Some(garbage.clone()), "in {group}");
    }
}
