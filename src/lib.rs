//! Ringway: a multi-core HTTP edge gateway, thread-per-core, on io_uring or epoll.
//!
//! One request, top to bottom; the modules stand in the same order:
//!
//! ```text
//! accept ─ read head ─ match API and route ─ choose endpoint, take or open a connection
//!        ─ send head, stream body up ─ read response head ─ stream body down
//!        ─ one record: log line + counters
//! ```

// Data plane, in the order of a request.
pub mod connection;
pub mod expr;
pub mod http1;
pub mod listener;
pub mod observe;
pub mod policy;
pub mod relay;
pub mod reply;
pub mod route;
pub mod upstream;

// What a shard owns.
pub mod shard;

// Control plane.
pub mod admin;
pub mod cli;
pub mod config;
pub mod control;
pub mod server;

// Leaves.
pub mod addresses;
pub mod clock;
pub mod fault;
pub mod located;
pub mod net;
pub mod prefetch;
pub mod outcall;
pub mod runtime;
pub mod storage;
pub mod tls;
