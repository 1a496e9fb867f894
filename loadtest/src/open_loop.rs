//! Load at a constant rate, whatever the gateway does: an open loop. A closed loop (`wrk`) sends less while a gateway
//! stalls, so one stall is one slow request there; here it is every request that should have started meanwhile.
//!
//! Each request has an intended start on a schedule fixed beforehand (`schedule`), and its latency counts from there to
//! the last byte of its answer (`answer`). When every connection is busy it waits, and its waiting counts.

mod answer;
mod connection;
mod generator;
mod measured;
mod punctuality;
mod schedule;

use std::fs::{self, File};
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub use measured::Measured;

use crate::scratch::Scratch;
use crate::{Outcome, http, sys};
use generator::Plan;
use schedule::Schedule;

/// Load from a process of its own.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub connections: u32,
    /// Requests per second over all connections.
    pub rate: u32,
    /// How long requests count. `WARM_UP` comes before.
    pub seconds: u32,
    /// Where the generator runs.
    pub cpu: usize,
}

impl Load {
    /// Sends `request`, the bytes of one, to `address` at the rate. Takes `WARM_UP` more than `seconds`, and up to ten
    /// for answers that do not come. Errors and lateness are in the result; whether they matter is the caller's to say
    /// (`Measured::ensure_clean`, `Measured::ensure_on_time`).
    pub fn run(&self, address: SocketAddr, request: &[u8], folder: &Scratch) -> Outcome<Measured> {
        let (file, answer, words) = (
            folder.path("open-loop.request"),
            folder.path("open-loop.json"),
            folder.path("open-loop.log"),
        );
        fs::write(&file, request)?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(self.arguments(address))
            .arg("--request")
            .arg(&file)
            .stdin(Stdio::null())
            // Files, because a histogram may be more than a pipe holds.
            .stdout(File::create(&answer)?)
            .stderr(File::create(&words)?);
        let mut child = sys::spawn(&mut command, &[self.cpu])?;
        let deadline = Instant::now() + Duration::from_secs(u64::from(self.seconds)) + PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if Instant::now() >= deadline {
                child.kill()?;
                child.wait()?;
                return Err("the open-loop generator did not end in time".into());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        if !status.success() {
            let words = fs::read_to_string(&words)?;
            return Err(format!("the open-loop generator failed ({status}): {}", words.trim()).into());
        }
        Measured::from_json(&fs::read_to_string(&answer)?)
    }

    fn arguments(&self, address: SocketAddr) -> Vec<String> {
        let Self {
            connections,
            rate,
            seconds,
            cpu: _,
        } = self;
        format!(
            "open-loop --json --address {address} --connections {connections} --rate {rate} --seconds {seconds}"
        )
        .split(' ')
        .map(String::from)
        .collect()
    }
}

/// Sends requests at a constant rate and shows how long answers took.
///
/// Each request has its time on a fixed schedule. Latency counts from there to the last byte of the answer, so that
/// requests which had to wait because all connections were busy show it. The first half second is warm-up and not counted.
///
/// Exits 1 when a request was not answered with status 200, or when the generator itself was more than a millisecond
/// late for more than 1 % of the requests.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Where to send requests
    #[arg(long, value_name = "ADDRESS:PORT")]
    address: SocketAddr,

    /// Requests per second over all connections
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,

    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    connections: u32,

    /// How long to count, after half a second of warm-up
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,

    /// File with the bytes of the request to send; without it, GET /
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,

    /// CPU to run on alone
    #[arg(long)]
    cpu: Option<usize>,

    /// One line of JSON instead of the table, with the histogram of nanoseconds (HdrHistogram V2, base64); exits 0
    /// whatever the figures are
    #[arg(long)]
    json: bool,
}

pub fn run(options: &Options) -> Outcome<()> {
    let &Options {
        address,
        rate,
        connections,
        seconds,
        json,
        ..
    } = options;
    let needed = u64::from(connections) + 50;
    let limit = sys::raise_descriptor_limit()?;
    if needed > limit {
        return Err(format!(
            "{connections} connections need {needed} descriptors, the hard limit is {limit}"
        )
        .into());
    }
    if let Some(cpu) = options.cpu {
        sys::pin(cpu)?;
    }
    // The default of 50 µs would be added to every wake-up. Where the kernel refuses, so it is: lateness is seen.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    let request = match &options.request {
        None => http::request("GET", "/", address, b""),
        Some(file) => fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?,
    };
    if request.is_empty() {
        return Err("the request is empty".into());
    }
    let measured = Plan {
        address,
        request: &request,
        connections,
        schedule: Schedule::new(rate, WARM_UP, Duration::from_secs(u64::from(seconds))),
        grace: GRACE,
    }
    .run()?;
    if json {
        println!("{}", measured.to_json()?);
        return Ok(());
    }
    println!(
        "{rate} requests a second over {connections} connections to {address}, {seconds} s after half a second of warm-up\n\n{}",
        measured.table()
    );
    measured.ensure_clean()?;
    measured.ensure_on_time()
}

/// Before a schedule's counted part: time for connections that were just opened to have been used.
pub const WARM_UP: Duration = Duration::from_millis(500);
/// For answers to requests at the schedule's very end.
const GRACE: Duration = Duration::from_secs(5);
/// Warm-up, connecting, grace, and some seconds for a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
