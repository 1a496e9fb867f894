//! How many requests of a key are let through in a window of time: exact over all shards of the process.
//!
//! ```text
//! bank (one per process, atomics) ──lease──▶ shard (plain integers)
//! ```
//!
//! Never more than the limit in a window. Never a refusal while a token is left, except tokens on loan to another shard:
//! at most 1/64 of the limit, until that shard's next tick. `docs/decisions/0010-rate-limit-bank.md` argues and measures.
//!
//! Nothing here reads a clock, opens a socket or locks; a test compiles these files against a model of the atomics.

mod atomics;
pub mod bank;
mod bucket;
pub mod keys;
pub mod lease;
pub mod rule;
pub mod spec;

pub use bank::{Bank, keys_for_memory};
pub use keys::{Fingerprint, HashKey};
pub use lease::{Decision, Leases};
pub use rule::{Limit, Limits};
pub use spec::LimitSpec;

#[cfg(test)]
mod tests;
