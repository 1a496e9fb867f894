//! TLS as a value: bytes in, bytes out. The only place that names rustls; no sockets, no waiting, no clock but the one
//! that certificates are judged by. [`net`](crate::net) moves the bytes.
//!
//! ```text
//! config: ClientSpec ─ Client (roots read, checked; shared by all shards) ─ Target (with the server's name)
//! shard:  Target ─ Connector (with this host's session tickets) ─ Session, one a connection
//! ```

mod client;
mod failure;
mod identity;
mod session;
mod trust;

pub use client::{Client, ClientSpec, Connector, Target, Version, is_server_name};
pub use failure::Failure;
pub use identity::{Identity, Unusable};
pub use session::{OVERHEAD, RECORD, Session};
pub use trust::Trust;

#[cfg(test)]
pub(crate) mod tests;
