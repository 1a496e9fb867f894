//! What replicas share, on a Redis: connections that are there or are said not to be. The only place that names `redis`.
//!
//! Whoever wants something asks a [`Link`], which answers within its time-out, always: with values, or with the trouble there
//! is. A link without a connection answers at once; that is all there is of a circuit breaker. What opens it is a command
//! that was not answered in time, a connection that ended, or a server that can't serve (it became a replica, it loads its
//! data, its memory is full); what closes it is a new connection that has proved in its welcome that keys can be written.
//! [`keeper`] makes those, with growing delays between them, for as long as the process lives.
//!
//! Each purpose has a connection of its own: an answer of a megabyte on its way into a cache must not hold up the limits.

pub mod caches;
mod dial;
mod keeper;

#[cfg(test)]
mod tests;

use super::resolve::Lookup;
use crate::{observe::counters::Counter, storage::Settings};
use redis::{Pipeline, Value, aio::MultiplexedConnection};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

/// The storage of a configuration. Cloning shares it.
#[derive(Clone)]
pub struct Storage(Arc<Shared>);

struct Shared {
    settings: Arc<Settings>,
    lookup: Lookup,
    /// Says true at the end of the process.
    shutdown: watch::Receiver<bool>,
    links: Mutex<Vec<Link>>,
    /// What is up no more, for the log.
    away: Mutex<Away>,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Limits,
    Caches,
}

/// One connection, or the lack of it. Cloning shares it.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    purpose: Purpose,
    command_timeout: Duration,
    connection: Mutex<Option<Connected>>,
    state: watch::Sender<State>,
    /// To the keeper: which connection is of no use any more, and why.
    broken: mpsc::UnboundedSender<(u64, String)>,
    counters: LinkCounters,
}

#[derive(Clone)]
struct Connected {
    /// From 1, in the order in which they were made.
    number: u64,
    connection: MultiplexedConnection,
}

/// Whether a link can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The first connection is being made.
    Starting,
    /// `connection` counts them: whoever sees another than before may have lost what was on its way, and so may the server.
    Up {
        connection: u64,
        since: Instant,
    },
    Down {
        reason: String,
        since: Instant,
    },
}

/// Why there is no answer. The link's [`State`] says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// There is no connection. Nothing was sent.
    Away,
    /// Nothing came in time. What was sent may still be carried out.
    TimedOut,
    /// The connection ended, or the server can't serve. What was sent may have been carried out.
    Failed,
}

/// Written on control's thread alone.
#[derive(Debug, Default)]
pub struct LinkCounters {
    pub connects: Counter,
    pub connect_failures: Counter,
    /// Pipelines sent.
    pub exchanges: Counter,
    /// Commands in them.
    pub commands: Counter,
    pub timed_out: Counter,
    pub failed: Counter,
    /// Microseconds of all exchanges that were answered, together.
    pub round_trips: Counter,
    /// Microseconds of the newest exchange that was answered.
    pub round_trip: Counter,
}

impl Storage {
    /// Connects to nothing yet.
    pub fn new(settings: Arc<Settings>, shutdown: watch::Receiver<bool>) -> Self {
        if settings.tls.as_ref().is_some_and(|client| !client.spec().verify) {
            tracing::warn!(
                place = %settings.place,
                "the certificate of the shared storage is NOT checked (tls.skipValidation): whoever answers there is believed"
            );
        }
        Self(Arc::new(Shared {
            settings,
            lookup: Lookup::from_environment(),
            shutdown,
            links: Mutex::default(),
            away: Mutex::default(),
        }))
    }

    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Begins to connect, in the background; within a tokio runtime. To be called once for a purpose.
    pub fn link(&self, purpose: Purpose) -> Link {
        let (broken, heard) = mpsc::unbounded_channel();
        let link = Link(Arc::new(Inner {
            purpose,
            command_timeout: match purpose {
                Purpose::Limits => self.0.settings.command_timeout,
                // Answers of megabytes pass here, and no request waits for the end of it.
                Purpose::Caches => self.0.settings.command_timeout * 4,
            },
            connection: Mutex::new(None),
            state: watch::Sender::new(State::Starting),
            broken,
            counters: LinkCounters::default(),
        }));
        tokio::spawn(keeper::keep(self.0.clone(), link.0.clone(), heard));
        let mut links = self.0.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.push(link.clone());
        link
    }

    /// All that were begun.
    pub fn links(&self) -> Vec<Link> {
        let links = self.0.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.clone()
    }
}

impl Link {
    /// Sends all of them at once and waits for all answers, the time-out at most. What the server refuses of them alone
    /// (`NOSCRIPT`, a wrong type) is in its place among the values, as `Value::ServerError`.
    ///
    /// # Errors
    /// See [`Trouble`]. Dropped before its end it may have been carried out, too.
    pub async fn exchange(&self, commands: &Pipeline) -> Result<Vec<Value>, Trouble> {
        let counters = &self.0.counters;
        let Some(Connected { number, connection }) = self.0.connection() else {
            return Err(Trouble::Away);
        };
        let count = commands.len();
        if count == 0 {
            return Ok(Vec::new());
        }
        counters.exchanges.add(1);
        counters.commands.add(count as u64);
        let begun = Instant::now();
        let answers = timeout(self.0.command_timeout, dial::send(connection, commands)).await;
        match answers {
            Err(_) => {
                counters.timed_out.add(1);
                let limit = self.0.command_timeout.as_millis();
                self.0.give_up(number, format!("no answer within {limit} ms"));
                Err(Trouble::TimedOut)
            }
            Ok(Err(reason)) => {
                counters.failed.add(1);
                self.0.give_up(number, reason);
                Err(Trouble::Failed)
            }
            Ok(Ok(values)) => {
                let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
                counters.round_trips.add(took);
                counters.round_trip.set(took);
                Ok(values)
            }
        }
    }

    /// For whoever waits for it to change.
    pub fn state(&self) -> watch::Receiver<State> {
        self.0.state.subscribe()
    }

    pub fn is_up(&self) -> bool {
        matches!(*self.0.state.borrow(), State::Up { .. })
    }

    pub fn purpose(&self) -> Purpose {
        self.0.purpose
    }

    pub fn counters(&self) -> &LinkCounters {
        &self.0.counters
    }
}

impl Inner {
    fn connection(&self) -> Option<Connected> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// From here on nobody is given this connection; the keeper makes another.
    fn give_up(&self, number: u64, reason: String) {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if connection
            .as_ref()
            .is_some_and(|connected| connected.number == number)
        {
            *connection = None;
            // At the end of the process nobody listens.
            let _ = self.broken.send((number, reason));
        }
    }
}

/// What of the storage is away, so that the log says it once however many links there are.
#[derive(Debug, Default)]
struct Away {
    purposes: Vec<Purpose>,
    since: Option<Instant>,
    /// It has been said that it is there.
    said: bool,
}

impl Shared {
    fn went(&self, purpose: Purpose, reason: &str) {
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        if away.purposes.is_empty() {
            away.since = Some(Instant::now());
            away.said = true;
            tracing::warn!(
                place = %self.settings.place,
                reason,
                "the shared storage is not to be had; trying on, and serving without it"
            );
        }
        if !away.purposes.contains(&purpose) {
            away.purposes.push(purpose);
        }
    }

    fn came(&self, purpose: Purpose) {
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        let was_away = !away.purposes.is_empty();
        away.purposes.retain(|other| *other != purpose);
        if was_away && away.purposes.is_empty() {
            let seconds = away.since.take().map_or(0, |since| since.elapsed().as_secs());
            tracing::info!(place = %self.settings.place, seconds, "the shared storage is to be had again");
        } else if !std::mem::replace(&mut away.said, true) {
            tracing::info!(place = %self.settings.place, "connected to the shared storage");
        }
    }
}
