//! Names to addresses, off the data path: shards get answers, never questions.
//!
//! Every name is looked up again when its TTL is over, and a name that fails keeps its last good answer: an
//! outage of DNS must not become one of the services behind it.

mod lookup;

use lookup::Answer;
pub(super) use lookup::Lookup;
use std::{
    collections::BTreeSet,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

/// What a name stands for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    pub host: String,
    /// IPv4 and IPv6, at least one, each once, sorted: servers that rotate their answers do not make news.
    pub addresses: Vec<IpAddr>,
}

/// Keeps `hosts` resolved until `shutdown` says true (or its sender is gone). `publish` is called with a name's
/// first answer and whenever its addresses change; never without addresses.
///
/// IP literals and `localhost` are answered too, without asking anyone.
pub async fn run(hosts: Vec<String>, publish: impl Fn(Resolution), mut shutdown: watch::Receiver<bool>) {
    let mut names = Names::new(hosts, Lookup::from_environment(), PACE);
    loop {
        tokio::select! {
            news = names.next() => publish(news),
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
    }
}

/// One look at every name, for the start: what is known after `limit`, in no order. A name that is missing
/// is not an error and not logged; `run` goes on trying and says so.
pub async fn resolve_all_once(hosts: &[String], limit: Duration) -> Vec<Resolution> {
    let mut names = Names::new(hosts.to_vec(), Lookup::from_environment(), PACE);
    names.quiet = true;
    names.first_answers(limit).await
}

/// How often names are looked up.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// A TTL below is taken for this, so that a server that says 0 is not asked without end.
    shortest: Duration,
    /// A TTL above is taken for this, so that a wrong answer does not stay for a day.
    longest: Duration,
    /// After the first failure; doubled with each further one.
    first_retry: Duration,
    longest_retry: Duration,
}

impl Pace {
    fn refresh(&self, ttl: Duration) -> Duration {
        ttl.clamp(self.shortest, self.longest)
    }

    /// The first of `failures` is 1. A quarter up or down by `random`, so that the names of one outage, and the
    /// gateways of one fleet, do not ask in step.
    fn retry(&self, failures: u32, random: u64) -> Duration {
        let doubled = self
            .first_retry
            .saturating_mul(1 << failures.saturating_sub(1).min(16));
        let delay = doubled.min(self.longest_retry);
        delay * 3 / 4 + delay.mul_f64((random % 1024) as f64 / 2048.0)
    }
}

/// The state of all names, and a lookup under way or waiting for each that can change.
struct Names {
    states: Vec<State>,
    lookups: JoinSet<(usize, Result<Answer, String>)>,
    lookup: Arc<Lookup>,
    /// Lookups at once: a configuration with a thousand names must not flood the DNS server.
    permits: Arc<Semaphore>,
    pace: Pace,
    seeds: RandomState,
    rounds: u64,
    /// Leaves failures to be reported by someone else.
    quiet: bool,
}

struct State {
    host: String,
    /// Empty until the first answer.
    addresses: Vec<IpAddr>,
    failures: u32,
    tried: bool,
}

impl Names {
    fn new(hosts: Vec<String>, lookup: Lookup, pace: Pace) -> Self {
        let hosts: BTreeSet<String> = hosts.into_iter().collect();
        let state = |host| State {
            host,
            addresses: Vec::new(),
            failures: 0,
            tried: false,
        };
        let mut names = Self {
            states: hosts.into_iter().map(state).collect(),
            lookups: JoinSet::new(),
            lookup: Arc::new(lookup),
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            pace,
            seeds: RandomState::new(),
            rounds: 0,
            quiet: false,
        };
        (0..names.states.len()).for_each(|index| names.schedule(index, Duration::ZERO));
        names
    }

    fn schedule(&mut self, index: usize, delay: Duration) {
        let (host, lookup) = (self.states[index].host.clone(), self.lookup.clone());
        let permits = self.permits.clone();
        self.lookups.spawn(async move {
            sleep(delay).await;
            let _permit = permits.acquire().await;
            (index, lookup.addresses(&host).await)
        });
    }

    /// The next change; never comes when nothing can change.
    async fn next(&mut self) -> Resolution {
        loop {
            if let Some(news) = self.step().await {
                return news;
            }
        }
    }

    async fn first_answers(&mut self, limit: Duration) -> Vec<Resolution> {
        let mut answers = Vec::new();
        let all = async {
            while self.states.iter().any(|state| !state.tried) {
                answers.extend(self.step().await);
            }
        };
        let _: Result<(), _> = timeout(limit, all).await;
        answers
    }

    /// One lookup to its end, and what it changed. May be dropped and called again without losing one.
    async fn step(&mut self) -> Option<Resolution> {
        let (index, result) = match self.lookups.join_next().await {
            Some(Ok(done)) => done,
            // A lookup that panicked is a bug of a library; its name keeps what it has.
            Some(Err(error)) => {
                tracing::error!(%error, "a lookup was lost");
                return None;
            }
            None => std::future::pending().await,
        };
        let random = self.random();
        let state = &mut self.states[index];
        state.tried = true;
        match result {
            Ok(Answer { mut addresses, ttl }) => {
                addresses.sort_unstable();
                addresses.dedup();
                if state.failures > 0 {
                    tracing::info!(host = state.host, "the name resolves again");
                }
                state.failures = 0;
                let changed = state.addresses != addresses;
                if changed {
                    tracing::debug!(host = state.host, ?addresses, "resolved");
                    state.addresses.clone_from(&addresses);
                }
                let news = changed.then(|| Resolution {
                    host: state.host.clone(),
                    addresses,
                });
                if let Some(ttl) = ttl {
                    let delay = self.pace.refresh(ttl);
                    self.schedule(index, delay);
                }
                news
            }
            Err(error) => {
                state.failures = state.failures.saturating_add(1);
                // Once when it begins; the name is looked up at least every half minute, and says when it is over.
                if state.failures == 1 && !self.quiet {
                    let kept = state.addresses.len();
                    tracing::warn!(
                        host = state.host,
                        error,
                        kept,
                        "the name does not resolve; trying on"
                    );
                }
                let delay = self.pace.retry(state.failures, random);
                self.schedule(index, delay);
                None
            }
        }
    }

    fn random(&mut self) -> u64 {
        self.rounds += 1;
        self.seeds.hash_one(self.rounds)
    }
}

const PACE: Pace = Pace {
    shortest: Duration::from_secs(5),
    longest: Duration::from_secs(300),
    first_retry: Duration::from_secs(1),
    longest_retry: Duration::from_secs(30),
};
const AT_ONCE: usize = 32;

#[cfg(test)]
mod scripted;
#[cfg(test)]
mod tests;
