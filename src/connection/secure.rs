//! The handshake of a client that came to a port with TLS. It has a time of its own, and counts against the cap on
//! connections from before its first byte.

use super::linger;
use crate::{
    clock::millis,
    net::{self, Insecure, Wire},
    reply,
    shard::Shard,
    tls::Peer,
};
use std::rc::Rc;

/// None: the connection can only be closed; the client has been told why, as far as it can be.
pub(super) async fn secure(shard: &Rc<Shard>, wire: &mut Wire, listener: usize) -> Option<Peer> {
    let net = &shard.net;
    let live = shard.live();
    let acceptor = live.acceptors[listener].as_ref()?;
    let limits = &live.snapshot.limits;
    wire.deadline
        .set(net.clock.now() + millis(limits.handshake_timeout));
    let accepted = match acceptor.session() {
        Ok(session) => {
            let _under_way = shard.handshakes.begin(wire.socket().descriptor());
            wire.accept(net, session).await
        }
        Err(failure) => Err(Insecure::Failed(failure)),
    };
    net.clock.refresh();
    let counters = &shard.counters;
    match accepted {
        Ok(peer) if !wire.deadline.expired() => {
            wire.deadline.clear();
            counters.handshakes.add(1);
            counters.handshakes_resumed.add(u64::from(peer.resumed));
            return Some(peer);
        }
        Err(Insecure::NotTls) => {
            net::send_now(wire.socket().descriptor(), reply::PLAIN_TEXT);
            linger::linger(net, wire).await;
        }
        // What it has sent meanwhile would turn our close into a reset, which can overtake the alert that says why.
        Err(Insecure::Failed(_)) => linger::linger(net, wire).await,
        Ok(_) | Err(Insecure::Closed) => {}
    }
    counters.handshakes_failed.add(1);
    None
}
