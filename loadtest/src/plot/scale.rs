//! From figures to places on an axis, and the marks on it.

/// An axis from 0 (its lower or left end) to 1.
#[derive(Debug, Clone)]
pub struct Axis {
    kind: Kind,
    /// The ends, in the measure of `Kind`.
    from: f64,
    to: f64,
    /// Figure and name of each mark.
    pub ticks: Vec<(f64, String)>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Linear,
    Logarithmic,
    /// By the part of requests that is left, logarithmically.
    Percentiles,
}

impl Axis {
    /// Linear over `values` and to the next round figure, from 0 when `zero`. At most eight marks.
    pub fn linear(values: impl Iterator<Item = f64>, zero: bool) -> Self {
        let (mut low, high) = ends(values).unwrap_or((0.0, 1.0));
        if zero || low == high {
            low = low.min(0.0);
        }
        let step = step((high - low).max(f64::MIN_POSITIVE) / 6.0);
        let first = (low / step).floor();
        // A figure a hair above a round one needs no further step.
        let last = (high / step - 1e-9).ceil().max(first + 1.0);
        let ticks = (0..=(last - first) as u32)
            .map(|index| (first + f64::from(index)) * step)
            .map(|value| (value, number(value, step)))
            .collect();
        Self {
            kind: Kind::Linear,
            from: first * step,
            to: last * step,
            ticks,
        }
    }

    /// Logarithmic over `values` in µs, all above 0, to the next 1, 2 or 5 below and above.
    pub fn latency(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = ends(values).unwrap_or((100.0, 1000.0));
        let (mut from, mut to) = (round_down(low), round_up(high));
        // More than four decades of 1, 2, 5 would crowd: then the powers of ten alone.
        let wide = to / from > 1.001e4;
        if wide {
            from = 10_f64.powf((from.log10() + 1e-9).floor());
            to = 10_f64.powf((to.log10() - 1e-9).ceil());
        } else if to <= from {
            to = round_up(from * 1.5);
        }
        let mut ticks = Vec::new();
        let mut at = from;
        while at <= to * 1.001 {
            ticks.push((at, latency(at)));
            at = if wide { at * 10.0 } else { round_up(at * 1.5) };
        }
        Self {
            kind: Kind::Logarithmic,
            from: from.log10(),
            to: to.log10(),
            ticks,
        }
    }

    /// Percentiles from 0, to the nine that holds the highest of `values`, all below 100.
    pub fn percentiles(values: impl Iterator<Item = f64>) -> Self {
        let highest = ends(values).map_or(0.0, |(_, high)| nines(high));
        // Not a whole nine for what is a hair above one (the ten-thousandth of 10,001 requests).
        let to = (highest - 0.05).ceil().clamp(2.0, 7.0).max(highest);
        let names = [
            "0 %",
            "90 %",
            "99 %",
            "99.9 %",
            "99.99 %",
            "99.999 %",
            "99.9999 %",
            "99.99999 %",
        ];
        let whole = names
            .iter()
            .enumerate()
            .map(|(nines, name)| (nines as f64, *name));
        let ticks = whole
            .chain([(nines(50.0), "50 %")])
            .filter(|(nines, _)| *nines <= to)
            .map(|(nines, name)| (100.0 * (1.0 - 10_f64.powf(-nines)), name.to_owned()))
            .collect();
        Self {
            kind: Kind::Percentiles,
            from: 0.0,
            to,
            ticks,
        }
    }

    /// Where `value` lies, 0 to 1 for one the axis was made for.
    pub fn place(&self, value: f64) -> f64 {
        let value = match self.kind {
            Kind::Linear => value,
            Kind::Logarithmic => value.log10(),
            Kind::Percentiles => nines(value),
        };
        (value - self.from) / (self.to - self.from)
    }
}

/// 90 is 1, 99 is 2.
fn nines(percentile: f64) -> f64 {
    -(1.0 - percentile / 100.0).log10()
}

/// The lowest and the highest; None of none.
fn ends(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |ends, value| match ends {
        None => Some((value, value)),
        Some((low, high)) => Some((low.min(value), high.max(value))),
    })
}

/// The next of 1, 2, 5 × 10ⁿ that is no less than `least`.
fn step(least: f64) -> f64 {
    round_up(least)
}

fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    // The tolerance is for the logarithm's last bits.
    let found = steps.iter().find(|step| *step * power >= value * (1.0 - 1e-9));
    found.unwrap_or(&10.0) * power
}

fn round_down(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let steps = [10.0, 5.0, 2.0, 1.0];
    let found = steps.iter().find(|step| *step * power <= value * (1.0 + 1e-9));
    found.unwrap_or(&1.0) * power
}

/// A figure on an axis whose marks are `step` apart.
fn number(value: f64, step: f64) -> String {
    let digits = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
    grouped(&format!("{value:.digits$}"))
}

/// Three significant digits, or all those before the point.
pub fn significant(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    grouped(&format!("{value:.digits$}"))
}

/// Commas between thousands.
fn grouped(text: &str) -> String {
    let (whole, rest) = text.find('.').map_or((text, ""), |point| text.split_at(point));
    let (sign, digits) = whole
        .strip_prefix('-')
        .map_or(("", whole), |digits| ("-", digits));
    let mut grouped = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

/// A latency in µs with the unit in which it is short.
fn latency(microseconds: f64) -> String {
    let (value, unit) = match microseconds {
        value if value >= 999_999.0 => (value / 1e6, "s"),
        value if value >= 999.0 => (value / 1e3, "ms"),
        value => (value, "µs"),
    };
    // Rounded first: a power of ten out of logarithms is a hair off.
    format!("{} {unit}", (value * 1e6).round() / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, name)| name.as_str()).collect()
    }

    fn near(value: f64, expected: f64) -> bool {
        (value - expected).abs() < 1e-9
    }

    #[test]
    fn linear_axes_end_at_round_figures() {
        let axis = Axis::linear([3.0, 39.4].into_iter(), true);
        assert_eq!(names(&axis), ["0", "10", "20", "30", "40"]);
        assert!(near(axis.place(0.0), 0.0) && near(axis.place(20.0), 0.5));
        let axis = Axis::linear([0.0, 0.23].into_iter(), true);
        assert_eq!(names(&axis), ["0.00", "0.05", "0.10", "0.15", "0.20", "0.25"]);
        let axis = Axis::linear([16.0, 90_000.0].into_iter(), false);
        assert_eq!(names(&axis).last(), Some(&"100,000"));
    }

    #[test]
    fn one_value_and_none_still_make_an_axis() {
        for values in [vec![], vec![0.0], vec![5.0], vec![1e9]] {
            for axis in [
                Axis::linear(values.iter().copied(), true),
                Axis::linear(values.iter().copied(), false),
                Axis::latency(values.iter().copied().filter(|value| *value > 0.0)),
            ] {
                assert!((2..=8).contains(&axis.ticks.len()), "{values:?}: {axis:?}");
                assert!(axis.from < axis.to, "{values:?}");
                for value in values.iter().filter(|value| **value > 0.0) {
                    assert!(
                        (0.0..=1.0 + 1e-9).contains(&axis.place(*value)),
                        "{values:?}: {axis:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn latencies_carry_their_unit() {
        let axis = Axis::latency([130.0, 4200.0].into_iter());
        assert_eq!(
            names(&axis),
            ["100 µs", "200 µs", "500 µs", "1 ms", "2 ms", "5 ms"]
        );
        let axis = Axis::latency([12.0, 3_000_000.0].into_iter());
        assert_eq!(
            names(&axis),
            ["10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s", "10 s"]
        );
    }

    #[test]
    fn each_nine_has_the_same_room() {
        let axis = Axis::percentiles([0.0, 99.99].into_iter());
        for (percentile, place) in [(0.0, 0.0), (90.0, 0.25), (99.0, 0.5), (99.9, 0.75), (99.99, 1.0)] {
            assert!((axis.place(percentile) - place).abs() < 1e-6, "{percentile}");
        }
        assert_eq!(names(&axis), ["0 %", "90 %", "99 %", "99.9 %", "99.99 %", "50 %"]);
    }

    #[test]
    fn figures_are_short() {
        assert_eq!(significant(8.7), "8.70");
        assert_eq!(significant(10.73), "10.7");
        assert_eq!(significant(329.6), "330");
        assert_eq!(significant(99.96), "100");
        assert_eq!(significant(1_234_567.0), "1,234,567");
    }
}
