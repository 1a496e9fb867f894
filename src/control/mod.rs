//! The control plane: everything that may wait. One thread, one tokio runtime; shards hear of it by message.

pub mod demo_origin;
pub mod jwks;
pub mod logs;
pub mod ports;
pub mod resolve;
pub mod runtime_log;
pub mod shared_storage;
pub mod tickets;
