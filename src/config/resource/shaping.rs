//! Configuration of the policies that are no step of a chain but shape what requests go through: time limits and circuit
//! breakers.

use super::configuration::Seconds;
use crate::{
    located::{Bounded, Decode, Located, Node, Problems, schema::Definitions},
    object,
    upstream::breaker::Thresholds,
};
use serde_json::json;

object! {
    /// Configuration of `response-timeout-flex`.
    pub(crate) struct ResponseTimeoutSpec {
        /// Seconds from the request's last byte to the response's head. Default 15.
        optional "timeout" timeout: Seconds,
    }
}

object! {
    /// Configuration of `stream-idle-timeout-flex`.
    pub(crate) struct StreamIdleTimeoutSpec {
        /// Seconds without a byte in either direction. Default 300.
        optional "timeout" timeout: Seconds,
    }
}

object! {
    /// Configuration of `idle-timeout-flex`.
    pub(crate) struct IdleTimeoutSpec {
        /// Seconds after which an idle connection to the service is closed. Default 60.
        optional "timeout" timeout: Seconds,
    }
}

object! {
    /// Configuration of `circuit-breaker-flex`, and of the gateway's default.
    pub(crate) struct CircuitBreakerSpec {
        /// What may go on at the same time towards a service, over all shards.
        required "thresholds" thresholds: ThresholdsSpec,
    }
}

object! {
    /// What may go on at the same time towards a service.
    pub(crate) struct ThresholdsSpec {
        /// Open connections, idle ones included. Default 1024.
        optional "maxConnections" connections: Located<Bounded<1, { u32::MAX as i64 }>>,
        /// Requests that wait for a connection, connecting included; past it 503. Default 1024.
        optional "maxPendingRequests" pending: Located<Bounded<1, { u32::MAX as i64 }>>,
        /// Requests that have a connection; past it 503. Default 1024.
        optional "maxRequests" requests: Located<Bounded<1, { u32::MAX as i64 }>>,
        /// Requests that are sent again; past it they are not. Default 3.
        optional "maxRetries" retries: Located<Bounded<0, { u32::MAX as i64 }>>,
        /// Refused: it has no meaning here.
        optional "maxConnectionPools" pools: NoPools,
    }
}

impl ThresholdsSpec {
    pub(crate) fn thresholds(&self) -> Thresholds {
        let default = Thresholds::default();
        // The bounds are those of the type.
        Thresholds {
            connections: (self.connections.as_ref()).map_or(default.connections, |n| n.unsigned() as u32),
            pending: (self.pending.as_ref()).map_or(default.pending, |n| n.unsigned() as u32),
            requests: (self.requests.as_ref()).map_or(default.requests, |n| n.unsigned() as u32),
            retries: (self.retries.as_ref()).map_or(default.retries, |n| n.unsigned() as u32),
        }
    }
}

/// Never there.
#[derive(Debug, Clone)]
pub(crate) enum NoPools {}

impl Decode for NoPools {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let message = "has no meaning here: each address has one pool, made when the configuration is loaded, so there \
                       is none to refuse; leave it out";
        problems.report(&node.origin, message);
        None
    }

    fn schema(_: &mut Definitions) -> serde_json::Value {
        json!({ "not": {} })
    }
}
