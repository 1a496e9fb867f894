//! Load tests of Ringway and its peers on one machine, in one run. Each subcommand is a file; below them lie the
//! gateways and their configurations (`gateway`), what starts and checks them (`stage`), where load comes from
//! (`wrk`, `http`), what is read off the kernel (`usage`) and how figures are written down (`report`).

mod compare;
mod drain;
mod idle;
mod soak;

mod gateway;
#[cfg_attr(not(test), allow(dead_code))] // used by the scenarios
mod plot;
mod report;
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
mod wrk;

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Errors here are read by a person and end the run, so a message is all they need to be.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Measures Ringway against nginx, HAProxy and a bare relay: same work, same machine, interleaved.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Subject,
}

#[derive(Subcommand)]
enum Subject {
    /// CPU time per request, throughput and latency, as a table of ratios
    Compare(compare::Options),
    /// Memory per idle keep-alive connection
    Idle(idle::Options),
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
    body_bytes: usize,
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
        Subject::Compare(options) => compare::run(&options),
        Subject::Idle(options) => idle::run(&options),
        Subject::Drain(options) => drain::run(&options),
        Subject::Soak(options) => soak::run(&options),
        Subject::OpenLoop(options) => open_loop::run(&options),
        Subject::Origin(Origin {
            port,
            cpu,
            body_bytes,
        }) => {
            prepare_server(cpu)?;
            Ok(origin::serve(port, body_bytes, announce)?)
        }
        Subject::Floor(Floor {
            port,
            origin,
            driver,
            cpu,
        }) => {
            prepare_server(cpu)?;
            Ok(floor::serve(driver, port, origin, announce)?)
        }
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
