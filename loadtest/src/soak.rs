//! `soak`: a minute of load in which not one request may fail, and memory before and after.

use crate::Outcome;
use crate::gateway::{Kind, Selection};
use crate::stage::{Cpus, Stage};
use crate::usage;

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Gateways to load, one after the other
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        value_name = "LIST",
        default_value = "ringway"
    )]
    gateways: Vec<Kind>,

    #[command(flatten)]
    selection: Selection,

    /// Seconds of load
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,

    /// Keep-alive connections
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=8000))]
    connections: u32,

    #[command(flatten)]
    cpus: Cpus,
}

/// Prints a line a gateway; the first that errs ends the run.
pub fn run(options: &Options) -> Outcome<()> {
    let gateways = options.selection.gateways(&options.gateways)?;
    let stage = Stage::set(options.cpus, BODY_BYTES)?;
    for gateway in &gateways {
        let mut running = stage.start(gateway)?;
        // Memory is compared between two moments of the same kind: after load.
        stage.load(&mut running, options.connections, WARM_UP_SECONDS)?;
        let before = usage::memory(running.process.id())?;
        eprintln!(
            "{gateway}: {} connections for {} s",
            options.connections, options.seconds
        );
        let served = stage.load(&mut running, options.connections, options.seconds)?;
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

const BODY_BYTES: usize = 13;
const WARM_UP_SECONDS: u32 = 1;
