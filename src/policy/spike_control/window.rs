//! A sliding window: at most so many requests in any stretch of time of its length, counted over all shards without a
//! lock and without waiting for anybody.
//!
//! A ring of the last `requests` admissions, each with its time. The next takes the place of the oldest, and may if that
//! is as old as the window is long. A place holds a time and how often the ring has come round to it, so it is taken by
//! one compare-and-swap; then the head is moved on, by whoever took it or by whoever finds it taken.
//!
//! Times are those of each shard's last look at the clock. They never go back from one place to the next, so a window is
//! as exact as those looks are fresh: a shard looks whenever a client or an origin has said something.

use super::atomics::{AtomicU64, Ordering};

pub(super) struct Window {
    /// Admissions so far.
    head: AtomicU64,
    /// Time in milliseconds (40 bits: 34 years), rounds (24 bits).
    places: Box<[AtomicU64]>,
    length_ms: u64,
}

/// What is left of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quota {
    pub(super) remaining: u32,
    /// Milliseconds until the oldest request leaves the window; 0 where something is left.
    pub(super) reset_ms: u64,
}

impl Window {
    /// # Panics
    /// On zero requests.
    pub(super) fn new(requests: u32, length_ms: u32) -> Self {
        assert!(requests > 0, "a window of nothing");
        Self {
            head: AtomicU64::new(0),
            places: (0..requests).map(|_| AtomicU64::new(0)).collect(),
            length_ms: length_ms.into(),
        }
    }

    /// One request at `now`, in milliseconds of a clock that does not go back. False: the window is full.
    pub(super) fn take(&self, now: u64) -> bool {
        loop {
            let head = self.head.load(Ordering::Acquire);
            let place = self.place(head);
            let seen = place.load(Ordering::Acquire);
            let round = self.round(head);
            if round_of(seen) == round {
                // Taken, and the head is on its way.
                self.advance(head);
                continue;
            }
            if round_of(seen) != round.wrapping_sub(1) & ROUNDS {
                // The head was read a whole round ago.
                continue;
            }
            if head >= self.size() && now.saturating_sub(time_of(seen)) < self.length_ms {
                return false;
            }
            let before = self.time_before(head);
            let taken = now.max(before) << ROUND_BITS | round;
            if (place.compare_exchange(seen, taken, Ordering::AcqRel, Ordering::Acquire)).is_ok() {
                self.advance(head);
                return true;
            }
        }
    }

    /// Looks at the ring in log2 of its size places: for headers, not to decide by.
    pub(super) fn quota(&self, now: u64) -> Quota {
        let head = self.head.load(Ordering::Acquire);
        let is_past = |index: u64| {
            let time = time_of(self.place(index).load(Ordering::Acquire));
            now.saturating_sub(time) >= self.length_ms
        };
        let (mut low, mut high) = (head.saturating_sub(self.size()), head);
        while low < high {
            let middle = low + (high - low) / 2;
            if is_past(middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let remaining = self.size().saturating_sub(head - low);
        let reset_ms = if remaining > 0 {
            0
        } else {
            let oldest = time_of(self.place(low).load(Ordering::Acquire));
            (oldest + self.length_ms).saturating_sub(now).min(self.length_ms)
        };
        Quota {
            remaining: remaining as u32,
            reset_ms,
        }
    }

    /// In any stretch of the window's length.
    pub(super) fn requests(&self) -> u32 {
        self.places.len() as u32
    }

    fn advance(&self, head: u64) {
        // Somebody else has: as good.
        let _ = (self.head).compare_exchange(head, head + 1, Ordering::AcqRel, Ordering::Relaxed);
    }

    fn time_before(&self, head: u64) -> u64 {
        match head.checked_sub(1) {
            Some(before) => time_of(self.place(before).load(Ordering::Acquire)),
            None => 0,
        }
    }

    fn place(&self, index: u64) -> &AtomicU64 {
        &self.places[(index % self.size()) as usize]
    }

    fn size(&self) -> u64 {
        self.places.len() as u64
    }

    /// Of the admission with this index: 1 the first time.
    fn round(&self, index: u64) -> u64 {
        (index / self.size() + 1) & ROUNDS
    }
}

fn time_of(place: u64) -> u64 {
    place >> ROUND_BITS
}

fn round_of(place: u64) -> u64 {
    place & ROUNDS
}

/// A shard would have to sleep through 16 million rounds between two instructions to take one round for another.
const ROUND_BITS: u32 = 24;
const ROUNDS: u64 = (1 << ROUND_BITS) - 1;
