//! `soak`: a minute of load in which not one request may fail, and memory before and after.

use crate::load::Requests;
use crate::stage::Stage;
use crate::{Bench, Outcome, usage};

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Seconds of load
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,

    /// Keep-alive connections
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=8000))]
    connections: u32,

    #[command(flatten)]
    bench: Bench,
}

/// Prints a line a gateway; the first that errs ends the run.
pub fn run(options: &Options) -> Outcome<()> {
    let Options {
        seconds,
        connections,
        bench,
    } = options;
    let (scenario, gateways) = bench.plain()?;
    let requests = Requests::of(&scenario.plan);
    let mut stage = Stage::set(bench.cpus)?;
    for gateway in &gateways {
        let mut running = stage.start(gateway, &scenario, &scenario.plan)?;
        // Memory is compared between two moments of the same kind: after load.
        stage.load(&mut running, &requests, *connections, 1, WARM_UP_SECONDS)?;
        let before = usage::memory(running.process.id())?;
        eprintln!("{gateway}: {connections} connections for {seconds} s");
        let served = stage.load(&mut running, &requests, *connections, 1, *seconds)?;
        let after = usage::memory(running.process.id())?;
        stage.check(&running)?;
        println!(
            "{gateway}: {} requests, no error, {:.0}/s, p99 {:.0} µs, resident {} KiB before and {} KiB after",
            served.requests,
            served.requests_per_second(),
            served.p99_us,
            before.resident / 1024,
            after.resident / 1024
        );
    }
    Ok(())
}

const WARM_UP_SECONDS: u32 = 1;
