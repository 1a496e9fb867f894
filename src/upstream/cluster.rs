//! A cluster: the endpoints that serve one `Service`, as compiled from configuration.

use super::{balance, breaker::Breaker};
use crate::tls;
use std::time::Duration;

/// Index into `Snapshot::clusters`.
pub type ClusterId = usize;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// `namespace/name` of the Service; what logs and metrics call it.
    pub name: String,
    pub endpoints: Vec<EndpointSpec>,
    pub balance: balance::Policy,
    /// Keep the client's `Host` instead of writing the endpoint's authority.
    pub preserve_host: bool,
    pub timeouts: Timeouts,
    /// None: nothing is counted.
    pub breaker: Option<Breaker>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSpec {
    pub address: EndpointAddress,
    /// None: plain HTTP.
    pub tls: Option<tls::Target>,
    /// 1..=100; shares are weight over the sum of weights.
    pub weight: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EndpointAddress {
    /// A name or an IP literal (no brackets), resolved off the data path when it is a name.
    Tcp {
        host: String,
        port: u16,
    },
    Unix {
        path: std::path::PathBuf,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    /// From the request's last byte to the response head → 504.
    pub response: Duration,
    /// An idle pooled connection is closed after this.
    pub idle: Duration,
    /// No byte in either direction of a running exchange or tunnel → 504 or abort.
    pub stream_idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            response: Duration::from_secs(15),
            idle: Duration::from_secs(60),
            stream_idle: Duration::from_secs(300),
        }
    }
}
