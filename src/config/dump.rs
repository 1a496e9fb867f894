//! The effective configuration as documents that would load to the same again, hidden secrets apart.

mod shared_storage;

use super::{
    model::{Api, Contract, Model, Policy, Route, Securing, Service, Settings, Shape, Shaping},
    resource::{Id, Rule},
};
use crate::{
    located::{Node, Style, Value as Located},
    policy::rate_limit::Limit,
    shard::snapshot::DriverChoice,
    upstream::breaker::Thresholds,
};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How [`super::dump`] writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Documents parted by `---`.
    #[default]
    Yaml,
    /// One array.
    Json,
}

pub(super) fn write(model: &Model, format: Format) -> String {
    let documents = documents(model);
    match format {
        Format::Json => format!("{:#}\n", Value::Array(documents)),
        // The values are JSON's, each of which YAML can say.
        Format::Yaml => serde_yaml::to_string_multiple(&documents).unwrap_or_default(),
    }
}

fn documents(model: &Model) -> Vec<Value> {
    let mut documents = Vec::new();
    for api in &model.apis {
        documents.push(document("ApiInstance", &api.id, &api.labels, api_spec(api)));
    }
    for service in &model.services {
        documents.push(document(
            "Service",
            &service.id,
            &[],
            service_spec(service, &model.settings),
        ));
    }
    for api in &model.apis {
        for policy in &api.policies {
            documents.push(document(
                "PolicyBinding",
                &policy.id,
                &[],
                policy_spec("ApiInstance", &api.id, policy),
            ));
        }
        for shaping in &api.shaping {
            let target = ("ApiInstance", &api.id);
            documents.push(document(
                "PolicyBinding",
                &shaping.id,
                &[],
                shaping_spec(target, shaping),
            ));
        }
        for securing in &api.tls {
            let spec = securing_spec("ApiInstance", &api.id, securing);
            documents.push(document("PolicyBinding", &securing.id, &[], spec));
        }
        for route in &api.routes {
            documents.push(document(
                "PolicyBinding",
                &route.id,
                &[],
                binding_spec(api, route, model),
            ));
        }
    }
    for service in &model.services {
        for policy in &service.policies {
            documents.push(document(
                "PolicyBinding",
                &policy.id,
                &[],
                policy_spec("Service", &service.id, policy),
            ));
        }
        for shaping in &service.shaping {
            let target = ("Service", &service.id);
            documents.push(document(
                "PolicyBinding",
                &shaping.id,
                &[],
                shaping_spec(target, shaping),
            ));
        }
    }
    for service in &model.services {
        if let Some(securing) = &service.tls {
            let spec = securing_spec("Service", &service.id, securing);
            documents.push(document("PolicyBinding", &securing.id, &[], spec));
        }
    }
    for id in &model.secrets {
        let spec = json!({ "tls": { "crt": HIDDEN, "key": HIDDEN } });
        documents.push(document("Secret", id, &[], spec));
    }
    for contract in &model.contracts {
        documents.push(document("Contract", &contract.id, &[], contract_spec(contract)));
    }
    let calls = model
        .policy_calls
        .iter()
        .filter_map(|(_, config)| config.as_ref());
    let calls = calls.map(|config| ("defaultTLS", json!({ "outboundPolicyCalls": hidden("", config) })));
    for (subject, spec) in subjects(&model.settings).into_iter().chain(calls) {
        let id = Id::new(
            super::resource::DEFAULT_NAMESPACE,
            &format!("effective-{}", subject.to_lowercase()),
        );
        documents.push(document("Configuration", &id, &[], json!({ subject: spec })));
    }
    documents
}

fn document(kind: &str, id: &Id, labels: &[(String, String)], spec: Value) -> Value {
    let mut metadata = json!({ "name": id.name, "namespace": id.namespace });
    if !labels.is_empty() {
        metadata["labels"] = labels
            .iter()
            .map(|(key, value)| (key.clone(), json!(value)))
            .collect::<Map<_, _>>()
            .into();
    }
    json!({ "apiVersion": "ringway/v1", "kind": kind, "metadata": metadata, "spec": spec })
}

fn api_spec(api: &Api) -> Value {
    let scheme = if api.secure { "https" } else { "http" };
    json!({ "address": format!("{scheme}://{}{}", api.socket, api.base_path) })
}

fn service_spec(service: &Service, settings: &Settings) -> Value {
    let Some(upstream) = &service.upstream else {
        return Value::Null;
    };
    let endpoints: Vec<_> = (upstream.endpoints.iter())
        .map(|(address, weight)| json!({ "address": address.text(), "weight": weight }))
        .collect();
    let mut balancing = json!({ "policy": upstream.load_balancing.policy.word() });
    if let Some(hash_on) = &upstream.load_balancing.hash_on {
        balancing["hashOn"] = json!(hash_on);
    }
    json!({
        "endpoints": endpoints,
        "loadBalancing": balancing,
        "preserveHost": upstream.preserve_host.unwrap_or(settings.preserve_host),
    })
}

fn securing_spec(kind: &str, target: &Id, securing: &Securing) -> Value {
    json!({
        "targetRef": { "kind": kind, "name": target.name, "namespace": target.namespace },
        "policyRef": { "name": securing.name },
        "config": securing.config.as_ref().map(|config| hidden("", config)),
    })
}

/// One that selects several APIs is written out for each.
fn policy_spec(kind: &str, target: &Id, policy: &Policy) -> Value {
    let mut spec = json!({
        "targetRef": { "kind": kind, "name": target.name, "namespace": target.namespace },
        "policyRef": { "name": policy.name },
    });
    if let Some(config) = &policy.config {
        spec["config"] = hidden("", config);
    }
    if !policy.compiled.is_first() {
        spec["order"] = json!(policy.order);
    }
    if !policy.written.is_empty() {
        spec["rules"] = policy.written.iter().map(rule).collect();
    }
    spec
}

fn binding_spec(api: &Api, route: &Route, model: &Model) -> Value {
    let mut config = route
        .config
        .as_ref()
        .map_or_else(|| json!({}), |config| hidden("", config));
    if !config.is_object() {
        config = json!({});
    }
    if config.get("destinationRef").is_none() && config.get("routes").is_none() {
        // An inline route: its destination is where it stood.
        let service = &model.services[route.destinations[0].service].id;
        config["destinationRef"] = json!({ "name": service.name, "namespace": service.namespace });
    }
    let mut spec = json!({
        "targetRef": { "kind": "ApiInstance", "name": api.id.name, "namespace": api.id.namespace },
        "policyRef": { "name": if route.weighted { "route-weighted" } else { "route" } },
        "config": config,
        "order": route.order,
    });
    if !route.written.is_empty() {
        spec["rules"] = route.written.iter().map(rule).collect();
    }
    spec
}

fn shaping_spec((kind, target): (&str, &Id), shaping: &Shaping) -> Value {
    let config = match shaping.shape {
        Shape::ResponseTimeout(timeout) | Shape::StreamIdleTimeout(timeout) | Shape::IdleTimeout(timeout) => {
            json!({ "timeout": timeout.as_secs() })
        }
        Shape::CircuitBreaker(thresholds) => circuit_breaker(thresholds),
    };
    let mut spec = json!({
        "targetRef": { "kind": kind, "name": target.name, "namespace": target.namespace },
        "policyRef": { "name": shaping.name },
        "config": config,
        "order": shaping.order,
    });
    if !shaping.written.is_empty() {
        spec["rules"] = shaping.written.iter().map(rule).collect();
    }
    spec
}

fn circuit_breaker(thresholds: Thresholds) -> Value {
    json!({ "thresholds": {
        "maxConnections": thresholds.connections,
        "maxPendingRequests": thresholds.pending,
        "maxRequests": thresholds.requests,
        "maxRetries": thresholds.retries,
    } })
}

fn contract_spec(contract: &Contract) -> Value {
    let mut spec = json!({
        "apiId": contract.api.name,
        "client": { "id": contract.client, "secret": HIDDEN },
    });
    if let Some(name) = &contract.client_name {
        spec["client"]["name"] = json!(name);
    }
    if let Some((name, limits)) = &contract.sla {
        let limit = |limit: &Limit| json!({ "maximumRequests": limit.requests, "timePeriodInMilliseconds": limit.window_ms });
        spec["sla"] = json!({ "rateLimits": limits.iter().map(limit).collect::<Vec<_>>() });
        if let Some(name) = name {
            spec["sla"]["name"] = json!(name);
        }
    }
    spec
}

fn rule(rule: &Rule) -> Value {
    let spec = &rule.spec;
    let mut out = Map::new();
    for (key, text) in [
        ("path", &spec.path),
        ("methods", &spec.methods),
        ("host", &spec.host),
    ] {
        if let Some(text) = text {
            out.insert(key.to_owned(), json!(text.value));
        }
    }
    if let Some(headers) = &spec.headers {
        let headers = headers
            .0
            .iter()
            .map(|(name, text)| (name.value.clone(), json!(text.value)));
        out.insert("headers".to_owned(), Value::Object(headers.collect()));
    }
    Value::Object(out)
}

/// A policy's configuration, without what came from the environment or a secret file and without what stands
/// under a secret's name.
fn hidden(key: &str, node: &Node) -> Value {
    match &node.value {
        Located::Map(map) => {
            // A header's line, `{key, value}`: its name says whether the value is a secret, and is none itself.
            let line = map.get("value").and(map.get("key")).and_then(Node::text);
            let part = |key: &str, node: &Node| match (line, key) {
                (Some(_), "key") => hidden("", node),
                (Some(name), "value") => hidden(name, node),
                _ => hidden(key, node),
            };
            let entries = map.entries.iter();
            let entries = entries.map(|(key, node)| (key.value.clone(), part(key, node)));
            entries.collect::<Map<_, _>>().into()
        }
        Located::List(items) => items.iter().map(|item| hidden(key, item)).collect(),
        Located::Scalar(_) if node.is_null() => Value::Null,
        Located::Scalar(scalar) if scalar.style == Style::Substituted => json!(HIDDEN),
        Located::Scalar(scalar) if is_secret(key) => json!(HIDDEN),
        Located::Scalar(scalar) => {
            // A dollar that was doubled has to be again.
            let text = if scalar.text.starts_with('$') {
                format!("${}", scalar.text)
            } else {
                scalar.text.clone()
            };
            bare(&scalar.text, scalar.style).unwrap_or(Value::String(text))
        }
    }
}

/// Numbers and truth values as such, so that what reads the dump finds their types.
fn bare(text: &str, style: Style) -> Option<Value> {
    match (style, text) {
        (Style::Plain, "true") => Some(json!(true)),
        (Style::Plain, "false") => Some(json!(false)),
        (Style::Plain, text) => text
            .parse::<i64>()
            .ok()
            .filter(|number| number.to_string() == text)
            .map(Value::from),
        _ => None,
    }
}

/// By its name: what has one of these words in it, but for settings of how a secret is carried or fetched.
fn is_secret(key: &str) -> bool {
    // What is said about a secret is none.
    let about = [
        "CachingKey",
        "Expression",
        "Format",
        "Header",
        "HeaderName",
        "Length",
        "Origin",
        "PrefixName",
        "Selector",
        "TTL",
        "Timeout",
    ];
    if about.iter().any(|end| key.ends_with(end)) {
        return false;
    }
    let key = key.to_lowercase();
    ["password", "secret", "key", "token", "authorization", "cookie"]
        .iter()
        .any(|word| key.contains(word))
}

fn subjects(settings: &Settings) -> Vec<(&'static str, Value)> {
    let seconds = |duration: Duration| duration.as_secs();
    let (limits, timeouts) = (&settings.limits, &settings.timeouts);
    let mut written = json!({
        "headBytes": limits.head.head_bytes,
        "targetBytes": limits.head.target_bytes,
        "headerCount": limits.head.headers,
        "connections": limits.connections,
        "handshakes": limits.handshakes,
        "handshakeTimeoutSeconds": seconds(limits.handshake_timeout),
        "headTimeoutSeconds": seconds(limits.head_timeout),
        "keepAliveIdleSeconds": seconds(limits.keep_alive_idle),
        "bodyIdleSeconds": seconds(limits.body_idle),
        "tunnelIdleSeconds": seconds(limits.tunnel_idle),
        "connectTimeoutSeconds": seconds(timeouts.connect),
    });
    if let Some(bytes) = limits.body_bytes {
        written["bodyBytes"] = json!(bytes);
    }
    if let Some(count) = limits.connections_per_client {
        written["connectionsPerClient"] = json!(count);
    }
    let mut runtime = json!({ "driver": driver(settings.runtime.driver), "pinning": settings.runtime.pin });
    if let Some(shards) = settings.runtime.shards {
        runtime["shards"] = json!(shards);
    }
    let mut subjects = vec![
        ("limits", written),
        ("runtime", runtime),
        (
            "timeouts",
            json!({
                "upstreamConnectionIdleSeconds": seconds(timeouts.idle),
                "upstreamResponseSeconds": seconds(timeouts.response),
                "streamIdleSeconds": seconds(timeouts.stream_idle),
            }),
        ),
        (
            "shutdown",
            json!({
                "drainSeconds": seconds(settings.shutdown.drain),
                "delaySeconds": seconds(settings.shutdown.delay),
            }),
        ),
    ];
    if let Some(keys) = settings.rate_limit_keys {
        subjects.push(("rateLimit", json!({ "maxKeys": keys })));
    }
    if let Some(thresholds) = settings.circuit_breaker {
        subjects.push(("circuitBreaker", circuit_breaker(thresholds)));
    }
    if let Some(announced) = &settings.proxy_protocol {
        let mut subject = json!({ "enabled": true });
        if let Some(from) = &announced.from {
            subject["from"] = json!(from.written);
        }
        subjects.push(("proxyProtocol", subject));
    }
    if let Some(trusted) = &settings.trusted_proxies {
        subjects.push(("trustedProxies", json!(trusted.written)));
    }
    if let Some(storage) = &settings.shared_storage {
        subjects.push(("sharedStorage", shared_storage::written(storage)));
    }
    if settings.ticket_secret.is_some() {
        subjects.push(("sessionTickets", json!({ "secret": HIDDEN })));
    }
    if let Some(log) = &settings.access_log {
        subjects.push(("accessLog", json!({ "path": log.path, "format": "json" })));
    }
    subjects
}

fn driver(choice: DriverChoice) -> &'static str {
    match choice {
        DriverChoice::Auto => "auto",
        DriverChoice::IoUring => "io_uring",
        DriverChoice::Epoll => "epoll",
    }
}

pub(super) const HIDDEN: &str = "***";
