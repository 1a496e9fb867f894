//! The access log: records leave a shard through a bounded queue and are written by control.

use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// `/dev/stdout` and `/dev/stderr` are files like others.
    pub path: PathBuf,
    pub format: Format,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    Json,
}
