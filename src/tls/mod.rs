//! TLS as a value: bytes in, bytes out. The only place that names rustls; no sockets, no waiting, no clock but the one
//! that certificates are judged by. [`net`](crate::net) moves the bytes.
//!
//! ```text
//! config: ClientSpec ─ Client (roots read, checked; shared by all shards) ─ Target (with the server's name)
//! shard:  Target ─ Connector (with this host's session tickets) ─ Session, one a connection
//!
//! config: ServerSpec ─ Server (certificates read, checked; shared by all shards)
//! shard:  Server ─ Acceptor (with the process's ticket keys) ─ Session ─ Peer, what the handshake said
//! ```

mod certificate;
mod choice;
mod client;
mod failure;
mod pair;
mod peer;
mod server;
mod session;
mod suites;
mod tickets;
mod trust;

pub use certificate::Certificate;
pub use client::{Client, ClientSpec, Connector, Target, is_server_name};
pub use failure::Failure;
pub use pair::{KeyPair, Part};
pub use peer::Peer;
pub use server::{Acceptor, Clients, Server, ServerSpec, ServerTerms};
pub use session::{OVERHEAD, RECORD, Session};
pub use suites::{Protection, Suite, Version};
pub use tickets::{PERIOD, TicketSecret, Tickets};
pub use trust::Trust;

#[cfg(test)]
pub(crate) mod tests;
