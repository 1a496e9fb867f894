//! What went wrong with an exchange: whose side, what, in which phase, and whether another try is sound.
//! One value from the place that saw it to the reply and the record; nothing is re-guessed on the way.

/// Who ended the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Side {
    Client,
    Upstream,
    Gateway,
}

/// Where in the exchange it ended. The order is the order of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    RequestHead,
    Route,
    Policy,
    Connect,
    RequestSend,
    ResponseHead,
    ResponseBody,
    Tunnel,
}

/// A closed set, so that a new cause cannot make a new metric label by accident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Bytes that are not HTTP/1.1 as RFC 9112 has it → 400 (from a client), 502 (from an origin).
    Malformed,
    /// → 414
    TargetTooLong,
    /// → 431 (from a client), 502 (from an origin)
    HeadTooLarge,
    /// → 413
    BodyTooLarge,
    /// CONNECT and TRACE → 405
    MethodNotAllowed,
    /// A transfer coding we do not implement → 501
    NotImplemented,
    /// HTTP version other than 1.0 and 1.1 → 505
    VersionNotSupported,
    /// `Expect` other than 100-continue → 417
    ExpectationFailed,
    /// Our own `Via` seen → 508
    Loop,
    /// A policy refuses: what was sent → 400, who sent it → 401, what he may → 403, how much → 429
    Rejected,
    Unauthorized,
    Forbidden,
    RateLimited,
    /// → 404
    NoRoute,
    /// → 503: no endpoint has an address
    Unavailable,
    /// → 502
    Refused,
    /// The peer closed or reset → 502 (origin); no reply possible (client)
    Closed,
    /// The origin's answer ended early → 502, or an aborted body
    Truncated,
    /// → 408 (client), 504 (origin)
    TimedOut,
    /// The drain limit cut it.
    Drained,
    /// A fault of ours → 500
    Internal,
    /// The origin's certificate is out of its time → 502. So the next two and the handshake's other ends.
    CertificateExpired,
    CertificateName,
    CertificateUntrusted,
    TlsFailed,
    /// A circuit breaker's threshold is reached → 503
    Overflow,
}

/// Whether the request may be tried again elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Retry {
    Never,
    /// No byte of the request was written: sound for every method.
    Always,
    /// A reused connection died before a byte of the answer: sound for idempotent requests whose body is
    /// empty or unread.
    IfIdempotent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fault {
    pub side: Side,
    pub kind: Kind,
    pub phase: Phase,
    pub retry: Retry,
    /// A fixed sentence for the reply's body and the log; never built from the peer's bytes.
    pub detail: &'static str,
}

impl Fault {
    pub const fn client(kind: Kind, phase: Phase, detail: &'static str) -> Self {
        Self {
            side: Side::Client,
            kind,
            phase,
            retry: Retry::Never,
            detail,
        }
    }
    pub const fn upstream(kind: Kind, phase: Phase, detail: &'static str) -> Self {
        Self {
            side: Side::Upstream,
            kind,
            phase,
            retry: Retry::Never,
            detail,
        }
    }
    pub const fn gateway(kind: Kind, phase: Phase, detail: &'static str) -> Self {
        Self {
            side: Side::Gateway,
            kind,
            phase,
            retry: Retry::Never,
            detail,
        }
    }
    #[must_use]
    pub const fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }
}
