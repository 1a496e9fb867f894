//! Policies by name: those there are, those of Flex Gateway that are still to come.

/// What a policy's name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    Route,
    RouteWeighted,
}

/// # Errors
/// What is wrong with the name, for a problem.
pub(super) fn find(name: &str) -> Result<Policy, String> {
    if let Some((_, policy)) = AVAILABLE.iter().find(|(available, _)| *available == name) {
        return Ok(*policy);
    }
    // The vendor's names come with and without the suffix of its built-in implementations.
    let bare = |name: &'static str| name.strip_suffix(SUFFIX).unwrap_or(name);
    if LATER
        .iter()
        .any(|later| *later == name || bare(later) == name.strip_suffix(SUFFIX).unwrap_or(name))
    {
        return Err(format!(
            "Ringway knows the policy `{name}` but does not have it yet"
        ));
    }
    let all = AVAILABLE
        .iter()
        .map(|(available, _)| *available)
        .chain(LATER.iter().copied());
    let advice = crate::located::nearest(name, all).map(|name| format!("; did you mean `{name}`?"));
    Err(format!(
        "unknown policy `{name}`{}",
        advice.unwrap_or_else(|| "; valid: route, route-weighted".to_owned())
    ))
}

pub(super) const ROUTE: &str = "route";
pub(super) const ROUTE_WEIGHTED: &str = "route-weighted";

const SUFFIX: &str = "-flex";

const AVAILABLE: [(&str, Policy); 2] = [(ROUTE, Policy::Route), (ROUTE_WEIGHTED, Policy::RouteWeighted)];

const LATER: &[&str] = &[
    // the port and the connection
    "tls",
    "tls-outbound",
    "stream-idle-timeout-flex",
    "idle-timeout-flex",
    "response-timeout-flex",
    "circuit-breaker-flex",
    // traffic
    "rate-limiting-flex",
    "rate-limiting-sla-based-flex",
    "spike-control-flex",
    "http-caching-flex",
    // who may
    "http-basic-authentication-flex",
    "ldap-authentication-flex",
    "client-id-enforcement-flex",
    "jwt-validation-flex",
    "oauth2-token-introspection-flex",
    "openidconnect-access-token-enforcement-flex",
    "external-oauth2-access-token-enforcement",
    "native-ext-authz-flex",
    "native-ext-proc-flex",
    "ip-allowlist-flex",
    "ip-blocklist-flex",
    "oauth-protected-resource-metadata",
    "access-block",
    "health-check",
    // what may pass
    "json-threat-protection-flex",
    "xml-threat-protection-flex",
    "injection-protection-flex",
    "spec-validation-flex",
    // what is changed or told
    "cors-flex",
    "header-injection-flex",
    "header-removal-flex",
    "message-logging-flex",
    "message-logging-outbound",
    "tracing-flex",
    "sse-logging-flex",
    "dataweave-headers-transformation",
    "dataweave-body-transformation",
    "dataweave-request-filter",
    "script-evaluation-transformation",
    "agent-connection-telemetry",
    // towards the service
    "credential-injection-basic-auth",
    "credential-injection-api-key-flex",
    "credential-injection-oauth2",
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
