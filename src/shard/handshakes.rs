//! TLS handshakes of one shard that are under way, so that their number is bounded.
//!
//! Past the bound it is the oldest that goes, not the newest: an honest client is done within a few round trips, so in a
//! crowd of those that open connections and say nothing the oldest are theirs. Refusing newcomers instead would let such a
//! crowd lock everybody out for the length of the deadline.

use crate::net;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    os::fd::RawFd,
};

#[derive(Debug)]
pub struct Handshakes {
    /// By their age: number → socket. A socket stands here for as long as its [`Handshake`] lives, which is not longer
    /// than the socket does.
    under_way: RefCell<BTreeMap<u64, RawFd>>,
    next: Cell<u64>,
    most: usize,
}

/// One that is under way; dropped when it is over, and before its socket.
#[derive(Debug)]
pub struct Handshake<'h> {
    all: &'h Handshakes,
    number: u64,
}

impl Handshakes {
    pub fn new(most: usize) -> Self {
        Self {
            under_way: RefCell::default(),
            next: Cell::new(0),
            most: most.max(1),
        }
    }

    /// Ends the oldest if there are as many as there may be: its socket is shut, and whoever waits on it sees an end.
    pub fn begin(&self, socket: RawFd) -> Handshake<'_> {
        let mut under_way = self.under_way.borrow_mut();
        if under_way.len() >= self.most
            && let Some((_, oldest)) = under_way.pop_first()
        {
            net::shut(oldest);
        }
        let number = self.next.get();
        self.next.set(number + 1);
        under_way.insert(number, socket);
        Handshake { all: self, number }
    }
}

impl Drop for Handshake<'_> {
    fn drop(&mut self) {
        self.all.under_way.borrow_mut().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Read, os::fd::AsRawFd, os::unix::net::UnixStream};

    #[test]
    fn the_oldest_makes_room() {
        let handshakes = Handshakes::new(2);
        let sockets: Vec<_> = (0..4).map(|_| UnixStream::pair().expect("a pair")).collect();
        let ended = |at: usize| {
            let mut stream = &sockets[at].1;
            stream.set_nonblocking(true).expect("a flag");
            matches!(stream.read(&mut [0]), Ok(0))
        };
        let mut running: Vec<_> = (0..2)
            .map(|at| handshakes.begin(sockets[at].0.as_raw_fd()))
            .collect();
        assert!(!ended(0) && !ended(1));
        running.push(handshakes.begin(sockets[2].0.as_raw_fd()));
        assert!(ended(0) && !ended(1) && !ended(2));
        // One that is over in time is none any more.
        drop(running.remove(1));
        running.push(handshakes.begin(sockets[3].0.as_raw_fd()));
        assert!(!ended(1) && !ended(2) && !ended(3));
        drop(running);
        assert!(handshakes.under_way.borrow().is_empty());
    }
}
