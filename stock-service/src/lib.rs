//! stock-service

pub mod decision;
pub mod level;
pub mod product;
pub mod reservation;
pub mod unknown_product;
