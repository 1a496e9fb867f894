//! What the command line hands over.

use crate::shard::snapshot::{DriverChoice, Snapshot};
use std::{net::SocketAddr, path::PathBuf};

/// `ringway run`, its configuration loaded.
#[derive(Debug)]
pub struct RunOptions {
    pub snapshot: Snapshot,
    /// Lines for the log, once it is there.
    pub notes: Vec<String>,
    /// Files and folders it came from; empty for variables and the usual folders.
    pub paths: Vec<PathBuf>,
    pub process: ProcessOptions,
}

/// What only the command line and its variables say.
#[derive(Debug, Clone, Default)]
pub struct ProcessOptions {
    /// Before the configuration's.
    pub driver: Option<DriverChoice>,
    /// Before the configuration's; at least 1.
    pub shards: Option<usize>,
    pub admin: AdminAddress,
    /// Serve addresses that another process serves as well.
    pub share_ports: bool,
    pub log: LogLevel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AdminAddress {
    /// 127.0.0.1:9901; a warning where it is taken.
    #[default]
    Default,
    Off,
    /// An error where it is taken.
    At(SocketAddr),
}

/// The runtime log's, on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    Off,
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub fn directive(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}
