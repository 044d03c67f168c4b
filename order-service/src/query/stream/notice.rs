//! What a stream tells: event notification, so no more than that something happened and where to look.

use axum::response::sse::Event;
use base_domains::{OrderId, OrderStatus};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::position::Position;

/// An event that moved an order on, as the read model knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::query) struct Step {
    pub(in crate::query) order_id: OrderId,
    pub(in crate::query) status: OrderStatus,
    pub(in crate::query) partition: i32,
    pub(in crate::query) offset: i64,
}

/// An order moved on.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "orderId": "0193a5b8-7c1e-7d3a-9f00-5b1f0c9d2e4a", "status": "RESERVED",
    "link": "/api/v1/orders/0193a5b8-7c1e-7d3a-9f00-5b1f0c9d2e4a",
}))]
pub(in crate::query) struct Notice {
    order_id: Uuid,
    /// The state it is in now.
    #[schema(value_type = String)]
    status: OrderStatus,
    /// Path of the order.
    link: String,
}

impl Step {
    /// The event of a stream that has then told everything up to `position`.
    pub(super) fn event(self, position: &Position) -> Result<Event, axum::Error> {
        Event::default().id(position.to_string()).json_data(Notice {
            order_id: self.order_id.as_uuid(),
            status: self.status,
            link: format!("/api/v1/orders/{}", self.order_id),
        })
    }
}
