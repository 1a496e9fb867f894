//! The resource model: what all documents together say, every reference resolved, inline parts written out.
//! `dump` prints it; the snapshot is made from it.

use super::resource::{Id, Rule, Upstream};
use crate::{
    addresses::Addresses,
    located::{Node, Origin},
    observe::access_log,
    policy::{self, jwt::KeySource, rate_limit::Limit, shared::SharedCache},
    route,
    shard::snapshot::{Limits, Runtime, Shutdown},
    storage, tls,
    upstream::{breaker::Thresholds, cluster::Timeouts},
};
use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) apis: Vec<Api>,
    pub(super) services: Vec<Service>,
    pub(super) contracts: Vec<Contract>,
    /// Where policies' own calls go, in the order in which their clusters are numbered.
    pub(super) calls: Vec<Service>,
    /// Where policies' keys are published.
    pub(super) key_sources: Vec<Arc<KeySource>>,
    /// Caches whose answers lie in shared storage.
    pub(super) shared_caches: Vec<Arc<SharedCache>>,
    pub(super) settings: Settings,
    /// Names of those that policies refer to, and the rest.
    pub(super) secrets: Vec<Id>,
    /// One an address with TLS, in the order of the APIs.
    pub(super) servers: Vec<(SocketAddr, tls::Server)>,
    /// Of the calls that policies make; None: the defaults.
    pub(super) policy_calls: Option<(tls::Client, Option<Node>)>,
    /// What would surprise about TLS.
    pub(super) surprises: Vec<String>,
    /// Bindings whose selector selects no API: where, and which.
    pub(super) idle: Vec<(Origin, String)>,
}

pub(super) struct Api {
    pub(super) id: Id,
    pub(super) labels: Vec<(String, String)>,
    pub(super) socket: SocketAddr,
    pub(super) base_path: String,
    /// Of the address.
    pub(super) origin: Origin,
    /// In the order they are tried.
    pub(super) routes: Vec<Route>,
    /// In the order a request meets them.
    pub(super) policies: Vec<Policy>,
    /// Those that are no step of the chain.
    pub(super) shaping: Vec<Shaping>,
    /// The address was written with `https`.
    pub(super) secure: bool,
    /// `tls`, which is its address's.
    pub(super) tls: Vec<Securing>,
}

/// A policy that secures connections, as written; what it says is in [`Model::servers`] and [`Service::targets`].
#[derive(Clone)]
pub(super) struct Securing {
    pub(super) id: Id,
    /// As written.
    pub(super) name: String,
    pub(super) config: Option<Node>,
}

/// A policy that shapes what requests go through.
pub(super) struct Shaping {
    pub(super) id: Id,
    /// As written.
    pub(super) name: String,
    pub(super) order: i64,
    pub(super) written: Vec<Rule>,
    pub(super) rules: Arc<[route::Rule]>,
    pub(super) shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    ResponseTimeout(Duration),
    StreamIdleTimeout(Duration),
    IdleTimeout(Duration),
    CircuitBreaker(Thresholds),
}

/// A policy of an API's chain, as bound to it, written inside of it, or selecting it.
pub(super) struct Policy {
    pub(super) id: Id,
    /// As written.
    pub(super) name: String,
    pub(super) order: i64,
    pub(super) written: Vec<Rule>,
    pub(super) rules: Arc<[route::Rule]>,
    pub(super) compiled: policy::Policy,
    pub(super) config: Option<Node>,
}

impl fmt::Debug for Securing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Securing({} {})", self.name, self.id)
    }
}

impl fmt::Debug for Shaping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.name, self.shape)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policy({} {})", self.name, self.id)
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Api({} at {}{}, {} routes)",
            self.id,
            self.socket,
            self.base_path,
            self.routes.len()
        )
    }
}

pub(super) struct Route {
    /// Of the binding, written or made up for an inline route.
    pub(super) id: Id,
    pub(super) order: i64,
    pub(super) weighted: bool,
    pub(super) written: Vec<Rule>,
    pub(super) rules: Vec<route::Rule>,
    pub(super) destinations: Vec<Destination>,
    /// The policy's configuration; None for an inline route without one.
    pub(super) config: Option<Node>,
}

pub(super) struct Destination {
    /// Index into [`Model::services`].
    pub(super) service: usize,
    pub(super) weight: u32,
    pub(super) path: String,
}

#[derive(Debug)]
pub(super) struct Service {
    pub(super) id: Id,
    /// Of its name.
    pub(super) origin: Origin,
    /// None where it was wrong.
    pub(super) upstream: Option<Upstream>,
    /// One an endpoint of `upstream`; None: plain.
    pub(super) targets: Vec<Option<tls::Target>>,
    /// In the order in which what leaves for it meets them.
    pub(super) policies: Vec<Policy>,
    /// One of a kind at most.
    pub(super) shaping: Vec<Shaping>,
    /// `tls-outbound`.
    pub(super) tls: Option<Securing>,
}

/// A client of an API, without its secret.
#[derive(Debug)]
pub(super) struct Contract {
    pub(super) id: Id,
    pub(super) api: Id,
    pub(super) client: String,
    pub(super) client_name: Option<String>,
    /// The tier's name and its limits.
    pub(super) sla: Option<(Option<String>, Vec<Limit>)>,
}

/// A set of addresses, and how it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Networks {
    pub(super) written: Vec<String>,
    pub(super) addresses: Addresses,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProxyProtocol {
    /// None: whoever connects.
    pub(super) from: Option<Networks>,
}

/// Effective values: documents, then the environment, then defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
    pub(super) runtime: Runtime,
    pub(super) shutdown: Shutdown,
    pub(super) access_log: Option<access_log::Spec>,
    /// For services that do not say.
    pub(super) preserve_host: bool,
    /// None: from the memory there is.
    pub(super) rate_limit_keys: Option<usize>,
    /// For services that do not say.
    pub(super) circuit_breaker: Option<Thresholds>,
    /// As written: None where nobody announces, or nobody is trusted.
    pub(super) proxy_protocol: Option<ProxyProtocol>,
    pub(super) trusted_proxies: Option<Networks>,
    /// None: the process makes ticket keys of its own.
    pub(super) ticket_secret: Option<tls::TicketSecret>,
    /// None: nobody said anything of it.
    pub(super) shared_storage: Option<SharedStorage>,
}

/// What replicas share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SharedStorage {
    Redis(Arc<storage::Settings>),
    /// Nothing, and somebody said so.
    Local,
}
