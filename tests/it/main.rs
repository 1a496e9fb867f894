//! What a user can see of Ringway, tested where the user stands: the real binary between real sockets.
//! One module a behaviour; each test runs on io_uring and on epoll. How it works: `docs/testing.md`.

#![allow(
    unreachable_pub,
    reason = "nothing of a test binary is reachable; `pub` marks what its modules offer each other"
)]

#[path = "../support/mod.rs"]
mod support;

mod access_log;
mod balance;
mod clients;
mod commands;
mod conformance;
mod drain;
mod examples;
mod fairness;
mod forwarding;
mod framing;
mod harness;
mod large_bodies;
mod limits;
mod origin_faults;
mod overload;
mod policies;
mod policies_access;
mod policies_caching;
mod policies_compression;
mod policies_outbound;
mod policies_protection;
mod policies_shaping;
mod policies_traffic;
mod proxies;
mod ports;
mod rate_limit_exact;
mod regressions;
mod retries;
mod routing;
mod shards;
mod shared_storage;
mod shared_storage_cache;
mod streaming;
mod strictness;
mod timeouts;
mod tls_clients;
mod tls_programs;
mod tls_upstream;
mod tunnel;
