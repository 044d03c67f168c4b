//! History is read quietly (rule R13).

use super::*;
use crate::kafka::{Assigned, PartitionId};

/// So many orders with the same home, which comes first.
pub(super) fn neighbours(count: usize) -> (PartitionId, Vec<OrderId>) {
    let home = home_partition(order("0"), PARTITIONS);
    let orders = (0..).map(|n| order(&format!("{n}")));
    let here = orders.filter(|id| home_partition(*id, PARTITIONS) == home);
    (home, here.take(count).collect())
}

pub(super) fn assigned(partition: PartitionId, committed: Option<i64>, end: i64) -> Assigned {
    Assigned {
        partition,
        committed,
        begin: 0,
        end,
    }
}

pub(super) fn placed(order_id: OrderId, offset: i64) -> Record {
    named(order_id, "book order", OrderStatus::Pending, offset)
}

fn own(order_id: OrderId, status: OrderStatus, offset: i64) -> Record {
    written(order_id, "sold out", status, offset, "stock-service")
}

impl World {
    /// Orders of what was published.
    fn published(&self) -> Vec<String> {
        let keys = self.log.sent_to("orders").into_iter();
        keys.map(|record| String::from_utf8(record.key.unwrap()).unwrap())
            .collect()
    }

    /// A handler that is reading a partition of an empty database; the group had committed this.
    pub(super) async fn replaying(
        &self,
        partition: PartitionId,
        committed: Option<i64>,
        end: i64,
    ) -> handler::Handler<Arc<Reserve>> {
        let mut handler = self.handler();
        let assigned = assigned(partition, committed, end);
        handler.check(&assigned).await.unwrap();
        handler
    }

    async fn stored_outcome(&self, order_id: OrderId) -> String {
        sqlx::query_scalar("SELECT outcome FROM participant_orders WHERE order_id = $1")
            .bind(order_id.to_string())
            .fetch_one(self.shared.database.pool())
            .await
            .unwrap()
    }
}

pub(super) async fn history_is_decided_and_stored_and_published_at_its_end_if_the_log_is_silent(
    world: World,
) {
    let (home, orders) = neighbours(3);
    let mut handler = world.replaying(home, None, 3).await;
    let history = [placed(orders[0], 0), placed(orders[1], 1)];
    handler.handle(&history).await.unwrap();
    // The same again is no reason either.
    handler.handle(&history).await.unwrap();
    assert_eq!(world.published(), [""; 0]);
    assert!(!handler.may_commit(home));
    assert!(handler.may_commit(home + 1), "only this partition");

    let reserved = own(orders[0], OrderStatus::Reserved, 2);
    handler.handle(&[reserved]).await.unwrap();
    assert_eq!(world.published(), [orders[1].to_string()]);
    assert!(handler.may_commit(home));
    let histories = world.decider.histories.load(Ordering::SeqCst);
    assert_eq!(histories, 2, "the repetition was not decided about");

    handler.handle(&[placed(orders[2], 3)]).await.unwrap();
    assert_eq!(world.published().len(), 2);
    assert_eq!(world.decider.histories.load(Ordering::SeqCst), histories);
}

pub(super) async fn the_decision_in_the_log_wins_over_one_that_was_made_again(world: World) {
    let (home, orders) = neighbours(2);
    let mut handler = world.replaying(home, Some(4), 6).await;
    let sold_out = |n: usize, at| named(orders[n], "sold out", OrderStatus::Pending, at);
    handler.handle(&[sold_out(0, 0)]).await.unwrap();
    assert_eq!(world.row(orders[0]).await.outcome_rank, 100);
    // One decision was read in an earlier batch, one is in the same.
    let rest = [
        own(orders[0], OrderStatus::Reserved, 1),
        sold_out(1, 2),
        own(orders[1], OrderStatus::Reserved, 3),
        named(orders[1], "sold out", OrderStatus::Cancelled, 4),
    ];
    handler.handle(&rest).await.unwrap();
    let last = named(orders[0], "sold out", OrderStatus::Paid, 5);
    handler.handle(&[last]).await.unwrap();
    assert!(handler.may_commit(home), "the end was reached");
    assert_eq!(world.published(), [""; 0]);
    for (order_id, status) in [(0, OrderStatus::Paid), (1, OrderStatus::Cancelled)] {
        let row = world.row(orders[order_id]).await;
        assert_eq!(row.state.status(), Some(status));
        assert_eq!((row.outcome_rank, row.failed), (0, false));
        assert_eq!(world.stored_outcome(orders[order_id]).await, "");
    }
}

pub(super) async fn somebody_elses_event_drops_no_outcome(world: World) {
    let (home, orders) = neighbours(1);
    let mut handler = world.replaying(home, None, 2).await;
    let events = [(OrderStatus::Pending, 0), (OrderStatus::Reserved, 1)];
    for (status, at) in events {
        let event = named(orders[0], "sold out", status, at);
        handler.handle(&[event]).await.unwrap();
    }
    assert_eq!(world.row(orders[0]).await.outcome_rank, 100);
    assert_eq!(world.published(), [orders[0].to_string()]);
}

/// A request may have been faster than the batch that reads it.
pub(super) async fn the_beginning_of_an_order_drops_no_outcome(world: World) {
    let (home, orders) = neighbours(1);
    let mut handler = world.replaying(home, None, 9).await;
    let insert = "INSERT INTO participant_orders \
                  (participant, order_id, home_partition, outcome_rank, outcome) \
                  VALUES ('stock', $1, $2, 100, 'cancelled')";
    sqlx::query(insert)
        .bind(orders[0].to_string())
        .bind(i64::from(home))
        .execute(world.shared.database.pool())
        .await
        .unwrap();
    let pending = own(orders[0], OrderStatus::Pending, 0);
    handler.handle(&[pending]).await.unwrap();
    let row = world.row(orders[0]).await;
    assert_eq!(row.state.status(), Some(OrderStatus::Pending));
    assert_eq!(world.stored_outcome(orders[0]).await, "cancelled");
}

/// An outcome may replace one that was not read back yet; reading that back does not undo it.
pub(super) async fn outside_of_history_no_outcome_is_dropped(world: World) {
    let (home, orders) = neighbours(1);
    let mut handler = world.replaying(home, None, 0).await;
    assert!(handler.may_commit(home));
    let pending = named(orders[0], "sold out", OrderStatus::Pending, 0);
    handler.handle(&[pending]).await.unwrap();
    assert_eq!(world.published().len(), 1, "an empty log has no history");
    let reserved = own(orders[0], OrderStatus::Reserved, 1);
    handler.handle(&[reserved]).await.unwrap();
    let row = world.row(orders[0]).await;
    assert_eq!(row.state.status(), Some(OrderStatus::Reserved));
    assert!(row.unconfirmed(), "the sweep goes on with it");
}

pub(super) async fn a_crash_in_the_middle_of_a_replay_leaves_it_quiet_to_its_end(world: World) {
    let (home, orders) = neighbours(7);
    let mut handler = world.replaying(home, Some(2), 6).await;
    let records: Vec<Record> = orders
        .iter()
        .zip(0..)
        .map(|(id, n)| placed(*id, n))
        .collect();
    // Past what was committed, which stays where it was.
    handler.handle(&records[..4]).await.unwrap();
    assert!(!handler.may_commit(home));
    drop(handler);

    let connections = Database::open(&world.config).unwrap();
    let process = Arc::new(world.shared.clone_on(connections));
    let mut next = handler::Handler::new(process, heart());
    let start = next.check(&assigned(home, Some(2), 7)).await.unwrap();
    assert_eq!(start, crate::kafka::Start::Committed);
    next.handle(&records[2..5]).await.unwrap();
    assert_eq!(world.published(), [""; 0]);
    next.handle(&records[5..]).await.unwrap();
    assert!(next.may_commit(home));
    let mut expected: Vec<String> = orders.iter().map(OrderId::to_string).collect();
    expected.sort();
    assert_eq!(world.published(), expected);
    assert_eq!(world.decider.calls.load(Ordering::SeqCst), 7);
}

pub(super) async fn the_end_of_history_waits_for_the_broker(world: World) {
    let (home, orders) = neighbours(1);
    let mut handler = world.replaying(home, None, 1).await;
    world.log.refuse(Some("orders"));
    let history = [placed(orders[0], 0)];
    let error = handler.handle(&history).await.unwrap_err();
    assert!(matches!(error, Interruption::Unavailable(_)), "{error:?}");
    assert!(!handler.may_commit(home));
    world.log.refuse(None);
    handler.handle(&history).await.unwrap();
    assert_eq!(world.published(), [orders[0].to_string()]);
    assert!(handler.may_commit(home));
}

pub(super) async fn however_many_outcomes_were_held_back_all_are_published(world: World) {
    let (home, orders) = neighbours(1_100);
    let mut handler = world.replaying(home, None, 1_100).await;
    let records: Vec<Record> = orders
        .iter()
        .zip(0..)
        .map(|(id, n)| placed(*id, n))
        .collect();
    handler.handle(&records[..1_099]).await.unwrap();
    assert_eq!(world.published(), [""; 0]);
    handler.handle(&records[1_099..]).await.unwrap();
    let mut published = world.published();
    published.dedup();
    assert_eq!(published.len(), 1_100);
}

/// The tutorial's records have no key: the cause may lie elsewhere than the decision.
pub(super) async fn a_bare_record_waits_for_the_history_of_its_orders_home(world: World) {
    let (home, orders) = neighbours(2);
    let elsewhere = (home + 1) % PARTITIONS;
    let bare = |order_id, at| Record {
        partition: elsewhere,
        headers: vec![],
        key: None,
        ..placed(order_id, at)
    };
    let mut handler = world.replaying(home, None, 1).await;
    handler.handle(&[bare(orders[0], 50)]).await.unwrap();
    assert_eq!(world.published(), [""; 0]);
    handler.handle(&[placed(orders[1], 0)]).await.unwrap();
    assert_eq!(world.published().len(), 2);
}

pub(super) async fn a_bare_record_is_published_at_the_end_of_its_own_partitions_history(
    world: World,
) {
    let (home, orders) = neighbours(2);
    let elsewhere = (home + 1) % PARTITIONS;
    let bare = Record {
        partition: elsewhere,
        headers: vec![],
        key: None,
        ..placed(orders[0], 0)
    };
    let mut handler = world.replaying(home, None, 1).await;
    handler.check(&assigned(elsewhere, None, 1)).await.unwrap();
    handler.handle(&[placed(orders[1], 0)]).await.unwrap();
    assert_eq!(world.published(), [orders[1].to_string()]);
    handler.handle(&[bare]).await.unwrap();
    assert!(world.published().contains(&orders[0].to_string()));
    assert!(handler.may_commit(elsewhere));
}

pub(super) async fn a_partition_that_left_holds_nothing_back_any_more(world: World) {
    let (home, orders) = neighbours(1);
    let bare = Record {
        partition: (home + 1) % PARTITIONS,
        headers: vec![],
        key: None,
        ..placed(orders[0], 7)
    };
    let mut handler = world.replaying(home, None, 1).await;
    handler.revoked(home);
    handler.handle(&[bare]).await.unwrap();
    assert_eq!(world.published(), [orders[0].to_string()]);
}
