//! Invalidation for all shards at once: counters of the process that entries remember from when their fetch began.
//!
//! No message goes from shard to shard: an entry whose counters have moved is as good as gone wherever it lies, and a
//! fetch that began before is not stored. Keys share [`SLOTS`] counters by their hash, so one in so many other keys is
//! fetched again for nothing; that is the price of a table of fixed size.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

const SLOTS: usize = 4096;

pub(super) struct Generations {
    all: AtomicU64,
    slots: Box<[AtomicU64]>,
    hasher: RandomState,
}

/// Of one key at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Generation {
    all: u64,
    slot: u64,
}

impl Generations {
    pub(super) fn new() -> Self {
        Self {
            all: AtomicU64::new(0),
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }

    pub(super) fn of(&self, key: &[u8]) -> Generation {
        Generation {
            all: self.all.load(Ordering::Acquire),
            slot: self.slot(key).load(Ordering::Acquire),
        }
    }

    pub(super) fn invalidate(&self, key: &[u8]) {
        self.slot(key).fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn invalidate_all(&self) {
        self.all.fetch_add(1, Ordering::AcqRel);
    }

    fn slot(&self, key: &[u8]) -> &AtomicU64 {
        &self.slots[self.hasher.hash_one(key) as usize % SLOTS]
    }
}

impl std::fmt::Debug for Generations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generations").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalidation_is_seen_by_every_thread() {
        let generations = Generations::new();
        let (a, b) = (generations.of(b"a"), generations.of(b"b"));
        std::thread::scope(|scope| {
            scope.spawn(|| generations.invalidate(b"a"));
        });
        assert_ne!(generations.of(b"a"), a);
        generations.invalidate_all();
        assert_ne!(generations.of(b"b"), b);
        assert_ne!(generations.of(b"a"), a);
    }
}
