//! Upstreams: which endpoint, and a connection to it.

pub mod balance;
pub mod cluster;
