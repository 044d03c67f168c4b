//! The catalogue in a new and in a known database.

use stock_service::inventory::{Inventory, InventoryError};
use stock_service::level::Level;
use test_support::{Test, TestDatabase, test};
use tokio::task::JoinSet;

use super::support::{Fresh, assert_conserved, catalogue, number};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(instances_that_start_together_seed_once).threads(4),
        test!(a_product_that_is_there_is_left_as_it_is),
        test!(nothing_is_shown_or_set_before_the_first_seeding),
    ]
}

async fn instances_that_start_together_seed_once(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let mut starts = JoinSet::new();
    for number in 0..5 {
        let inventory = Inventory::new(fresh.another());
        // Each has another idea of the pieces; the first one counts, for all products.
        let catalogue = catalogue(&[("a", 10 + number), ("b", 10 + number), ("c", 0)]);
        starts.spawn(async move {
            inventory.seed(&catalogue).await.unwrap();
            inventory.all().await.unwrap()
        });
    }
    let seen = starts.join_all().await;
    let first = &seen[0];
    assert_eq!(first["a"], first["b"]);
    assert_eq!(first["c"], Level::of(0));
    assert!(seen.iter().all(|levels| levels == first), "{seen:?}");
    let rows = "SELECT COUNT(*) FROM stock_adjustments WHERE cause = 'seed'";
    assert_eq!(number(&fresh.database, rows).await, 3);
    assert_conserved(&fresh.database).await;
}

async fn a_product_that_is_there_is_left_as_it_is(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let inventory = Inventory::new(fresh.database.clone());
    inventory.seed(&catalogue(&[("a", 10)])).await.unwrap();
    inventory.set_available("a", 4).await.unwrap();
    let next = catalogue(&[("a", 99), ("b", 7)]);
    inventory.seed(&next).await.unwrap();
    let levels = inventory.all().await.unwrap();
    assert_eq!(levels["a"], Level::of(4));
    assert_eq!(levels["b"], Level::of(7));
    let deltas = "SELECT SUM(delta) FROM stock_adjustments WHERE product = 'a'";
    assert_eq!(number(&fresh.database, deltas).await, 4);
    assert_conserved(&fresh.database).await;
}

async fn nothing_is_shown_or_set_before_the_first_seeding(database: TestDatabase) {
    let fresh = Fresh::new(database).await;
    let inventory = Inventory::new(fresh.database.clone());
    let list = inventory.all().await;
    assert!(matches!(list, Err(InventoryError::NotSeeded)));
    let set = inventory.set_available("a", 1).await;
    assert!(matches!(set, Err(InventoryError::NotSeeded)));
}
