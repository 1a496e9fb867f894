//! Lazy deadlines: a wire stores when it must be over, one sweeper per shard looks at all of them ten times a
//! second and shuts down the sockets that are late. Setting one is a plain store; no timer is ever created or
//! cancelled per operation. What it costs: a deadline fires up to 100 ms late.
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
    at: Cell<Tick>,
    /// Only the reading half is shut, so that a late peer can still be told.
    reading: Cell<bool>,
    expired: Cell<bool>,
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
            reading: Cell::new(false),
            expired: Cell::new(false),
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
                if entry.reading.get() {
                    shut_read(entry.descriptor);
                } else {
                    shut(entry.descriptor);
                }
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
    /// Both directions end at `at`.
    pub fn set(&self, at: Tick) {
        self.entry.reading.set(false);
        self.entry.at.set(at);
    }

    /// Only reading ends at `at`: the peer can still be written to.
    pub fn set_read(&self, at: Tick) {
        self.entry.reading.set(true);
        self.entry.at.set(at);
    }

    /// After an expiry that left the writing half: from now on a new time may be set.
    pub fn rearm(&self) {
        self.entry.at.set(Tick::MAX);
        self.entry.expired.set(false);
    }

    pub fn clear(&self) {
        self.entry.at.set(Tick::MAX);
    }

    /// The sweeper shut the socket: what the operation in flight then said is a consequence.
    pub fn expired(&self) -> bool {
        self.entry.expired.get()
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
    use std::{io::Read, os::fd::AsRawFd, os::unix::net::UnixStream};

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
}
