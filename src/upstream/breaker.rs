//! A circuit breaker: how much of everything may go on towards one cluster at the same time, over all shards.
//!
//! The thresholds are Envoy's, which is what configurations are written for, as its architecture overview describes them
//! for HTTP/1.1: connections that are open, idle ones included; requests that wait for a connection, connecting included;
//! requests that have one; requests that are sent again. What goes past one is refused at once (503), or, for a retry,
//! not sent again; only for a connection a request waits, as one of those pending.
//!
//! Counts are one atomic each, changed only for clusters that have a breaker.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Open towards the cluster's endpoints.
    pub connections: u32,
    /// Waiting for a connection to be there.
    pub pending: u32,
    /// On a connection of their own.
    pub requests: u32,
    /// Of these, those sent again.
    pub retries: u32,
}

/// Envoy's.
impl Default for Thresholds {
    fn default() -> Self {
        Self {
            connections: 1024,
            pending: 1024,
            requests: 1024,
            retries: 3,
        }
    }
}

/// Shared by all shards; two are the same if they count together.
#[derive(Clone)]
pub struct Breaker(Arc<Counts>);

struct Counts {
    thresholds: Thresholds,
    connections: AtomicU32,
    pending: AtomicU32,
    requests: AtomicU32,
    retries: AtomicU32,
}

/// One that counts until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Permit<'b>(&'b AtomicU32);

/// A connection that counts for as long as it is open, whatever configuration came meanwhile.
#[must_use]
pub struct Open(Breaker);

impl Breaker {
    pub fn new(thresholds: Thresholds) -> Self {
        Self(Arc::new(Counts {
            thresholds,
            connections: AtomicU32::new(0),
            pending: AtomicU32::new(0),
            requests: AtomicU32::new(0),
            retries: AtomicU32::new(0),
        }))
    }

    pub fn thresholds(&self) -> Thresholds {
        self.0.thresholds
    }

    pub fn connection(&self) -> Option<Open> {
        add(&self.0.connections, self.0.thresholds.connections).then(|| Open(self.clone()))
    }

    pub fn pending(&self) -> Option<Permit<'_>> {
        Permit::new(&self.0.pending, self.0.thresholds.pending)
    }

    pub fn request(&self) -> Option<Permit<'_>> {
        Permit::new(&self.0.requests, self.0.thresholds.requests)
    }

    pub fn retry(&self) -> Option<Permit<'_>> {
        Permit::new(&self.0.retries, self.0.thresholds.retries)
    }

    /// Requests of all shards that wait while no further connection may be opened: an idle one is better closed than
    /// kept for this shard alone.
    pub fn starving(&self) -> u32 {
        let full = self.0.connections.load(Ordering::Relaxed) >= self.0.thresholds.connections;
        if full {
            self.0.pending.load(Ordering::Relaxed)
        } else {
            0
        }
    }
}

fn add(count: &AtomicU32, most: u32) -> bool {
    let next = |count| (count < most).then_some(count + 1);
    (count.fetch_update(Ordering::AcqRel, Ordering::Relaxed, next)).is_ok()
}

impl<'b> Permit<'b> {
    fn new(count: &'b AtomicU32, most: u32) -> Option<Self> {
        // Made only where it was counted: one that is dropped is taken off.
        add(count, most).then(|| Self(count))
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.connections.fetch_sub(1, Ordering::AcqRel);
    }
}

impl PartialEq for Breaker {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Breaker {}

impl Hash for Breaker {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.thresholds.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::Barrier, thread};

    #[test]
    fn each_counts_by_itself_and_ends_with_its_permit() {
        let breaker = Breaker::new(Thresholds {
            connections: 2,
            pending: 1,
            requests: 1,
            retries: 0,
        });
        let (first, second) = (breaker.connection(), breaker.connection());
        assert!(first.is_some() && second.is_some() && breaker.connection().is_none());
        let request = breaker.request();
        assert!(request.is_some());
        // A refusal takes nothing off.
        assert!((0..3).all(|_| breaker.request().is_none()));
        assert!(breaker.retry().is_none());
        assert_eq!(breaker.starving(), 0);
        let pending = breaker.pending();
        assert!(pending.is_some() && breaker.pending().is_none());
        assert_eq!(breaker.starving(), 1);
        drop((first, request, pending));
        assert_eq!(breaker.starving(), 0);
        assert!(breaker.connection().is_some() && breaker.request().is_some() && breaker.pending().is_some());
    }

    #[test]
    fn never_more_than_the_threshold_over_all_threads() {
        let breaker = Breaker::new(Thresholds {
            requests: 3,
            ..Thresholds::default()
        });
        let together = Arc::new(Barrier::new(8));
        let most = Arc::new(AtomicU32::new(0));
        let handles = (0..8).map(|_| {
            let (breaker, together, most) = (breaker.clone(), together.clone(), most.clone());
            thread::spawn(move || {
                together.wait();
                for _ in 0..20_000 {
                    if let Some(permit) = breaker.request() {
                        most.fetch_max(breaker.0.requests.load(Ordering::Relaxed), Ordering::Relaxed);
                        drop(permit);
                    }
                }
            })
        });
        let handles: Vec<_> = handles.collect();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
        assert!(most.load(Ordering::Relaxed) <= 3);
        assert_eq!(breaker.0.requests.load(Ordering::Relaxed), 0);
    }
}
