//! The commands that serve: start shards and control, wait for signals, drain, join.

mod demo;
mod options;
mod shards;
mod signals;
mod sizes;

pub use options::{AdminAddress, LogLevel, ProcessOptions, RunOptions};

use crate::{
    admin::{self, AdminState, Readiness, ShownCertificate},
    control::{
        jwks::{self, KeySources},
        logs::AccessLog,
        ports, resolve, runtime_log,
        shared_storage::{Purpose, Storage, caches::Caches},
        tickets,
    },
    net,
    runtime::{self, Chosen, DriverChoice},
    shard::{Message, snapshot::Snapshot},
    tls::Tickets,
    upstream::cluster,
};
use shards::{Ended, Shards};
use signals::Signals;
use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use tokio::sync::watch;

/// Names that do not resolve within this at start are tried further in the background; their requests get 503.
const FIRST_RESOLUTION: Duration = Duration::from_secs(3);

/// Keys that have not come within this at start are fetched further in the background; until then tokens get 503.
const FIRST_KEYS: Duration = Duration::from_secs(3);

/// Descriptors beside connections: logs, control, listeners.
const SPARE_DESCRIPTORS: u64 = 64;

/// Two for each of the pipes a shard may have in use, and its own few.
const DESCRIPTORS_OF_A_SHARD: u64 = 2 * 64 + 8;

/// Serves until a signal has drained it. 1 when it could not start, or a shard died.
pub fn run(options: RunOptions) -> ExitCode {
    exit(
        log(&options.process)
            .and_then(|()| control_runtime())
            .and_then(|runtime| runtime.block_on(serve(options))),
    )
}

/// Starts the built-in origin and serves the built-in configuration in front of it, until a signal.
pub fn demo(options: ProcessOptions) -> ExitCode {
    exit(
        log(&options)
            .and_then(|()| control_runtime())
            .and_then(|runtime| runtime.block_on(demo::serve(options))),
    )
}

/// Prints the version, the driver `run` would choose, and why.
#[allow(clippy::print_stdout, reason = "the command's answer")]
pub fn version(choice: DriverChoice) -> ExitCode {
    println!(
        "ringway {} ({})",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH
    );
    match runtime::choose(choice) {
        Ok(Chosen { driver, reason }) => {
            println!("driver: {driver}: {reason}");
            ExitCode::SUCCESS
        }
        Err(unavailable) => {
            println!("driver: none: {}", unavailable.0);
            ExitCode::FAILURE
        }
    }
}

fn log(options: &ProcessOptions) -> Result<(), String> {
    runtime_log::init(options.log.directive(), false)?;
    // A panic costs one connection (or, of a shard's own loop, the process); either way the log says where.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        let reason = reason(panic.payload());
        tracing::error!(place, thread = thread.name(), "panic: {reason}");
    }));
    Ok(())
}

#[allow(
    clippy::print_stderr,
    reason = "the log may be off, and this is why the process ends"
)]
fn exit(result: Result<(), String>) -> ExitCode {
    runtime_log::flush();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("ringway: {message}");
            ExitCode::FAILURE
        }
    }
}

fn reason(payload: &dyn std::any::Any) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

fn control_runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the control plane could not start: {error}"))
}

async fn serve(options: RunOptions) -> Result<(), String> {
    for note in &options.notes {
        tracing::info!("{note}");
    }
    let process = options.process;
    let wanted = process.driver.unwrap_or(options.snapshot.runtime.driver);
    let chosen = runtime::choose(wanted).map_err(|unavailable| unavailable.0)?;
    let snapshot = Arc::new(options.snapshot);
    let cpus = sizes::usable_cpus();
    let count = process
        .shards
        .or(snapshot.runtime.shards)
        .unwrap_or_else(|| sizes::default_shards(cpus.len()));
    check_sizes(&snapshot, count, cpus.len());
    warn_of_the_unverified(&snapshot);

    // Everything that can fail, fails before there is traffic. Signals come first: one sent from here on is
    // honoured, not lost.
    let mut signals = Signals::new()?;
    let mut sockets: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
    for listener in &snapshot.listeners {
        let bound = ports::bind(listener.address, count, process.share_ports)?;
        sockets
            .iter_mut()
            .zip(bound)
            .for_each(|(shard, socket)| shard.push(socket));
    }
    let access_log = match &snapshot.access_log {
        None => None,
        Some(spec) => Some(AccessLog::open(spec.clone()).map_err(|error| {
            format!(
                "the access log {} cannot be written: {error}",
                spec.path.display()
            )
        })?),
    };
    let (stop, stopped) = watch::channel(false);
    let state = Arc::new(AdminState::new());
    state.set_certificates(certificates(&snapshot));
    if let Some(listener) = admin_listener(process.admin).await? {
        tokio::spawn(admin::serve(listener, state.clone(), stopped.clone()));
    }

    let names = names(&snapshot);
    let mut key_sources = KeySources::new(
        snapshot.key_sources.iter().cloned(),
        snapshot.policy_calls.clone(),
    );
    let (resolved, keys) = tokio::join!(
        resolve::resolve_all_once(&names, FIRST_RESOLUTION),
        key_sources.first(FIRST_KEYS)
    );
    let storage = (snapshot.shared_storage.clone()).map(|settings| Storage::new(settings, stopped.clone()));
    if let Some(storage) = &storage {
        state.set_storage(storage.clone());
    }
    let caches = (storage.as_ref())
        .filter(|_| !snapshot.shared_caches.is_empty())
        .map(|storage| {
            Caches::new(
                storage.link(Purpose::Caches),
                snapshot.shared_caches.iter().cloned(),
            )
        });
    let (post, caches) = caches.unzip();
    let tickets = Tickets::new(snapshot.ticket_secret.as_ref(), SystemTime::now())?;
    let mut shards = Shards::start(&snapshot, &chosen, count, &cpus, sockets, post.as_ref(), &tickets)?;
    if let Some(caches) = caches {
        tokio::spawn(caches.run(shards.outboxes(), stopped.clone()));
    }
    tokio::spawn(tickets::run(tickets, stopped.clone()));
    state.set_shards(shards.counters());
    for resolution in resolved {
        shards.resolved(&resolution.host, &resolution.addresses);
    }
    for (source, keys) in keys {
        shards.send(&Message::Keys { source, keys });
    }
    let outboxes = shards.outboxes();
    let publish_keys = move |(source, keys): jwks::News| {
        let message = Message::Keys { source, keys };
        outboxes.iter().for_each(|outbox| outbox.send(message.clone()));
    };
    tokio::spawn(key_sources.run(publish_keys, stopped.clone()));
    let outboxes = shards.outboxes();
    let publish = move |resolution: resolve::Resolution| {
        let (name, addresses) = (Arc::from(resolution.host), Arc::from(resolution.addresses));
        let message = Message::Resolved { name, addresses };
        outboxes.iter().for_each(|outbox| outbox.send(message.clone()));
    };
    tokio::spawn(resolve::run(names, publish, stopped.clone()));
    let logs = access_log.map(|log| tokio::spawn(log.run(shards.records(), stopped)));

    shards.all_ready().await?;
    if snapshot.listeners.is_empty() {
        // Not ready, as there is nothing a load balancer could send here; alive, as a later configuration may bring it.
        tracing::warn!("no API is configured: nothing is served, and /readyz stays at 503");
    } else {
        state.set(Readiness::Ready);
    }
    let addresses: Vec<String> = snapshot
        .listeners
        .iter()
        .map(|listener| listener.address.to_string())
        .collect();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        shards = count,
        driver = %chosen.driver,
        reason = chosen.reason,
        "listening on {}",
        addresses.join(", ")
    );

    let outcome = tokio::select! {
        signal = signals.next() => {
            tracing::info!("{signal}: draining, at most {} s", snapshot.shutdown.drain.as_secs());
            Ok(())
        }
        ended = shards.next_end() => Err(died(ended)),
    };
    state.set(Readiness::Draining);
    let outcome = match outcome {
        Ok(()) => drain(&snapshot, &mut shards, &mut signals).await,
        died => died,
    };
    let totals = shards.totals();
    tracing::info!(
        requests = totals.requests,
        connections = totals.connections_accepted,
        refused = totals.connections_refused,
        panics = totals.panics,
        "ended"
    );
    let _ = stop.send(true);
    if let Some(logs) = logs {
        // What is in the queues is written out, within a bound of its own.
        let _ = logs.await;
    }
    outcome
}

async fn drain(snapshot: &Snapshot, shards: &mut Shards, signals: &mut Signals) -> Result<(), String> {
    let steps = async {
        tokio::time::sleep(snapshot.shutdown.delay).await;
        let cut_at = Instant::now() + snapshot.shutdown.drain;
        shards.send(&Message::Drain);
        let drained = tokio::time::timeout_at(cut_at.into(), shards.all_ended()).await;
        if let Ok(drained) = drained {
            return drained;
        }
        shards.send(&Message::Cut);
        // Shards cut their sockets and end by themselves; one that cannot is left to the exit.
        tokio::time::timeout(Duration::from_secs(1), shards.all_ended())
            .await
            .unwrap_or(Ok(()))
    };
    tokio::select! {
        drained = steps => drained.map_err(died),
        signal = signals.next() => {
            tracing::warn!("{signal} again: ending now");
            Ok(())
        }
    }
}

fn died(ended: Ended) -> String {
    format!(
        "shard {} died: {}; the process ends, so that it can be started anew",
        ended.shard, ended.reason
    )
}

async fn admin_listener(address: AdminAddress) -> Result<Option<tokio::net::TcpListener>, String> {
    let (address, required) = match address {
        AdminAddress::Off => return Ok(None),
        AdminAddress::Default => (SocketAddr::from(([127, 0, 0, 1], 9901)), false),
        AdminAddress::At(address) => (address, true),
    };
    match tokio::net::TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if required => Err(format!("cannot serve the admin address {address}: {error}")),
        Err(error) => {
            tracing::warn!(
                "no admin address: {address}: {error}. Choose another with --admin, or --admin off"
            );
            Ok(None)
        }
    }
}

fn check_sizes(snapshot: &Snapshot, shards: usize, cpus: usize) {
    if cpus > 0 && shards > cpus {
        tracing::warn!(shards, cpus, "more shards than CPUs: they take turns");
    }
    let descriptors = net::raise_descriptor_limit();
    // A connection needs one descriptor, and one more while it is forwarded.
    let needed = u64::from(snapshot.limits.connections) * 2
        + SPARE_DESCRIPTORS
        + shards as u64 * DESCRIPTORS_OF_A_SHARD;
    if descriptors < needed {
        tracing::warn!(
            descriptors,
            connections = snapshot.limits.connections,
            "the descriptor limit (ulimit -n) may be reached before the connection cap: {needed} would be enough"
        );
    }
}

fn certificates(snapshot: &Snapshot) -> Vec<ShownCertificate> {
    let pairs = snapshot.listeners.iter().flat_map(|listener| {
        let pairs = listener.tls.iter().flat_map(|server| server.certificates());
        pairs.map(|pair| (listener.address, pair.facts()))
    });
    let shown = pairs.map(|(address, facts)| ShownCertificate {
        address: address.to_string(),
        subject: facts.subject.clone(),
        dns_names: facts.dns_names.clone(),
        not_after: facts.not_after.clone(),
        expires: facts.expires,
    });
    shown.collect()
}

/// Each start says it again: a switch that was thrown while searching for a fault is easily forgotten.
fn warn_of_the_unverified(snapshot: &Snapshot) {
    let unverified = |spec: &&cluster::Spec| {
        let mut targets = spec.endpoints.iter().filter_map(|endpoint| endpoint.tls.as_ref());
        targets.any(|target| !target.verifies())
    };
    for spec in snapshot.clusters.iter().filter(unverified) {
        tracing::warn!(
            service = spec.name,
            "skipValidation: whoever answers for this service is believed to be it; anybody between here and there can \
             read and change what is sent"
        );
    }
}

/// Every name behind which an upstream is; IP literals need no resolving.
fn names(snapshot: &Snapshot) -> Vec<String> {
    use cluster::EndpointAddress;
    let endpoints = snapshot.clusters.iter().flat_map(|cluster| &cluster.endpoints);
    let names: BTreeSet<&String> = endpoints
        .filter_map(|endpoint| match &endpoint.address {
            EndpointAddress::Tcp { host, .. } if host.parse::<IpAddr>().is_err() => Some(host),
            _ => None,
        })
        .collect();
    names.into_iter().cloned().collect()
}
