//! The whole configuration as the data plane uses it: immutable, shared by all shards, replaced as one.

pub use crate::runtime::DriverChoice;
use crate::{
    addresses::Addresses,
    http1,
    observe::access_log,
    policy::{self, jwt::KeySource, shared::SharedCache},
    route, storage, tls,
    upstream::cluster,
};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

#[derive(Debug)]
pub struct Snapshot {
    pub listeners: Vec<Listener>,
    pub clusters: Vec<cluster::Spec>,
    /// The policies of APIs and services; the first is empty ([`NO_POLICIES`]).
    pub chains: Vec<OwnedChain>,
    /// Chain of each cluster's service, for what leaves for it: indexes in the order of `clusters`.
    pub outbound: Vec<usize>,
    /// Keys of rate limits kept at once; None: from the memory there is.
    pub rate_limit_keys: Option<usize>,
    /// Where policies' keys are published; control fetches them.
    pub key_sources: Vec<Arc<KeySource>>,
    /// What replicas share limits and caches through; None: each keeps its own.
    pub shared_storage: Option<Arc<storage::Settings>>,
    /// Caches whose answers lie there.
    pub shared_caches: Vec<Arc<SharedCache>>,
    pub limits: Limits,
    pub runtime: Runtime,
    pub shutdown: Shutdown,
    pub access_log: Option<access_log::Spec>,
    pub proxies: Proxies,
    /// What replicas make the same session tickets with; None: this process's are its own.
    pub ticket_secret: Option<tls::TicketSecret>,
    /// Of the calls that policies make; None: the defaults.
    pub policy_calls: Option<tls::Client>,
}

/// Empty, with the defaults of everything.
impl Default for Snapshot {
    fn default() -> Self {
        Self {
            listeners: Vec::new(),
            clusters: Vec::new(),
            chains: vec![OwnedChain::default()],
            outbound: Vec::new(),
            rate_limit_keys: None,
            key_sources: Vec::new(),
            shared_storage: None,
            shared_caches: Vec::new(),
            limits: Limits::default(),
            runtime: Runtime::default(),
            shutdown: Shutdown::default(),
            access_log: None,
            proxies: Proxies::default(),
            ticket_secret: None,
            policy_calls: None,
        }
    }
}

/// Whose word on a client's address counts.
#[derive(Debug, Default)]
pub struct Proxies {
    /// Who puts the PROXY protocol's header in front of its connections; from them it must come. None: nobody.
    pub announcing: Option<Addresses>,
    /// Whose `X-Forwarded-For`, `-Proto` and `-Host` are believed, and nobody else's. None: they are passed on as they
    /// come, and decide nothing here.
    pub trusted: Option<Addresses>,
}

impl Proxies {
    pub fn announces(&self, peer: IpAddr) -> bool {
        self.announcing.as_ref().is_some_and(|from| from.contains(peer))
    }
}

/// One address and the APIs that share it.
#[derive(Debug)]
pub struct Listener {
    pub address: SocketAddr,
    /// None: plain.
    pub tls: Option<tls::Server>,
    pub routes: route::Table<Api, Forward>,
}

/// What a request is said to belong to, and what is done to it there.
#[derive(Debug)]
pub struct Api {
    /// `namespace/name`.
    pub name: String,
    /// Index into [`Snapshot::chains`].
    pub chain: usize,
    /// In order; of those that apply to a request the first to say something counts.
    pub timeouts: Vec<ApiTimeouts>,
}

/// Index of the chain of whatever has no policies.
pub const NO_POLICIES: usize = 0;

#[derive(Debug, Default)]
pub struct OwnedChain {
    /// `namespace/name` of the API or the Service.
    pub owner: String,
    pub policies: policy::Chain,
}

/// Times of an API's own, or of some of its requests.
#[derive(Debug)]
pub struct ApiTimeouts {
    /// One of them must match; none at all matches everything.
    pub rules: Arc<[route::Rule]>,
    /// As in [`cluster::Timeouts`], as the next.
    pub response: Option<Duration>,
    pub stream_idle: Option<Duration>,
}

/// Where a matched request goes: one of these, by weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    pub destinations: Vec<Destination>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    pub cluster: cluster::ClusterId,
    pub weight: u32,
    /// Put in front of the forwarded path; "" for none.
    pub destination_path: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub head: http1::Limits,
    /// Request bodies, bytes; None = unlimited → 413.
    pub body_bytes: Option<u64>,
    /// Client connections of the process.
    pub connections: u32,
    /// Client connections of one address; None = unlimited.
    pub connections_per_client: Option<u32>,
    /// First byte of a request to the end of its head → 408.
    pub head_timeout: Duration,
    /// Between requests; closed silently.
    pub keep_alive_idle: Duration,
    /// No byte of a request body → 408.
    pub body_idle: Duration,
    pub tunnel_idle: Duration,
    /// From a connection to the end of its TLS handshake; closed silently.
    pub handshake_timeout: Duration,
    /// TLS handshakes of the process that are under way at once; past it the oldest is ended.
    pub handshakes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: http1::Limits::default(),
            body_bytes: None,
            connections: 50_000,
            connections_per_client: None,
            head_timeout: Duration::from_secs(10),
            keep_alive_idle: Duration::from_secs(60),
            body_idle: Duration::from_secs(300),
            tunnel_idle: Duration::from_secs(300),
            handshake_timeout: Duration::from_secs(10),
            handshakes: 8192,
        }
    }
}

/// What only a restart changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// None: from the affinity mask and the cgroup quota.
    pub shards: Option<usize>,
    pub driver: DriverChoice,
    pub pin: bool,
}

impl Default for Runtime {
    fn default() -> Self {
        Self {
            shards: None,
            driver: DriverChoice::Auto,
            pin: true,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown {
    /// What is in flight after this is cut.
    pub drain: Duration,
    /// Between failing readiness and closing the listeners.
    pub delay: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            drain: Duration::from_secs(25),
            delay: Duration::ZERO,
        }
    }
}
