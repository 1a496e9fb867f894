//! Starts shards and control, waits for signals, drains, joins.

mod sizes;

use crate::{
    admin,
    control::{logs, ports, resolve},
    listener::Admission,
    net,
    observe::{Counters, RecordReceiver, queue},
    runtime::{self, Chosen, DriverChoice},
    shard::{self, Message, Outbox, snapshot::Snapshot},
};
use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::{Arc, atomic::{AtomicUsize, Ordering}},
    time::{Duration, Instant},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};

/// What a run is made of: a compiled configuration and what the command line adds to it.
#[derive(Debug)]
pub struct RunOptions {
    pub snapshot: Snapshot,
    /// For the log: what was accepted and ignored.
    pub notes: Vec<String>,
    /// The command line wins over the configuration.
    pub driver: Option<DriverChoice>,
    pub shards: Option<usize>,
    pub admin: AdminAddress,
    pub share_ports: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminAddress {
    /// 127.0.0.1:9901, and only a warning when that is taken.
    Default,
    Off,
    At(SocketAddr),
}

/// Records waiting for control, bytes per shard. At 300 bytes a record and 20 ms between two looks, 1 MiB lasts
/// for 170,000 requests a second.
const RECORD_QUEUE: usize = 1024 * 1024;

/// Names that do not resolve within this at start are tried further in the background; their requests get 503.
const FIRST_RESOLUTION: Duration = Duration::from_secs(3);

/// Descriptors beside connections: listeners, logs, control.
const SPARE_DESCRIPTORS: u64 = 64;

/// Runs until a signal has drained it.
///
/// # Errors
/// A sentence for a person: why it could not start, or why it ended.
pub fn run(options: RunOptions) -> Result<(), String> {
    control_runtime()?.block_on(serve(options))
}

/// Control's own runtime; `demo` starts its origin on it too.
///
/// # Errors
/// The kernel gave no epoll descriptor.
pub fn control_runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the control plane could not start: {error}"))
}

/// As [`run`], on a runtime that is already there.
///
/// # Errors
/// As [`run`].
pub async fn serve(options: RunOptions) -> Result<(), String> {
    for note in &options.notes {
        tracing::info!("{note}");
    }
    let wanted = options.driver.unwrap_or(options.snapshot.runtime.driver);
    let chosen = runtime::choose(wanted).map_err(|unavailable| unavailable.0)?;
    let snapshot = Arc::new(options.snapshot);
    let cpus = sizes::usable_cpus();
    let count = options
        .shards
        .or(snapshot.runtime.shards)
        .unwrap_or_else(|| sizes::default_shards(cpus.len()));
    warn_of_limits(&snapshot, count, cpus.len());

    // Everything that can fail before traffic, fails before traffic. Signals first: one that comes from here
    // on is honoured, not lost.
    let mut signals = Signals::new()?;
    let mut sockets: Vec<Vec<std::os::fd::OwnedFd>> = (0..count).map(|_| Vec::new()).collect();
    for listener in &snapshot.listeners {
        let bound = ports::bind(listener.address, count, options.share_ports)?;
        for (shard, socket) in sockets.iter_mut().zip(bound) {
            shard.push(socket);
        }
    }
    let (stop, stopped) = watch::channel(false);
    let admin = Admin::start(options.admin, stopped.clone()).await?;

    let names = names(&snapshot);
    let first = resolve::resolve_all_once(&names, FIRST_RESOLUTION).await;

    let (ended, mut endings) = mpsc::unbounded_channel();
    let mut shards = Shards::start(&snapshot, &chosen, count, &cpus, sockets, ended)?;
    for resolution in first {
        shards.resolved(&resolution.host, &resolution.addresses);
    }
    let log = snapshot.access_log.clone().map(|spec| {
        tokio::task::spawn_local_or_not(logs::run(std::mem::take(&mut shards.records), spec, stopped.clone()))
    });
    let _ = log;
    let _ = (stop, admin, &mut signals, &mut endings);
    Ok(())
}
