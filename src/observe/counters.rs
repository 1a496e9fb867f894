//! What one shard counts. Written by that shard alone, read by control at any time.

use super::labels::KINDS;
use crate::fault::Kind;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number with a single writer.
///
/// Its owner stores `load + n`: on every CPU two plain moves. A `fetch_add` would be a locked instruction that
/// pays for writers this number does not have. With a second writer counts would be lost; that is why the
/// atomic is private and each shard has its own set.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// For the few that are levels, such as open connections.
    pub fn subtract(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_sub(n), Relaxed);
    }

    /// For the few that are the newest of what was measured.
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// One list, two types: as a shard counts, and as control adds up.
macro_rules! counters {
    ($($(#[$what:meta])* $name:ident,)*) => {
        /// One shard's counters. Aligned to a pair of cache lines (CPUs prefetch them in pairs), so that
        /// no two shards write the same one.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub struct Counters {
            $($(#[$what])* pub $name: Counter,)*
            /// By class of the final status sent to the client: 1xx (an upgrade's 101) to 5xx.
            pub responses: [Counter; 5],
            /// By `fault::Kind`, in the order of `labels::KINDS`.
            pub faults: [Counter; KINDS.len()],
        }

        /// The sum over shards. Each number is exact for some moment; together they are not one moment's.
        #[derive(Debug, Default, Clone, PartialEq, Eq)]
        pub struct Totals {
            $($(#[$what])* pub $name: u64,)*
            pub responses: [u64; 5],
            pub faults: [u64; KINDS.len()],
        }

        impl Totals {
            fn add(&mut self, shard: &Counters) {
                $(self.$name += shard.$name.get();)*
                for (sum, counter) in self.responses.iter_mut().zip(&shard.responses) {
                    *sum += counter.get();
                }
                for (sum, counter) in self.faults.iter_mut().zip(&shard.faults) {
                    *sum += counter.get();
                }
            }
        }
    };
}

counters! {
    /// Requests whose head was read whole, or was refused.
    requests,
    /// TLS handshakes of clients that came to their end; `resumed` of them were short ones.
    handshakes,
    handshakes_resumed,
    /// Those that did not: garbage, no certificate, out of time.
    handshakes_failed,
    /// By this shard's listeners, whichever shard then serves them.
    connections_accepted,
    /// Served by this shard. A level, not a sum over time.
    connections_open,
    /// Closed at once because a connection cap was reached.
    connections_refused,
    /// Closed because no header of the PROXY protocol stood in front, or a wrong one.
    announcements_refused,
    /// Accepted here and served by another shard, which had fewer.
    connections_handed_over,
    /// Given to a less busy shard between two requests.
    connections_moved,
    upstream_connects,
    upstream_connect_failures,
    /// Exchanges that took an idle connection from the pool.
    upstream_reuses,
    upstream_retries,
    /// From clients: request heads and bodies as read.
    bytes_in,
    /// To clients: response heads and bodies as written.
    bytes_out,
    /// Access log records the queue had no room for.
    records_dropped,
    /// Connections closed by a panic while serving them.
    panics,
    /// Requests counted with others, because the rate limits' table had no room for their key.
    rate_limit_overflows,
    /// Times accepting stopped for want of descriptors.
    accept_pauses,
}

impl Counters {
    /// `status` is the final one sent to the client; what is not 100..=599 is not counted.
    pub fn count_response(&self, status: u16) {
        if let Some(class) = self.responses.get(usize::from(status / 100).wrapping_sub(1)) {
            class.add(1);
        }
    }

    pub fn count_fault(&self, kind: Kind) {
        self.faults[kind as usize].add(1);
    }

    pub fn sum<'a>(shards: impl IntoIterator<Item = &'a Self>) -> Totals {
        let mut totals = Totals::default();
        shards.into_iter().for_each(|shard| totals.add(shard));
        totals
    }
}

impl Totals {
    pub fn fault(&self, kind: Kind) -> u64 {
        self.faults[kind as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn sums_over_shards_by_class_and_kind() {
        let shards = [Counters::default(), Counters::default()];
        shards[0].requests.add(2);
        shards[1].requests.add(3);
        shards[0].connections_open.add(5);
        shards[0].connections_open.subtract(4);
        for status in [101, 200, 204, 301, 404, 502, 599] {
            shards[1].count_response(status);
        }
        for status in [0, 99, 600, u16::MAX] {
            shards[1].count_response(status);
        }
        shards[0].count_fault(Kind::TimedOut);
        shards[1].count_fault(Kind::TimedOut);
        shards[1].count_fault(Kind::Internal);

        let totals = Counters::sum(&shards);
        assert_eq!((totals.requests, totals.connections_open), (5, 1));
        assert_eq!(totals.responses, [1, 2, 1, 1, 2]);
        assert_eq!(
            (totals.fault(Kind::TimedOut), totals.fault(Kind::Internal)),
            (2, 1)
        );
        assert_eq!(totals.faults.iter().sum::<u64>(), 3);
    }

    #[test]
    fn a_reader_on_another_thread_sees_a_count_that_only_grows_and_ends_exact() {
        let counters = Arc::new(Counters::default());
        let writer = std::thread::spawn({
            let counters = counters.clone();
            move || (0..100_000).for_each(|_| counters.requests.add(1))
        });
        let mut last = 0;
        while !writer.is_finished() {
            let seen = counters.requests.get();
            assert!(seen >= last);
            last = seen;
        }
        writer.join().unwrap();
        assert_eq!(counters.requests.get(), 100_000);
    }
}
