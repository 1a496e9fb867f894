//! Whose connection it is, where a load balancer in front says so before anything else (the PROXY protocol).

use crate::{
    clock::millis,
    listener::{Permit, Refused, proxy_protocol},
    net::{self, Wire},
    reply,
    shard::Shard,
};
use std::{io, net::SocketAddr, rc::Rc};

/// The client; `peer` where it is not announced, or the announcement is of the balancer's own connection. Nothing of what
/// comes behind the header is taken from the socket, so that a handshake or a request finds it there.
///
/// None: the connection can only be closed. Nothing is said to whoever does not keep to the protocol: it is a port that is
/// not meant for it.
pub(super) async fn client(
    shard: &Rc<Shard>,
    wire: &mut Wire,
    peer: SocketAddr,
    listener: usize,
    permit: &mut Permit,
) -> Option<SocketAddr> {
    let live = shard.live();
    if !live.snapshot.proxies.announces(peer.ip()) {
        return Some(peer);
    }
    let limit = millis(live.snapshot.limits.head_timeout);
    wire.deadline.set(shard.net.clock.now() + limit);
    let said = read(shard, wire).await;
    shard.net.clock.refresh();
    let said = match said {
        Ok(said) if !wire.deadline.expired() => said,
        Ok(_) | Err(_) => {
            shard.counters.announcements_refused.add(1);
            return None;
        }
    };
    wire.deadline.clear();
    let client = said.unwrap_or(peer);
    if let Err(Refused) = permit.count_client(client.ip()) {
        shard.counters.connections_refused.add(1);
        if live.acceptors[listener].is_none() {
            net::send_now(wire.socket().descriptor(), reply::TOO_MANY_CONNECTIONS);
        }
        return None;
    }
    Some(client)
}

async fn read(shard: &Shard, wire: &mut Wire) -> io::Result<Option<SocketAddr>> {
    let descriptor = wire.socket().descriptor();
    let mut header = shard.net.buffers.small();
    let bytes = header.vector();
    bytes.resize(proxy_protocol::LONGEST, 0);
    // Of the header, and taken from the socket: what is left there would count as readable at once, for ever.
    let mut taken = 0;
    let outcome = loop {
        let came = match net::peek_now(descriptor, &mut bytes[taken..]) {
            Ok(0) => break Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(came) => came,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if let Err(error) = wire.reader().readable().await {
                    break Err(error);
                }
                continue;
            }
            Err(error) => break Err(error),
        };
        match proxy_protocol::parse(&bytes[..taken + came]) {
            Ok(Some(announced)) => {
                // Ends behind what was taken before: that was no whole header.
                break net::take_now(descriptor, announced.length.saturating_sub(taken))
                    .map(|()| announced.client);
            }
            Ok(None) => {
                if let Err(error) = net::take_now(descriptor, came) {
                    break Err(error);
                }
                taken += came;
            }
            Err(problem) => break Err(io::Error::new(io::ErrorKind::InvalidData, problem)),
        }
    };
    bytes.clear();
    shard.net.buffers.give(header);
    outcome
}
