//! The service's part in a batch: lock what the requests are about, decide, write.

use std::collections::BTreeSet;

use service_runtime::database::{Dialect, Tx};
use service_runtime::participant::{Change, DecideError, Decider, Decision};

use crate::decision::{Action, Request, Stock, decide};
use crate::store::Store;
use crate::unknown_product::UnknownProduct;

/// Decides about stock in the service's database.
#[derive(Debug, Clone, Copy)]
pub struct StockDecider {
    store: Store,
    unknown: UnknownProduct,
}

impl StockDecider {
    /// A decider for a database of this kind.
    #[must_use]
    pub const fn new(dialect: Dialect, unknown: UnknownProduct) -> Self {
        Self {
            store: Store { dialect },
            unknown,
        }
    }

    /// Answers each of `requests` and brings the rows in line with them.
    ///
    /// # Errors
    /// Of the database, or when its rows contradict each other.
    pub async fn answer(
        &self,
        tx: &mut Tx,
        requests: &[Request],
    ) -> Result<Vec<Decision>, DecideError> {
        let before = self.lock(tx, requests).await?;
        let decided = decide(before.clone(), requests, self.unknown)
            .map_err(|error| DecideError::Bug(error.to_string()))?;
        self.store.write(tx, &before, &decided).await?;
        Ok(decided.decisions)
    }

    /// Locks and reads every row that the requests can change, reservations first.
    async fn lock(&self, tx: &mut Tx, requests: &[Request]) -> Result<Stock, DecideError> {
        let orders = requests.iter().map(|request| request.order_id).collect();
        let mut stock = Stock {
            reservations: self.store.lock_reservations(tx, &orders).await?,
            ..Stock::default()
        };
        let claimed = match self.unknown {
            UnknownProduct::Reject => BTreeSet::new(),
            // The decision creates each of them, with its pieces.
            UnknownProduct::Create(_) => {
                let new = |action: &Action| matches!(action, Action::Reserve(_));
                self.store.claim(tx, &wanted(requests, &stock, new)).await?
            }
        };
        let wanted = wanted(requests, &stock, |_| true).into_iter();
        let products = wanted.chain(held(requests, &stock)).collect();
        stock.levels = self.store.lock_levels(tx, &products).await?;
        stock.levels.retain(|product, _| !claimed.contains(product));
        Ok(stock)
    }
}

impl Decider for StockDecider {
    async fn decide(
        &self,
        tx: &mut Tx,
        changes: &[Change<'_>],
    ) -> Result<Vec<Decision>, DecideError> {
        let requests: Vec<Request> = changes.iter().map(request).collect();
        self.answer(tx, &requests).await
    }
}

fn request(change: &Change<'_>) -> Request {
    Request {
        order_id: change.order_id(),
        action: Action::new(change.status, || change.event()),
    }
}

/// Products that orders without a reservation are about, by those of their requests that `count`.
fn wanted(
    requests: &[Request],
    stock: &Stock,
    count: impl Fn(&Action) -> bool,
) -> BTreeSet<String> {
    requests
        .iter()
        .filter(|request| !stock.reservations.contains_key(&request.order_id))
        .filter(|request| count(&request.action))
        .filter_map(|request| request.action.lines())
        .flat_map(|lines| lines.keys().cloned())
        .collect()
}

/// Products that are held by orders that end.
fn held(requests: &[Request], stock: &Stock) -> BTreeSet<String> {
    requests
        .iter()
        .filter(|request| matches!(request.action, Action::Release | Action::Ship(_)))
        .filter_map(|request| stock.reservations.get(&request.order_id))
        .filter(|reservation| reservation.is_held())
        .flat_map(|reservation| reservation.lines.keys().cloned())
        .collect()
}

#[cfg(test)]
mod tests;
