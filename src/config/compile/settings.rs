//! `Configuration` documents and the environment → effective settings.

use crate::{
    addresses::Addresses,
    config::{
        environment::Variables,
        model::{Networks, ProxyProtocol, Settings, SharedStorage},
        resource::{
            AccessLogSpec, ConfigurationSpec, DriverWord, LimitsSpec, Object, RuntimeSpec, ShutdownSpec,
            TimeoutsSpec,
        },
    },
    located::{Bounded, Located, Problems},
    observe::access_log,
    shard::snapshot::DriverChoice,
    tls::TicketSecret,
};
use std::{collections::HashMap, path::PathBuf, time::Duration};

pub(super) fn compile(
    configurations: &[Object<ConfigurationSpec>],
    variables: &Variables,
    problems: &mut Problems,
) -> Settings {
    check_members(configurations, problems);
    let mut settings = Settings::default();
    apply_variables(&mut settings, variables);
    for object in configurations {
        let Some(spec) = &object.spec else {
            if object
                .members
                .iter()
                .any(|member| member.value == "sharedStorage")
            {
                // Wrong is not the same as not there: whoever needs it is not to be told that it is missing.
                settings.shared_storage = Some(SharedStorage::Local);
            }
            continue;
        };
        if let Some(limits) = &spec.limits {
            apply_limits(&mut settings, limits, object, problems);
        }
        if let Some(timeouts) = &spec.timeouts {
            apply_timeouts(&mut settings, timeouts);
        }
        if let Some(runtime) = &spec.runtime {
            apply_runtime(&mut settings, runtime);
        }
        if let Some(shutdown) = &spec.shutdown {
            apply_shutdown(&mut settings, shutdown);
        }
        if let Some(breaker) = &spec.circuit_breaker {
            settings.circuit_breaker = Some(breaker.thresholds.thresholds());
        }
        if let Some(limit) = &spec.rate_limit {
            settings.rate_limit_keys = usize::try_from(limit.max_keys.unsigned()).ok();
        }
        if let Some(proxy_protocol) = &spec.proxy_protocol
            && proxy_protocol.enabled
        {
            let from = proxy_protocol.from.as_deref();
            settings.proxy_protocol = Some(ProxyProtocol {
                from: from.and_then(|from| networks(from, object, "proxyProtocol.from", problems)),
            });
        }
        if let Some(trusted) = &spec.trusted_proxies {
            settings.trusted_proxies = networks(trusted, object, "trustedProxies", problems);
        }
        if let Some(storage) = &spec.shared_storage {
            problems.set_object(object.label());
            settings.shared_storage = problems.within("spec.sharedStorage", |problems| {
                super::shared_storage::compile(storage, &storage.origin, problems)
            });
        }
        if let Some(tickets) = &spec.session_tickets {
            match TicketSecret::new(tickets.secret.as_str()) {
                Ok(secret) => settings.ticket_secret = Some(secret),
                Err(message) => problems.report_at(
                    &tickets.secret.origin,
                    &object.label(),
                    "spec.sessionTickets.secret",
                    message,
                ),
            }
        }
        if let Some(log) = &spec.access_log {
            apply_access_log(&mut settings, log, object, problems);
        }
    }
    settings
}

fn networks(
    written: &[Located<String>],
    object: &Object<ConfigurationSpec>,
    field: &str,
    problems: &mut Problems,
) -> Option<Networks> {
    let mut own = Problems::default();
    let addresses = Addresses::compile(written, &mut own);
    for problem in own.into_list() {
        problems.report_at(
            problem.origin.as_ref().unwrap_or(&object.origin),
            &object.label(),
            &format!("spec.{field}{}", problem.path),
            problem.message,
        );
    }
    if written.is_empty() {
        let message = "must name an address or a range";
        problems.report_at(&object.origin, &object.label(), &format!("spec.{field}"), message);
    }
    Some(Networks {
        written: written.iter().map(|text| text.value.clone()).collect(),
        addresses: addresses?,
    })
}

/// Exactly one subject a document, and each subject in one document.
fn check_members(configurations: &[Object<ConfigurationSpec>], problems: &mut Problems) {
    let mut first: HashMap<&str, &Located<String>> = HashMap::new();
    for object in configurations {
        let label = object.label();
        match &object.members[..] {
            [] if object.spec.is_some() => {
                problems.report_at(
                    &object.origin,
                    &label,
                    "spec",
                    format!("must have one of {SUBJECTS}"),
                );
            }
            [_, second, ..] => {
                let all: Vec<_> = object.members.iter().map(|member| member.as_str()).collect();
                let message = format!(
                    "must have one subject a document, not {}: {}",
                    all.len(),
                    all.join(", ")
                );
                problems.report_at(&second.origin, &label, "spec", message);
            }
            _ => {}
        }
        for member in &object.members {
            if let Some(earlier) = first.get(member.as_str()) {
                let message = format!(
                    "`{}` is configured twice; first at {}",
                    member.value, earlier.origin
                );
                problems.report_at(&member.origin, &label, &format!("spec.{}", member.value), message);
            } else {
                first.insert(member, member);
            }
        }
    }
}

fn apply_variables(settings: &mut Settings, variables: &Variables) {
    let seconds = |value: Option<u64>, target: &mut Duration| {
        if let Some(value) = value {
            *target = Duration::from_secs(value);
        }
    };
    settings.preserve_host = variables.rewrite_host == Some(false);
    seconds(variables.connection_idle, &mut settings.limits.keep_alive_idle);
    seconds(variables.upstream_connection_idle, &mut settings.timeouts.idle);
    seconds(variables.upstream_response, &mut settings.timeouts.response);
    seconds(variables.stream_idle, &mut settings.timeouts.stream_idle);
    seconds(variables.drain, &mut settings.shutdown.drain);
}

fn apply_timeouts(settings: &mut Settings, spec: &TimeoutsSpec) {
    seconds(
        spec.upstream_connection_idle.as_ref(),
        &mut settings.timeouts.idle,
    );
    seconds(spec.upstream_response.as_ref(), &mut settings.timeouts.response);
    seconds(spec.stream_idle.as_ref(), &mut settings.timeouts.stream_idle);
}

fn apply_limits(
    settings: &mut Settings,
    spec: &LimitsSpec,
    object: &Object<ConfigurationSpec>,
    problems: &mut Problems,
) {
    let limits = &mut settings.limits;
    count(spec.head_bytes.as_ref(), &mut limits.head.head_bytes);
    count(spec.header_count.as_ref(), &mut limits.head.headers);
    match &spec.target_bytes {
        Some(target) if target.unsigned() > limits.head.head_bytes as u64 => {
            let message = format!("must not be more than headBytes ({})", limits.head.head_bytes);
            problems.report_at(
                &target.origin,
                &object.label(),
                "spec.limits.targetBytes",
                message,
            );
        }
        target => count(target.as_ref(), &mut limits.head.target_bytes),
    }
    // A target is part of its head: a small head implies it.
    limits.head.target_bytes = limits.head.target_bytes.min(limits.head.head_bytes);
    count(spec.connections.as_ref(), &mut limits.connections);
    count(spec.handshakes.as_ref(), &mut limits.handshakes);
    seconds(spec.handshake_timeout.as_ref(), &mut limits.handshake_timeout);
    limits.body_bytes = spec.body_bytes.as_ref().map(|bytes| bytes.unsigned());
    limits.connections_per_client = spec.connections_per_client.as_ref().map(bounded_u32);
    seconds(spec.head_timeout.as_ref(), &mut limits.head_timeout);
    seconds(spec.keep_alive_idle.as_ref(), &mut limits.keep_alive_idle);
    seconds(spec.body_idle.as_ref(), &mut limits.body_idle);
    seconds(spec.tunnel_idle.as_ref(), &mut limits.tunnel_idle);
    seconds(spec.connect_timeout.as_ref(), &mut settings.timeouts.connect);
}

fn apply_runtime(settings: &mut Settings, spec: &RuntimeSpec) {
    if let Some(shards) = &spec.shards {
        settings.runtime.shards = usize::try_from(shards.unsigned()).ok();
    }
    if let Some(driver) = spec.driver {
        settings.runtime.driver = match driver {
            DriverWord::Auto => DriverChoice::Auto,
            DriverWord::IoUring => DriverChoice::IoUring,
            DriverWord::Epoll => DriverChoice::Epoll,
        };
    }
    if let Some(pinning) = spec.pinning {
        settings.runtime.pin = pinning;
    }
}

fn apply_shutdown(settings: &mut Settings, spec: &ShutdownSpec) {
    seconds(spec.drain.as_ref(), &mut settings.shutdown.drain);
    seconds(spec.delay.as_ref(), &mut settings.shutdown.delay);
}

fn apply_access_log(
    settings: &mut Settings,
    spec: &AccessLogSpec,
    object: &Object<ConfigurationSpec>,
    problems: &mut Problems,
) {
    if !spec.path.starts_with('/') {
        let message = "must be an absolute path, such as /dev/stdout";
        problems.report_at(&spec.path.origin, &object.label(), "spec.accessLog.path", message);
    }
    settings.access_log = Some(access_log::Spec {
        path: PathBuf::from(&spec.path.value),
        format: access_log::Format::Json,
    });
}

fn seconds<const MIN: i64, const MAX: i64>(
    written: Option<&Located<Bounded<MIN, MAX>>>,
    target: &mut Duration,
) {
    if let Some(written) = written {
        *target = Duration::from_secs(written.unsigned());
    }
}

fn count<const MIN: i64, const MAX: i64, N: TryFrom<u64>>(
    written: Option<&Located<Bounded<MIN, MAX>>>,
    target: &mut N,
) {
    // The bounds of every count fit its type.
    if let Some(number) = written.and_then(|written| N::try_from(written.unsigned()).ok()) {
        *target = number;
    }
}

fn bounded_u32<const MIN: i64, const MAX: i64>(written: &Located<Bounded<MIN, MAX>>) -> u32 {
    u32::try_from(written.unsigned()).unwrap_or(u32::MAX)
}

const SUBJECTS: &str = "timeouts, rateLimit, circuitBreaker, sharedStorage, accessLog, runtime, limits, shutdown, defaultTLS, sessionTickets";
