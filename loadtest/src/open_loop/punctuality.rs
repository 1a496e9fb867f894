//! Whose fault a late start is. A request whose connections are all busy waits through the gateway's fault, and that is
//! what is measured; one that waits because the generator does not get round to it spoils the measurement.
//!
//! The rule: within a millisecond of its intended start a request has been sent, or the generator has been seen with
//! nothing to do (each answer that had arrived was read, and still no connection was free). Otherwise the generator is
//! behind. It may have had no CPU, or so much work that answers lay unread; which of the two need not be known. A request
//! that waits rightly and then longer because of a later absence of the generator is not blamed on it, but those due
//! during that absence are, so the share of requests that are behind is the share of time the generator was not there.

use super::schedule::Schedule;

/// Judges each request of a schedule once, in order.
#[derive(Debug)]
pub struct Punctuality {
    schedule: Schedule,
    /// The first request that is not judged yet.
    next: u64,
    behind: u64,
}

impl Punctuality {
    pub fn new(schedule: Schedule) -> Self {
        Self {
            schedule,
            next: 0,
            behind: 0,
        }
    }

    /// Request `number` is sent at `now`, in nanoseconds like all times here.
    pub fn sent(&mut self, number: u64, now: u64) {
        if number >= self.next {
            self.judge(number, now);
            self.next = number + 1;
        }
    }

    /// At `now` there is nothing to do, although all that was due and had a connection is sent.
    pub fn idle(&mut self, now: u64) {
        while self.next < self.schedule.total() && self.schedule.intended(self.next) <= now {
            self.judge(self.next, now);
            self.next += 1;
        }
    }

    /// Counted requests that started late through the generator's fault.
    pub fn behind(&self) -> u64 {
        self.behind
    }

    fn judge(&mut self, number: u64, now: u64) {
        let late = now.saturating_sub(self.schedule.intended(number)) > ALLOWED;
        if late && self.schedule.counts(number) {
            self.behind += 1;
        }
    }
}

/// How late a request may start and still be on time: 1 ms, in nanoseconds.
const ALLOWED: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MS: u64 = 1_000_000;

    /// A request each 10 ms, the first ten of them warm-up.
    fn punctuality() -> Punctuality {
        let schedule = Schedule::new(100, Duration::from_millis(100), Duration::from_secs(1));
        Punctuality::new(schedule)
    }

    #[test]
    fn a_millisecond_is_on_time() {
        let mut punctuality = punctuality();
        punctuality.sent(10, 101 * MS);
        assert_eq!(punctuality.behind(), 0);
        punctuality.sent(11, 111 * MS + 1);
        assert_eq!(punctuality.behind(), 1);
    }

    #[test]
    fn a_slow_gateway_is_no_late_generator() {
        let mut punctuality = punctuality();
        // Every connection is busy from 100 to 400 ms, and the generator looks up each half millisecond.
        for half in 200..800 {
            punctuality.idle(half * MS / 2);
        }
        for number in 10..40 {
            punctuality.sent(number, 400 * MS);
        }
        assert_eq!(punctuality.behind(), 0);
    }

    #[test]
    fn a_generator_without_a_cpu_is() {
        let mut punctuality = punctuality();
        punctuality.idle(100 * MS);
        // Away until 150 ms: those of 110, 120, 130 and 140 ms are late, that of 150 is not.
        punctuality.idle(150 * MS);
        assert_eq!(punctuality.behind(), 4);
        for number in 10..16 {
            punctuality.sent(number, 200 * MS);
        }
        assert_eq!(punctuality.behind(), 4, "none is judged twice");
    }

    #[test]
    fn a_generator_that_is_never_done_is() {
        let mut punctuality = punctuality();
        for number in 10..20 {
            punctuality.sent(number, 300 * MS);
        }
        assert_eq!(punctuality.behind(), 10);
    }

    #[test]
    fn the_warm_up_is_not_counted() {
        let mut punctuality = punctuality();
        punctuality.sent(0, 50 * MS);
        punctuality.idle(99 * MS);
        assert_eq!(punctuality.behind(), 0);
    }
}
