//! A `Service`: the endpoints requests are forwarded to. The same fields make up an API's inline services.

use super::address::UpstreamAddress;
use crate::{
    choice,
    located::{Bounded, Decode, Located, Node, Problems, schema::Definitions},
    object,
};
use serde_json::json;

object! {
    /// An upstream: one address, or several endpoints.
    pub(crate) struct ServiceSpec {
        /// `http://host:port` (port 80 where left out), `https://host:port` (443) or `unix:/path`. Either this or
        /// `endpoints`.
        optional "address" address: Located<UpstreamAddress>,
        /// Several addresses that serve the same. Either these or `address`.
        optional "endpoints" endpoints: Located<Vec<EndpointSpec>>,
        /// How an endpoint is chosen. Default round-robin.
        optional "loadBalancing" load_balancing: LoadBalancing,
        /// Forward the client's `Host` instead of the endpoint's own. Default false.
        optional "preserveHost" preserve_host: bool,
    }
}

object! {
    /// One of a service's addresses.
    pub(crate) struct EndpointSpec {
        /// `http://host:port` (port 80 where left out), `https://host:port` (443) or `unix:/path`.
        required "address" address: Located<UpstreamAddress>,
        /// Its share of the requests: weight over the sum of weights. Default 1.
        optional "weight" weight: Located<Bounded<1, 100>>,
    }
}

choice! {
    /// How an endpoint is chosen.
    pub(crate) enum BalancePolicy {
        RoundRobin = "round-robin",
        LeastRequest = "least-request",
        Random = "random",
        ConsistentHash = "consistent-hash",
    }
}

object! {
    /// How an endpoint is chosen.
    pub(crate) struct LoadBalancingSpec {
        /// `round-robin`, `least-request` (the less busy of two drawn), `random`, or `consistent-hash`.
        required "policy" policy: Located<BalancePolicy>,
        /// For `consistent-hash`: `client-address`, or the name of a request header.
        optional "hashOn" hash_on: Located<String>,
    }
}

/// Checked: a hash has something to hash on, nothing else has. `loadBalancing: random` is short for its policy.
#[derive(Debug, Clone)]
pub(crate) struct LoadBalancing {
    pub(crate) policy: BalancePolicy,
    /// Lower case.
    pub(crate) hash_on: Option<String>,
}

impl Decode for LoadBalancing {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        if node.as_map().is_none() {
            let policy = BalancePolicy::decode(node, problems)?;
            if policy == BalancePolicy::ConsistentHash {
                problems.report(&node.origin, HASH_ON_MISSING);
                return None;
            }
            return Some(Self {
                policy,
                hash_on: None,
            });
        }
        let spec = LoadBalancingSpec::decode(node, problems)?;
        match (spec.policy.value, &spec.hash_on) {
            (BalancePolicy::ConsistentHash, None) => {
                problems.report(&spec.policy.origin, HASH_ON_MISSING);
                None
            }
            (BalancePolicy::ConsistentHash, Some(name)) if !is_token(name) => {
                let message = "must be `client-address` or the name of a request header";
                problems.within("hashOn", |problems| problems.report(&name.origin, message));
                None
            }
            (BalancePolicy::ConsistentHash, Some(name)) => Some(Self {
                policy: spec.policy.value,
                hash_on: Some(name.to_ascii_lowercase()),
            }),
            (_, Some(name)) => {
                let message = format!(
                    "means nothing for `{}`, only for `consistent-hash`",
                    spec.policy.word()
                );
                problems.within("hashOn", |problems| problems.report(&name.origin, message));
                None
            }
            (policy, None) => Some(Self {
                policy,
                hash_on: None,
            }),
        }
    }

    fn schema(definitions: &mut Definitions) -> serde_json::Value {
        let short = json!({ "enum": ["round-robin", "least-request", "random"] });
        json!({ "anyOf": [LoadBalancingSpec::schema(definitions), short] })
    }
}

/// The part of an upstream that a `Service` and an inline service share.
#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    /// Addresses and weights; not empty.
    pub(crate) endpoints: Vec<(UpstreamAddress, u32)>,
    pub(crate) load_balancing: LoadBalancing,
    pub(crate) preserve_host: Option<bool>,
}

impl Upstream {
    /// `node` is what `spec` was read from; `before` how many problems there were before that.
    pub(crate) fn check(
        spec: &ServiceSpec,
        node: &Node,
        before: usize,
        problems: &mut Problems,
    ) -> Option<Self> {
        let endpoints = match (&spec.address, &spec.endpoints) {
            (Some(address), None) => vec![(address.value.clone(), 1)],
            (None, Some(endpoints)) if endpoints.is_empty() => {
                problems.within("endpoints", |problems| {
                    problems.report(&endpoints.origin, "must not be empty")
                });
                return None;
            }
            (None, Some(endpoints)) => endpoints.iter().map(EndpointSpec::weighted).collect(),
            (Some(_), Some(endpoints)) => {
                problems.report(
                    &endpoints.origin,
                    "`address` and `endpoints` are two ways to say one thing: use either",
                );
                return None;
            }
            (None, None) => {
                if problems.len() == before {
                    problems.report(&node.origin, "`address` or `endpoints` is required");
                }
                return None;
            }
        };
        let round_robin = LoadBalancing {
            policy: BalancePolicy::RoundRobin,
            hash_on: None,
        };
        let load_balancing = spec.load_balancing.clone().unwrap_or(round_robin);
        Some(Self {
            endpoints,
            load_balancing,
            preserve_host: spec.preserve_host,
        })
    }
}

/// A `Service`'s spec, checked.
#[derive(Debug, Clone)]
pub(crate) struct CheckedService(pub(crate) Upstream);

impl Decode for CheckedService {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let spec = ServiceSpec::decode(node, problems)?;
        Upstream::check(&spec, node, before, problems).map(Self)
    }

    fn schema(definitions: &mut Definitions) -> serde_json::Value {
        ServiceSpec::schema(definitions)
    }
}

impl EndpointSpec {
    fn weighted(&self) -> (UpstreamAddress, u32) {
        let weight = self.weight.as_ref().map_or(1, |weight| weight.unsigned());
        (self.address.value.clone(), u32::try_from(weight).unwrap_or(1))
    }
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

const HASH_ON_MISSING: &str =
    "`consistent-hash` needs `hashOn`: `client-address` or the name of a request header";
