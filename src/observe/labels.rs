//! The words logs and metrics use for the parts of a fault. Stable: users filter and alert on them.

use crate::fault::{Kind, Phase, Side};

/// Every `Side`, at its own discriminant.
pub const SIDES: [Side; 3] = [Side::Client, Side::Upstream, Side::Gateway];

/// Every `Phase`, at its own discriminant.
pub const PHASES: [Phase; 8] = [
    Phase::RequestHead,
    Phase::Route,
    Phase::Policy,
    Phase::Connect,
    Phase::RequestSend,
    Phase::ResponseHead,
    Phase::ResponseBody,
    Phase::Tunnel,
];

/// Every `Kind`, at its own discriminant.
pub const KINDS: [Kind; 26] = [
    Kind::Malformed,
    Kind::TargetTooLong,
    Kind::HeadTooLarge,
    Kind::BodyTooLarge,
    Kind::MethodNotAllowed,
    Kind::NotImplemented,
    Kind::VersionNotSupported,
    Kind::ExpectationFailed,
    Kind::Loop,
    Kind::Rejected,
    Kind::Unauthorized,
    Kind::Forbidden,
    Kind::RateLimited,
    Kind::NoRoute,
    Kind::Unavailable,
    Kind::Refused,
    Kind::Closed,
    Kind::Truncated,
    Kind::TimedOut,
    Kind::Drained,
    Kind::Internal,
    Kind::CertificateExpired,
    Kind::CertificateName,
    Kind::CertificateUntrusted,
    Kind::TlsFailed,
    Kind::Overflow,
];

#[must_use]
pub const fn side(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Upstream => "upstream",
        Side::Gateway => "gateway",
    }
}

#[must_use]
pub const fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::RequestHead => "request_head",
        Phase::Route => "route",
        Phase::Policy => "policy",
        Phase::Connect => "connect",
        Phase::RequestSend => "request_send",
        Phase::ResponseHead => "response_head",
        Phase::ResponseBody => "response_body",
        Phase::Tunnel => "tunnel",
    }
}

#[must_use]
pub const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Malformed => "malformed",
        Kind::TargetTooLong => "target_too_long",
        Kind::HeadTooLarge => "head_too_large",
        Kind::BodyTooLarge => "body_too_large",
        Kind::MethodNotAllowed => "method_not_allowed",
        Kind::NotImplemented => "not_implemented",
        Kind::VersionNotSupported => "version_not_supported",
        Kind::ExpectationFailed => "expectation_failed",
        Kind::Loop => "loop",
        Kind::Rejected => "rejected",
        Kind::Unauthorized => "unauthorized",
        Kind::Forbidden => "forbidden",
        Kind::RateLimited => "rate_limited",
        Kind::NoRoute => "no_route",
        Kind::Unavailable => "unavailable",
        Kind::Refused => "refused",
        Kind::Closed => "closed",
        Kind::Truncated => "truncated",
        Kind::TimedOut => "timed_out",
        Kind::Drained => "drained",
        Kind::Internal => "internal",
        Kind::CertificateExpired => "certificate_expired",
        Kind::CertificateName => "certificate_name",
        Kind::CertificateUntrusted => "certificate_untrusted",
        Kind::TlsFailed => "tls_failed",
        Kind::Overflow => "overflow",
    }
}

// The tables are indexed by discriminant (a record travels as bytes). A variant added in the middle of an enum
// fails here; one added at its end is missed by this, and is caught by the exhaustive matches above.
const _: () = {
    let mut at = 0;
    while at < SIDES.len() {
        assert!(SIDES[at] as usize == at);
        at += 1;
    }
    at = 0;
    while at < PHASES.len() {
        assert!(PHASES[at] as usize == at);
        at += 1;
    }
    at = 0;
    while at < KINDS.len() {
        assert!(KINDS[at] as usize == at);
        at += 1;
    }
};
