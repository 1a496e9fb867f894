//! Key sets of token issuers, fetched off the data path: shards get keys that are ready to verify with.
//!
//! A set is fetched again when its time is over, and when a token names a key that is not in it: issuers publish a new key
//! before they use it, but not always an hour before. What fails is tried again with growing delays, and the last good set
//! stays in use meanwhile: an outage of the issuer must not become one of the services whose tokens it has signed.

mod fetch;

#[cfg(test)]
mod tests;

use super::resolve::Lookup;
use crate::{
    policy::jwt::{KeySet, KeySource},
    tls,
};
use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

/// A new set, for the source of this index.
pub type News = (usize, Arc<KeySet>);

/// All sources of a configuration.
pub struct KeySources {
    states: Vec<State>,
    fetches: JoinSet<(usize, Result<KeySet, String>)>,
    lookup: Arc<Lookup>,
    tls: Option<Result<tls::Client, String>>,
    pace: Pace,
    seeds: RandomState,
    rounds: u64,
}

struct State {
    source: Arc<KeySource>,
    failures: u32,
    tried: bool,
}

/// When a set is fetched again.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// After the first failure; doubled with each further one.
    first_retry: Duration,
    longest_retry: Duration,
    /// Between two fetches because of unknown keys: anybody can send a token that names one.
    wanted: Duration,
    /// How often it is looked whether one is wanted.
    look: Duration,
}

impl KeySources {
    /// `client`: whom they believe; None for the operating system's roots, which are read if one of them is `https`.
    pub fn new(sources: impl IntoIterator<Item = Arc<KeySource>>, client: Option<tls::Client>) -> Self {
        Self::with(sources, client, Lookup::from_environment(), PACE)
    }

    fn with(
        sources: impl IntoIterator<Item = Arc<KeySource>>,
        client: Option<tls::Client>,
        lookup: Lookup,
        pace: Pace,
    ) -> Self {
        let state = |source| State {
            source,
            failures: 0,
            tried: false,
        };
        let states: Vec<_> = sources.into_iter().map(state).collect();
        let secure = states.iter().any(|state| state.source.secure);
        let mut all = Self {
            states,
            fetches: JoinSet::new(),
            lookup: Arc::new(lookup),
            tls: secure.then(|| client.map_or_else(|| tls::Client::new(tls::ClientSpec::default()), Ok)),
            pace,
            seeds: RandomState::new(),
            rounds: 0,
        };
        (0..all.states.len()).for_each(|index| all.schedule(index, None));
        all
    }

    /// One look at every source, for the start: the sets that are there after `limit`. A source that fails is logged and
    /// tried on.
    pub async fn first(&mut self, limit: Duration) -> Vec<News> {
        let mut news = Vec::new();
        let all = async {
            while self.states.iter().any(|state| !state.tried) {
                news.extend(self.step().await);
            }
        };
        let _: Result<(), _> = timeout(limit, all).await;
        news
    }

    /// Calls `publish` with each set fetched, until `shutdown` says true or its sender is gone.
    pub async fn run(mut self, publish: impl Fn(News), mut shutdown: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                news = self.step() => news.into_iter().for_each(&publish),
                _ = shutdown.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// `after`: None for at once.
    fn schedule(&mut self, index: usize, after: Option<Duration>) {
        let source = self.states[index].source.clone();
        let (lookup, tls, pace) = (self.lookup.clone(), self.tls.clone(), self.pace);
        self.fetches.spawn(async move {
            if let Some(delay) = after {
                tokio::select! {
                    () = sleep(delay) => {}
                    () = wanted(&source, pace) => {}
                }
            }
            source.take_wanted();
            let fetched = timeout(source.timeout, fetch::fetch(&source, &lookup, tls)).await;
            let document = fetched
                .unwrap_or_else(|_| Err(format!("no answer within {} ms", source.timeout.as_millis())));
            let skipped = |problem: &str| {
                tracing::warn!(
                    host = source.authority,
                    problem,
                    "a key of the set is passed over"
                );
            };
            (
                index,
                document.and_then(|document| KeySet::parse(&document, source.algorithm, skipped)),
            )
        });
    }

    /// One fetch to its end. May be dropped and called again without losing one.
    async fn step(&mut self) -> Option<News> {
        let (index, result) = match self.fetches.join_next().await {
            Some(Ok(done)) => done,
            // A bug of a library; the source keeps what it has.
            Some(Err(error)) => {
                tracing::error!(%error, "a fetch of keys was lost");
                return None;
            }
            None => std::future::pending().await,
        };
        let random = self.random();
        let state = &mut self.states[index];
        state.tried = true;
        let (host, path) = (&state.source.authority, &state.source.path);
        match result {
            Ok(keys) => {
                if state.failures > 0 {
                    tracing::info!(host, path, "the keys are to be had again");
                }
                state.failures = 0;
                tracing::debug!(host, path, keys = keys.len(), "keys fetched");
                let delay = state.source.ttl.mul_f64(0.9 + (random % 1024) as f64 / 10_240.0);
                self.schedule(index, Some(delay));
                Some((index, Arc::new(keys)))
            }
            Err(error) => {
                state.failures = state.failures.saturating_add(1);
                // Once when it begins, and when it is over.
                if state.failures == 1 {
                    tracing::warn!(host, path, error, "the keys are not to be had; trying on");
                }
                let delay = self.pace.retry(state.failures, random);
                self.schedule(index, Some(delay));
                None
            }
        }
    }

    fn random(&mut self) -> u64 {
        self.rounds += 1;
        self.seeds.hash_one(self.rounds)
    }
}

impl Pace {
    /// The first of `failures` is 1. A quarter up or down by `random`, so that a fleet does not ask in step.
    fn retry(&self, failures: u32, random: u64) -> Duration {
        let doubled = self
            .first_retry
            .saturating_mul(1 << failures.saturating_sub(1).min(16));
        let delay = doubled.min(self.longest_retry);
        delay * 3 / 4 + delay.mul_f64((random % 1024) as f64 / 2048.0)
    }
}

/// Comes when a token has named a key that is not there, and not soon after the last fetch.
async fn wanted(source: &KeySource, pace: Pace) {
    sleep(pace.wanted).await;
    while !source.take_wanted() {
        sleep(pace.look).await;
    }
}

const PACE: Pace = Pace {
    first_retry: Duration::from_secs(1),
    longest_retry: Duration::from_secs(60),
    wanted: Duration::from_secs(30),
    look: Duration::from_secs(1),
};
