//! A line for each turn on stderr: which scenario, which round, what it gave, and how long the rest will take.

use std::time::{Duration, Instant};

pub struct Progress {
    began: Instant,
    /// Seconds of load in all scenarios together, and of these done. What is around them (starting, checking) is
    /// found by comparing them with the clock.
    planned: f64,
    done: f64,
    scenario: String,
}

impl Progress {
    pub fn new(planned: f64) -> Self {
        Self {
            began: Instant::now(),
            planned,
            done: 0.0,
            scenario: String::new(),
        }
    }

    pub fn scenario(&mut self, number: usize, of: usize, name: &str) {
        self.scenario = format!("{number}/{of} {name}");
        eprintln!("== {}, {}", self.scenario, self.left());
    }

    /// `seconds` of what was planned are over, with a line about them.
    pub fn turn(&mut self, seconds: f64, what: &str) {
        self.done += seconds;
        eprintln!("[{}] {what}  ({})", self.scenario, self.left());
    }

    /// `seconds` of what was planned will not be needed.
    pub fn skip(&mut self, seconds: f64) {
        self.planned -= seconds;
    }

    pub fn note(&self, text: &str) {
        eprintln!("[{}] {text}", self.scenario);
    }

    fn left(&self) -> String {
        let left = remaining(self.began.elapsed().as_secs_f64(), self.done, self.planned);
        let left = Duration::from_secs_f64(left).as_secs();
        match left {
            0..90 => format!("about {left} s left"),
            _ => format!("about {} min left", left.div_ceil(60)),
        }
    }
}

/// Before much is known, a planned second is taken for a little more than one.
fn remaining(elapsed: f64, done: f64, planned: f64) -> f64 {
    let known = done.min(elapsed);
    let pace = (elapsed + ASSUMED * WEIGHT) / (known + WEIGHT);
    ((planned - done) * pace).max(0.0)
}

const ASSUMED: f64 = 1.3;
/// Seconds that the assumption counts for.
const WEIGHT: f64 = 20.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_the_pace_so_far() {
        assert!((remaining(0.0, 0.0, 100.0) - 130.0).abs() < 1e-9);
        let slow = remaining(2000.0, 1000.0, 2000.0);
        assert!((1900.0..2010.0).contains(&slow), "{slow}");
        assert_eq!(remaining(10.0, 20.0, 15.0), 0.0);
    }
}
