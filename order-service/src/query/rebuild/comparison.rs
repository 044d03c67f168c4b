//! Comparing the new generation with the one in use while that one goes on.
//!
//! An order can only change by a record that the rebuild has yet to write. So what was found about an order stays
//! true until the rebuild touches it, and those that it touches are compared again, the last ones under the lock.

use std::collections::{BTreeMap, BTreeSet};

use base_domains::{OrderId, OrderStatus};
use service_runtime::kafka::ReplaySource;
use sqlx::AnyConnection;

use super::Rebuild;
use super::error::RebuildError;
use crate::query::store::compare::{AT_A_TIME, Pair, Scope, Side, differing, misfolded, part_end};

/// Orders that are compared by one statement.
const PART: usize = 5_000;

/// What is known so far.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// Orders that the generations do not say the same about.
    pub(super) different: BTreeMap<OrderId, Side>,
    /// Orders whose status the participant has folded to something else.
    pub(super) misfolded: BTreeMap<OrderId, OrderStatus>,
    /// Orders written to since they were compared.
    pub(super) touched: BTreeSet<OrderId>,
}

impl Comparison {
    /// How many orders the generation in use has, when the new one has `new`.
    pub(super) fn old_orders(&self, new: u64) -> u64 {
        let only = |old| {
            let sides = self.different.values();
            sides
                .filter(|side| side.old == old && side.new != old)
                .count() as u64
        };
        (new + only(true)).saturating_sub(only(false))
    }

    async fn look(
        &mut self,
        connection: &mut AnyConnection,
        pair: Pair,
        scope: Scope<'_>,
    ) -> Result<(), RebuildError> {
        let different = differing(connection, pair, scope).await?;
        let misfolded = misfolded(connection, pair.new, scope).await?;
        if let Scope::Orders(orders) = scope {
            for order_id in orders {
                self.different.remove(order_id);
                self.misfolded.remove(order_id);
            }
        }
        self.different.extend(different);
        self.misfolded.extend(misfolded);
        Ok(())
    }

    /// Compares those that were touched; they stay noted, as a transaction may be rolled back.
    pub(super) async fn look_again(
        &mut self,
        connection: &mut AnyConnection,
        pair: Pair,
    ) -> Result<(), RebuildError> {
        let touched: Vec<OrderId> = self.touched.iter().copied().collect();
        for orders in touched.chunks(AT_A_TIME) {
            self.look(connection, pair, Scope::Orders(orders)).await?;
        }
        Ok(())
    }
}

impl<S: ReplaySource> Rebuild<S> {
    pub(super) fn pair(&self) -> Pair {
        Pair {
            old: self.claim.in_use,
            new: self.claim.generation,
        }
    }

    /// How many orders were touched since they were compared.
    pub(super) fn touched(&self) -> u64 {
        let comparison = self.comparison.as_ref();
        comparison.map_or(0, |comparison| comparison.touched.len() as u64)
    }

    /// Compares all orders, part by part.
    pub(super) async fn compare_all(&mut self) -> Result<(), RebuildError> {
        self.progress.say("comparing");
        let mut comparison = Comparison::default();
        let mut after = String::new();
        loop {
            self.go_on().await?;
            let mut connection = self.database.pool().acquire().await?;
            let end = part_end(&mut connection, self.pair(), &after, PART).await?;
            let scope = Scope::Range(&after, end.as_deref());
            comparison.look(&mut connection, self.pair(), scope).await?;
            match end {
                Some(end) => after = end,
                None => break,
            }
        }
        self.comparison = Some(comparison);
        Ok(())
    }

    /// Compares again what was touched since.
    pub(super) async fn compare_touched(&mut self) -> Result<(), RebuildError> {
        let pair = self.pair();
        if let Some(comparison) = &mut self.comparison {
            let mut connection = self.database.pool().acquire().await?;
            comparison.look_again(&mut connection, pair).await?;
            comparison.touched.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_orders_of_the_old_generation_are_counted_by_what_differs() {
        let id = |name| OrderId::from_idempotency_key("test", name);
        let side = |old, new| Side { old, new };
        let comparison = Comparison {
            different: BTreeMap::from([
                (id("changed"), side(true, true)),
                (id("only in the old one"), side(true, false)),
                (id("another"), side(true, false)),
                (id("only in the new one"), side(false, true)),
                // Its history alone is there.
                (id("nowhere"), side(false, false)),
            ]),
            ..Comparison::default()
        };
        assert_eq!(comparison.old_orders(10), 11);
    }
}
