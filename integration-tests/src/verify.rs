//! What holds after any disturbance, once everything has come to rest.

use std::collections::{BTreeMap, BTreeSet};

use base_domains::OrderStatus;

use crate::{System, database, eventually};

/// Waits until every order of `accepted` is RESERVED or REJECTED in every service. Each service
/// knows exactly these orders, and all say the same of each as the log, where each was decided
/// once. The status of each.
///
/// # Panics
/// One of this does not hold.
pub async fn settled_in_all_services(
    system: &System,
    accepted: &BTreeSet<String>,
) -> BTreeMap<String, String> {
    let mut agreed: Option<BTreeMap<String, String>> = None;
    for service in ["stock", "email", "order"] {
        let url = system.database(service);
        let statuses = eventually(&format!("end of every order in {service}"), || async {
            let statuses = database::statuses(&url).await;
            let settled = statuses.values().filter(|status| *status != "PENDING");
            (settled.count() == accepted.len()).then_some(statuses)
        })
        .await;
        assert!(
            statuses.keys().eq(accepted),
            "exactly the accepted orders in {service}"
        );
        let first = agreed.get_or_insert_with(|| statuses.clone());
        assert_eq!(*first, statuses, "{service} sees the same as the others");
    }
    let folded = agreed.unwrap();
    for (order_id, story) in system.log.orders().await {
        let status = story.state.status().map_or("", OrderStatus::as_str);
        assert_eq!(
            folded[&order_id.to_string()],
            status,
            "{order_id} in the log"
        );
        assert_eq!(story.history.len(), 2, "{order_id}: {:?}", story.history);
        assert_eq!(story.event_ids.len(), 2, "one decision about {order_id}");
    }
    folded
}

/// No group has a dead letter.
///
/// # Panics
/// One has.
pub async fn nothing_is_dead_lettered(system: &System) {
    for service in ["stock", "email", "orders-view"] {
        let letters = system.log.dead_letters(&system.group(service)).await;
        assert_eq!(letters, vec![], "of {service}");
    }
}
