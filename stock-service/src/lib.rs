//! stock-service
