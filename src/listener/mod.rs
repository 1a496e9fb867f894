//! Accepting connections on one shard.
//!
//! Each shard has a listener of its own on every address (SO_REUSEPORT): the kernel spreads connections by the
//! hash of their addresses, and no shard ever waits for another. The hash is even for many connections and not for
//! few, so one that comes to a shard with more than others is handed on. It waits for readiness on the driver and then
//! accepts with a system call that cannot wait, so an accept is never in flight when the listener must go.

mod admission;
pub mod proxy_protocol;

pub use admission::{Admission, Permit, Refused};

use crate::{
    connection::{self, Arrival},
    net, reply,
    runtime::{self, Socket},
    shard::Shard,
};
use std::{cell::Cell, io, os::fd::OwnedFd, rc::Rc, time::Duration};

/// Accepted in one go before other tasks run.
const BURST: usize = 64;

/// After running out of descriptors or memory: long enough for connections to end, short enough that clients
/// in the kernel's queue do not notice.
const PAUSE: Duration = Duration::from_millis(50);

/// Between two looks at the queue while closing; four of them.
const HANDSHAKE: Duration = Duration::from_millis(50);

pub struct Listener {
    socket: Socket,
    /// Index in the snapshot's listeners.
    index: usize,
    closing: Cell<bool>,
}

impl Listener {
    /// # Errors
    /// The driver refused it.
    pub fn new(descriptor: OwnedFd, index: usize) -> io::Result<Rc<Self>> {
        let socket = Socket::new(descriptor)?;
        Ok(Rc::new(Self {
            socket,
            index,
            closing: Cell::new(false),
        }))
    }

    /// Accepts until closed.
    pub async fn run(self: Rc<Self>, shard: Rc<Shard>) {
        while !self.closing.get() {
            if self.socket.readable_now().await.is_err() {
                runtime::sleep(PAUSE).await;
                continue;
            }
            if self.closing.get() {
                return;
            }
            if let Err(error) = self.accept_some(&shard) {
                shard.counters.accept_pauses.add(1);
                tracing::warn!(%error, "accepting is paused for {} ms", PAUSE.as_millis());
                runtime::sleep(PAUSE).await;
            }
        }
    }

    /// Ends the listener without losing a connection: new attempts are ignored, what is queued is accepted,
    /// then the socket closes.
    pub async fn close(self: Rc<Self>, shard: Rc<Shard>) {
        self.closing.set(true);
        if let Err(error) = net::refuse_new_connections(self.socket.descriptor()) {
            tracing::debug!(%error, "new connections cannot be held back while the queue is emptied");
        }
        // Handshakes that were half way through complete within a round trip; this waits for a long one.
        for _ in 0..4 {
            self.accept_queued(&shard);
            runtime::sleep(HANDSHAKE).await;
        }
        self.accept_queued(&shard);
        net::shut(self.socket.descriptor());
    }

    /// All that is queued, and no more than a queue can hold: where newcomers cannot be held back, a flood must
    /// not keep the shard here.
    fn accept_queued(&self, shard: &Rc<Shard>) {
        for _ in 0..net::BACKLOG as usize / BURST {
            if !matches!(self.accept_some(shard), Ok(true)) {
                return;
            }
        }
    }

    /// True while there may be more.
    fn accept_some(&self, shard: &Rc<Shard>) -> io::Result<bool> {
        for _ in 0..BURST {
            match net::accept(self.socket.descriptor(), shard.net.driver) {
                Ok(accepted) => self.admit(shard, accepted),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if lasts(&error) => return Err(error),
                // The connection was gone before we came (ECONNABORTED and its like): nothing is lost.
                Err(_) => {}
            }
        }
        Ok(true)
    }

    fn admit(&self, shard: &Rc<Shard>, accepted: net::Accepted) {
        use std::os::fd::AsRawFd;
        // A balancer's connections are many clients'.
        let peer = accepted.client.ip();
        let client = (!shard.live().snapshot.proxies.announces(peer)).then_some(peer);
        match Admission::admit(&shard.admission, client) {
            Ok(permit) => {
                shard.counters.connections_accepted.add(1);
                let arrival = Arrival {
                    accepted,
                    listener: self.index,
                    permit,
                    new: true,
                    secured: None,
                };
                let stays = match shard.lighter_for_new() {
                    Some(to) => shard.hand_over_new(to, arrival),
                    None => Some(arrival),
                };
                if let Some(arrival) = stays {
                    connection::spawn(shard, arrival);
                }
            }
            Err(Refused) => {
                shard.counters.connections_refused.add(1);
                // A client of TLS would take plain text for a broken peer; the end tells it as much.
                if shard.live().acceptors[self.index].is_none() {
                    net::send_now(accepted.descriptor.as_raw_fd(), reply::TOO_MANY_CONNECTIONS);
                }
            }
        }
    }
}

/// Errors that the next accept would meet again.
fn lasts(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::EBADF | libc::EINVAL)
    )
}
