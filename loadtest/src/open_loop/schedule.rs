//! When each request is meant to start: arithmetic alone, fixed before the first request, so that nothing the gateway
//! does can move it.

use std::time::Duration;

/// Requests at even distances, the first at 0. Those of the warm-up are sent like all others and not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Requests per second, at least 1.
    rate: u64,
    warm_up: u64,
    total: u64,
}

impl Schedule {
    /// Requests at `rate` per second for `warm_up` and then for `counted`. Each part holds a whole number of requests,
    /// rounded down.
    pub fn new(rate: u32, warm_up: Duration, counted: Duration) -> Self {
        let rate = u64::from(rate.max(1));
        let requests = |span: Duration| {
            let exact = u128::from(rate) * span.as_nanos() / u128::from(SECOND);
            // Past 2⁶⁴ requests only after centuries.
            u64::try_from(exact).unwrap_or(u64::MAX)
        };
        let warm_up = requests(warm_up);
        Self {
            rate,
            warm_up,
            total: warm_up + requests(counted),
        }
    }

    /// The intended start of request `number`, counted from 0, in nanoseconds after the first. Each is derived from
    /// its number and not from the one before it, so that no rounding adds up.
    pub fn intended(self, number: u64) -> u64 {
        // Split, because the product of number and nanoseconds would overflow after five hours at a million a second.
        let (seconds, rest) = (number / self.rate, number % self.rate);
        seconds * SECOND + rest * SECOND / self.rate
    }

    /// Whether request `number` belongs to the figures.
    pub fn counts(self, number: u64) -> bool {
        number >= self.warm_up
    }

    /// Requests there are, the warm-up's included: their numbers lie below it.
    pub fn total(self) -> u64 {
        self.total
    }
}

const SECOND: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(rate: u32, warm_up: u64, counted: u64) -> Schedule {
        Schedule::new(rate, Duration::from_secs(warm_up), Duration::from_secs(counted))
    }

    #[test]
    fn a_second_holds_the_rate_whatever_it_is() {
        for rate in [1, 3, 7, 999, 20_000, 60_000, 999_983, 1_000_000] {
            let schedule = seconds(rate, 1, 5);
            assert_eq!(schedule.total(), u64::from(rate) * 6);
            assert_eq!(schedule.warm_up, u64::from(rate));
            for second in 0..6 {
                let first = second * u64::from(rate);
                assert_eq!(schedule.intended(first), second * SECOND, "{rate}");
                let last = schedule.intended(first + u64::from(rate) - 1);
                assert!(last < (second + 1) * SECOND, "{rate}");
            }
        }
    }

    #[test]
    fn distances_are_even_to_a_nanosecond() {
        let schedule = seconds(60_000, 0, 1);
        for number in 0..60_000 {
            let distance = schedule.intended(number + 1) - schedule.intended(number);
            assert!((16_666..=16_667).contains(&distance), "{number}: {distance}");
        }
    }

    #[test]
    fn a_day_at_a_million_a_second_neither_drifts_nor_overflows() {
        let schedule = seconds(1_000_000, 0, 86_400);
        assert_eq!(schedule.intended(schedule.total()), 86_400 * SECOND);
    }

    #[test]
    fn the_warm_up_is_not_counted() {
        let schedule = seconds(100, 1, 2);
        assert!(!schedule.counts(99));
        assert!(schedule.counts(100));
        assert_eq!(schedule.intended(100), SECOND);
    }

    #[test]
    fn parts_of_a_second_round_down() {
        let schedule = Schedule::new(10, Duration::from_millis(199), Duration::from_millis(250));
        assert_eq!((schedule.total(), schedule.warm_up), (3, 1));
    }
}
