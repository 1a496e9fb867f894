//! The arithmetic of one window in one word: how much of it is used, and when it began.
//!
//! Used, not left: the limit is the caller's, so a reload that changes it holds from the next request on, and what was
//! used stays used.
//!
//! Time is 32 bits of wrapping milliseconds, 49.7 days. Two of them are told apart like this: up to [`AHEAD_MS`] before
//! the window's start is a shard whose look at the clock is older than another's, and counts as the start; everything
//! else is after it. That leaves 49.5 days, of which a window may last 45: an entry that is over must be found by the
//! sweep in the 4.5 days after, and is in a minute.

/// Milliseconds, wrapping.
pub(super) type Millis = u32;

/// The longest window: 45 days.
pub(super) const MAXIMUM_WINDOW_MS: u32 = 45 * 24 * 60 * 60 * 1000;

/// The largest limit, 2^31 - 1: what is used has 31 bits.
pub(super) const MAXIMUM_LIMIT: u32 = USED;

/// From the highest bit: start (32), live (1), used (31). Not live and used 0 is vacant; zero is vacant.
///
/// In one slot of the bank no value of a window returns: each window there begins at another millisecond than the one
/// before it. So a compare-and-swap that succeeds proves that the slot was not given to another key meanwhile, and a
/// lease that remembers the start knows its window by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window(u64);

impl Window {
    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    const fn new(start: Millis, live: bool, used: u32) -> Self {
        Self((start as u64) << 32 | if live { LIVE } else { 0 } | used as u64)
    }

    /// One that begins.
    pub(super) const fn open(start: Millis, used: u32) -> Self {
        Self::new(start, true, used)
    }

    /// What is left behind when the slot is given up: the start alone.
    pub(super) const fn vacated(self) -> Self {
        Self::new(self.start(), false, 0)
    }

    /// Somebody is about to put a key here. Begins at another time than what was here.
    pub(super) const fn claimed(self, now: Millis) -> Self {
        Self::new(self.another_start(now), false, 1)
    }

    pub(super) const fn is_live(self) -> bool {
        self.0 & LIVE != 0
    }

    pub(super) const fn is_vacant(self) -> bool {
        self.0 as u32 == 0
    }

    pub(super) const fn start(self) -> Millis {
        (self.0 >> 32) as u32
    }

    pub(super) const fn used(self) -> u32 {
        self.0 as u32 & USED
    }

    /// Live, and the same window as one that began at `start`.
    pub(super) const fn began_at(self, start: Millis) -> bool {
        self.is_live() && self.start() == start
    }

    pub(super) const fn is_over(self, now: Millis, length: u32) -> bool {
        self.elapsed(now) >= length
    }

    /// What a request at `now` meets: this window, or the next where it is over.
    pub(super) const fn at(self, now: Millis, length: u32) -> Self {
        if self.is_live() && !self.is_over(now, length) {
            self
        } else {
            Self::open(self.another_start(now), 0)
        }
    }

    /// A limit that was lowered may be below what is used.
    pub(super) const fn left(self, limit: u32) -> u32 {
        limit.saturating_sub(self.used())
    }

    /// `tokens` are not more than are left.
    pub(super) const fn take(self, tokens: u32) -> Self {
        Self(self.0 + tokens as u64)
    }

    pub(super) const fn give_back(self, tokens: u32) -> Self {
        Self::open(self.start(), self.used().saturating_sub(tokens))
    }

    /// Milliseconds until the next window can begin: 1..=`length`, or 0 when it is over.
    pub(super) const fn reset(self, now: Millis, length: u32) -> u32 {
        length.saturating_sub(self.elapsed(now))
    }

    const fn elapsed(self, now: Millis) -> u32 {
        if is_ahead(self.start(), now) {
            0
        } else {
            now.wrapping_sub(self.start())
        }
    }

    /// `now`; by another shard's older clock, one more than the start of what was here, so that starts do not repeat.
    /// Only where clocks are as close as shards' are: nothing began ahead of time but what began 49.7 days ago, and
    /// a slot that was never used says 0.
    const fn another_start(self, now: Millis) -> Millis {
        let ahead = self.start().wrapping_sub(now);
        if self.0 != 0 && ahead < LAG_MS {
            self.start().wrapping_add(1)
        } else {
            now
        }
    }
}

/// Tokens of the next lease where `left` (at least 1) are left: all shards together never borrow more than 1/64 of
/// the limit, and near the end of a quota a lease is one token, so that the end is exact.
pub(super) const fn lease(left: u32, shards: u32, want: u32) -> u32 {
    let share = (left as u64 / (LOAN as u64 * shards as u64)) as u32;
    let tokens = if share < want { share } else { want };
    if tokens == 0 { 1 } else { tokens }
}

const fn is_ahead(start: Millis, now: Millis) -> bool {
    start.wrapping_sub(now).wrapping_sub(1) < AHEAD_MS
}

/// 1/64 of the limit, 1.6 %, is the most that is on loan.
pub(super) const LOAN: u32 = 64;

/// 4.6 hours: more than one shard's look at the clock can be older than another's.
const AHEAD_MS: u32 = 1 << 24;

/// How much older one shard's look at the clock is than another's, at most, while both work.
const LAG_MS: u32 = 1 << 10;

const LIVE: u64 = 1 << 31;
const USED: u32 = (1 << 31) - 1;
const _: () = assert!(MAXIMUM_WINDOW_MS < u32::MAX - AHEAD_MS - 4 * 24 * 60 * 60 * 1000);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn zero_is_vacant_and_met_as_a_fresh_window() {
        let zero = Window::from_bits(0);
        assert!(zero.is_vacant() && !zero.is_live());
        for now in [0, 1, 77, u32::MAX - 3_600_000, u32::MAX] {
            let met = zero.at(now, 1000);
            assert_eq!(met, Window::open(now, 0));
            assert_eq!(zero.claimed(now).start(), now);
        }
    }

    #[test]
    fn a_window_lasts_as_long_as_written() {
        for length in [1, 2, 999, 60_000, MAXIMUM_WINDOW_MS] {
            for start in [5, 1 << 31, u32::MAX - 1, u32::MAX] {
                let window = Window::open(start, 3);
                let at = |elapsed: u32| start.wrapping_add(elapsed);
                assert_eq!(window.at(at(length - 1), length), window);
                assert_eq!(window.reset(at(length - 1), length), 1);
                assert_eq!(window.reset(start, length), length);
                assert_eq!(window.at(at(length), length), Window::open(at(length), 0));
                // Four days later it is still seen to be over.
                assert!(window.is_over(at(length).wrapping_add(4 * 24 * 60 * 60 * 1000), length));
                // A shard that looked at the clock a while ago meets the window that runs.
                assert_eq!(window.at(start.wrapping_sub(1), length), window);
                assert_eq!(window.at(start.wrapping_sub(AHEAD_MS), length), window);
                assert_eq!(window.reset(start.wrapping_sub(7), length), length);
            }
        }
    }

    #[test]
    fn the_last_token_of_the_largest_limit() {
        let window = Window::open(9, 0).take(MAXIMUM_LIMIT - 1);
        assert_eq!(window.left(MAXIMUM_LIMIT), 1);
        let spent = window.take(1);
        assert_eq!((spent.left(MAXIMUM_LIMIT), spent.start()), (0, 9));
        assert!(spent.is_live() && spent.used() == MAXIMUM_LIMIT);
        assert_eq!(spent.left(5), 0);
        assert_eq!(Window::open(9, 2).give_back(3), Window::open(9, 0));
    }

    #[test]
    fn loans_of_all_shards_are_at_most_two_percent() {
        for limit in [1, 2, 50, 127, 128, 6_400, 100_000, MAXIMUM_LIMIT] {
            for shards in [1, 2, 3, 8, 64, 1024] {
                // The token that is spent at once is not on loan.
                let loan = u64::from(lease(limit, shards, u32::MAX) - 1) * u64::from(shards);
                assert!(loan * 50 <= u64::from(limit), "{limit} {shards} {loan}");
            }
        }
        assert_eq!(
            (lease(1, 1, 256), lease(127, 2, 256), lease(256, 2, 256)),
            (1, 1, 2)
        );
        assert_eq!(lease(1_000_000, 2, 256), 256);
    }

    proptest! {
        /// However time wraps or lags: a window that follows another in a slot never begins at the same millisecond.
        #[test]
        fn starts_never_repeat(start: u32, now: u32, used in 0..=MAXIMUM_LIMIT, length in 1..=MAXIMUM_WINDOW_MS) {
            let window = Window::open(start, used);
            let next = window.at(now, length);
            prop_assert!(next == window || next.start() != start);
            let vacated = window.vacated();
            prop_assert!(vacated.is_vacant() && vacated.start() == start);
            let claimed = vacated.claimed(now);
            prop_assert!(!claimed.is_live() && !claimed.is_vacant() && claimed.start() != start);
            prop_assert!(claimed.vacated().is_vacant());
            prop_assert!(window.reset(now, length) <= length);
            prop_assert_eq!(window.reset(now, length) == 0, window.is_over(now, length));
        }
    }
}
