//! What stands in the databases of the services.

use std::collections::BTreeMap;

use service_runtime::kafka::PartitionId;

/// The rows of all services.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Databases {
    /// Each participant of each service.
    pub participants: Vec<Participant>,
    /// The products of stock-service.
    pub stock: Vec<StockRow>,
    /// Its ledger.
    pub adjustments: Vec<Adjustment>,
    /// What orders hold or held of it.
    pub reservations: Vec<Reservation>,
    /// The payments of payment-service.
    pub payments: Vec<Payment>,
    /// The gateway's own books.
    pub gateway: Vec<GatewayEntry>,
    /// The shipments of shipping-service.
    pub shipments: Vec<OwnRow>,
    /// What the command side of order-service keeps of each order.
    pub commands: Vec<OwnRow>,
    /// The read model in use.
    pub views: Vec<View>,
    /// Its histories.
    pub steps: Vec<ViewStep>,
    /// The jobs of all services.
    pub jobs: Vec<Job>,
}

/// What one participant has folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// The service, as the harness names it.
    pub service: String,
    /// Its own name; order-service has two.
    pub name: String,
    /// The group it reads in.
    pub group: String,
    /// Its orders.
    pub orders: Vec<OrderRow>,
    /// The next offset of each partition.
    pub positions: BTreeMap<PartitionId, i64>,
}

/// A row of `participant_orders`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRow {
    /// The order.
    pub order_id: String,
    /// The folded status.
    pub status: String,
    /// Its rank.
    pub rank: i64,
    /// Rank of the stored outcome's status, 0 without one.
    pub outcome_rank: i64,
    /// Whether its decision failed for good.
    pub failed: bool,
}

/// Pieces of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockRow {
    /// The product.
    pub product: String,
    /// For sale.
    pub available: i64,
    /// Held by orders.
    pub reserved: i64,
    /// Gone.
    pub shipped: i64,
}

/// An entry of the stock ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjustment {
    /// The product.
    pub product: String,
    /// Pieces that came, or went.
    pub delta: i64,
    /// When, in epoch milliseconds by the clock of the database.
    pub at: i64,
}

/// A reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// The order.
    pub order_id: String,
    /// `held`, `released`, `shipped`.
    pub state: String,
    /// Pieces by product.
    pub lines: BTreeMap<String, i64>,
}

/// A payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// The order.
    pub order_id: String,
    /// Such as `charged`.
    pub state: String,
    /// In minor units.
    pub amount: i64,
}

/// An entry of the gateway's books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayEntry {
    /// The order.
    pub order_id: String,
    /// `charge`, `refund`.
    pub operation: String,
    /// In minor units.
    pub amount: i64,
    /// `accepted`, `declined`, or empty when it never answered.
    pub answer: String,
}

/// What a service keeps of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRow {
    /// The order.
    pub order_id: String,
    /// As the service names it.
    pub state: String,
}

/// An order of the read model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The order.
    pub order_id: String,
    /// Its status.
    pub status: String,
    /// Why it ended so; empty without a reason.
    pub reason: String,
}

/// One event that moved an order on, as the read model tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewStep {
    /// The order.
    pub order_id: String,
    /// The status that it brought.
    pub status: String,
    /// Where its record is.
    pub place: super::Place,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The service.
    pub service: String,
    /// Such as `mail/<order>/PAID`.
    pub id: String,
    /// `due`, `leased`, `done`, `dead`, `skipped`.
    pub state: String,
    /// How often it was leased.
    pub attempts: i64,
}
