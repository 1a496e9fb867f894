//! What is measured of a gateway: figures by name, their medians over rounds, and the ratio of one gateway's to
//! another's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// "unit" is the plan's: a request, a connection or a GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Processor time a unit, in microseconds, and where it was spent.
    CpuUs,
    UserUs,
    SystemUs,
    /// Units a second.
    PerSecond,
    /// Latency in microseconds.
    P50Us,
    P90Us,
    P99Us,
    P999Us,
    P9999Us,
    /// System calls a unit.
    SystemCalls,
    /// Highest resident memory in a turn.
    PeakResidentBytes,
    /// Growth of resident memory for each connection that waits; the same with shared pages shared out.
    ConnectionBytes,
    ConnectionProportionalBytes,
    /// Of several workers, the busiest one's share of the requests, and of the workers' processor time.
    BusiestRequests,
    BusiestShare,
    /// Share of requests that an open loop sent late because it could not keep up itself.
    Behind,
    /// Share of the gateway's CPU that something else used meanwhile.
    Disturbance,
}

/// Those of one turn, or their medians. What was not measured is not there.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Figures(BTreeMap<Figure, f64>);

/// What counts of several rounds, and the extremes among them.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
pub struct Spread {
    /// The median. Of an open loop's latencies what the requests of all rounds together give, which may lie outside the
    /// other two.
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

impl Figures {
    pub fn get(&self, figure: Figure) -> Option<f64> {
        self.0.get(&figure).copied()
    }

    /// One that is not a number is left out: JSON has no way to say it.
    pub fn set(&mut self, figure: Figure, value: f64) {
        if value.is_finite() {
            self.0.insert(figure, rounded(value));
        }
    }

    /// Of each figure by itself.
    pub fn median(turns: &[Figures]) -> Self {
        let mut medians = Self::default();
        for figure in turns.iter().flat_map(|turn| turn.0.keys()) {
            medians.set(*figure, median(turns.iter().filter_map(|turn| turn.get(*figure))));
        }
        medians
    }

    /// Ratios of the figures of `turns` to those of `base`, within a round first: what slows the machine for a while
    /// slows both, and drops out.
    pub fn ratios(turns: &[Figures], base: &[Figures]) -> BTreeMap<Figure, Spread> {
        let mut ratios = BTreeMap::new();
        for figure in COMPARED {
            let ratio = |(turn, base): (&Figures, &Figures)| {
                let ratio = turn.get(figure)? / base.get(figure)?;
                ratio.is_finite().then_some(ratio)
            };
            let rounds: Vec<f64> = turns.iter().zip(base).filter_map(ratio).collect();
            if let Some(spread) = Spread::of(&rounds) {
                ratios.insert(figure, spread);
            }
        }
        ratios
    }
}

impl Spread {
    /// None of no values.
    pub fn of(values: &[f64]) -> Option<Self> {
        (!values.is_empty()).then(|| Self {
            value: rounded(median(values.iter().copied())),
            low: rounded(values.iter().copied().fold(f64::INFINITY, f64::min)),
            high: rounded(values.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        })
    }
}

/// The middle value; the mean of the two in the middle when their number is even; NaN of none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// To six digits, which is more than any figure here is worth: what is kept stays small.
pub fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

/// Those a histogram of all rounds gives.
pub const LATENCIES: [Figure; 5] = [
    Figure::P50Us,
    Figure::P90Us,
    Figure::P99Us,
    Figure::P999Us,
    Figure::P9999Us,
];

/// The others are facts about a gateway by itself, or about the measurement.
const COMPARED: [Figure; 9] = [
    Figure::CpuUs,
    Figure::UserUs,
    Figure::SystemUs,
    Figure::PerSecond,
    Figure::P50Us,
    Figure::P99Us,
    Figure::P999Us,
    Figure::SystemCalls,
    Figure::ConnectionBytes,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(figure: Figure, values: &[f64]) -> Vec<Figures> {
        let one = |&value: &f64| {
            let mut figures = Figures::default();
            figures.set(figure, value);
            figures
        };
        values.iter().map(one).collect()
    }

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median([7.0]), 7.0);
        assert!(median([]).is_nan());
    }

    #[test]
    fn a_ratio_is_taken_within_each_round() {
        // The machine is three times slower in the second round and twice in the third.
        let nginx = turns(Figure::CpuUs, &[10.0, 30.0, 20.0]);
        let ours = turns(Figure::CpuUs, &[8.0, 24.0, 20.0]);
        let ratio = Figures::ratios(&ours, &nginx)[&Figure::CpuUs];
        assert!((ratio.value - 0.8).abs() < 1e-9, "{ratio:?}");
        assert!((ratio.high - 1.0).abs() < 1e-9, "{ratio:?}");
    }

    #[test]
    fn six_digits_are_kept_of_large_and_small() {
        assert_eq!(rounded(123_456_789.0), 123_457_000.0);
        assert_eq!(rounded(-0.001_234_567_89), -0.001_234_57);
        assert_eq!(rounded(0.0), 0.0);
    }

    #[test]
    fn what_was_not_measured_or_is_no_number_is_not_there() {
        let mut figures = Figures::default();
        figures.set(Figure::P99Us, f64::NAN);
        assert_eq!(figures, Figures::default());
        assert_eq!(Figures::median(&[]), Figures::default());
        let (ours, theirs) = (turns(Figure::CpuUs, &[1.0]), turns(Figure::CpuUs, &[0.0]));
        assert!(Figures::ratios(&ours, &theirs).is_empty());
    }

    #[test]
    fn a_figure_that_only_some_rounds_have_keeps_its_median() {
        let mut both = turns(Figure::CpuUs, &[1.0, 3.0, 2.0]);
        both[1].set(Figure::SystemCalls, 4.0);
        let median = Figures::median(&both);
        assert_eq!(median.get(Figure::CpuUs), Some(2.0));
        assert_eq!(median.get(Figure::SystemCalls), Some(4.0));
    }
}
