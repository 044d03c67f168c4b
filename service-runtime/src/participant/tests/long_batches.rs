//! A batch that takes longer than a loop may be silent.

use super::*;

const DEADLINE: Duration = Duration::from_secs(5);
const TRANSACTION: Duration = Duration::from_millis(500);

/// Bisecting takes about fifteen transactions here, which are together longer than the deadline.
#[tokio::test]
async fn a_batch_with_defects_is_live_for_as_long_as_it_makes_progress() {
    let world = world().await;
    *world.decider.pause.lock().unwrap() = TRANSACTION;
    let health = Health::new(&Shutdown::new());
    let heart = health.component("consumer").with_deadline(DEADLINE);
    let mut handler = handler::Handler::new(Arc::clone(&world.shared), heart);
    let records: Vec<Record> = (0..16)
        .map(|n| {
            let name = if n % 8 == 0 { "bug" } else { "book order" };
            let order_id = order(&n.to_string());
            named(order_id, name, OrderStatus::Pending, n)
        })
        .collect();
    let stalled = async {
        while health.liveness().ok {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let started = std::time::Instant::now();
    tokio::select! {
        handled = handler.handle(&records) => handled.unwrap(),
        () = stalled => panic!("stalled after {:?}", started.elapsed()),
    }
    assert!(started.elapsed() > DEADLINE, "the batch was short");
    assert_eq!(world.log.sent_to("orders.stock.dlt").len(), 2);
    assert_eq!(world.log.sent_to("orders").len(), 14);
}
