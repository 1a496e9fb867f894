//! Everything a run of a scenario found, as it is kept in JSON; tables, plots and the summary are made from it.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::driver::Driver;
use crate::gateway::{Gateway, Kind};
use crate::machine::Machine;
use crate::open_loop;
use crate::run::figures::{Figure, Figures, LATENCIES, Spread, rounded};
use crate::scenario::Plan;
use crate::scenario::goal::{Against, Goal};
use crate::scenario::plan::Effort;
use crate::stage::Cpus;

#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Report {
    pub scenario: String,
    pub machine: Machine,
    pub plan: Plan,
    pub effort: Effort,
    pub gateway_cpu: usize,
    pub load_cpu: usize,
    /// Those of the plan that were not to be had, and why.
    pub left_out: Vec<String>,
    pub variants: Vec<VariantReport>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct VariantReport {
    /// Empty where the scenario has no variants.
    pub name: String,
    pub gateways: Vec<Measured>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Measured {
    pub name: String,
    pub kind: Kind,
    pub driver: Option<Driver>,
    pub version: String,
    /// Medians over the rounds, of each figure by itself; of an open loop's latencies, those of all rounds' requests
    /// together.
    pub figures: Figures,
    /// To those that took part: medians of the ratios within each round, and their extremes. Of an open loop's latencies
    /// the ratio of `figures`: in one round the slowest thousandth is a handful of requests, and its ratio chance.
    #[serde(default)]
    pub ratios: BTreeMap<Against, BTreeMap<Figure, Spread>>,
    pub rounds: Vec<Figures>,
    /// Percentile (0 to 100) and latency in µs, of all rounds together; of an open loop alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latencies: Vec<(f64, f64)>,
}

/// A goal held against what one of Ringway's drivers gave in one variant.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    pub variant: String,
    /// `CPU µs/request × nginx ≤ 0.86`
    pub goal: String,
    /// What is bounded; a ratio of it unless the goal is for the figure itself.
    pub figure: Figure,
    pub ratio: bool,
    pub driver: Option<Driver>,
    /// None where it was not measured.
    pub measured: Option<Spread>,
    /// The other ratio of a goal that may be met in two ways.
    pub alternative: Option<f64>,
    pub met: bool,
}

impl Report {
    pub fn new(
        scenario: &str,
        plan: Plan,
        machine: Machine,
        effort: Effort,
        cpus: Cpus,
        left_out: Vec<String>,
        mut variants: Vec<VariantReport>,
    ) -> Self {
        // Only where a goal speaks of it: most variants are other work, not the same work made harder.
        let against_base = |goal: &Goal| goal.to == Some(Against::Base);
        let wanted = plan.goals.iter().any(against_base);
        let base = variants.first().filter(|_| wanted).cloned();
        for (index, variant) in variants.iter_mut().enumerate() {
            let others = variant.gateways.clone();
            for one in &mut variant.gateways {
                one.ratios = one.ratios_to(&others);
                let gateways = base.as_ref().map_or(&[][..], |base| &base.gateways);
                let first = gateways.iter().find(|other| other.name == one.name);
                if let Some(first) = first.filter(|_| index > 0) {
                    let ratios = one.ratios_to_one(first);
                    one.ratios.insert(Against::Base, ratios);
                }
            }
        }
        Self {
            scenario: scenario.to_owned(),
            machine,
            plan,
            effort,
            gateway_cpu: cpus.gateway_cpu,
            load_cpu: cpus.load_cpu,
            left_out,
            variants,
        }
    }

    /// Every goal of the plan, for each driver of Ringway's and each variant it speaks of.
    pub fn verdicts(&self) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        for goal in &self.plan.goals {
            for (index, variant) in self.variants.iter().enumerate() {
                let named = goal.variants.is_empty() || goal.variants.contains(&variant.name);
                if !named || (goal.to == Some(Against::Base) && index == 0) {
                    continue;
                }
                let ours = variant.gateways.iter().filter(|one| one.kind == Kind::Ringway);
                for one in ours {
                    // A driver is not held against itself.
                    if goal.to == Some(Against::IoUring) && one.driver == Some(Driver::IoUring) {
                        continue;
                    }
                    verdicts.push(self.verdict(goal, &variant.name, one));
                }
            }
        }
        verdicts
    }

    fn verdict(&self, goal: &Goal, variant: &str, one: &Measured) -> Verdict {
        let measured = match goal.to {
            Some(to) => one.ratio(to, goal.figure),
            None => one.own(goal.figure),
        };
        let met = measured.is_some_and(|measured| measured.value <= goal.at_most);
        let alternative = goal.or.and_then(|or| Some(one.ratio(or.to, goal.figure)?.value));
        let also = goal
            .or
            .zip(alternative)
            .is_some_and(|(or, ratio)| ratio <= or.at_most);
        let unit = self.plan.per.name();
        let mut text = match goal.to {
            Some(to) => format!(
                "{} × {} ≤ {:.2}",
                goal.figure.title(unit),
                to.name(),
                goal.at_most
            ),
            None => format!("{} ≤ {}", goal.figure.title(unit), goal.figure.show(goal.at_most)),
        };
        if let Some(or) = goal.or {
            text += &format!(", or × {} ≤ {:.2}", or.to.name(), or.at_most);
        }
        Verdict {
            variant: variant.to_owned(),
            goal: text,
            figure: goal.figure,
            ratio: goal.to.is_some(),
            driver: one.driver,
            measured,
            alternative,
            met: met || also,
        }
    }
}

impl Measured {
    pub fn of(
        gateway: &Gateway,
        version: String,
        rounds: Vec<Figures>,
        latencies: Option<Histogram<u64>>,
    ) -> Self {
        let mut one = Self {
            name: gateway.name(),
            kind: gateway.kind(),
            driver: gateway.driver(),
            version,
            figures: Figures::median(&rounds),
            ratios: BTreeMap::new(),
            rounds,
            latencies: Vec::new(),
        };
        if let Some(histogram) = latencies {
            let all = open_loop::Measured::empty(histogram);
            let together = [all.p50(), all.p90(), all.p99(), all.p999(), all.p9999()];
            for (figure, value) in LATENCIES.into_iter().zip(together) {
                one.figures.set(figure, value);
            }
            let short = |(percentile, latency)| (percentile, rounded(latency));
            one.latencies = all.points().into_iter().map(short).collect();
        }
        one
    }

    /// Of `figure`, to `against`. The best peer is the one that has the least.
    pub fn ratio(&self, against: Against, figure: Figure) -> Option<Spread> {
        let of = |against: Against| self.ratios.get(&against)?.get(&figure).copied();
        if against != Against::BestPeer {
            return of(against);
        }
        // To be below the best is to be below all: the highest ratio decides.
        let peers = Against::PEERS.into_iter().filter_map(of);
        peers.max_by(|a, b| a.value.total_cmp(&b.value))
    }

    /// The figure itself, over the rounds.
    fn own(&self, figure: Figure) -> Option<Spread> {
        let values: Vec<f64> = self.rounds.iter().filter_map(|turn| turn.get(figure)).collect();
        let spread = Spread::of(&values)?;
        let value = self.figures.get(figure).unwrap_or(spread.value);
        Some(Spread { value, ..spread })
    }

    fn ratios_to_one(&self, other: &Measured) -> BTreeMap<Figure, Spread> {
        let mut ratios = Figures::ratios(&self.rounds, &other.rounds);
        if self.latencies.is_empty() || other.latencies.is_empty() {
            return ratios;
        }
        for figure in LATENCIES {
            let together = self.figures.get(figure).zip(other.figures.get(figure));
            if let (Some(spread), Some((ours, theirs))) = (ratios.get_mut(&figure), together) {
                spread.value = rounded(ours / theirs);
            }
        }
        ratios
    }

    fn ratios_to(&self, others: &[Measured]) -> BTreeMap<Against, BTreeMap<Figure, Spread>> {
        let of = |against: Against| {
            let other = others.iter().find(|other| against.is(other, self))?;
            Some((against, self.ratios_to_one(other)))
        };
        Against::COLUMNS.into_iter().filter_map(of).collect()
    }
}

impl Against {
    /// Whether `other` is this for `one`, within a variant.
    fn is(self, other: &Measured, one: &Measured) -> bool {
        match self {
            Against::Nginx => other.kind == Kind::Nginx,
            Against::Haproxy => other.kind == Kind::Haproxy,
            Against::Envoy => other.kind == Kind::Envoy,
            Against::Relay => other.kind == Kind::Floor && one.driver.is_some() && other.driver == one.driver,
            Against::IoUring => {
                other.kind == one.kind
                    && one.driver == Some(Driver::Epoll)
                    && other.driver == Some(Driver::IoUring)
            }
            Against::BestPeer | Against::Base => false,
        }
    }
}

#[cfg(test)]
pub mod tests {
    //! Reports of figures made up, for this file's arithmetic and for what is written of them.

    use super::*;

    /// Turns that cost this much each.
    pub fn turns(costs: &[f64]) -> Vec<Figures> {
        let turn = |&cost: &f64| {
            let mut figures = Figures::default();
            figures.set(Figure::CpuUs, cost);
            figures.set(Figure::UserUs, cost / 4.0);
            figures.set(Figure::PerSecond, 1000.0);
            figures
        };
        costs.iter().map(turn).collect()
    }

    /// One variant of a scenario whose plan holds `text`.
    pub fn report(text: &str, contenders: &[(Gateway, Vec<Figures>)]) -> Report {
        let load = if text.contains("load:") {
            ""
        } else {
            "\nload: {kind: keep-alive, connections: 64}"
        };
        let plan = crate::scenario::tests::plan(&format!("{text}{load}"));
        let gateways = contenders
            .iter()
            .map(|(gateway, turns)| Measured::of(gateway, "1".into(), turns.clone(), None));
        let machine = Machine {
            taken: "2026-01-01T00:00:00Z".into(),
            cpu_model: "some".into(),
            cpus: 2,
            kernel: "6.1".into(),
            commit: None,
        };
        let variant = VariantReport {
            name: String::new(),
            gateways: gateways.collect(),
        };
        let cpus = Cpus {
            gateway_cpu: 0,
            load_cpu: 1,
            nice: None,
        };
        let effort = plan.quick.clone();
        Report::new("made-up", plan, machine, effort, cpus, Vec::new(), vec![variant])
    }

    #[test]
    fn the_floor_of_a_gateway_is_the_relay_on_its_own_driver() {
        let on = |driver| Gateway::Floor { driver };
        let report = report(
            "",
            &[
                (Gateway::Nginx, turns(&[10.0])),
                (on(Driver::Epoll), turns(&[8.0])),
                (on(Driver::IoUring), turns(&[4.0])),
            ],
        );
        let [nginx, epoll, ring] = &report.variants[0].gateways[..] else {
            panic!("three took part");
        };
        let ratio = |one: &Measured, against| one.ratio(against, Figure::CpuUs).map(|ratio| ratio.value);
        assert_eq!(ratio(nginx, Against::Relay), None);
        assert_eq!(ratio(epoll, Against::Relay), Some(1.0));
        assert_eq!(ratio(epoll, Against::IoUring), Some(2.0));
        assert_eq!(ratio(ring, Against::IoUring), None);
        assert_eq!(ratio(ring, Against::Nginx), Some(0.4));
    }

    #[test]
    fn the_best_peer_is_the_one_that_is_hardest_to_beat() {
        let ringway = Gateway::Ringway {
            program: "ringway".into(),
            driver: Driver::Epoll,
        };
        let report = report(
            "",
            &[
                (ringway, turns(&[9.0])),
                (Gateway::Nginx, turns(&[10.0])),
                (Gateway::Haproxy, turns(&[6.0])),
            ],
        );
        let ratio = report.variants[0].gateways[0].ratio(Against::BestPeer, Figure::CpuUs);
        assert_eq!(ratio.map(|ratio| ratio.value), Some(1.5));
    }

    #[test]
    fn latencies_at_a_constant_rate_are_those_of_all_rounds_together() {
        let gateway = Gateway::Nginx;
        // Of 900 requests one is more than a thousandth, of 2,700 two are less.
        let slow_in = |rounds: [u64; 3]| {
            let mut all = Histogram::new_with_max(1_000_000_000, 3).expect("sensible bounds");
            let mut turns = Vec::new();
            for slow in rounds {
                for request in 0..900 {
                    all.saturating_record(if request < slow { 8_000_000 } else { 1_000_000 });
                }
                let mut turn = Figures::default();
                turn.set(Figure::P999Us, if slow > 0 { 8000.0 } else { 1000.0 });
                turns.push(turn);
            }
            Measured::of(&gateway, "1".into(), turns, Some(all))
        };
        let (ours, theirs) = (slow_in([1, 1, 0]), slow_in([2, 2, 2]));
        let near = |value: f64, expected: f64| (value / expected - 1.0).abs() < 0.01;
        let ratio = ours.ratios_to_one(&theirs)[&Figure::P999Us];
        // The median of the rounds' is 1.
        assert!(
            near(ratio.value, 0.125) && near(ratio.low, 0.125) && near(ratio.high, 1.0),
            "{ratio:?}"
        );
        let own = ours.own(Figure::P999Us).expect("it was measured");
        assert!(near(own.value, 1000.0) && near(own.high, 8000.0), "{own:?}");
    }

    #[test]
    fn a_variant_is_held_against_the_first_where_a_goal_says_so() {
        let goal =
            "goals: [{ figure: cpu_us, to: base, at_most: 1.15 }]\nvariants: [{ name: one }, { name: many }]";
        for (text, expected) in [(goal, Some(2.0)), ("", None)] {
            let one = |cost| report(text, &[(Gateway::Nginx, turns(&[cost]))]);
            let (first, second) = (one(5.0), one(10.0));
            let variants = vec![first.variants[0].clone(), second.variants[0].clone()];
            let cpus = Cpus {
                gateway_cpu: 0,
                load_cpu: 1,
                nice: None,
            };
            let whole = Report::new(
                "made-up",
                first.plan.clone(),
                first.machine.clone(),
                first.effort.clone(),
                cpus,
                Vec::new(),
                variants,
            );
            let ratio = whole.variants[1].gateways[0].ratio(Against::Base, Figure::CpuUs);
            assert_eq!(ratio.map(|ratio| ratio.value), expected);
        }
    }
}
