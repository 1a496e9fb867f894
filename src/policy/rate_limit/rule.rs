//! What is to be kept to: one or several limits on the same key.

use super::{
    atomics::AtomicU64,
    bucket::{MAXIMUM_LIMIT, MAXIMUM_WINDOW_MS},
    keys::{Fingerprint, HashKey},
};

/// `requests` in each window of `window_ms` milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// 1..=2^31 - 1
    pub requests: u32,
    /// 1..=45 days
    pub window_ms: u32,
}

/// All must have quota for a request to pass. Shared by the shards.
pub struct Limits {
    pub(super) rules: Box<[Rule]>,
}

impl Limits {
    /// `id` names whose limits they are. Limits made again with the same id and hash key go on where the former left
    /// off; in a window of the same length another number of requests holds at once. Only what keys share when the
    /// bank has no room begins anew.
    ///
    /// # Panics
    /// On none, or on one out of range: they are checked where they are read.
    pub fn new(id: &str, limits: &[Limit], hash_key: &HashKey) -> Self {
        assert!(!limits.is_empty(), "no limits");
        let rules = limits.iter().enumerate().map(|(index, limit)| {
            assert!((1..=MAXIMUM_LIMIT).contains(&limit.requests), "{limit:?}");
            assert!((1..=MAXIMUM_WINDOW_MS).contains(&limit.window_ms), "{limit:?}");
            let same_window = |other: &&Limit| other.window_ms == limit.window_ms;
            let before = limits[..index].iter().filter(same_window).count() as u64;
            let mut named = Vec::with_capacity(id.len() + 12);
            named.extend_from_slice(&limit.window_ms.to_le_bytes());
            named.extend_from_slice(&before.to_le_bytes());
            named.extend_from_slice(id.as_bytes());
            Rule {
                fingerprint: hash_key.rule(&named),
                limit: *limit,
                overflow: AtomicU64::new(0),
            }
        });
        Self {
            rules: rules.collect(),
        }
    }
}

pub(super) struct Rule {
    pub(super) fingerprint: Fingerprint,
    pub(super) limit: Limit,
    /// The one bucket of all keys the bank has no room for. Beside the bank, so that there is room for it.
    pub(super) overflow: AtomicU64,
}
