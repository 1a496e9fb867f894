//! `run`: scenarios, one after the other, and what came of them.

mod calls;
mod contest;
pub mod figures;
mod progress;
mod turn;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use contest::Contest;
use progress::Progress;

use crate::gateway::{Chosen, Gateway, Kind};
use crate::machine::Machine;
use crate::results::report::Report;
use crate::results::{self, summary};
use crate::scenario::Scenario;
use crate::scenario::plan::Effort;
use crate::stage::Stage;
use crate::{Bench, Outcome};

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Scenarios to run, in this order [default: all that have quick rounds]
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    scenarios: Option<Vec<String>>,

    /// As many and as long rounds as the plans have for a full run
    #[arg(long)]
    full: bool,

    /// Rounds; in each, every gateway has its turn [default: the plan's]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,

    /// Seconds of load a turn [default: the plan's]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: Option<u32>,

    /// Leave out the turns in which strace counts system calls
    #[arg(long)]
    no_calls: bool,

    #[command(flatten)]
    bench: Bench,

    /// Folder for the results; each day and machine has its own in it
    #[arg(long, default_value = RESULTS, value_name = "FOLDER")]
    results: PathBuf,
}

/// What is known of a scenario before it runs.
enum Prospect {
    Ready {
        gateways: Vec<Gateway>,
        effort: Effort,
    },
    /// Why it is skipped.
    Skipped(String),
}

/// Runs all; a scenario that fails does not keep the others from running, but the run has failed then.
pub fn run(options: &Options) -> Outcome<()> {
    let mut scenarios = Scenario::several(&options.bench.scenarios.folder, options.scenarios.as_deref())?;
    for scenario in &mut scenarios {
        scenario.plan = scenario.plan.clone().cut(options.full);
    }
    let mut left_out = Vec::new();
    let mut stage = Stage::set(options.bench.cpus)?;
    let mut prospects = Vec::new();
    for scenario in &scenarios {
        prospects.push(options.prospect(scenario, &mut stage, &mut left_out)?);
    }
    for line in &left_out {
        eprintln!("{line}");
    }
    let contest = |scenario, gateways, effort| Contest {
        scenario,
        gateways,
        effort,
    };
    let planned = scenarios
        .iter()
        .zip(&prospects)
        .map(|(scenario, prospect)| match prospect {
            Prospect::Ready { gateways, effort } => contest(scenario, gateways, effort.clone()).planned(),
            Prospect::Skipped(_) => 0.0,
        });
    let mut progress = Progress::new(planned.sum());
    let machine = Machine::here(options.bench.commit());
    let mut failed = Vec::new();
    let mut skipped = Vec::new();
    for (index, (scenario, prospect)) in scenarios.iter().zip(&prospects).enumerate() {
        progress.scenario(index + 1, scenarios.len(), &scenario.name);
        let (gateways, effort) = match prospect {
            Prospect::Ready { gateways, effort } => (gateways, effort.clone()),
            Prospect::Skipped(reason) => {
                progress.note(&format!("skipped: {reason}"));
                skipped.push(format!("{}: {reason}", scenario.name));
                continue;
            }
        };
        let contest = contest(scenario, gateways, effort.clone());
        match contest.run(&mut stage, &mut progress) {
            Ok(variants) => {
                let report = Report::new(
                    &scenario.name,
                    scenario.plan.clone(),
                    machine.now(),
                    effort,
                    stage.cpus,
                    left_out.clone(),
                    variants,
                );
                results::keep(&options.results, &report)?;
                println!("{}", report.markdown());
            }
            Err(error) => {
                progress.skip(contest.planned());
                progress.note(&format!("nothing is compared: {error}"));
                failed.push(format!("{}: {error}", scenario.name));
            }
        }
    }
    if let Some(folder) = summary::keep(&options.results, &machine, &skipped, &failed)? {
        eprintln!("kept in {}", folder.display());
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "{} of {} scenarios failed:\n  {}",
            failed.len(),
            scenarios.len(),
            failed.join("\n  ")
        )
        .into())
    }
}

impl Options {
    fn prospect(
        &self,
        scenario: &Scenario,
        stage: &mut Stage,
        left_out: &mut Vec<String>,
    ) -> Outcome<Prospect> {
        let plan = &scenario.plan;
        let effort = if self.full { &plan.full } else { &plan.quick };
        let effort = Effort {
            rounds: self.rounds.unwrap_or(effort.rounds),
            seconds: self.seconds.map_or(effort.seconds, f64::from),
            system_calls: effort.system_calls && !self.no_calls,
            without: match self.bench.selection.gateways {
                Some(_) => Vec::new(),
                None => effort.without.clone(),
            },
        };
        let mut kinds = plan.gateways.clone();
        kinds.retain(|kind| !effort.without.contains(kind));
        let chosen = self.bench.selection.choose(&kinds)?;
        let Chosen {
            gateways,
            left_out: more,
        } = chosen;
        for line in more {
            if !left_out.contains(&line) {
                left_out.push(line);
            }
        }
        if gateways.is_empty() {
            return Ok(Prospect::Skipped("none of its gateways takes part".into()));
        }
        if let Some(need) = &plan.needs
            && let Some(ringway) = gateways.iter().find(|gateway| gateway.kind() == Kind::Ringway)
            && let Err(problem) = ringway.accepts(scenario, &stage.values(plan, NOWHERE)?)
        {
            return Ok(Prospect::Skipped(format!(
                "this Ringway does not have {need} yet: {problem}"
            )));
        }
        Ok(Prospect::Ready { gateways, effort })
    }
}

/// What a configuration that is only checked forwards to.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9);

/// Above this share other work on the gateway's CPU (its caches, its clock) shows in the figures.
pub const DISTURBED: f64 = 0.03;

pub const RESULTS: &str = "loadtest/results";
