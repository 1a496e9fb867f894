//! A `Configuration`: one subject of the whole gateway. Each document has exactly one of these members.

use super::{
    shaping::CircuitBreakerSpec,
    shared_storage::SharedStorageSpec,
    tls::{DefaultTlsSpec, SessionTicketsSpec},
};
use crate::{
    choice,
    config::environment::MAX_SECONDS,
    located::{Bounded, Located, Node},
    object,
};

/// From one second to a week.
pub(crate) type Seconds = Located<Bounded<1, MAX_SECONDS>>;

object! {
    /// One subject of the whole gateway; exactly one member a document.
    pub(crate) struct ConfigurationSpec {
        /// Time limits towards upstreams.
        optional "timeouts" timeouts: TimeoutsSpec,
        /// Where and how exchanges are logged.
        optional "accessLog" access_log: AccessLogSpec,
        /// Threads and driver; read at start only.
        optional "runtime" runtime: RuntimeSpec,
        /// What clients may ask for.
        optional "limits" limits: LimitsSpec,
        /// How the gateway ends.
        optional "shutdown" shutdown: ShutdownSpec,
        /// What rate limits may hold.
        optional "rateLimit" rate_limit: RateLimitSettingsSpec,
        /// For every Service that has no `circuit-breaker-flex` of its own. Default none.
        optional "circuitBreaker" circuit_breaker: CircuitBreakerSpec,
        /// What replicas share limits and caches through; read at start only.
        optional "sharedStorage" shared_storage: Located<SharedStorageSpec>,
        /// What secures connections that no policy says anything about.
        optional "defaultTLS" default_tls: DefaultTlsSpec,
        /// Load balancers in front that say who the client is.
        optional "proxyProtocol" proxy_protocol: ProxyProtocolSpec,
        /// Addresses and ranges of proxies in front: their `X-Forwarded-For`, `-Proto` and `-Host` are believed, and nobody
        /// else's. Default none: passed on, and believed by nothing here.
        optional "trustedProxies" trusted_proxies: Vec<Located<String>>,
        /// How clients of TLS resume sessions.
        optional "sessionTickets" session_tickets: SessionTicketsSpec,
        /// Written by registration with the vendor's control plane; accepted and ignored.
        optional "platformConnection" platform_connection: Node,
    }
    later [
        "logging", "forwardProxy", "probe", "resourceLimits", "tracing",
    ]
}

object! {
    /// Time limits towards upstreams, in seconds.
    pub(crate) struct TimeoutsSpec {
        /// An idle pooled connection is closed after this. Default 60.
        optional "upstreamConnectionIdleSeconds" upstream_connection_idle: Seconds,
        /// From the request's last byte to the response's head, then 504. Default 15.
        optional "upstreamResponseSeconds" upstream_response: Seconds,
        /// No byte in either direction of a running exchange. Default 300.
        optional "streamIdleSeconds" stream_idle: Seconds,
    }
}

choice! {
    /// How a line of the access log is written.
    pub(crate) enum LogFormat { Json = "json" }
}

object! {
    /// The access log: off unless configured.
    pub(crate) struct AccessLogSpec {
        /// A file to append to; `/dev/stdout` and `/dev/stderr` are files like others.
        required "path" path: Located<String>,
        /// Default json: one object a line.
        optional "format" format: LogFormat,
    }
}

choice! {
    /// What drives I/O.
    pub(crate) enum DriverWord { Auto = "auto", IoUring = "io_uring", Epoll = "epoll" }
}

object! {
    /// Threads and driver. The command line's --shards and --driver come before these.
    pub(crate) struct RuntimeSpec {
        /// Threads that serve. Default: the CPUs the process may use.
        optional "shards" shards: Located<Bounded<1, 1024>>,
        /// `auto` (io_uring where the kernel grants it, else epoll), `io_uring` or `epoll`. Default auto.
        optional "driver" driver: DriverWord,
        /// Pin each shard to a CPU. Default true.
        optional "pinning" pinning: bool,
    }
}

object! {
    /// What clients may ask for.
    pub(crate) struct LimitsSpec {
        /// Request line and headers together, bytes; past it 431. Default 61440.
        optional "headBytes" head_bytes: Located<Bounded<1024, 1048576>>,
        /// The request target alone, bytes; past it 414. Default 16384, or headBytes where that is less.
        optional "targetBytes" target_bytes: Located<Bounded<64, 1048576>>,
        /// Header lines of one request; past it 431. Default 200.
        optional "headerCount" header_count: Located<Bounded<1, 1000>>,
        /// A request's body, bytes; past it 413. Default: unlimited.
        optional "bodyBytes" body_bytes: Located<Bounded<0, { i64::MAX }>>,
        /// Client connections at a time. Default 50000.
        optional "connections" connections: Located<Bounded<1, 10000000>>,
        /// Client connections of one address at a time. Default: unlimited.
        optional "connectionsPerClient" connections_per_client: Located<Bounded<1, 10000000>>,
        /// From a request's first byte to the end of its head, seconds; then 408. Default 10.
        optional "headTimeoutSeconds" head_timeout: Seconds,
        /// Between requests of a connection, seconds; then it is closed. Default 60.
        optional "keepAliveIdleSeconds" keep_alive_idle: Seconds,
        /// Without a byte of a request's body, seconds; then 408. Default 300.
        optional "bodyIdleSeconds" body_idle: Seconds,
        /// Without a byte in a tunnel (an upgraded connection), seconds. Default 300.
        optional "tunnelIdleSeconds" tunnel_idle: Seconds,
        /// From a connection to the end of its TLS handshake, seconds; then it is closed. Default 10.
        optional "handshakeTimeoutSeconds" handshake_timeout: Seconds,
        /// TLS handshakes that are under way at a time; past it the oldest is ended. Default 8192.
        optional "handshakes" handshakes: Located<Bounded<1, 10000000>>,
        /// To connect to an upstream, seconds; then 504. Default 5.
        optional "connectTimeoutSeconds" connect_timeout: Seconds,
    }
}

object! {
    /// What rate limits may hold; read at start only.
    pub(crate) struct RateLimitSettingsSpec {
        /// Keys counted at once, at 64 bytes each when they are there. Default: a 32nd of the memory, between 65536 and
        /// 4194304 keys.
        required "maxKeys" max_keys: Located<Bounded<1000, 100_000_000>>,
    }
}

object! {
    /// The PROXY protocol, versions 1 and 2, on all ports.
    pub(crate) struct ProxyProtocolSpec {
        /// Whether its header stands in front of connections; those without are closed then.
        required "enabled" enabled: bool,
        /// Addresses and ranges of those that send it; connections from elsewhere have none. Default everybody.
        optional "from" from: Vec<Located<String>>,
    }
}

object! {
    /// How the gateway ends.
    pub(crate) struct ShutdownSpec {
        /// What is still running after this many seconds is cut. Default 25.
        optional "drainSeconds" drain: Located<Bounded<0, MAX_SECONDS>>,
        /// Seconds between failing readiness and closing the listeners. Default 0.
        optional "delaySeconds" delay: Located<Bounded<0, MAX_SECONDS>>,
    }
}
