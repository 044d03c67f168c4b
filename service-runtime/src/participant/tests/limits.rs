//! Where dead-lettering stops: what comes before has its effect, and what is repeated counts once.

use super::replay::{assigned, neighbours, placed};
use super::*;

fn garbage(partition: i32, offset: i64) -> Record {
    Record {
        partition,
        offset,
        timestamp: None,
        key: None,
        headers: vec![],
        value: Some(b"\xff not JSON".to_vec()),
    }
}

/// Its decision fails, and no order is unreadable.
fn failing(order_id: OrderId, offset: i64) -> Record {
    named(order_id, "unwritable", OrderStatus::Pending, offset)
}

impl World {
    fn letters(&self) -> usize {
        self.log.sent_to("orders.stock.dlt").len()
    }

    async fn position(&self, partition: i32) -> i64 {
        let shared = &self.shared;
        let position = shared.store.position(&shared.database, partition);
        position.await.unwrap()
    }
}

/// How many records are passed, and why the next one waits.
fn refused(handled: Result<(), Interruption>) -> (usize, String) {
    match handled {
        Err(Interruption::Refused { done, reason }) => (done, reason),
        other => panic!("{other:?}"),
    }
}

/// However often the batch comes, whole or without what was passed.
async fn stops_in_front_of(world: &World, records: &[Record], at: usize) {
    let mut handler = world.handler();
    for rest in [0, 0, at, at] {
        let (done, reason) = refused(handler.handle(&records[rest..]).await);
        assert_eq!(done + rest, at, "{reason}");
        let told = "stopped dead-lettering after 2 records";
        assert!(reason.contains(told), "{reason}");
        let next = format!("at offset {at} of", at = records[at].offset);
        assert!(reason.contains(&next), "{reason}");
        assert_eq!(world.letters(), 2);
        assert_eq!(world.log.sent_to("orders").len(), 2);
        assert_eq!(world.position(records[0].partition).await, 5);
    }
}

pub(super) async fn good_records_before_a_flood_have_their_effect_and_are_passed(mut world: World) {
    world.limited(2);
    let (home, orders) = neighbours(3);
    let records = [
        placed(orders[0], 0),
        garbage(home, 1),
        garbage(home, 2),
        placed(orders[1], 3),
        // Has no effect, and is no reason to stop.
        placed(orders[0], 4),
        garbage(home, 5),
        placed(orders[2], 6),
    ];
    stops_in_front_of(&world, &records, 5).await;
    assert_eq!(world.row(orders[2]).await.state.status(), None);
}

pub(super) async fn good_decisions_before_a_flood_of_failures_have_their_effect_and_are_passed(
    mut world: World,
) {
    world.limited(2);
    let (_, orders) = neighbours(6);
    let records = [
        placed(orders[0], 0),
        failing(orders[1], 1),
        placed(orders[2], 2),
        failing(orders[3], 3),
        failing(orders[1], 4),
        failing(orders[4], 5),
        placed(orders[5], 6),
    ];
    stops_in_front_of(&world, &records, 5).await;
    for (order, failed) in [(0, false), (1, true), (2, false), (3, true)] {
        let row = world.row(orders[order]).await;
        let expected = (Some(OrderStatus::Pending), failed);
        assert_eq!((row.state.status(), row.failed), expected);
    }
    for order in [4, 5] {
        assert_eq!(world.row(orders[order]).await.state.status(), None);
    }
}

/// Rule R13: a restored database may lack what they need. Where a bare record lies says nothing of that.
pub(super) async fn a_failed_decision_about_the_history_of_its_orders_home_is_not_counted(
    mut world: World,
) {
    world.limited(1);
    let (home, orders) = neighbours(4);
    let bare = |order_id, offset| Record {
        partition: (home + 1) % PARTITIONS,
        headers: vec![],
        key: None,
        ..failing(order_id, offset)
    };
    let mut handler = world.handler();
    handler.check(&assigned(home, None, 9)).await.unwrap();
    let records = [bare(orders[0], 0), bare(orders[1], 1), bare(orders[2], 2)];
    handler.handle(&records).await.unwrap();
    assert_eq!(world.letters(), 3);
    handler.revoked(home);
    handler.handle(&[bare(orders[3], 3)]).await.unwrap();
    let (done, _) = refused(handler.handle(&[failing(order("other"), 50)]).await);
    assert_eq!((done, world.letters()), (0, 4));
}

pub(super) async fn a_batch_whose_history_cannot_end_is_counted_once(mut world: World) {
    world.limited(2);
    let (home, orders) = neighbours(2);
    let mut handler = world.replaying(home, None, 2).await;
    world.log.refuse(Some("orders"));
    let history = [placed(orders[0], 0), garbage(home, 1)];
    for _ in 0..5 {
        let error = handler.handle(&history).await.unwrap_err();
        assert!(matches!(error, Interruption::Unavailable(_)), "{error:?}");
    }
    assert_eq!(world.letters(), 1);
    world.log.refuse(None);
    handler.handle(&history).await.unwrap();
    handler.handle(&[garbage(home, 2)]).await.unwrap();
    let (done, reason) = refused(handler.handle(&[garbage(home, 3)]).await);
    assert_eq!((done, world.letters()), (0, 2));
    assert!(reason.contains("after 2 records"), "{reason}");
}
