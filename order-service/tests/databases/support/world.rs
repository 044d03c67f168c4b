//! A service, its running read model, and the topic that this is folded from.

use base_domains::{OrderId, OrderStatus};
use test_support::TestDatabase;

use super::topic::{Live, Topic, generations, rows};
use super::{Service, order_id};

use OrderStatus::{Pending, Rejected, Reserved};

pub(crate) struct World {
    pub(crate) url: String,
    pub(crate) service: Service,
    pub(crate) live: Live,
    pub(crate) topic: Topic,
}

impl World {
    pub(crate) async fn new(database: TestDatabase) -> Self {
        let url = database.url().to_owned();
        let service = Service::start(database).await;
        service.identify_log().await;
        Self {
            live: Live::of(&service),
            url,
            service,
            topic: Topic::default(),
        }
    }

    /// A topic with some orders, all of it folded.
    pub(crate) async fn with_orders(database: TestDatabase) -> Self {
        let world = Self::new(database).await;
        let mut records = Vec::new();
        for n in 0..40 {
            let story = [&[Pending][..], &[Pending, Reserved], &[Pending, Rejected]];
            records.extend(world.topic.story(order(n), story[n % 3]));
        }
        world.live.handle(&records).await;
        world
    }

    pub(crate) async fn rows(&self) -> Vec<String> {
        rows(&self.service.database).await
    }

    pub(crate) async fn generations(&self) -> Vec<i64> {
        generations(&self.service.database).await
    }
}

/// One of the orders of [`World::with_orders`], and more.
pub(crate) fn order(n: usize) -> OrderId {
    order_id(&format!("order {n}"))
}
