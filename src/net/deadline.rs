//! Lazy deadlines: a wire stores when it must be over, one sweeper per shard looks at all of them ten times a
//! second and shuts down the sockets that are late. Setting one is a plain store; no timer is ever created or
//! cancelled per operation. What it costs: a deadline fires up to 100 ms late.
//!
//! Reading and writing have a time each, because both directions of a connection run at once: a body that is
//! still being sent must not renew the time of a reader that takes nothing, nor end it early.
//!
//! Shutting the socket (not dropping the future) ends the operation in flight in order: the kernel gives its
//! buffer back, the waiting code sees an end of stream and asks the deadline whether it was this.

use super::listen::{shut, shut_read};
use crate::clock::Tick;
use std::{
    cell::{Cell, RefCell},
    os::fd::RawFd,
    rc::Rc,
    time::Duration,
};

/// How often a shard looks.
pub const SWEEP: Duration = Duration::from_millis(100);

#[derive(Debug)]
struct Entry {
    descriptor: RawFd,
    /// The whole socket is shut: its peer takes nothing, or nothing is wanted of it any more.
    at: Cell<Tick>,
    /// Only the reading half is shut, so that a late peer can still be told.
    read_at: Cell<Tick>,
    expired: Cell<bool>,
    read_expired: Cell<bool>,
}

/// All deadlines of one shard.
#[derive(Debug, Default)]
pub struct Deadlines {
    entries: RefCell<Vec<Option<Rc<Entry>>>>,
    free: RefCell<Vec<usize>>,
}

impl Deadlines {
    /// A deadline for a socket; none is set yet.
    pub fn register(self: &Rc<Self>, descriptor: RawFd) -> Deadline {
        let entry = Rc::new(Entry {
            descriptor,
            at: Cell::new(Tick::MAX),
            read_at: Cell::new(Tick::MAX),
            expired: Cell::new(false),
            read_expired: Cell::new(false),
        });
        let key = if let Some(key) = self.free.borrow_mut().pop() {
            self.entries.borrow_mut()[key] = Some(entry.clone());
            key
        } else {
            let mut entries = self.entries.borrow_mut();
            entries.push(Some(entry.clone()));
            entries.len() - 1
        };
        Deadline {
            entry,
            key,
            all: self.clone(),
        }
    }

    /// Shuts every socket whose time has come.
    pub fn sweep(&self, now: Tick) {
        for entry in self.entries.borrow().iter().flatten() {
            if entry.at.get() <= now && !entry.expired.get() {
                entry.expired.set(true);
                shut(entry.descriptor);
            } else if entry.read_at.get() <= now && !entry.read_expired.get() {
                entry.read_expired.set(true);
                shut_read(entry.descriptor);
            }
        }
    }

    /// Ends every wait on this shard at once: the drain limit.
    pub fn cut(&self) {
        for entry in self.entries.borrow().iter().flatten() {
            entry.expired.set(true);
            shut(entry.descriptor);
        }
    }
}

/// One socket's deadline; must be dropped before the socket's descriptor is closed (the wire sees to it), so
/// that the sweeper never shuts a descriptor that has become someone else's.
#[derive(Debug)]
pub struct Deadline {
    entry: Rc<Entry>,
    key: usize,
    all: Rc<Deadlines>,
}

impl Deadline {
    /// Both directions end at `at`: for writes, and for waits after which nothing is to be said. A write that
    /// ends clears it ([`Writer::write_all`](super::Writer::write_all)).
    pub fn set(&self, at: Tick) {
        self.entry.at.set(at);
    }

    /// Only reading ends at `at`: the peer can still be written to. Whoever set it clears it when what it read
    /// for is there; one left behind would end a connection that nobody reads from.
    pub fn set_read(&self, at: Tick) {
        self.entry.read_at.set(at);
    }

    /// A sign of life: puts off to `at` reading, and the write that is under way, if one is.
    pub fn put_off(&self, at: Tick) {
        self.entry.read_at.set(at);
        if self.entry.at.get() != Tick::MAX {
            self.entry.at.set(at);
        }
    }

    /// After an expiry that left the writing half: from now on a new time may be set.
    pub fn rearm(&self) {
        self.clear();
        self.entry.expired.set(false);
        self.entry.read_expired.set(false);
    }

    /// Neither direction has a time.
    pub fn clear(&self) {
        self.clear_both_ends();
        self.clear_read();
    }

    /// Takes back [`Self::set`].
    pub fn clear_both_ends(&self) {
        self.entry.at.set(Tick::MAX);
    }

    /// Takes back [`Self::set_read`].
    pub fn clear_read(&self) {
        self.entry.read_at.set(Tick::MAX);
    }

    /// The sweeper shut the socket or its reading half: what the operation in flight then said is a
    /// consequence.
    pub fn expired(&self) -> bool {
        self.entry.expired.get() || self.entry.read_expired.get()
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.all.entries.borrow_mut()[self.key] = None;
        self.all.free.borrow_mut().push(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{Read, Write},
        os::fd::AsRawFd,
        os::unix::net::UnixStream,
    };

    #[test]
    fn only_what_is_late_is_shut_and_places_are_reused() {
        let deadlines = Rc::new(Deadlines::default());
        let (mut a, _peer_a) = UnixStream::pair().expect("a pair");
        let (b, _peer_b) = UnixStream::pair().expect("a pair");
        let first = deadlines.register(a.as_raw_fd());
        let second = deadlines.register(b.as_raw_fd());
        first.set(10);
        second.set(11);
        deadlines.sweep(9);
        assert!(!first.expired());
        deadlines.sweep(10);
        assert!(first.expired());
        assert!(!second.expired());
        assert_eq!(a.read(&mut [0; 4]).expect("an end of stream"), 0);
        drop(first);
        let third = deadlines.register(a.as_raw_fd());
        assert_eq!((third.key, deadlines.entries.borrow().len()), (0, 2));
    }

    #[test]
    fn a_late_reader_can_still_be_written_to_and_a_late_taker_is_still_shut() {
        let deadlines = Rc::new(Deadlines::default());
        let (mut a, mut peer) = UnixStream::pair().expect("a pair");
        let deadline = deadlines.register(a.as_raw_fd());
        deadline.set_read(10);
        deadline.set(20);
        deadlines.sweep(10);
        assert_eq!(a.read(&mut [0; 4]).expect("an end of stream"), 0);
        a.write_all(b"late").expect("writing goes on");
        deadlines.sweep(20);
        assert!(
            a.write_all(b"x").is_err(),
            "the time of writing counts also after that of reading"
        );
        let mut said = Vec::new();
        peer.read_to_end(&mut said).expect("an end of stream");
        assert_eq!(said, b"late");
    }

    #[test]
    fn a_sign_of_life_puts_off_only_what_is_under_way() {
        let deadlines = Rc::new(Deadlines::default());
        let (a, _peer) = UnixStream::pair().expect("a pair");
        let deadline = deadlines.register(a.as_raw_fd());
        deadline.put_off(10);
        deadline.clear_read();
        deadlines.sweep(10);
        assert!(!deadline.expired(), "no write was under way");
        deadline.set(20);
        deadline.put_off(30);
        deadlines.sweep(29);
        assert!(!deadline.expired());
        deadlines.sweep(30);
        assert!(deadline.expired());
    }
}
