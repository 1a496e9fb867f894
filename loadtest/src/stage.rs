//! What every scenario stands on: the CPUs, the origin, and gateways that are started, waited for and checked.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, io};

use crate::gateway::{Gateway, Place};
use crate::http::{self, Client};
use crate::process::Process;
use crate::scratch::Scratch;
use crate::wrk::{Load, Served};
use crate::{Outcome, origin, sys};

/// Which CPUs the two halves of a measurement run on.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Cpus {
    /// CPU of the gateway
    #[arg(long, default_value_t = 0, value_name = "CPU")]
    pub gateway_cpu: usize,

    /// CPU of the origin and of the load
    #[arg(long, default_value_t = 1, value_name = "CPU")]
    pub load_cpu: usize,
}

pub struct Stage {
    pub cpus: Cpus,
    pub origin: SocketAddr,
    body_bytes: usize,
    descriptors: u64,
    // Dropped in this order: processes first, then the folder their files lie in.
    _origin: Process,
    pub folder: Scratch,
}

/// A gateway that accepts connections and has answered.
pub struct Running {
    pub gateway: Gateway,
    pub address: SocketAddr,
    pub version: String,
    pub process: Process,
}

impl Stage {
    /// Starts the origin; each of its answers has `body_bytes` of body. The calling thread, from which clients of our
    /// own are made, moves to the load's CPU.
    pub fn set(cpus: Cpus, body_bytes: usize) -> Outcome<Self> {
        let descriptors = sys::raise_descriptor_limit()?;
        let allowed = sys::allowed_cpus()?;
        for (cpu, flag) in [(cpus.gateway_cpu, "--gateway-cpu"), (cpus.load_cpu, "--load-cpu")] {
            if !allowed.contains(&cpu) {
                return Err(
                    format!("CPU {cpu} is not among those allowed here, {allowed:?} ({flag})").into(),
                );
            }
        }
        sys::pin(cpus.load_cpu)?;
        if cpus.load_cpu == cpus.gateway_cpu {
            eprintln!(
                "gateway and load share CPU {}: latency and throughput say little",
                cpus.load_cpu
            );
        }
        let folder = Scratch::new()?;
        let (origin, process) = start("origin", cpus.load_cpu, &folder, |address| {
            let mut command = Command::new(env::current_exe()?);
            command.args(["origin", "--port", &address.port().to_string()]);
            command.args(["--body-bytes", &body_bytes.to_string()]);
            Ok(command)
        })?;
        Ok(Self {
            cpus,
            origin,
            body_bytes,
            descriptors,
            _origin: process,
            folder,
        })
    }

    /// Starts a gateway before the origin, waits until it answers, and checks that it answers as the origin does.
    pub fn start(&self, gateway: &Gateway) -> Outcome<Running> {
        let version = gateway.version()?;
        let (address, process) = start(&gateway.name(), self.cpus.gateway_cpu, &self.folder, |address| {
            let Stage {
                origin,
                ref folder,
                descriptors,
                ..
            } = *self;
            gateway.command(Place {
                address,
                origin,
                folder,
                descriptors,
            })
        })?;
        let running = Running {
            gateway: gateway.clone(),
            address,
            version,
            process,
        };
        self.check(&running)?;
        Ok(running)
    }

    /// An error unless the gateway's answers to a GET and to a POST, on one connection, are the origin's byte for byte.
    pub fn check(&self, running: &Running) -> Outcome<()> {
        let post_body = [b'x'; 1024];
        let get = http::request("GET", running.address, b"");
        let post = http::request("POST", running.address, &post_body);
        let expected = origin::body(self.body_bytes);
        let mut client = Client::connect(running.address)?;
        for request in [&get, &post, &get] {
            let answer = client
                .exchange(request)
                .map_err(|error| format!("{}: {error}", running.gateway))?;
            if answer.status != 200 || answer.body != expected || answer.close {
                return Err(format!("{} does not answer as the others: {answer:?}", running.gateway).into());
            }
        }
        Ok(())
    }

    /// Load from wrk on the load's CPU. An error in a single request is an error.
    pub fn load(&self, running: &mut Running, connections: u32, seconds: u32) -> Outcome<Served> {
        let load = Load {
            connections,
            seconds,
            cpu: self.cpus.load_cpu,
        };
        let served = load.run(running.address, &self.folder)?;
        running.process.ensure_running()?;
        served
            .ensure_clean()
            .map_err(|error| format!("{}: {error}", running.gateway))?;
        Ok(served)
    }
}

/// Starts what listens on the address it is given, and waits until it answers a request.
fn start(
    name: &str,
    cpu: usize,
    folder: &Scratch,
    command: impl Fn(SocketAddr) -> io::Result<Command>,
) -> Outcome<(SocketAddr, Process)> {
    let mut attempt = 1;
    loop {
        let address = free_address()?;
        let log = folder.path(format!("{}.log", name.replace(", ", "-").replace(' ', "-")));
        let mut process = Process::start(name, command(address)?, cpu, &log)?;
        match wait_ready(name, address, &mut process) {
            Ok(()) => return Ok((address, process)),
            // The port may have been taken between the kernel's choice and its use; any other reason stays.
            Err(_) if attempt < START_ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

fn wait_ready(name: &str, address: SocketAddr, process: &mut Process) -> Outcome<()> {
    let deadline = Instant::now() + READY;
    let request = http::request("GET", address, b"");
    loop {
        process.ensure_running()?;
        let answer = Client::connect(address).and_then(|mut client| client.exchange(&request));
        match answer {
            Ok(answer) if answer.status == 200 => return Ok(()),
            _ if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(10)),
            Ok(answer) => return Err(format!("{name} answers {answer:?}{}", process.last_words()).into()),
            Err(error) => {
                return Err(format!("{name} does not answer: {error}{}", process.last_words()).into());
            }
        }
    }
}

/// An address of loopback that nobody listens on now. Gateways take their port as a number, so it cannot be kept
/// reserved until they bind it; `start` tries again when somebody was quicker.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

const START_ATTEMPTS: u32 = 3;
const READY: Duration = Duration::from_secs(10);
