//! `drain`: a gateway is asked to end while clients are at work, and no request may be lost.
//!
//! The clients do what a correct client does: they keep their connection until an answer says `Connection: close`, then
//! open another, and stop when connecting is refused: the gateway is gone. Half of them pause between requests, so
//! that idle connections are among those that end. A failure is a request that was sent on a connection the kernel
//! accepted and that got no whole answer of status 200.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::gateway::Gateway;
use crate::http::{self, Client};
use crate::stage::{Running, Stage};
use crate::sys::Signal;
use crate::{Bench, Outcome};

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Clients, each with one connection at a time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1000))]
    connections: u32,

    /// Seconds of load before the signal
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,

    /// Signal to send [default: the one by which each is asked to finish gracefully]
    #[arg(long, value_enum)]
    signal: Option<Signal>,

    #[command(flatten)]
    bench: Bench,
}

/// What one client, and then all together, saw.
#[derive(Debug, Default)]
struct Tally {
    connections: u64,
    answered_before: u64,
    answered_after: u64,
    told_to_close: u64,
    /// By what happened.
    failures: BTreeMap<String, u64>,
}

pub fn run(options: &Options) -> Outcome<()> {
    let (scenario, gateways) = options.bench.plain()?;
    let mut stage = Stage::set(options.bench.cpus)?;
    let mut failed = Vec::new();
    for gateway in &gateways {
        let running = stage.start(gateway, &scenario, &scenario.plan)?;
        if !drain(running, options)? {
            failed.push(gateway.name());
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("requests were lost: {}", failed.join("; ")).into())
    }
}

/// Prints what happened; true when nothing was lost and the gateway ended well.
fn drain(mut running: Running, options: &Options) -> Outcome<bool> {
    let gateway = &running.gateway;
    let graceful = options.signal.or_else(|| gateway.graceful_signal());
    let signal = graceful.ok_or_else(|| format!("{gateway} has no graceful end"))?;
    let asked = Arc::new(AtomicBool::new(false));
    let give_up = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..options.connections)
        .map(|number| {
            let pause = if number % 2 == 0 { Duration::ZERO } else { PAUSE };
            let (address, asked, give_up) = (running.address, Arc::clone(&asked), Arc::clone(&give_up));
            thread::spawn(move || client(address, pause, &asked, &give_up))
        })
        .collect();

    thread::sleep(Duration::from_secs(options.seconds));
    asked.store(true, Ordering::SeqCst);
    let began = Instant::now();
    running.process.signal(signal)?;
    let status = running.process.wait_until(began + PATIENCE)?;
    let took = began.elapsed();
    // A gateway that does not end would keep them at work for ever.
    give_up.store(true, Ordering::SeqCst);

    let mut all = Tally::default();
    for client in clients {
        all.add(client.join().map_err(|_| "a client panicked")?);
    }
    all.print(&running.gateway, signal);
    let ended_well = match status {
        Some(status) => {
            println!("  ended after {:.2} s: {status}", took.as_secs_f64());
            status.success()
        }
        None => {
            println!("  did not end within {} s", PATIENCE.as_secs());
            false
        }
    };
    // Without load before the signal nothing was shown.
    let shown = all.answered_before > 0;
    Ok(ended_well && shown && all.failures.is_empty())
}

fn client(address: SocketAddr, pause: Duration, asked: &AtomicBool, give_up: &AtomicBool) -> Tally {
    let request = http::request("GET", "/", address, b"");
    let mut tally = Tally::default();
    while !give_up.load(Ordering::SeqCst) {
        // `asked` is set before the signal is sent: a listener the signal closed is never refused unexpectedly.
        match Client::connect(address) {
            Ok(mut connection) => {
                tally.connections += 1;
                if !tally.converse(&mut connection, &request, pause, asked, give_up) {
                    // One failure may repeat itself as fast as the loop turns.
                    thread::sleep(AFTER_FAILURE);
                }
            }
            Err(error)
                if error.kind() == io::ErrorKind::ConnectionRefused && asked.load(Ordering::SeqCst) =>
            {
                break;
            }
            Err(error) => {
                tally.fail(format!("connect: {error}"));
                thread::sleep(AFTER_FAILURE);
            }
        }
    }
    tally
}

impl Tally {
    /// Requests on one connection until it is to end; false when it ended in a failure.
    fn converse(
        &mut self,
        connection: &mut Client,
        request: &[u8],
        pause: Duration,
        asked: &AtomicBool,
        give_up: &AtomicBool,
    ) -> bool {
        while !give_up.load(Ordering::SeqCst) {
            match connection.exchange(request) {
                Ok(answer) if answer.status == 200 => {
                    let after = asked.load(Ordering::SeqCst);
                    *(if after {
                        &mut self.answered_after
                    } else {
                        &mut self.answered_before
                    }) += 1;
                    if answer.close {
                        self.told_to_close += 1;
                        return true;
                    }
                }
                Ok(answer) => {
                    self.fail(format!("status {}", answer.status));
                    if answer.close {
                        return false;
                    }
                }
                Err(error) => {
                    self.fail(error.to_string());
                    return false;
                }
            }
            if !pause.is_zero() {
                thread::sleep(pause);
            }
        }
        true
    }

    fn fail(&mut self, what: String) {
        *self.failures.entry(what).or_default() += 1;
    }

    fn add(&mut self, other: Tally) {
        self.connections += other.connections;
        self.answered_before += other.answered_before;
        self.answered_after += other.answered_after;
        self.told_to_close += other.told_to_close;
        for (what, count) in other.failures {
            *self.failures.entry(what).or_default() += count;
        }
    }

    fn print(&self, gateway: &Gateway, signal: Signal) {
        let Self {
            connections,
            answered_before,
            answered_after,
            told_to_close,
            failures,
        } = self;
        println!("{gateway}, {signal:?} in the middle:");
        println!("  answered {answered_before} requests before the signal and {answered_after} after it");
        println!("  {connections} connections, {told_to_close} ended by Connection: close");
        println!("  {} failed requests", failures.values().sum::<u64>());
        for (what, count) in failures {
            println!("    {count} × {what}");
        }
    }
}

const PAUSE: Duration = Duration::from_millis(20);
const AFTER_FAILURE: Duration = Duration::from_millis(20);

/// Longer than the longest drain a gateway grants by default.
const PATIENCE: Duration = Duration::from_secs(40);

#[cfg(test)]
#[path = "drain/tests.rs"]
mod tests;
