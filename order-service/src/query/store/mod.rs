//! SQL of the read model: `order_views` and `order_history`, and which generation of them is in use.

pub(super) mod compare;
pub(super) mod generation;
mod read;
mod steps;
mod write;

pub(super) use read::{find, history, oldest, page};
pub(super) use steps::{newest, steps_after, steps_of};
pub(super) use write::{HistoryRow, ViewRow, write_history, write_views};
