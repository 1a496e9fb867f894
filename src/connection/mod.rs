//! One client connection: exchanges one after another until one says it is the last.

mod announced;
mod content;
mod exchange;
mod forward;
mod limited;
mod linger;
pub mod outcall;
mod policies;
mod respond;
mod secure;
mod sender;

use crate::{
    clock::millis,
    http1::HeadScanner,
    listener::Permit,
    net::{self, Accepted, Detached, Wire},
    runtime::{self, Driver},
    shard::{Live, Move, Pace, Shard},
    tls,
};
use policies::Ends;
use sender::Sender;
use std::{
    cell::Cell,
    io::Write,
    net::{IpAddr, SocketAddr},
    rc::Rc,
};

/// A connection that waits costs this future and little else (a test bounds it): no buffer, no head, and the
/// exchange itself lives in the shard's slab.
pub struct Connection {
    shard: Rc<Shard>,
    wire: Wire,
    /// Whoever connected, or for whom a balancer in front says it did.
    client: SocketAddr,
    /// Of the request that is under way.
    sender: Sender,
    /// None: it is in plain text. Counted, because an exchange holds it while the wire is in two halves.
    peer: Option<Rc<tls::Peer>>,
    /// Of this end, once a policy's API has asked.
    local: Cell<Option<SocketAddr>>,
    /// The client's address as `X-Forwarded-For` wants it, written once per connection.
    client_text: AddressText,
    /// Index of the listener it came by.
    listener: usize,
    scanner: HeadScanner,
    pace: Pace,
}

/// What becomes of the connection after an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    KeepAlive,
    /// Close; nothing unread can destroy what was sent.
    Close,
    /// Close once the client has had the chance to read the reply: it may still be sending.
    Linger,
    /// Close with a reset: the one sign of a close-delimited body that was cut.
    Reset,
}

/// A connection on its way into the shard that will serve it: from the listener, or from another shard.
#[derive(Debug)]
pub struct Arrival {
    pub accepted: Accepted,
    /// Index of the listener it came by.
    pub listener: usize,
    pub permit: Permit,
    /// It has not served a request yet.
    pub new: bool,
    /// Its TLS, if that was begun on another shard, and what is known of the client by it.
    pub secured: Option<(Detached, Box<tls::Peer>)>,
}

/// Starts a task that serves it on this shard.
pub fn spawn(shard: &Rc<Shard>, arrival: Arrival) {
    // Counted now and not when the task first runs: the next connection is placed by this count.
    shard.connection_opened();
    let open = Open { shard: shard.clone() };
    runtime::spawn(task(open, Box::new(arrival)));
}

/// The arrival is boxed, because what a future is called with stays in it for as long as it lives.
async fn task(open: Open, arrival: Box<Arrival>) {
    let listener = arrival.listener;
    let mut permit = None;
    match runtime::catch_panic(serve(open.shard.clone(), arrival, &mut permit)).await {
        Ok(None) => {}
        Ok(Some(leaving)) => {
            let shard = open.shard.clone();
            drop(open);
            // It is there: what leaves has entered.
            let Some(permit) = permit else { return };
            let arrival = Arrival {
                accepted: leaving.accepted,
                listener,
                permit,
                new: false,
                secured: leaving.secured,
            };
            if let Some(back) = shard.hand_over_idle(leaving.to, arrival) {
                spawn(&shard, back);
            }
        }
        // The panic hook has logged where; this connection is gone, the others go on.
        Err(_) => open.shard.counters.panics.add(1),
    }
}

/// Counts the connection until its task ends, however it ends.
struct Open {
    shard: Rc<Shard>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shard.connection_closed();
    }
}

/// A connection that another shard should go on with.
struct Leaving {
    to: Move,
    accepted: Accepted,
    secured: Option<(Detached, Box<tls::Peer>)>,
}

/// Until the connection ends, or should go on on another shard.
async fn serve(shard: Rc<Shard>, arrival: Box<Arrival>, permit: &mut Option<Permit>) -> Option<Leaving> {
    let futures = shard.net.futures.clone();
    let mut first = arrival.new;
    let mut connection = futures.hold(enter(shard, *arrival, permit)).await?;
    let mut served = 0_u32;
    loop {
        if !connection.wire.has_unread() && !connection.wait(first).await {
            return None;
        }
        first = false;
        match futures.hold(exchange::run(&mut connection)).await {
            After::KeepAlive => {
                if let Some(leaving) = connection.leave() {
                    return Some(leaving);
                }
                // On epoll what is there is read and answered without ever waiting: a client that sends request after
                // request which are answered here would keep the shard to itself. On a ring each operation waits.
                served = served.wrapping_add(1);
                if served.is_multiple_of(EXCHANGES) && connection.shard.net.driver == Driver::Epoll {
                    let turns = &connection.shard.net.turns;
                    futures.hold(turns.give()).await;
                }
            }
            After::Close => return None,
            // Boxed: rare, and it would be the largest part of what a waiting connection holds.
            After::Linger => {
                Box::pin(linger::linger(&connection.shard.net, &mut connection.wire)).await;
                return None;
            }
            After::Reset => {
                connection.wire.reset_on_close();
                return None;
            }
        }
    }
}

/// What comes before the first request: who is announced, a handshake. None: it has ended there.
async fn enter(shard: Rc<Shard>, arrival: Arrival, kept: &mut Option<Permit>) -> Option<Connection> {
    let Arrival {
        accepted,
        listener,
        permit,
        new,
        secured,
    } = arrival;
    let permit = kept.insert(permit);
    let (detached, peer) = secured.unzip();
    let mut wire = Wire::adopt(&shard.net, accepted.descriptor, detached).ok()?;
    let mut peer = peer.map(Rc::from);
    let futures = shard.net.futures.clone();
    let mut client = accepted.client;
    if new && shard.live().snapshot.proxies.announcing.is_some() {
        let announced = announced::client(&shard, &mut wire, client, listener, permit);
        client = futures.hold(announced).await?;
    }
    if new && shard.live().acceptors[listener].is_some() {
        let admitted = futures.hold(secure::secure(&shard, &mut wire, listener)).await?;
        peer = Some(Rc::new(admitted));
    }
    Some(Connection {
        sender: Sender::new(client, peer.is_some()),
        shard,
        wire,
        client,
        peer,
        local: Cell::new(None),
        client_text: AddressText::new(client),
        listener,
        scanner: HeadScanner::default(),
        pace: Pace::default(),
    })
}

impl Connection {
    /// Its two ends, for policies. Where it listens on all addresses the kernel is asked which this is, once.
    fn ends(&self, live: &Live) -> Ends {
        let local = self.local.get().unwrap_or_else(|| {
            let listens = live.snapshot.listeners[self.listener].address;
            let local = if listens.ip().is_unspecified() {
                net::local_address(self.wire.socket().descriptor()).unwrap_or(listens)
            } else {
                listens
            };
            self.local.set(Some(local));
            local
        });
        Ends {
            client: self.sender.client,
            local,
            scheme: self.sender.scheme,
        }
    }

    /// The same, where [`ends`](Self::ends) was asked before; else this end is not known, and of no account: no policy
    /// ran.
    fn known_ends(&self) -> Ends {
        Ends {
            client: self.sender.client,
            local: self.local.get().unwrap_or(self.client),
            scheme: self.sender.scheme,
        }
    }

    /// Between two requests: whether another shard should serve the next, and then the socket for it.
    ///
    /// Nothing is under way on the driver at this moment: the reply is written, the next wait has not begun, so
    /// nothing has to be cancelled. Bytes the client sends meanwhile stay in the kernel. A wait that a finished
    /// exchange abandoned may still be on its way out of the ring; it belongs to the descriptor that stays here
    /// and takes no byte.
    ///
    /// What is secured takes its keys along: they and the socket are all there is of it.
    fn leave(&mut self) -> Option<Leaving> {
        let to = self.shard.served(&mut self.pace)?;
        if self.wire.has_unread() || !self.wire.is_sound() {
            return None;
        }
        // Without a descriptor to spare it stays.
        let descriptor = net::duplicate(self.wire.socket().descriptor()).ok()?;
        let client = self.client;
        let peer = self.peer.take().map(|peer| Box::new(Rc::unwrap_or_clone(peer)));
        Some(Leaving {
            to,
            accepted: Accepted { descriptor, client },
            secured: self.wire.detach().zip(peer),
        })
    }

    /// Waits for the first byte of a request, holding nothing. False: the connection ended or was idle too long.
    async fn wait(&mut self, first: bool) -> bool {
        // What a new client has to say is often there already. On a ring the wait and the read go with others'; on epoll
        // a read in vain costs less than the wait saves.
        if first && self.wire.reader().fill_at_once(&self.shard.net.buffers) {
            self.shard.net.clock.refresh();
            return true;
        }
        let limits = self.shard.live().snapshot.limits;
        // A new connection must speak as soon as its head is due; one that has proved itself may idle.
        let idle = if first {
            limits.head_timeout
        } else {
            limits.keep_alive_idle
        };
        self.wire.deadline.set(self.shard.net.clock.now() + millis(idle));
        // Only readiness here: a read would make this future, which every idle connection holds, twice as large.
        let ready = self.wire.reader().readable().await.is_ok() && !self.wire.deadline.expired();
        self.wire.deadline.clear();
        self.shard.net.clock.refresh();
        ready
    }
}

/// Exchanges of one connection after which the others have their turn: some 200 µs where none waits for an origin.
const EXCHANGES: u32 = 64;

/// An IP address as text, in place: the longest IPv6 form is 45 bytes.
struct AddressText {
    bytes: [u8; 46],
    length: u8,
}

impl AddressText {
    fn new(client: SocketAddr) -> Self {
        let mut text = Self {
            bytes: [0; 46],
            length: 0,
        };
        match client.ip() {
            // By hand: the library's formatting costs 1,000 instructions, a fourteenth of a short connection.
            IpAddr::V4(address) => {
                for (index, octet) in address.octets().into_iter().enumerate() {
                    if index > 0 {
                        text.push(b'.');
                    }
                    if octet >= 100 {
                        text.push(b'0' + octet / 100);
                    }
                    if octet >= 10 {
                        text.push(b'0' + octet / 10 % 10);
                    }
                    text.push(b'0' + octet % 10);
                }
            }
            IpAddr::V6(address) => {
                let mut rest = &mut text.bytes[..];
                // The room suffices for every address, so the write cannot fail.
                let _ = write!(rest, "{address}");
                let left = rest.len();
                text.length = (text.bytes.len() - left) as u8;
            }
        }
        text
    }

    fn push(&mut self, byte: u8) {
        self.bytes[usize::from(self.length)] = byte;
        self.length += 1;
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

#[cfg(test)]
mod tests;
