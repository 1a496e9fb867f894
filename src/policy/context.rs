//! What surrounds an exchange: the shard it runs on, the ends of its connection, its API.

use super::{
    rate_limit::{HashKey, Leases},
    shared::Desk,
};
use crate::{clock::Tick, observe::message::MessageLog, tls};
use std::{net::SocketAddr, num::NonZeroU32, rc::Rc};

/// What a hook may look at beside the message.
pub struct Context<'e> {
    /// Of this turn of the shard's loop; the same scale on all shards.
    pub now: Tick,
    /// The wall clock's, milliseconds since 1970 UTC.
    pub unix_millis: u64,
    /// Numbers that differ, for balancing and identifiers; not for secrets.
    pub random: &'e dyn Fn() -> u64,
    pub client: SocketAddr,
    /// Of this end of the client's connection.
    pub local: SocketAddr,
    /// The request's path in its normal form, which is what it was routed by and what the origin gets: what is judged by
    /// the path as sent is got round by another spelling of it.
    pub path: &'e [u8],
    /// `http` or `https`.
    pub scheme: &'static str,
    /// What the client's TLS said of it; none where it came in plain text.
    pub peer: Option<&'e tls::Peer>,
    /// `namespace/name`.
    pub api: &'e str,
    /// Given to the request, for the case that it brought none.
    pub request_id: &'e [u8],
    /// Where messages of policies go.
    pub log: MessageLog<'e>,
    /// This shard's share of all rate limits.
    pub leases: &'e Leases,
}

/// What a policy's own state on one shard is made with.
#[derive(Debug, Clone, Copy)]
pub struct ShardParts<'p> {
    /// How many share what is counted per process.
    pub shards: NonZeroU32,
    /// Of the fingerprints of this process's limits.
    pub hash_key: &'p HashKey,
    /// `namespace/name` of the API or the Service, a space, that of the binding: what stays the same when a configuration
    /// is loaded again.
    pub name: &'p str,
    /// Where shared storage is asked; None: there is none.
    pub desk: Option<&'p Rc<Desk>>,
}
