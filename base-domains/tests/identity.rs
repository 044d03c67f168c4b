//! Ids and places that are the same in every process and every release.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use base_domains::{OrderId, OrderStatus, event_id, home_partition};
use proptest::prelude::*;

const ID: &str = "0198c0de-7a3b-7c4d-8e5f-0123456789ab";

fn order_id() -> OrderId {
    ID.parse().unwrap()
}

#[test]
fn order_ids_of_idempotency_keys_are_pinned() {
    let golden = [
        ("alice", "key-1", "181a2eca-74d9-56cb-812a-5cbaf0ddabdd"),
        ("a", "bc", "24862b79-e5ba-588a-92de-1c1536bdfc17"),
        ("ab", "c", "04e2a6f0-0174-5fbd-b555-c4d37443b8f3"),
        ("", "", "73b0c81f-b6ef-51d6-a9bf-cc3643de06fa"),
    ];
    for (caller, key, id) in golden {
        assert_eq!(
            OrderId::from_idempotency_key(caller, key).to_string(),
            id,
            "{caller} {key}"
        );
    }
}

#[test]
fn event_ids_are_pinned() {
    let golden = [
        (
            OrderStatus::Pending,
            "order-service",
            None,
            "a592aa55-69e2-5489-b7c4-4fd7d0f85d37",
        ),
        (
            OrderStatus::Rejected,
            "stock-service",
            Some("out_of_stock"),
            "89e57f8a-875b-5a92-9f8c-b03d3c9b8d8d",
        ),
        (
            OrderStatus::Rejected,
            "stock-service",
            Some(""),
            "62bb6763-d1ea-5d3b-b77d-146e34f176a8",
        ),
        (
            OrderStatus::Rejected,
            "stock-service",
            None,
            "f9468837-45bb-58db-a9dd-ff7b1ea55adb",
        ),
        (
            OrderStatus::Pending,
            "",
            None,
            "3085f3bc-85c3-5dd6-80a2-384ba7920316",
        ),
    ];
    for (status, writer, reason, id) in golden {
        assert_eq!(
            event_id(order_id(), status, writer, reason).to_string(),
            id,
            "{status} {writer} {reason:?}"
        );
    }
}

#[test]
fn an_order_id_has_one_spelling() {
    assert_eq!(order_id().to_string(), ID);
    assert_eq!(ID.to_uppercase().parse(), Ok(order_id()));
    assert_eq!(OrderId::new(order_id().as_uuid()), order_id());
    assert_eq!(
        serde_json::to_string(&order_id()).unwrap(),
        format!("\"{ID}\"")
    );
    let urn = format!("urn:uuid:{ID}");
    let braced = format!("{{{ID}}}");
    for refused in [
        "",
        "21",
        "0198c0de7a3b7c4d8e5f0123456789ab",
        &urn,
        &braced,
        &ID[1..],
        "0198c0de-7a3b-7c4d-8e5f-0123456789ag",
    ] {
        assert!(refused.parse::<OrderId>().is_err(), "{refused}");
        assert!(
            serde_json::from_str::<OrderId>(&format!("\"{refused}\"")).is_err(),
            "{refused}"
        );
    }
}

#[test]
fn home_partitions_are_pinned() {
    let golden = [
        ("0198c0de-7a3b-7c4d-8e5f-0123456789ab", [0, 2, 8, 30]),
        ("00000000-0000-0000-0000-000000000000", [0, 0, 9, 37]),
        ("6ba7b810-9dad-11d1-80b4-00c04fd430c8", [0, 1, 1, 7]),
        ("ffffffff-ffff-ffff-ffff-ffffffffffff", [0, 0, 6, 26]),
    ];
    for (id, homes) in golden {
        let order: OrderId = id.parse().unwrap();
        assert_eq!(
            [1, 3, 12, 50].map(|partitions| home_partition(order, partitions)),
            homes,
            "{id}"
        );
    }
}

#[test]
fn a_count_of_partitions_that_cannot_be_is_read_as_one() {
    for partitions in [0, -1, i32::MIN] {
        assert_eq!(home_partition(order_id(), partitions), 0);
    }
}

proptest! {
    #[test]
    fn different_callers_and_keys_never_share_an_order(
        (caller, key) in ("[a:0-9,-]{0,4}", "[a:0-9,-]{0,4}"),
        (other_caller, other_key) in ("[a:0-9,-]{0,4}", "[a:0-9,-]{0,4}"),
    ) {
        let same = OrderId::from_idempotency_key(&caller, &key)
            == OrderId::from_idempotency_key(&other_caller, &other_key);
        prop_assert_eq!(same, (caller, key) == (other_caller, other_key));
    }

    #[test]
    fn a_home_partition_exists(id in any::<u128>(), partitions in any::<i32>()) {
        let order = OrderId::new(uuid::Uuid::from_u128(id));
        prop_assert!((0..partitions.max(1)).contains(&home_partition(order, partitions)));
    }
}
