//! Traffic policies: what is wrong with their configuration, and what shapes clusters and APIs.

use super::{api, bound_api, document, loaded, problems, route_to, service};
use crate::upstream::breaker::Thresholds;
use std::time::Duration;

fn inline(policy: &str, config: &str) -> String {
    let services = "address: \"http://127.0.0.1:1\", services: {s: {address: \"http://o\"}}";
    document(
        "ApiInstance",
        "a",
        &format!("{services}, policies: [{{policyRef: {{name: {policy}}}, config: {{{config}}}}}]"),
    )
}

fn bound(kind: &str, target: &str, policy: &str, more: &str) -> String {
    let target = format!("targetRef: {{kind: {kind}, name: {target}}}");
    document(
        "PolicyBinding",
        "b",
        &format!("{target}, policyRef: {{name: {policy}}}{more}"),
    )
}

#[test]
fn bad_configurations_say_what_and_where() {
    let limits = "rateLimits: [{maximumRequests: 1, timePeriodInMilliseconds: 1}]";
    for (text, problem) in [
        (
            inline("rate-limiting-flex", ""),
            "config: `rateLimits` is required".to_owned(),
        ),
        (
            inline("rate-limiting-flex", "rateLimits: []"),
            "config.rateLimits: must not be empty".to_owned(),
        ),
        (
            inline(
                "rate-limiting-flex",
                &format!("{limits}, keySelector: \"#[nonsense]\""),
            ),
            "config.keySelector: ".to_owned(),
        ),
        (
            inline(
                "rate-limiting",
                "rateLimits: [{maximumRequests: 2147483648, timePeriodInMilliseconds: 1}]",
            ),
            "config.rateLimits[0].maximumRequests: must be between 1 and 2147483647".to_owned(),
        ),
        (
            inline("spike-control-flex", "timePeriodInMilliseconds: 5001"),
            "config.timePeriodInMilliseconds: must be between 1 and 5000".to_owned(),
        ),
        (
            inline(
                "client-id-enforcement-flex",
                "credentialsOriginHasHttpBasicAuthenticationHeader: httpBasicAuthenticationHeader, \
                 clientIdExpression: \"#[attributes.method]\"",
            ),
            "config.clientIdExpression: means nothing with httpBasicAuthenticationHeader".to_owned(),
        ),
        (
            inline("client-id-enforcement-flex", "clientIdExpression: \"#[payload]\""),
            "config.clientIdExpression: ".to_owned(),
        ),
        // Text where an expression is meant: without its brackets, or empty as tools write a field that nobody filled in.
        (
            inline(
                "rate-limiting-flex",
                &format!("{limits}, keySelector: \"attributes.headers['x-api-key']\""),
            ),
            "config.keySelector: is text, which is the same for every request".to_owned(),
        ),
        (
            inline("client-id-enforcement-flex", "clientSecretExpression: ''"),
            "config.clientSecretExpression: is empty".to_owned(),
        ),
        (
            inline("ip-allowlist-flex", "ips: [10.0.0.1], ipExpression: 10.0.0.1"),
            "config.ipExpression: is text".to_owned(),
        ),
        (
            inline("http-caching-flex", "httpCachingKey: attributes.requestPath"),
            "config.httpCachingKey: is text".to_owned(),
        ),
        (
            inline(
                "http-caching-flex",
                "requestExpression: attributes.method == 'GET'",
            ),
            "config.requestExpression: is neither true, false nor an expression".to_owned(),
        ),
        (
            inline("response-timeout-flex", "timeout: 0"),
            "config.timeout: must be between 1 and 604800".to_owned(),
        ),
        (
            inline("circuit-breaker-flex", "thresholds: {}"),
            "policyRef.name: `circuit-breaker-flex` binds to a Service".to_owned(),
        ),
        (
            api("a", "http://127.0.0.1:1") + &bound("ApiInstance", "a", "idle-timeout-flex", ""),
            "`idle-timeout-flex` binds to a Service, not to an ApiInstance".to_owned(),
        ),
        (
            service("s") + &bound("Service", "s", "response-timeout-flex", ""),
            "`response-timeout-flex` binds to an ApiInstance or a Selector, not to a Service".to_owned(),
        ),
        (
            service("s") + &bound("Service", "s", "circuit-breaker-flex", ""),
            "needs `config`".to_owned(),
        ),
        (
            service("s")
                + &bound(
                    "Service",
                    "s",
                    "circuit-breaker-flex",
                    ", config: {thresholds: {maxConnectionPools: 1}}",
                ),
            "thresholds.maxConnectionPools: has no meaning here".to_owned(),
        ),
        (
            service("s") + &bound("Service", "s", "idle-timeout-flex", ", rules: [{path: /a}]"),
            "`idle-timeout-flex` takes no rules".to_owned(),
        ),
    ] {
        let lines = problems(&text);
        assert!(
            lines.len() == 1 && lines[0].contains(&problem),
            "{problem}: {lines:?}"
        );
    }
}

#[test]
fn a_service_has_one_breaker() {
    let config = ", config: {thresholds: {}}";
    let one = bound("Service", "s", "circuit-breaker-flex", config);
    let two = one.replace("name: b}", "name: c}");
    let lines = problems(&[service("s"), one, two].concat());
    assert!(
        lines.len() == 1 && lines[0].ends_with("Service/s has `circuit-breaker-flex` already, bound by b"),
        "{lines:?}"
    );
}

#[test]
fn a_client_without_limits_is_told_where_limits_are_by_contract() {
    let contract = document("Contract", "c", "apiId: a, client: {id: ann, secret: x}");
    let lines = problems(&(inline("rate-limiting-sla-based-flex", "") + &contract));
    let problem = "the contract of the client `ann` for default/a has no `sla`";
    assert!(lines.len() == 1 && lines[0].contains(problem), "{lines:?}");
}

#[test]
fn policies_come_before_the_configuration() {
    let text = [
        bound_api("a"),
        service("s"),
        service("t"),
        route_to("r", "a", "s", ", order: 1, rules: [{path: /x}]"),
        route_to("q", "a", "t", ""),
        document(
            "Configuration",
            "t",
            "timeouts: {upstreamConnectionIdleSeconds: 7}",
        ),
        document(
            "Configuration",
            "c",
            "circuitBreaker: {thresholds: {maxRequests: 5}}",
        ),
        document("Configuration", "k", "rateLimit: {maxKeys: 5000}"),
        bound("Service", "s", "idle-timeout-flex", ", config: {timeout: 3}"),
        bound(
            "Service",
            "s",
            "circuit-breaker-flex",
            ", config: {thresholds: {maxRetries: 0}}",
        )
        .replace("name: b}", "name: breaker}"),
        bound(
            "ApiInstance",
            "a",
            "response-timeout-flex",
            ", config: {timeout: 9}, order: 2",
        )
        .replace("name: b}", "name: second}"),
        bound("ApiInstance", "a", "stream-idle-timeout-flex", ", order: 1")
            .replace("name: b}", "name: first}"),
    ];
    let snapshot = loaded(&text.concat()).snapshot;
    let [s, t] = &snapshot.clusters[..] else {
        panic!("two clusters")
    };
    let thresholds =
        |cluster: &crate::upstream::cluster::Spec| cluster.breaker.as_ref().unwrap().thresholds();
    assert_eq!(
        (s.timeouts.idle, t.timeouts.idle),
        (Duration::from_secs(3), Duration::from_secs(7))
    );
    assert_eq!(
        thresholds(s),
        Thresholds {
            retries: 0,
            ..Thresholds::default()
        }
    );
    assert_eq!(
        thresholds(t),
        Thresholds {
            requests: 5,
            ..Thresholds::default()
        }
    );
    assert_eq!(snapshot.rate_limit_keys, Some(5000));
    let timeouts = &snapshot.listeners[0].routes.apis()[0].payload.timeouts;
    let of: Vec<_> = timeouts
        .iter()
        .map(|timeouts| (timeouts.response, timeouts.stream_idle))
        .collect();
    assert_eq!(
        of,
        [
            (None, Some(Duration::from_secs(300))),
            (Some(Duration::from_secs(9)), None)
        ]
    );
}
