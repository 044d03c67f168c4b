//! Waking the requests that wait for an order to move on.
//!
//! A waiter subscribes first and reads afterwards, so no change falls between the two. What other instances
//! have folded is not heard of here: waiters also read again by themselves.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base_domains::OrderId;
use tokio::sync::watch;

/// The orders that somebody waits for. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiters {
    orders: Arc<Mutex<HashMap<OrderId, Watched>>>,
    /// Changes of any order.
    any: watch::Sender<()>,
}

/// One order that somebody waits for.
#[derive(Debug, Default)]
struct Watched {
    changes: watch::Sender<()>,
    waiting: usize,
}

/// One who waits; leaves when dropped.
#[derive(Debug)]
pub(crate) struct Waiter {
    order_id: OrderId,
    waiters: Waiters,
    changes: watch::Receiver<()>,
}

impl Waiters {
    /// Notices every change of the order from now on.
    pub(crate) fn subscribe(&self, order_id: OrderId) -> Waiter {
        let mut orders = self.lock();
        let watched = orders.entry(order_id).or_default();
        watched.waiting += 1;
        Waiter {
            order_id,
            changes: watched.changes.subscribe(),
            waiters: self.clone(),
        }
    }

    /// Notices every change of any order from now on.
    pub(crate) fn subscribe_all(&self) -> watch::Receiver<()> {
        self.any.subscribe()
    }

    /// Wakes those who wait for any of these orders.
    pub(crate) fn wake(&self, orders: impl IntoIterator<Item = OrderId>) {
        self.any.send_replace(());
        let watched = self.lock();
        if watched.is_empty() {
            return;
        }
        for order in orders.into_iter().filter_map(|id| watched.get(&id)) {
            order.changes.send_replace(());
        }
    }

    /// A panic elsewhere cannot leave the map half-changed.
    fn lock(&self) -> MutexGuard<'_, HashMap<OrderId, Watched>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter {
    /// Waits for a change since the last call, or since the subscription.
    pub(crate) async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            // Unreachable while this waiter keeps its order's entry; then nothing more can be heard.
            std::future::pending().await
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Entry::Occupied(mut entry) = self.waiters.lock().entry(self.order_id) {
            entry.get_mut().waiting -= 1;
            if entry.get().waiting == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn order(key: &str) -> OrderId {
        OrderId::from_idempotency_key("test", key)
    }

    #[tokio::test]
    async fn a_change_wakes_everybody_who_waits_for_that_order_and_nobody_else() {
        let waiters = Waiters::default();
        let mut first = waiters.subscribe(order("a"));
        let mut second = waiters.subscribe(order("a"));
        let mut other = waiters.subscribe(order("b"));
        waiters.wake([order("a"), order("c")]);
        first.changed().await;
        second.changed().await;
        assert_eq!(other.changed().now_or_never(), None);
    }

    #[tokio::test]
    async fn a_change_between_subscription_and_wait_is_not_missed_and_counts_once() {
        let waiters = Waiters::default();
        let mut waiter = waiters.subscribe(order("a"));
        waiters.wake([order("a")]);
        waiters.wake([order("a")]);
        waiter.changed().await;
        assert_eq!(waiter.changed().now_or_never(), None);
        waiters.wake([order("a")]);
        waiter.changed().await;
    }

    #[tokio::test]
    async fn nothing_is_kept_of_those_who_left() {
        let waiters = Waiters::default();
        let first = waiters.subscribe(order("a"));
        let mut second = waiters.subscribe(order("a"));
        drop(first);
        waiters.wake([order("a")]);
        second.changed().await;
        drop(second);
        assert!(waiters.lock().is_empty());
    }
}
