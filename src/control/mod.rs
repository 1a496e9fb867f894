//! The control plane: one thread on which waiting is allowed.
//!
//! `resolve` keeps names resolved, `logs` writes what shards have recorded, `runtime_log` is the way to stderr,
//! `demo_origin` is what `ringway demo` puts behind the gateway.

pub mod demo_origin;
pub mod logs;
pub mod resolve;
pub mod runtime_log;
