//! Model → what the data plane uses.

use super::super::{
    model::{Api, Model, Policy, Service, Settings, Shape, Shaping, SharedStorage},
    resource::{BalancePolicy, Upstream},
};
use crate::{
    addresses::Addresses,
    observe::access_log,
    policy, route,
    shard::snapshot::{self, ApiTimeouts, Forward, Listener, NO_POLICIES, OwnedChain, Snapshot},
    upstream::{balance, breaker::Breaker, cluster},
};
use std::net::SocketAddr;

/// Only for a model without problems. Services that no route leads to make no cluster: nothing would use their
/// names' addresses.
pub(in crate::config) fn build(model: Model) -> Snapshot {
    let Model {
        apis,
        services,
        calls,
        key_sources,
        shared_caches,
        settings,
        mut servers,
        policy_calls,
        ..
    } = model;
    let mut used = vec![false; services.len()];
    for destination in apis
        .iter()
        .flat_map(|api| &api.routes)
        .flat_map(|route| &route.destinations)
    {
        used[destination.service] = true;
    }
    let mut chains = vec![OwnedChain::default()];
    // Policies name the clusters of their calls by number: these come first.
    let mut clusters: Vec<_> = (calls.iter())
        .filter_map(|call| Some(cluster_spec(call, call.upstream.as_ref()?, &settings)))
        // The default of services' breakers is not for policies' own calls: who may get in would hang on how many do.
        .map(|spec| cluster::Spec {
            breaker: None,
            ..spec
        })
        .collect();
    let mut outbound = vec![NO_POLICIES; clusters.len()];
    let cluster_ids: Vec<_> = (services.into_iter().zip(&used))
        .map(|(service, used)| {
            let id = clusters.len();
            if let Some(upstream) = service.upstream.as_ref().filter(|_| *used) {
                clusters.push(cluster_spec(&service, upstream, &settings));
                outbound.push(chain(&mut chains, service.id.to_string(), service.policies));
            }
            id
        })
        .collect();
    let mut addresses: Vec<(SocketAddr, Vec<route::Api<snapshot::Api, Forward>>)> = Vec::new();
    for api in apis {
        let socket = api.socket;
        let api = route_api(api, &cluster_ids, &mut chains);
        match addresses.iter_mut().find(|(address, _)| *address == socket) {
            Some((_, apis)) => apis.push(api),
            None => addresses.push((socket, vec![api])),
        }
    }
    let listeners = addresses
        .into_iter()
        .map(|(address, apis)| Listener {
            address,
            tls: (servers.iter().position(|(socket, _)| *socket == address))
                .map(|place| servers.swap_remove(place).1),
            routes: route::Table::new(apis),
        })
        .collect();
    // Messages of policies go where the access log goes, and have a place of their own where there is none.
    let logs = chains.iter().any(|chain| chain.policies.logs());
    let access_log = settings.access_log.or_else(|| {
        logs.then(|| access_log::Spec {
            path: "/dev/stdout".into(),
            format: access_log::Format::MessagesAsText,
        })
    });
    Snapshot {
        listeners,
        clusters,
        chains,
        outbound,
        key_sources,
        shared_caches,
        rate_limit_keys: settings.rate_limit_keys,
        shared_storage: match settings.shared_storage {
            Some(SharedStorage::Redis(settings)) => Some(settings),
            Some(SharedStorage::Local) | None => None,
        },
        limits: settings.limits,
        runtime: settings.runtime,
        shutdown: settings.shutdown,
        access_log,
        proxies: snapshot::Proxies {
            announcing: settings.proxy_protocol.map(|announced| match announced.from {
                Some(networks) => networks.addresses,
                None => Addresses::everybody(),
            }),
            trusted: settings.trusted_proxies.map(|networks| networks.addresses),
        },
        ticket_secret: settings.ticket_secret,
        policy_calls: policy_calls.map(|(client, _)| client),
    }
}

/// Index of a chain of these.
fn chain(chains: &mut Vec<OwnedChain>, owner: String, policies: Vec<Policy>) -> usize {
    if policies.is_empty() {
        return NO_POLICIES;
    }
    let bound = policies.into_iter().map(|policy| policy::Bound {
        name: policy.id.to_string(),
        rules: policy.rules,
        policy: policy.compiled,
    });
    chains.push(OwnedChain {
        owner,
        policies: policy::Chain::new(bound.collect()),
    });
    chains.len() - 1
}

fn route_api(
    api: Api,
    cluster_ids: &[usize],
    chains: &mut Vec<OwnedChain>,
) -> route::Api<snapshot::Api, Forward> {
    let routes = (api.routes.into_iter())
        .map(|route| {
            let destinations = (route.destinations.into_iter())
                .map(|destination| snapshot::Destination {
                    cluster: cluster_ids[destination.service],
                    weight: destination.weight,
                    destination_path: destination.path,
                })
                .collect();
            route::Route {
                rules: route.rules,
                payload: Forward { destinations },
            }
        })
        .collect();
    route::Api {
        base_path: api.base_path,
        payload: snapshot::Api {
            name: api.id.to_string(),
            chain: chain(chains, api.id.to_string(), api.policies),
            timeouts: api.shaping.into_iter().filter_map(api_timeouts).collect(),
        },
        routes,
    }
}

fn api_timeouts(shaping: Shaping) -> Option<ApiTimeouts> {
    let (response, stream_idle) = match shaping.shape {
        Shape::ResponseTimeout(timeout) => (Some(timeout), None),
        Shape::StreamIdleTimeout(timeout) => (None, Some(timeout)),
        Shape::IdleTimeout(_) | Shape::CircuitBreaker(_) => return None,
    };
    Some(ApiTimeouts {
        rules: shaping.rules,
        response,
        stream_idle,
    })
}

fn cluster_spec(service: &Service, upstream: &Upstream, settings: &Settings) -> cluster::Spec {
    let endpoints = (upstream.endpoints.iter().zip(&service.targets))
        .map(|((address, weight), target)| cluster::EndpointSpec {
            address: address.endpoint.clone(),
            tls: target.clone(),
            weight: *weight,
        })
        .collect();
    let mut timeouts = settings.timeouts;
    let mut thresholds = settings.circuit_breaker;
    for shaping in &service.shaping {
        match shaping.shape {
            Shape::IdleTimeout(timeout) => timeouts.idle = timeout,
            Shape::CircuitBreaker(own) => thresholds = Some(own),
            Shape::ResponseTimeout(_) | Shape::StreamIdleTimeout(_) => {}
        }
    }
    cluster::Spec {
        name: service.id.to_string(),
        endpoints,
        balance: balance_policy(upstream),
        preserve_host: upstream.preserve_host.unwrap_or(settings.preserve_host),
        timeouts,
        breaker: thresholds.map(Breaker::new),
    }
}

fn balance_policy(upstream: &Upstream) -> balance::Policy {
    let hash_on = upstream.load_balancing.hash_on.as_deref();
    match upstream.load_balancing.policy {
        BalancePolicy::RoundRobin => balance::Policy::RoundRobin,
        BalancePolicy::LeastRequest => balance::Policy::LeastRequest,
        BalancePolicy::Random => balance::Policy::Random,
        BalancePolicy::ConsistentHash => balance::Policy::ConsistentHash(match hash_on {
            Some(name) if name != CLIENT_ADDRESS => balance::HashOn::Header(name.to_owned()),
            _ => balance::HashOn::ClientAddress,
        }),
    }
}

const CLIENT_ADDRESS: &str = "client-address";
