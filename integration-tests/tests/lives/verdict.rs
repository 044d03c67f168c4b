//! What the customers were told, and what they got by mail, against how the orders ended.

use std::collections::{BTreeMap, BTreeSet};

use integration_tests::System;
use integration_tests::invariants::Wish;

use crate::customer::{Cancelled, Placed};

/// What was ordered, by order.
pub(crate) fn wishes(placed: &[Placed]) -> BTreeMap<String, Wish> {
    let wish = |placed: &Placed| (placed.order_id.clone(), placed.wish);
    placed.iter().map(wish).collect()
}

/// The log has exactly the orders that were acknowledged, and a cancellation was answered as it ended.
pub(crate) fn answers_kept_their_word(placed: &[Placed], statuses: &BTreeMap<String, String>) {
    let acknowledged: BTreeSet<&String> = placed.iter().map(|placed| &placed.order_id).collect();
    assert_eq!(acknowledged.len(), placed.len());
    assert!(acknowledged.into_iter().eq(statuses.keys()));
    let mut seen = BTreeSet::new();
    for Placed {
        order_id,
        cancelled,
        ..
    } in placed
    {
        let status = &*statuses[order_id];
        let agrees = match cancelled {
            Some(Cancelled::Yes) => status == "CANCELLED",
            Some(Cancelled::TooLate) => ["SHIPPED", "REJECTED"].contains(&status),
            None => status != "CANCELLED",
        };
        assert!(agrees, "{order_id}: {cancelled:?}, and it is {status}");
        seen.insert((cancelled.is_some(), status));
    }
    // Or else the run was about less than it says.
    for case in [
        (true, "CANCELLED"),
        (true, "SHIPPED"),
        (false, "SHIPPED"),
        (false, "REJECTED"),
    ] {
        assert!(seen.contains(&case), "{case:?} is not in {seen:?}");
    }
}

/// How many orders came to each end.
pub(crate) fn ends(statuses: &BTreeMap<String, String>) -> String {
    let mut ends = BTreeMap::<&str, usize>::new();
    for status in statuses.values() {
        *ends.entry(status).or_default() += 1;
    }
    format!("{ends:?}")
}

/// Invariant 5: every order has mail of its placement and of its end, and all mails of an order and a
/// state have one `Message-ID`; how many mails there are.
pub(crate) async fn one_message_id_for_each_state(
    system: &System,
    statuses: &BTreeMap<String, String>,
) -> String {
    let wanted: BTreeSet<(String, String)> = statuses
        .iter()
        .flat_map(|(id, end)| ["PENDING", end].map(|state| (id.clone(), state.to_lowercase())))
        .collect();
    let mut ids = BTreeMap::<(String, String), BTreeSet<String>>::new();
    let mut arrived = 0;
    system.all_mail_is_sent().await;
    for mail in system.mail.all().await {
        arrived += 1;
        // <order id.state.hash@domain>
        let mut parts = mail.message_id.trim_start_matches('<').splitn(3, '.');
        let mut part = || parts.next().unwrap().to_owned();
        ids.entry((part(), part()))
            .or_default()
            .insert(mail.message_id.clone());
    }
    for (of, ids) in &ids {
        assert_eq!(ids.len(), 1, "{of:?}: {ids:?}");
    }
    let missing: Vec<_> = wanted.iter().filter(|of| !ids.contains_key(*of)).collect();
    assert!(missing.is_empty(), "no mail: {missing:?}");
    let again = arrived - ids.len();
    format!(
        "{arrived} mails arrived, {again} of them again, {} different",
        ids.len()
    )
}
