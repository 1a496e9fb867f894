//! The admin address: what an orchestrator asks about the process. Not for the public; its default is loopback.
//!
//! It runs on control, beside the shards, so that a gateway under full load still answers its probes.

use crate::{
    control::shared_storage::{Link, Purpose, State as LinkState, Storage},
    observe::counters::Counters,
};
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use serde::Serialize;
use serde_json::json;
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

/// Whether traffic should be sent here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Readiness {
    Starting,
    Ready,
    /// Told to end: what is in flight is finished, new traffic should go elsewhere.
    Draining,
}

/// What the pages are made from; written by whoever runs the process.
pub struct AdminState {
    readiness: AtomicU8,
    shards: OnceLock<Vec<Arc<Counters>>>,
    storage: OnceLock<Storage>,
    certificates: OnceLock<Vec<ShownCertificate>>,
}

/// What an address shows its clients.
#[derive(Debug, Clone)]
pub struct ShownCertificate {
    pub address: String,
    pub subject: String,
    pub dns_names: Vec<String>,
    /// RFC 3339, UTC.
    pub not_after: String,
    /// The same in seconds since 1970 UTC.
    pub expires: i64,
}

impl AdminState {
    /// Starting.
    #[must_use]
    pub fn new() -> Self {
        Self {
            readiness: AtomicU8::new(Readiness::Starting as u8),
            shards: OnceLock::new(),
            storage: OnceLock::new(),
            certificates: OnceLock::new(),
        }
    }

    /// What the addresses show, once the configuration is known.
    pub fn set_certificates(&self, certificates: Vec<ShownCertificate>) {
        let _ = self.certificates.set(certificates);
    }

    /// What replicas share through. Once, where there is one.
    pub fn set_storage(&self, storage: Storage) {
        let _ = self.storage.set(storage);
    }

    /// What the shards count, in their order. Once, when they have been started.
    pub fn set_shards(&self, counters: Vec<Arc<Counters>>) {
        // A second start of the shards of one process does not exist.
        let _ = self.shards.set(counters);
    }

    pub fn set(&self, readiness: Readiness) {
        self.readiness.store(readiness as u8, Relaxed);
    }

    pub fn readiness(&self) -> Readiness {
        match self.readiness.load(Relaxed) {
            STARTING => Readiness::Starting,
            READY => Readiness::Ready,
            _ => Readiness::Draining,
        }
    }
}

impl Default for AdminState {
    fn default() -> Self {
        Self::new()
    }
}

/// Answers until `shutdown` says true (or its sender is gone), and gives what is being answered then a second.
///
/// Each connection serves one request within `CONNECTION_LIMIT`: a stranger who reaches this port can hold all
/// connections only that long at a time, by opening them anew. A probe opens a new one each time anyway.
pub async fn serve(listener: TcpListener, state: Arc<AdminState>, mut shutdown: watch::Receiver<bool>) {
    let pages = pages(state);
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            // A connection past the cap waits in the kernel's queue: it may be a probe.
            accepted = async {
                let permit = permits.clone().acquire_owned().await;
                (permit, listener.accept().await)
            } => accepted,
            Some(_) = connections.join_next() => continue,
            _ = shutdown.wait_for(|stop| *stop) => break,
        };
        match accepted {
            (Ok(permit), Ok((stream, _))) => {
                let pages = pages.clone();
                connections.spawn(async move {
                    let _permit = permit;
                    answer(stream, pages).await;
                });
            }
            // Out of descriptors, most likely: they come back, and asking at once would only spin.
            (_, Err(error)) => {
                tracing::warn!(%error, "the admin address could not accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
            (Err(_), _) => break,
        }
    }
    drop(listener);
    let _: Result<(), _> = timeout(LAST_ANSWERS, async {
        while connections.join_next().await.is_some() {}
    })
    .await;
}

async fn answer(stream: TcpStream, pages: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .keep_alive(false)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(pages));
    // Whatever goes wrong is between hyper and a client of the admin address; there is nothing to do about it.
    if let Ok(Err(error)) = timeout(CONNECTION_LIMIT, connection).await {
        tracing::debug!(%error, "a connection to the admin address failed");
    }
}

fn pages(state: Arc<AdminState>) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/shards", get(shards))
        .route("/certificates", get(certificates))
        .route("/shared-storage", get(shared_storage))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .with_state(state)
}

#[derive(Serialize)]
struct Status {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// Live as long as control can answer at all, draining included: a restart would only cut what drains.
async fn live() -> Json<Status> {
    Json(Status {
        status: "live",
        reason: None,
    })
}

async fn ready(State(state): State<Arc<AdminState>>) -> Response {
    let reason = match state.readiness() {
        Readiness::Ready => {
            return Json(Status {
                status: "ready",
                reason: None,
            })
            .into_response();
        }
        Readiness::Starting => "starting",
        Readiness::Draining => "draining",
    };
    let body = Json(Status {
        status: "not ready",
        reason: Some(reason),
    });
    (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
}

/// How evenly the shards are used.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shard {
    connections: u64,
    requests: u64,
    accepted: u64,
    handed_over: u64,
    moved: u64,
}

async fn shards(State(state): State<Arc<AdminState>>) -> Json<serde_json::Value> {
    let shards: Vec<_> = (state.shards.get().into_iter().flatten())
        .map(|counters| Shard {
            connections: counters.connections_open.get(),
            requests: counters.requests.get(),
            accepted: counters.connections_accepted.get(),
            handed_over: counters.connections_handed_over.get(),
            moved: counters.connections_moved.get(),
        })
        .collect();
    Json(json!({ "shards": shards }))
}

/// Until when the certificates are good; what somebody should look at before clients do.
async fn certificates(State(state): State<Arc<AdminState>>) -> Json<serde_json::Value> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let certificates: Vec<_> = (state.certificates.get().into_iter().flatten())
        .map(|one| {
            json!({
                "address": one.address,
                "subject": one.subject,
                "dnsNames": one.dns_names,
                "notAfter": one.not_after,
                "daysLeft": (one.expires - now).div_euclid(24 * 60 * 60),
            })
        })
        .collect();
    Json(json!({ "certificates": certificates }))
}

/// One connection to shared storage.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StorageLink {
    purpose: &'static str,
    state: &'static str,
    /// Of the state.
    seconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    connects: u64,
    connect_failures: u64,
    exchanges: u64,
    commands: u64,
    timed_out: u64,
    failed: u64,
    /// The newest, in microseconds.
    round_trip: u64,
}

impl StorageLink {
    fn new(link: &Link) -> Self {
        let (state, since, reason) = match link.state().borrow().clone() {
            LinkState::Starting => ("starting", None, None),
            LinkState::Up { since, .. } => ("up", Some(since), None),
            LinkState::Down { since, reason } => ("down", Some(since), Some(reason)),
        };
        let counters = link.counters();
        Self {
            purpose: match link.purpose() {
                Purpose::Limits => "limits",
                Purpose::Caches => "caches",
            },
            state,
            seconds: since.map_or(0, |since| since.elapsed().as_secs()),
            reason,
            connects: counters.connects.get(),
            connect_failures: counters.connect_failures.get(),
            exchanges: counters.exchanges.get(),
            commands: counters.commands.get(),
            timed_out: counters.timed_out.get(),
            failed: counters.failed.get(),
            round_trip: counters.round_trip.get(),
        }
    }
}

async fn shared_storage(State(state): State<Arc<AdminState>>) -> Json<serde_json::Value> {
    let links = state.storage.get().map(Storage::links).unwrap_or_default();
    let links: Vec<_> = links.iter().map(StorageLink::new).collect();
    Json(json!({ "configured": state.storage.get().is_some(), "links": links }))
}

async fn not_found() -> (StatusCode, Json<serde_json::Value>) {
    (
        StatusCode::NOT_FOUND,
        Json(
            json!({ "error": "no such page; there are /livez, /readyz, /shards, /certificates and /shared-storage" }),
        ),
    )
}

async fn method_not_allowed() -> (StatusCode, Json<serde_json::Value>) {
    (
        StatusCode::METHOD_NOT_ALLOWED,
        Json(json!({ "error": "this page takes GET and HEAD" })),
    )
}

const STARTING: u8 = Readiness::Starting as u8;
const READY: u8 = Readiness::Ready as u8;

const CONNECTIONS: usize = 128;
const HEAD_BYTES: usize = 16 << 10;
const HEAD_LIMIT: Duration = Duration::from_secs(5);
const CONNECTION_LIMIT: Duration = Duration::from_secs(10);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const LAST_ANSWERS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
