//! Upstreams: which endpoint, and a connection to it. Everything here belongs to one shard.

pub mod balance;
pub mod breaker;
pub mod cluster;
mod connect;
mod host;
mod pool;

pub use host::{Host, HostAddress, HostKey, Hosts};
pub use pool::{Cluster, InFlight, Lease, TRIES, Tried, Waiting};
