//! `compare`: the cost of a request through each gateway, in interleaved rounds.

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use crate::gateway::{Gateway, Kind, Selection};
use crate::machine::Machine;
use crate::report::{self, median};
use crate::stage::{Cpus, Running, Stage};
use crate::{Outcome, usage};

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Gateways to compare
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        value_name = "LIST",
        default_value = "ringway,nginx,nginx-bare,haproxy,floor"
    )]
    gateways: Vec<Kind>,

    #[command(flatten)]
    selection: Selection,

    /// Rounds; in each, every gateway has its turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,

    /// Seconds of load a turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,

    /// Turns of 3 seconds: about two minutes for the usual gateways
    #[arg(long, conflicts_with = "seconds")]
    quick: bool,

    /// Keep-alive connections of the load
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=8000))]
    connections: u32,

    /// Bytes of each answer's body
    #[arg(long, default_value_t = 13)]
    body_bytes: usize,

    #[command(flatten)]
    cpus: Cpus,

    /// Folder for the results
    #[arg(long, default_value = "loadtest/results", value_name = "FOLDER")]
    results: PathBuf,
}

/// Everything a run found, as it is kept in JSON.
#[derive(Serialize)]
struct Report {
    scenario: &'static str,
    machine: Machine,
    plan: Plan,
    gateways: Vec<Measured>,
}

#[derive(Serialize)]
struct Plan {
    rounds: u32,
    seconds: u32,
    connections: u32,
    body_bytes: usize,
    gateway_cpu: usize,
    load_cpu: usize,
}

#[derive(Serialize)]
struct Measured {
    name: String,
    version: String,
    rounds: Vec<Turn>,
    /// Of each figure by itself.
    median: Turn,
    /// Medians of the ratios within each round, to those peers that took part.
    ratios: Vec<Ratio>,
}

/// One gateway's turn in one round. Processor time in microseconds a request.
#[derive(Debug, Clone, Serialize)]
struct Turn {
    cpu_us: f64,
    user_us: f64,
    system_us: f64,
    requests_per_second: f64,
    p50_us: f64,
    p90_us: f64,
    p99_us: f64,
    p999_us: f64,
    /// Share of the gateway's CPU that something else used meanwhile, 0 to 1.
    disturbance: f64,
}

#[derive(Serialize)]
struct Ratio {
    to: &'static str,
    cpu: f64,
    user: f64,
}

/// A peer that others are held against.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Peer {
    Nginx,
    Haproxy,
    /// The bare relay on the same driver: what the features cost.
    Floor,
}

pub fn run(options: &Options) -> Outcome<()> {
    let plan = options.plan();
    let gateways = options.selection.gateways(&options.gateways)?;
    let stage = Stage::set(options.cpus, plan.body_bytes)?;
    let mut running = Vec::new();
    for gateway in &gateways {
        let mut started = stage.start(gateway)?;
        eprintln!("{gateway} at {}: {}", started.address, started.version);
        // Pools are filled and pages touched before anything counts.
        stage.load(&mut started, plan.connections, WARM_UP_SECONDS)?;
        running.push(started);
    }

    let mut turns: Vec<Vec<Turn>> = vec![Vec::new(); running.len()];
    for round in 0..plan.rounds as usize {
        for place in 0..running.len() {
            // Each round begins with another, so that nobody always follows the same neighbour's heat.
            let index = (round + place) % running.len();
            let turn = measure(&stage, &plan, &mut running[index])?;
            eprintln!(
                "round {}/{}  {}",
                round + 1,
                plan.rounds,
                turn.progress(&running[index].gateway)
            );
            turns[index].push(turn);
        }
    }
    for each in &running {
        stage.check(each)?;
    }

    let measured = Measured::all(running, turns);
    let report = Report {
        scenario: SCENARIO,
        machine: Machine::here(),
        plan,
        gateways: measured,
    };
    let markdown = report.markdown();
    let folder = report::keep(&options.results, &report.machine, SCENARIO, &report, &markdown)?;
    println!("{markdown}");
    eprintln!("kept in {}", folder.display());
    Ok(())
}

fn measure(stage: &Stage, plan: &Plan, running: &mut Running) -> Outcome<Turn> {
    let id = running.process.id();
    let (began, busy_before, before) = (
        Instant::now(),
        usage::cpu_busy(plan.gateway_cpu)?,
        usage::cpu_time(id)?,
    );
    let served = stage.load(running, plan.connections, plan.seconds)?;
    let (busy, spent) = (
        usage::cpu_busy(plan.gateway_cpu)? - busy_before,
        usage::cpu_time(id)?.since(before),
    );
    let microseconds = 1e6 / served.requests as f64;
    Ok(Turn {
        cpu_us: spent.sum() * microseconds,
        user_us: spent.user * microseconds,
        system_us: spent.system * microseconds,
        requests_per_second: served.requests_per_second(),
        p50_us: served.p50_us,
        p90_us: served.p90_us,
        p99_us: served.p99_us,
        p999_us: served.p999_us,
        // The two clocks round differently, by a tick or two.
        disturbance: ((busy - spent.sum()) / began.elapsed().as_secs_f64()).max(0.0),
    })
}

impl Options {
    fn plan(&self) -> Plan {
        Plan {
            rounds: self.rounds,
            seconds: if self.quick { QUICK_SECONDS } else { self.seconds },
            connections: self.connections,
            body_bytes: self.body_bytes,
            gateway_cpu: self.cpus.gateway_cpu,
            load_cpu: self.cpus.load_cpu,
        }
    }
}

impl Turn {
    fn progress(&self, gateway: &Gateway) -> String {
        let Self {
            cpu_us,
            requests_per_second,
            p99_us,
            disturbance,
            ..
        } = self;
        let noise = if *disturbance > DISTURBED {
            format!("  ({:.0} % of its CPU went elsewhere)", disturbance * 100.0)
        } else {
            String::new()
        };
        format!(
            "{:<22}{cpu_us:>7.2} µs CPU/request {requests_per_second:>9.0}/s  p99 {p99_us:>6.0} µs{noise}",
            gateway.name()
        )
    }

    fn median(turns: &[Turn]) -> Turn {
        let of = |figure: fn(&Turn) -> f64| median(turns.iter().map(figure));
        Turn {
            cpu_us: of(|turn| turn.cpu_us),
            user_us: of(|turn| turn.user_us),
            system_us: of(|turn| turn.system_us),
            requests_per_second: of(|turn| turn.requests_per_second),
            p50_us: of(|turn| turn.p50_us),
            p90_us: of(|turn| turn.p90_us),
            p99_us: of(|turn| turn.p99_us),
            p999_us: of(|turn| turn.p999_us),
            disturbance: of(|turn| turn.disturbance),
        }
    }
}

impl Measured {
    fn all(running: Vec<Running>, turns: Vec<Vec<Turn>>) -> Vec<Measured> {
        let gateways: Vec<Gateway> = running.iter().map(|each| each.gateway.clone()).collect();
        let one = |(index, running): (usize, Running)| {
            let Running { gateway, version, .. } = running;
            let ratios = Peer::ALL.into_iter().filter_map(|peer| {
                let base = gateways.iter().position(|other| peer.is(other, &gateway))?;
                Some(peer.ratio(&turns[index], &turns[base]))
            });
            Measured {
                name: gateway.name(),
                version,
                median: Turn::median(&turns[index]),
                ratios: ratios.collect(),
                rounds: turns[index].clone(),
            }
        };
        running.into_iter().enumerate().map(one).collect()
    }

    fn ratio(&self, peer: Peer) -> Option<&Ratio> {
        self.ratios.iter().find(|ratio| ratio.to == peer.name())
    }
}

impl Peer {
    const ALL: [Peer; 3] = [Peer::Nginx, Peer::Haproxy, Peer::Floor];

    fn name(self) -> &'static str {
        match self {
            Peer::Nginx => "nginx",
            Peer::Haproxy => "HAProxy",
            Peer::Floor => "bare relay",
        }
    }

    /// Whether `other` is this peer for `gateway`.
    fn is(self, other: &Gateway, gateway: &Gateway) -> bool {
        match self {
            Peer::Nginx => *other == Gateway::NGINX,
            Peer::Haproxy => *other == Gateway::Haproxy,
            Peer::Floor => matches!(other, Gateway::Floor { driver } if Some(*driver) == gateway.driver()),
        }
    }

    /// Within a round first: what slows the machine for a while slows both, and drops out.
    fn ratio(self, turns: &[Turn], base: &[Turn]) -> Ratio {
        let of = |figure: fn(&Turn) -> f64| {
            median(
                turns
                    .iter()
                    .zip(base)
                    .map(|(turn, base)| figure(turn) / figure(base)),
            )
        };
        Ratio {
            to: self.name(),
            cpu: of(|turn| turn.cpu_us),
            user: of(|turn| turn.user_us),
        }
    }
}

impl Report {
    fn markdown(&self) -> String {
        let peers: Vec<Peer> = Peer::ALL
            .into_iter()
            .filter(|&peer| self.gateways.iter().any(|one| one.ratio(peer).is_some()))
            .collect();
        let mut head: Vec<String> = ["gateway", "CPU µs/request", "user", "system"]
            .map(String::from)
            .into();
        head.extend(peers.iter().map(|peer| format!("× {}", peer.name())));
        head.extend(
            peers
                .iter()
                .filter(|&&peer| peer == Peer::Nginx)
                .map(|_| "user × nginx".to_owned()),
        );
        head.extend(["requests/s", "p50 µs", "p99 µs"].map(String::from));
        let row = |one: &Measured| {
            let Turn {
                cpu_us,
                user_us,
                system_us,
                requests_per_second,
                p50_us,
                p99_us,
                ..
            } = one.median;
            let times = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.2}"));
            let mut cells = vec![
                one.name.clone(),
                format!("{cpu_us:.2}"),
                format!("{user_us:.2}"),
                format!("{system_us:.2}"),
            ];
            cells.extend(
                peers
                    .iter()
                    .map(|&peer| times(one.ratio(peer).map(|ratio| ratio.cpu))),
            );
            if peers.contains(&Peer::Nginx) {
                cells.push(times(one.ratio(Peer::Nginx).map(|ratio| ratio.user)));
            }
            cells.extend([requests_per_second, p50_us, p99_us].map(|value| format!("{value:.0}")));
            cells
        };
        let rows: Vec<Vec<String>> = self.gateways.iter().map(row).collect();
        let Plan {
            rounds,
            seconds,
            connections,
            body_bytes,
            gateway_cpu,
            load_cpu,
        } = self.plan;
        let Machine {
            taken,
            cpu_model,
            cpus,
            kernel,
        } = &self.machine;
        let mut text = format!(
            "# {SCENARIO}\n\n{taken}, {cpu_model}, {cpus} CPUs, Linux {kernel}. {connections} keep-alive connections, \
             {body_bytes}-byte answers, {rounds} rounds of {seconds} s; one worker on CPU {gateway_cpu}, load and origin \
             on CPU {load_cpu}. Medians; ratios of CPU time per request are medians of each round's ratio.\n\n"
        );
        text += &report::table(&head, &rows);
        text.push('\n');
        for one in &self.gateways {
            text += &format!("- {}: {}\n", one.name, one.version);
        }
        let worst = self
            .gateways
            .iter()
            .flat_map(|one| &one.rounds)
            .map(|turn| turn.disturbance)
            .fold(0.0, f64::max);
        if worst > DISTURBED {
            text += &format!(
                "\nNot a quiet machine: in one turn {:.0} % of the gateway's CPU went to something else.\n",
                worst * 100.0
            );
        }
        text
    }
}

const SCENARIO: &str = "small-keep-alive";
const WARM_UP_SECONDS: u32 = 1;
const QUICK_SECONDS: u32 = 3;

/// Above this share other work on the gateway's CPU (its caches, its clock) shows in the figures.
const DISTURBED: f64 = 0.03;

#[cfg(test)]
#[path = "compare/tests.rs"]
mod tests;
