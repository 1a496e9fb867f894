//! What every scenario stands on: the CPUs, the origins, and gateways that are started, waited for and checked.

use std::cell::Cell;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, io};

use crate::gateway::Gateway;
use crate::gateway::workers::Workers;
use crate::http::{self, Answer, Client};
use crate::load::Requests;
use crate::load::wrk::{Load, Served};
use crate::process::Process;
use crate::scenario::plan::Origin;
use crate::scenario::template::Values;
use crate::scenario::{LoadKind, Plan, Scenario};
use crate::scratch::Scratch;
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

    /// Niceness of gateways, origin and load alike; below 0, which needs privileges, other work of the machine disturbs
    /// less
    #[arg(long, allow_negative_numbers = true, value_name = "NICE", value_parser = clap::value_parser!(i32).range(-20..=19))]
    pub nice: Option<i32>,
}

pub struct Stage {
    pub cpus: Cpus,
    allowed: Vec<usize>,
    descriptors: u64,
    /// How many gateways were started: each has a folder of its own.
    started: u32,
    certificate: Option<(PathBuf, PathBuf)>,
    // Dropped in this order: processes first, then the folder their files lie in.
    origins: Vec<(Origin, SocketAddr, Process)>,
    pub folder: Scratch,
}

/// A gateway that accepts connections and has answered.
pub struct Running {
    pub gateway: Gateway,
    pub address: SocketAddr,
    pub version: String,
    /// Those it runs on.
    pub cpus: Vec<usize>,
    pub process: Process,
    /// Of several; where there is one, nothing is to be told.
    pub workers: Option<Workers>,
    folder: PathBuf,
    expected: Expected,
}

/// What it has to answer, and how it is asked.
#[derive(Debug, Clone)]
struct Expected {
    target: String,
    body_bytes: u64,
    tls: bool,
    /// Lines of each request, beside its Host and what frames it.
    headers: String,
    /// One request a connection.
    short: bool,
}

impl Stage {
    /// The calling thread, from which clients of our own are made, moves to the load's CPU.
    pub fn set(cpus: Cpus) -> Outcome<Self> {
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
        if let Some(nice) = cpus.nice {
            sys::set_niceness(nice).map_err(|error| format!("--nice {nice}: {error}"))?;
        }
        if cpus.load_cpu == cpus.gateway_cpu {
            eprintln!(
                "gateway and load share CPU {}: latency and throughput say little",
                cpus.load_cpu
            );
        }
        Ok(Self {
            cpus,
            allowed,
            descriptors,
            started: 0,
            certificate: None,
            origins: Vec::new(),
            folder: Scratch::new()?,
        })
    }

    /// Starts a gateway for `plan` before an origin that behaves as it says, waits until it answers, and checks that it
    /// answers as the origin does.
    pub fn start(&mut self, gateway: &Gateway, scenario: &Scenario, plan: &Plan) -> Outcome<Running> {
        let version = gateway.version()?;
        let origin = self.origin(plan.origin)?;
        let cpus = self.gateway_cpus(plan.shards);
        let requests = Requests::of(plan);
        let lines = requests
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"));
        let expected = Expected {
            headers: lines.collect(),
            target: requests.targets[0].clone(),
            body_bytes: plan.origin.body.bytes(),
            tls: plan.tls,
            short: plan.load.kind == LoadKind::Short,
        };
        let values = self.values(plan, origin)?;
        let admin = Cell::new(None);
        let (address, process) = start(&gateway.name(), &cpus, &self.folder, &expected, |address| {
            if plan.shards > 1 {
                admin.set(Some(free_address()?));
            }
            gateway.command(scenario, &values.at(address, admin.get()))
        })?;
        let workers = |admin| Workers::of(gateway.kind(), process.id(), address, admin);
        let running = Running {
            gateway: gateway.clone(),
            address,
            version,
            cpus,
            workers: admin.get().map(workers),
            process,
            folder: values.folder,
            expected,
        };
        self.check(&running)?;
        Ok(running)
    }

    /// What fills in the templates of `plan`, for the next gateway; its own address is put in later.
    pub fn values(&mut self, plan: &Plan, origin: SocketAddr) -> Outcome<Values> {
        self.started += 1;
        let (certificate, key) = match plan.tls {
            true => self.certificate()?,
            false => Default::default(),
        };
        Ok(Values {
            address: origin,
            port: 0,
            origin,
            origin_port: origin.port(),
            workers: plan.shards,
            admin_port: 0,
            descriptors: self.descriptors,
            folder: self.folder.path(format!("gateway-{}", self.started)),
            apis: plan.apis,
            routes: plan.routes,
            policies: plan.policies,
            certificate,
            key,
        })
    }

    /// An error unless the gateway's answers to a GET and to a POST, on one connection, are the origin's byte for byte.
    pub fn check(&self, running: &Running) -> Outcome<()> {
        let Running {
            address, expected, ..
        } = running;
        let get = expected.request("GET", *address, b"");
        let post = expected.request("POST", *address, &[b'x'; 1024]);
        let complain = |answer: &Answer| {
            let Answer { status, body, close } = answer;
            let start = String::from_utf8_lossy(&body[..body.len().min(200)]);
            format!(
                "{} does not answer as the others: status {status}, {} bytes of body, {} the connection: {start:?}",
                running.gateway,
                body.len(),
                if *close { "ends" } else { "keeps" }
            )
        };
        // Once is enough of what is large, and all that one connection takes where it is to end.
        let requests: &[&[u8]] = match expected.short || expected.body_bytes > LARGE_BYTES {
            true => &[&get],
            false => &[&get, &post, &get],
        };
        let mut client = expected.client(*address)?;
        for request in requests {
            let answer = client
                .exchange(request)
                .map_err(|error| format!("{}: {error}", running.gateway))?;
            let whole = answer.body.len() as u64 == expected.body_bytes && origin::is_body(&answer.body);
            if answer.status != 200 || !whole || answer.close != expected.short {
                return Err(complain(&answer).into());
            }
        }
        Ok(())
    }

    /// Load from wrk on the load's CPU. An error in a single request is an error.
    pub fn load(
        &self,
        running: &mut Running,
        requests: &Requests,
        connections: u32,
        depth: u32,
        seconds: u32,
    ) -> Outcome<Served> {
        let load = Load {
            connections,
            seconds,
            cpu: self.cpus.load_cpu,
            requests,
            depth,
            tls: running.expected.tls,
        };
        let served = load.run(running.address, &self.folder)?;
        running.process.ensure_running()?;
        served
            .ensure_clean()
            .map_err(|error| format!("{}: {error}", running.gateway))?;
        Ok(served)
    }

    /// One that behaves so; those that are there already are used again.
    pub fn origin(&mut self, behaviour: Origin) -> Outcome<SocketAddr> {
        if let Some((_, address, _)) = self.origins.iter().find(|(other, ..)| *other == behaviour) {
            return Ok(*address);
        }
        let expected = Expected {
            target: "/".into(),
            body_bytes: behaviour.body.bytes(),
            tls: false,
            headers: String::new(),
            short: false,
        };
        let name = format!("origin-{}", self.origins.len());
        let (address, process) = start(&name, &[self.cpus.load_cpu], &self.folder, &expected, |address| {
            let mut command = Command::new(env::current_exe()?);
            command
                .args(["origin", "--port", &address.port().to_string()])
                .args(["--body-bytes", &behaviour.body.bytes().to_string()])
                .args(["--delay-ms", &behaviour.delay_ms.to_string()]);
            Ok(command)
        })?;
        self.origins.push((behaviour, address, process));
        Ok(address)
    }

    /// The gateway's CPU, then those nobody else uses; the load's only where there is no other.
    fn gateway_cpus(&self, shards: u32) -> Vec<usize> {
        let Cpus {
            gateway_cpu,
            load_cpu,
            ..
        } = self.cpus;
        let mut cpus = vec![gateway_cpu];
        let free = self
            .allowed
            .iter()
            .filter(|&&cpu| cpu != gateway_cpu && cpu != load_cpu);
        cpus.extend(free.chain([&load_cpu]).take(shards as usize - 1));
        cpus.dedup();
        cpus
    }

    /// A certificate of our own for localhost, ECDSA P-256 as most sites have.
    fn certificate(&mut self) -> Outcome<(PathBuf, PathBuf)> {
        if let Some(paths) = &self.certificate {
            return Ok(paths.clone());
        }
        let (certificate, key) = (
            self.folder.path("certificate.pem"),
            self.folder.path("certificate.pem.key"),
        );
        let output = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ])
            .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
            .arg("-out")
            .arg(&certificate)
            .arg("-keyout")
            .arg(&key)
            .output()
            .map_err(|error| format!("openssl: {error} (apt-get install openssl)"))?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            return Err(format!("openssl made no certificate: {}", errors.trim()).into());
        }
        Ok(self.certificate.insert((certificate, key)).clone())
    }
}

impl Running {
    /// Empties what it has logged: a minute of load writes hundreds of megabytes.
    pub fn trim_logs(&self) -> io::Result<()> {
        let access_log = self.folder.join(ACCESS_LOG);
        if access_log.is_file() {
            File::options().write(true).open(access_log)?.set_len(0)?;
        }
        self.process.trim_log()
    }
}

impl Expected {
    fn request(&self, method: &str, address: SocketAddr, body: &[u8]) -> Vec<u8> {
        let mut request = http::request(method, &self.target, address, body);
        let line = request
            .windows(2)
            .position(|two| two == b"\r\n")
            .map_or(0, |end| end + 2);
        request.splice(line..line, self.headers.bytes());
        request
    }

    fn client(&self, address: SocketAddr) -> io::Result<Client> {
        match self.tls {
            true => Client::connect_tls(address),
            false => Client::connect(address),
        }
    }
}

/// Starts what listens on the address it is given, and waits until it answers a request.
fn start(
    name: &str,
    cpus: &[usize],
    folder: &Scratch,
    expected: &Expected,
    command: impl Fn(SocketAddr) -> Outcome<Command>,
) -> Outcome<(SocketAddr, Process)> {
    let mut attempt = 1;
    loop {
        let address = free_address()?;
        let log = folder.path(format!("{}.log", name.replace(", ", "-").replace(' ', "-")));
        let mut process = Process::start(name, command(address)?, cpus, &log)?;
        match wait_ready(name, address, &mut process, expected) {
            Ok(()) => return Ok((address, process)),
            // The port may have been taken between the kernel's choice and its use; any other reason stays.
            Err(_) if attempt < START_ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

fn wait_ready(name: &str, address: SocketAddr, process: &mut Process, expected: &Expected) -> Outcome<()> {
    let deadline = Instant::now() + READY;
    let request = expected.request("GET", address, b"");
    loop {
        process.ensure_running()?;
        let answer = expected
            .client(address)
            .and_then(|mut client| client.exchange(&request));
        match answer {
            Ok(answer) if answer.status == 200 => return Ok(()),
            _ if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(10)),
            Ok(answer) => {
                let words = process.last_words();
                return Err(format!("{name} answers with status {}{words}", answer.status).into());
            }
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

/// As the templates of scenarios with an access log call it.
const ACCESS_LOG: &str = "access.log";
/// Above it a body is compared once, not three times.
const LARGE_BYTES: u64 = 4 << 20;
const START_ATTEMPTS: u32 = 3;
/// A thousand APIs are read within it by all of them.
const READY: Duration = Duration::from_secs(20);
