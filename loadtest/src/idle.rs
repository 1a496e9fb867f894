//! `idle`: what a keep-alive connection that waits costs in memory.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::gateway::{Gateway, Kind, Selection};
use crate::http::{self, Client};
use crate::machine::Machine;
use crate::report;
use crate::stage::{Cpus, Stage};
use crate::usage::{self, Memory};
use crate::{Outcome, sys};

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Gateways to measure
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        value_name = "LIST",
        default_value = "ringway,nginx,haproxy,floor"
    )]
    gateways: Vec<Kind>,

    #[command(flatten)]
    selection: Selection,

    /// Idle connections
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,

    #[command(flatten)]
    cpus: Cpus,

    /// Folder for the results
    #[arg(long, default_value = "loadtest/results", value_name = "FOLDER")]
    results: PathBuf,
}

#[derive(Serialize)]
struct Report {
    scenario: &'static str,
    machine: Machine,
    connections: u32,
    gateways: Vec<Measured>,
}

/// Memory in bytes.
#[derive(Serialize)]
struct Measured {
    name: String,
    version: String,
    /// Warm, but with no client.
    before: Memory,
    /// Each connection open and answered once.
    open: Memory,
    /// The same, 2 s later.
    idle: Memory,
    resident_per_connection: f64,
    proportional_per_connection: f64,
}

pub fn run(options: &Options) -> Outcome<()> {
    let gateways = options.selection.gateways(&options.gateways)?;
    // The bare relay holds two descriptors a connection.
    let needed = u64::from(options.connections) * 2 + 200;
    let limit = sys::raise_descriptor_limit()?;
    if needed > limit {
        let connections = options.connections;
        return Err(format!(
            "{connections} connections need {needed} descriptors, the hard limit is {limit}"
        )
        .into());
    }
    let stage = Stage::set(options.cpus, BODY_BYTES)?;
    let mut measured = Vec::new();
    for gateway in &gateways {
        let one = measure(&stage, gateway, options.connections)?;
        eprintln!(
            "{:<22}{:>8.0} bytes a connection",
            one.name, one.resident_per_connection
        );
        measured.push(one);
    }
    let report = Report {
        scenario: SCENARIO,
        machine: Machine::here(),
        connections: options.connections,
        gateways: measured,
    };
    let markdown = report.markdown();
    let folder = report::keep(&options.results, &report.machine, SCENARIO, &report, &markdown)?;
    println!("{markdown}");
    eprintln!("kept in {}", folder.display());
    Ok(())
}

fn measure(stage: &Stage, gateway: &Gateway, connections: u32) -> Outcome<Measured> {
    let mut running = stage.start(gateway)?;
    // What is set up once, whatever the number of connections, is set up before the first reading. What these few
    // connections leave behind for others to use again flatters the result by 64 in 5,000 at most.
    stage.load(&mut running, WARM_UP_CONNECTIONS, 1)?;
    let id = running.process.id();
    let before = usage::memory(id)?;

    let request = http::request("GET", running.address, b"");
    let exchange = |client: &mut Client| -> Outcome<()> {
        let answer = client
            .exchange(&request)
            .map_err(|error| format!("{gateway}: {error}"))?;
        let fine = answer.status == 200 && !answer.close;
        if fine {
            Ok(())
        } else {
            Err(format!("{gateway} does not keep the connection: {answer:?}").into())
        }
    };
    let mut clients = Vec::new();
    for number in 1..=connections {
        let mut client = Client::connect(running.address)
            .map_err(|error| format!("{gateway}: connection {number}: {error}"))?;
        exchange(&mut client)?;
        clients.push(client);
    }
    let open = usage::memory(id)?;
    std::thread::sleep(IDLE);
    let idle = usage::memory(id)?;

    // A gateway that had closed them would have needed little memory.
    for client in &mut clients {
        exchange(client)?;
    }
    running.process.ensure_running()?;
    let each = |after: u64, before: u64| (after as f64 - before as f64) / f64::from(connections);
    Ok(Measured {
        name: gateway.name(),
        version: running.version,
        before,
        open,
        idle,
        resident_per_connection: each(idle.resident, before.resident),
        proportional_per_connection: each(idle.proportional, before.proportional),
    })
}

impl Report {
    fn markdown(&self) -> String {
        let head = [
            "gateway",
            "bytes/connection",
            "by PSS",
            "RSS before, KiB",
            "open",
            "idle 2 s",
        ]
        .map(String::from);
        let row = |one: &Measured| {
            let kibibytes = |memory: Memory| (memory.resident / 1024).to_string();
            vec![
                one.name.clone(),
                format!("{:.0}", one.resident_per_connection),
                format!("{:.0}", one.proportional_per_connection),
                kibibytes(one.before),
                kibibytes(one.open),
                kibibytes(one.idle),
            ]
        };
        let rows: Vec<Vec<String>> = self.gateways.iter().map(row).collect();
        let Machine {
            taken,
            cpu_model,
            kernel,
            ..
        } = &self.machine;
        let connections = self.connections;
        format!(
            "# {SCENARIO}\n\n{taken}, {cpu_model}, Linux {kernel}. Growth of resident memory from none to {connections} \
             keep-alive connections, each answered once and then idle for 2 s; all still answered afterwards. The \
             kernel's own socket memory is not in it; what a gateway sets aside at start for connections to come \
             is in its figure before.\n\n{}",
            report::table(&head, &rows)
        )
    }
}

const SCENARIO: &str = "idle-connections";
const BODY_BYTES: usize = 13;
const WARM_UP_CONNECTIONS: u32 = 64;
const IDLE: Duration = Duration::from_secs(2);
