//! Load tests of Ringway and its peers on one machine, in one run. `run` carries out scenarios; what they are lies in
//! `scenarios/`, a folder each (`scenario`). Below it lie what starts and checks gateways (`gateway`, `stage`), where
//! load comes from (`load`), what is read off the kernel (`usage`) and how figures are written down (`results`).

mod drain;
mod list;
mod run;
mod soak;

mod gateway;
mod load;
mod plot;
mod results;
mod scenario;
mod stage;

mod floor;
mod origin;

mod driver;
mod http;
mod machine;
mod open_loop;
mod process;
mod scratch;
mod sys;
mod usage;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::{Parser, Subcommand};

use gateway::{Gateway, Kind, Selection};
use scenario::Scenario;
use scenario::plan::FloorStyle;
use stage::Cpus;

/// Errors here are read by a person and end the run, so a message is all they need to be.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Measures Ringway against nginx, HAProxy, Envoy and a bare relay: same work, same machine, interleaved.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Subject,
}

#[derive(Subcommand)]
enum Subject {
    /// Run scenarios: CPU time, throughput, latency and memory, as tables of ratios
    Run(run::Options),
    /// Write the newest results' headline figures into the README
    Readme(results::readme::Options),
    /// What each scenario measures
    List(Scenarios),
    /// The configurations of a scenario, filled in as they would be
    Show(list::Show),
    /// End a gateway under load: exit 1 when a request is lost
    Drain(drain::Options),
    /// A minute of load: exit 1 when a request fails
    Soak(soak::Options),
    /// Requests at a constant rate, latencies free of coordinated omission
    OpenLoop(open_loop::Options),
    /// Serve the minimal origin the scenarios use
    Origin(Origin),
    /// Serve the bare relay that is the floor of every comparison
    Floor(Floor),
    /// Hold connections open until stdin ends
    #[command(hide = true)]
    Hold(load::hold::Options),
}

/// What every subcommand that starts gateways takes.
#[derive(Debug, clap::Args)]
struct Bench {
    #[command(flatten)]
    selection: Selection,

    #[command(flatten)]
    cpus: Cpus,

    #[command(flatten)]
    scenarios: Scenarios,
}

/// Where scenarios are looked for.
#[derive(Debug, clap::Args)]
struct Scenarios {
    /// Folder of the scenarios
    #[arg(long, default_value = scenario::FOLDER, value_name = "FOLDER")]
    folder: PathBuf,
}

#[derive(clap::Args)]
struct Origin {
    /// Port on 127.0.0.1; 0 lets the kernel choose
    #[arg(long)]
    port: u16,
    /// CPU to run on alone
    #[arg(long)]
    cpu: Option<usize>,
    /// Bytes of each answer's body
    #[arg(long, default_value_t = 13)]
    body_bytes: u64,
    /// Milliseconds from a request to its answer
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
}

#[derive(clap::Args)]
struct Floor {
    /// Port on 127.0.0.1; 0 lets the kernel choose
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Where to relay to
    #[arg(long, value_name = "ADDRESS:PORT")]
    origin: SocketAddr,
    #[arg(long, value_enum, default_value = "io_uring")]
    driver: driver::Driver,
    /// Copy bytes of connections that stay, or one exchange a connection
    #[arg(long, value_enum, default_value = "copy")]
    style: FloorStyle,
    /// Bytes read at once
    #[arg(long, default_value_t = 16_384)]
    buffer_bytes: usize,
    /// CPU to run on alone
    #[arg(long)]
    cpu: Option<usize>,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loadtest: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(subject: Subject) -> Outcome<()> {
    match subject {
        Subject::Run(options) => run::run(&options),
        Subject::Readme(options) => results::readme::run(&options),
        Subject::List(scenarios) => list::run(&scenarios),
        Subject::Show(options) => list::show(&options),
        Subject::Drain(options) => drain::run(&options),
        Subject::Soak(options) => soak::run(&options),
        Subject::OpenLoop(options) => open_loop::run(&options),
        Subject::Hold(options) => load::hold::run(&options),
        Subject::Origin(Origin {
            port,
            cpu,
            body_bytes,
            delay_ms,
        }) => {
            prepare_server(cpu)?;
            let options = origin::Options {
                body_bytes,
                delay: Duration::from_millis(delay_ms),
            };
            Ok(origin::serve(port, options, announce)?)
        }
        Subject::Floor(Floor {
            port,
            origin,
            driver,
            style,
            buffer_bytes,
            cpu,
        }) => {
            prepare_server(cpu)?;
            let relay = floor::Relay {
                driver,
                style,
                buffer: buffer_bytes,
                origin,
            };
            Ok(relay.serve(port, announce)?)
        }
    }
}

impl Bench {
    /// The scenario of plain small requests, and who of Ringway alone, or those asked for, takes part in it: what
    /// `drain` and `soak` use.
    fn plain(&self) -> Outcome<(Scenario, Vec<Gateway>)> {
        let scenario = Scenario::load(&self.scenarios.folder, PLAIN)?;
        let kinds = self.selection.gateways.clone().unwrap_or(vec![Kind::Ringway]);
        Ok((scenario, self.selection.choose(&kinds)?.gateways))
    }

    /// Of the tree this program lies in, when Ringway was built beside it; nobody knows where another one comes from.
    fn commit(&self) -> Option<String> {
        if self.selection.ringway.is_some() {
            return None;
        }
        let git = |arguments: &[&str]| {
            let output = Command::new("git")
                .args(["-C", env!("CARGO_MANIFEST_DIR")])
                .args(arguments)
                .output()
                .ok()
                .filter(|output| output.status.success())?;
            Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
        let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
        let mark = if changed.is_empty() { "" } else { " and changes" };
        Some(commit + mark)
    }
}

fn prepare_server(cpu: Option<usize>) -> Outcome<()> {
    sys::raise_descriptor_limit()?;
    if let Some(cpu) = cpu {
        sys::pin(cpu)?;
    }
    Ok(())
}

fn announce(address: SocketAddr) -> std::io::Result<()> {
    println!("listening on {address}");
    Ok(())
}

const PLAIN: &str = "small-keep-alive";
