//! A service that publishes keys. Control fetches them and pushes them to the shards; what comes back is one bit.

use super::Algorithm;
use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

/// Where keys are published, and for what. Shared by the policies that say the same of it.
#[derive(Debug)]
pub struct KeySource {
    /// `https`: the certificate is checked against the operating system's roots.
    pub secure: bool,
    /// A name or an address without brackets.
    pub host: String,
    pub port: u16,
    /// What the request's `Host` says.
    pub authority: String,
    /// With the query.
    pub path: String,
    /// Keys for anything else are passed over.
    pub algorithm: Algorithm,
    /// After it the set is fetched again; the one at hand is used until that succeeds.
    pub ttl: Duration,
    /// For a whole fetch.
    pub timeout: Duration,
    /// A token named a key that is not in the set.
    wanted: AtomicBool,
}

impl KeySource {
    /// `url` is `http(s)://host[:port]/path`; `host`, `port` and `path` are its parts, read by whoever reads addresses.
    pub fn new(algorithm: Algorithm, ttl: Duration, timeout: Duration, at: Place) -> Self {
        let Place {
            secure,
            host,
            port,
            authority,
            path,
        } = at;
        Self {
            secure,
            host,
            port,
            authority,
            path,
            algorithm,
            ttl,
            timeout,
            wanted: AtomicBool::new(false),
        }
    }

    /// Whether both would fetch the same at the same times.
    pub fn is_same(&self, other: &Self) -> bool {
        let key = |source: &Self| {
            let place = (
                source.secure,
                source.port,
                source.host.clone(),
                source.path.clone(),
            );
            (place, source.algorithm, source.ttl, source.timeout)
        };
        key(self) == key(other)
    }

    /// On a shard. Written once for any number of tokens: a line that all shards read is not to be written by each.
    pub fn want(&self) {
        if !self.wanted.load(Relaxed) {
            self.wanted.store(true, Relaxed);
        }
    }

    /// On control.
    pub fn take_wanted(&self) -> bool {
        self.wanted.swap(false, Relaxed)
    }
}

/// The parts of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub secure: bool,
    pub host: String,
    pub port: u16,
    pub authority: String,
    pub path: String,
}
