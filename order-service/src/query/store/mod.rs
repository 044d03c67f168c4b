//! SQL of the read model: `order_views` and `order_history`.

mod read;
mod write;

pub(super) use read::{find, history, oldest, page};
pub(super) use write::{HistoryRow, ViewRow, write_history, write_views};
