//! One scenario: its gateways are started, have their turns in interleaved rounds, and are checked again at the end.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::calls;
use super::figures::{Figure, Figures};
use super::progress::Progress;
use super::turn::{self, Job, Waiting};
use crate::gateway::Gateway;
use crate::load::Requests;
use crate::results::report::{Measured, VariantReport};
use crate::scenario::plan::Effort;
use crate::scenario::{LoadKind, Plan, Scenario, Unit};
use crate::stage::{Running, Stage};
use crate::{Outcome, open_loop};

pub struct Contest<'a> {
    pub scenario: &'a Scenario,
    pub gateways: &'a [Gateway],
    pub effort: Effort,
}

/// A gateway in a variant.
struct Entry {
    variant: usize,
    gateway: usize,
    /// Which process: variants that differ in their load alone share one. None while none is up.
    process: usize,
    turns: Vec<Figures>,
    /// Of all rounds together, where there is one.
    latencies: Option<Histogram<u64>>,
}

/// A process, and the clients that wait at it.
struct Up {
    // Dropped before the gateway: one that ends well would wait for its clients.
    waiting: Option<(Waiting, Figures)>,
    running: Running,
}

impl Contest<'_> {
    /// Every figure of every gateway in every variant. The first error ends it: nothing is compared where anything erred.
    pub fn run(&self, stage: &mut Stage, progress: &mut Progress) -> Outcome<Vec<VariantReport>> {
        let variants: Vec<Variant> = self
            .scenario
            .plan
            .variants()
            .into_iter()
            .map(Variant::of)
            .collect();
        let (mut entries, setups) = self.entries(&variants);
        let mut versions = vec![String::new(); self.gateways.len()];

        if self.scenario.plan.load.kind == LoadKind::None {
            // A memory without a past: each is started anew.
            for round in 0..self.effort.rounds {
                let mut ups = self.start_all(stage, &variants, &setups, &mut versions)?;
                for entry in &mut entries {
                    let up = &mut ups[entry.process];
                    let figures = up.waiting.as_ref().map(|(_, figures)| figures.clone());
                    let figures = figures.unwrap_or_default();
                    self.say(progress, round, entry, &variants[entry.variant], &figures);
                    entry.turns.push(figures);
                }
                check_waiting(&mut ups)?;
            }
            return Ok(self.reports(&variants, entries, &versions));
        }

        let mut ups = self.start_all(stage, &variants, &setups, &mut versions)?;
        let rate = self.rate(stage, progress, &variants[0], &entries, &mut ups)?;
        for round in 0..self.effort.rounds {
            for index in order(entries.len(), self.gateways.len(), round as usize) {
                let entry = &mut entries[index];
                let variant = &variants[entry.variant];
                let up = &mut ups[entry.process];
                let job = variant.job(Duration::from_secs_f64(self.effort.seconds), rate);
                let (mut figures, histogram) = turn::take(stage, &mut up.running, job)?;
                up.running.trim_logs()?;
                entry.add(histogram)?;
                if let Some((_, held)) = &up.waiting {
                    for figure in [Figure::ConnectionBytes, Figure::ConnectionProportionalBytes] {
                        held.get(figure).inspect(|&value| figures.set(figure, value));
                    }
                }
                self.say(progress, round, entry, variant, &figures);
                entry.turns.push(figures);
            }
        }
        check_waiting(&mut ups)?;
        for up in &ups {
            stage.check(&up.running)?;
        }
        if self.counts_calls() {
            self.count_calls(stage, progress, &variants, &mut entries, &mut ups);
        }
        Ok(self.reports(&variants, entries, &versions))
    }

    /// Of an open loop: its share of what the slowest gateway manages in a closed one, in the first variant.
    fn rate(
        &self,
        stage: &Stage,
        progress: &mut Progress,
        variant: &Variant,
        entries: &[Entry],
        ups: &mut [Up],
    ) -> Outcome<Option<u32>> {
        if !self.has(LoadKind::ConstantRate) {
            return Ok(None);
        }
        let mut slowest = f64::INFINITY;
        for entry in entries.iter().filter(|entry| entry.variant == 0) {
            let up = &mut ups[entry.process];
            let work = turn::work(stage, &mut up.running, variant.job(CAPACITY_TIME, None))?;
            let capacity = work.requests / work.seconds;
            let name = up.running.gateway.name();
            progress.turn(
                CAPACITY_TIME.as_secs_f64(),
                &format!("{name:<22}{capacity:>8.0}/s at most"),
            );
            slowest = slowest.min(capacity);
        }
        let rate = (slowest * variant.plan.load.share) as u32;
        progress.note(&format!("at {rate} requests a second"));
        Ok(Some(rate.max(1)))
    }

    /// Seconds of load that it will take: what the estimate of the time left counts in.
    pub fn planned(&self) -> f64 {
        let plan = &self.scenario.plan;
        let entries = (plan.variants().len() * self.gateways.len()) as f64;
        let calls = match self.counts_calls() {
            true => CALLS_SECONDS,
            false => 0.0,
        };
        let capacity = match self.has(LoadKind::ConstantRate) {
            true => self.gateways.len() as f64 * CAPACITY_TIME.as_secs_f64(),
            false => 0.0,
        };
        entries * (f64::from(self.effort.rounds) * self.turn_seconds() + calls) + capacity
    }

    fn counts_calls(&self) -> bool {
        self.effort.system_calls && calls::sensible(self.scenario.plan.load.kind)
    }

    fn has(&self, kind: LoadKind) -> bool {
        let variants = self.scenario.plan.variants();
        variants.iter().any(|(_, plan)| plan.load.kind == kind)
    }

    /// Of load, an open loop's warm-up included.
    fn turn_seconds(&self) -> f64 {
        let seconds = self.effort.seconds;
        match self.scenario.plan.load.kind {
            LoadKind::ConstantRate => seconds + open_loop::WARM_UP.as_secs_f64(),
            LoadKind::None => HOLD_SECONDS,
            _ => seconds,
        }
    }

    /// One entry a variant and gateway, in that order, and the processes they need: the variant and gateway each is
    /// started for.
    fn entries(&self, variants: &[Variant]) -> (Vec<Entry>, Vec<(usize, usize)>) {
        let mut entries = Vec::new();
        let mut setups: Vec<(usize, usize)> = Vec::new();
        for (variant, Variant { plan, .. }) in variants.iter().enumerate() {
            for gateway in 0..self.gateways.len() {
                let same = |&(other, its): &(usize, usize)| {
                    its == gateway && variants[other].plan.setup() == plan.setup()
                };
                let process = setups.iter().position(same).unwrap_or_else(|| {
                    setups.push((variant, gateway));
                    setups.len() - 1
                });
                entries.push(Entry {
                    variant,
                    gateway,
                    process,
                    turns: Vec::new(),
                    latencies: None,
                });
            }
        }
        (entries, setups)
    }

    /// Up, warm, and with their waiting connections open. Those are opened at all gateways and settle together: memory
    /// is each process's own.
    fn start_all(
        &self,
        stage: &mut Stage,
        variants: &[Variant],
        setups: &[(usize, usize)],
        versions: &mut [String],
    ) -> Outcome<Vec<Up>> {
        let mut ups = Vec::new();
        for &(variant, gateway) in setups {
            let Variant { plan, requests, .. } = &variants[variant];
            let mut running = stage.start(&self.gateways[gateway], self.scenario, plan)?;
            versions[gateway].clone_from(&running.version);
            // Pools are filled and pages touched before anything counts. What these connections leave behind for others
            // to use again flatters the memory of waiting ones by 64 in 5,000 at most.
            turn::warm_up(stage, &mut running, plan, requests)?;
            ups.push(Up {
                waiting: None,
                running,
            });
        }
        let mut any = false;
        for (up, &(variant, _)) in ups.iter_mut().zip(setups) {
            let idle = variants[variant].plan.load.idle;
            if idle > 0 {
                up.waiting = Some((Waiting::open(stage, &up.running, idle)?, Figures::default()));
                any = true;
            }
        }
        for up in &mut ups {
            if let Some((waiting, _)) = &mut up.waiting {
                waiting.opened(&mut up.running)?;
            }
        }
        if any {
            std::thread::sleep(turn::IDLE);
        }
        for up in &mut ups {
            if let Some((waiting, figures)) = &mut up.waiting {
                *figures = waiting.figures(&up.running)?;
            }
        }
        Ok(ups)
    }

    /// Where they cannot be counted the column stays empty; no figure depends on them.
    fn count_calls(
        &self,
        stage: &Stage,
        progress: &mut Progress,
        variants: &[Variant],
        entries: &mut [Entry],
        ups: &mut [Up],
    ) {
        for entry in entries {
            let variant = &variants[entry.variant];
            let running = &mut ups[entry.process].running;
            let name = self.name(entry, variant);
            match calls::count(stage, running, variant.job(Duration::from_secs(1), None)) {
                Ok(calls) => {
                    if let Some(turn) = entry.turns.first_mut() {
                        turn.set(Figure::SystemCalls, calls);
                    }
                    let unit = variant.plan.per.name();
                    progress.turn(
                        CALLS_SECONDS,
                        &format!("{name:<22}{calls:>8.2} system calls/{unit}"),
                    );
                }
                Err(error) => progress.note(&format!("{name}: system calls are not counted: {error}")),
            }
        }
    }

    fn say(&self, progress: &mut Progress, round: u32, entry: &Entry, variant: &Variant, figures: &Figures) {
        let rounds = self.effort.rounds;
        let name = self.name(entry, variant);
        let line = summary(figures, variant.plan.per);
        progress.turn(
            self.turn_seconds(),
            &format!("round {}/{rounds} {name:<22} {line}", round + 1),
        );
    }

    fn name(&self, entry: &Entry, variant: &Variant) -> String {
        let gateway = self.gateways[entry.gateway].name();
        match variant.name.as_str() {
            "" => gateway,
            name => format!("{gateway}, {name}"),
        }
    }

    fn reports(&self, variants: &[Variant], entries: Vec<Entry>, versions: &[String]) -> Vec<VariantReport> {
        let mut reports: Vec<VariantReport> = variants
            .iter()
            .map(|variant| VariantReport {
                name: variant.name.clone(),
                gateways: Vec::new(),
            })
            .collect();
        for entry in entries {
            let gateway = &self.gateways[entry.gateway];
            reports[entry.variant].gateways.push(Measured::of(
                gateway,
                versions[entry.gateway].clone(),
                entry.turns,
                entry.latencies,
            ));
        }
        reports
    }
}

/// A variant's plan, and what its clients ask for.
struct Variant {
    name: String,
    plan: Plan,
    requests: Requests,
}

impl Variant {
    fn of((name, plan): (String, Plan)) -> Self {
        // The targets are those of the whole scenario, which every variant's plan still knows.
        let requests = Requests::of(&plan);
        Self { name, plan, requests }
    }

    fn job(&self, time: Duration, rate: Option<u32>) -> Job<'_> {
        Job {
            plan: &self.plan,
            requests: &self.requests,
            time,
            rate,
        }
    }
}

impl Entry {
    fn add(&mut self, histogram: Option<Histogram<u64>>) -> Outcome<()> {
        match (&mut self.latencies, histogram) {
            (Some(all), Some(more)) => all.add(more)?,
            (all, more) => *all = all.take().or(more),
        }
        Ok(())
    }
}

/// An error unless all that wait are there still and answer.
fn check_waiting(ups: &mut [Up]) -> Outcome<()> {
    for up in ups.iter_mut() {
        if let Some((waiting, _)) = &mut up.waiting {
            waiting.ask()?;
        }
    }
    for up in ups {
        if let Some((waiting, _)) = &mut up.waiting {
            waiting.opened(&mut up.running)?;
        }
    }
    Ok(())
}

/// The turns of a round: variants one after the other with their gateways together, so that what is compared lies close
/// in time. Each round begins with another gateway, so that nobody always follows the same neighbour's heat.
fn order(entries: usize, gateways: usize, round: usize) -> Vec<usize> {
    let turn = |place: usize| place / gateways * gateways + (place + round) % gateways;
    (0..entries).map(turn).collect()
}

fn summary(figures: &Figures, unit: Unit) -> String {
    let get = |figure| figures.get(figure).unwrap_or(f64::NAN);
    if let (None, Some(bytes)) = (figures.get(Figure::CpuUs), figures.get(Figure::ConnectionBytes)) {
        return format!("{bytes:>8.0} bytes a connection");
    }
    let mut line = match unit {
        Unit::Gibibyte => format!(
            "{:>8.1} ms CPU/GiB {:>6.2} GiB/s",
            get(Figure::CpuUs) / 1e3,
            get(Figure::PerSecond)
        ),
        _ => format!(
            "{:>8.2} µs CPU/{} {:>8.0}/s",
            get(Figure::CpuUs),
            unit.name(),
            get(Figure::PerSecond)
        ),
    };
    if let Some(latency) = figures.get(Figure::P99Us) {
        line += &format!("  p99 {latency:>6.0} µs");
    }
    let busiest = [
        (Figure::BusiestRequests, "requests"),
        (Figure::BusiestShare, "CPU"),
    ];
    for (figure, what) in busiest {
        if let Some(share) = figures.get(figure) {
            line += &format!("  busiest worker {:.0} % of {what}", share * 100.0);
        }
    }
    if let Some(disturbance) = figures
        .get(Figure::Disturbance)
        .filter(|&share| share > super::DISTURBED)
    {
        line += &format!("  ({:.0} % of its CPU went elsewhere)", disturbance * 100.0);
    }
    line
}

/// Seconds in which strace attaches, counts and goes.
const CALLS_SECONDS: f64 = 1.5;
const CAPACITY_TIME: Duration = Duration::from_secs(1);
/// Opening some thousand connections, waiting, asking again.
const HOLD_SECONDS: f64 = 2.5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_has_every_turn_once_and_variants_stay_together() {
        assert_eq!(order(6, 3, 0), [0, 1, 2, 3, 4, 5]);
        assert_eq!(order(6, 3, 1), [1, 2, 0, 4, 5, 3]);
        let mut all = order(6, 3, 5);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5]);
    }
}
