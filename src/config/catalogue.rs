//! Policies by name: those there are, those of Flex Gateway that are still to come.

use super::resource::{CircuitBreakerSpec, IdleTimeoutSpec, ResponseTimeoutSpec, StreamIdleTimeoutSpec};
use crate::{
    located::{Decode, schema::Definitions},
    policy,
};

/// What a policy's name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    Route,
    RouteWeighted,
    /// No step of a chain: what requests go through.
    Shaping(Shaping),
    /// What secures the connections of an address.
    Tls,
    /// What secures the connections to a service.
    TlsOutbound,
    /// One of an API's chain.
    Chained(policy::Kind),
}

/// Time limits and circuit breakers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shaping {
    ResponseTimeout,
    StreamIdleTimeout,
    IdleTimeout,
    CircuitBreaker,
}

impl Shaping {
    pub(super) const ALL: [(&str, Self); 4] = [
        ("response-timeout-flex", Self::ResponseTimeout),
        ("stream-idle-timeout-flex", Self::StreamIdleTimeout),
        ("idle-timeout-flex", Self::IdleTimeout),
        ("circuit-breaker-flex", Self::CircuitBreaker),
    ];

    /// Else of an ApiInstance.
    pub(super) fn is_of_service(self) -> bool {
        matches!(self, Self::IdleTimeout | Self::CircuitBreaker)
    }

    pub(super) fn needs_config(self) -> bool {
        self == Self::CircuitBreaker
    }

    pub(super) fn schema(self, definitions: &mut Definitions) -> serde_json::Value {
        match self {
            Self::ResponseTimeout => ResponseTimeoutSpec::schema(definitions),
            Self::StreamIdleTimeout => StreamIdleTimeoutSpec::schema(definitions),
            Self::IdleTimeout => IdleTimeoutSpec::schema(definitions),
            Self::CircuitBreaker => CircuitBreakerSpec::schema(definitions),
        }
    }
}

/// # Errors
/// What is wrong with the name, for a problem.
pub(super) fn find(name: &str) -> Result<Policy, String> {
    // The vendor's names come with and without the suffix of its built-in implementations, some in its own pages.
    let without = name.strip_suffix(SUFFIX).unwrap_or(name);
    if let Some((_, policy)) = available().find(|(available, _)| [name, without].contains(available)) {
        return Ok(policy);
    }
    let bare = |name: &'static str| name.strip_suffix(SUFFIX).unwrap_or(name);
    if LATER.iter().any(|later| *later == name || bare(later) == without) {
        return Err(format!(
            "Ringway knows the policy `{name}` but does not have it yet"
        ));
    }
    let all = available()
        .map(|(available, _)| available)
        .chain(LATER.iter().copied());
    let advice = crate::located::nearest(name, all).map(|name| format!("; did you mean `{name}`?"));
    let valid = || {
        let names: Vec<_> = named().map(|(available, _)| available).collect();
        format!("; valid: {}", names.join(", "))
    };
    Err(format!("unknown policy `{name}`{}", advice.unwrap_or_else(valid)))
}

/// By the names they are bound with. The vendor's own come with a suffix; without it they are what its control plane
/// calls the same policy.
fn available() -> impl Iterator<Item = (&'static str, Policy)> {
    named().chain(named().map(|(name, policy)| (name.strip_suffix(SUFFIX).unwrap_or(name), policy)))
}

/// Each by one name.
fn named() -> impl Iterator<Item = (&'static str, Policy)> {
    let chained = policy::Kind::ALL.map(|(name, kind)| (name, Policy::Chained(kind)));
    let shaping = Shaping::ALL.map(|(name, shaping)| (name, Policy::Shaping(shaping)));
    ROUTING.into_iter().chain(chained).chain(shaping)
}

pub(super) const ROUTE: &str = "route";
pub(super) const ROUTE_WEIGHTED: &str = "route-weighted";

pub(super) const SUFFIX: &str = "-flex";

pub(super) const TLS: &str = "tls";
pub(super) const TLS_OUTBOUND: &str = "tls-outbound";

const ROUTING: [(&str, Policy); 4] = [
    (ROUTE, Policy::Route),
    (ROUTE_WEIGHTED, Policy::RouteWeighted),
    (TLS, Policy::Tls),
    (TLS_OUTBOUND, Policy::TlsOutbound),
];

const LATER: &[&str] = &[
    // who may
    "ldap-authentication-flex",
    "openidconnect-access-token-enforcement-flex",
    "external-oauth2-access-token-enforcement",
    "native-ext-proc-flex",
    "oauth-protected-resource-metadata",
    "health-check",
    // what may pass
    "spec-validation-flex",
    // what is changed or told
    "tracing-flex",
    "sse-logging-flex",
    "dataweave-headers-transformation",
    "dataweave-body-transformation",
    "dataweave-request-filter",
    "script-evaluation-transformation",
    "agent-connection-telemetry",
    // towards the service
    "credential-injection-oauth2-obo",
    "native-aws-lambda",
    "intask-authorization-code-policy",
    "intask-authentication-policy",
    // agents
    "a-two-a-agent-card",
    "a-two-a-pii-detector",
    "a-two-a-token-rate-limit",
    "mcp-access-control",
    "mcp-global-access-policy",
    "mcp-support",
];
