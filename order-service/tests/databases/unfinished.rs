//! The age of orders that did not end yet.

use std::time::Duration;

use base_domains::OrderStatus;
use order_service::query::unfinished_ages;
use test_support::{Test, TestDatabase, test};

use crate::support::{Log, Service, order_id};

pub(crate) fn tests() -> Vec<Test> {
    vec![test!(
        the_oldest_order_of_each_status_that_is_no_end_gives_its_age
    )]
}

async fn the_oldest_order_of_each_status_that_is_no_end_gives_its_age(database: TestDatabase) {
    use OrderStatus::{Paid, Pending, Rejected, Reserved};
    let service = Service::start(database).await;
    let mut log = Log::default();
    // At 1 s, 2 s, ... after the epoch.
    log.bring(&service, order_id("ended"), Pending).await;
    log.bring(&service, order_id("ended"), Rejected).await;
    log.bring(&service, order_id("older"), Pending).await;
    log.bring(&service, order_id("younger"), Pending).await;
    log.bring(&service, order_id("reserved"), Pending).await;
    log.bring(&service, order_id("reserved"), Reserved).await;
    let ages = unfinished_ages(&service.storage, 63_000).await.unwrap();
    assert_eq!(
        ages,
        [
            (Pending, Duration::from_secs(60)),
            (Reserved, Duration::from_secs(58)),
            (Paid, Duration::ZERO),
        ]
    );
    let early = unfinished_ages(&service.storage, 0).await.unwrap();
    assert_eq!(early[0], (Pending, Duration::ZERO));
}
