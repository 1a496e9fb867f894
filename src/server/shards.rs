//! All shards of the process, as control has them.

use super::sizes;
use crate::{
    listener::Admission,
    observe::{
        counters::{Counters, Totals},
        queue::{RecordReceiver, queue},
    },
    policy::{
        rate_limit::{Bank, HashKey, keys_for_memory},
        shared::Post,
    },
    runtime::Chosen,
    shard::{self, Board, Message, Outbox, Parts, Peers, Start, inbox, snapshot::Snapshot},
    tls::Tickets,
};
use std::{
    hash::{BuildHasher, RandomState},
    io,
    net::IpAddr,
    num::NonZeroU32,
    os::fd::OwnedFd,
    sync::Arc,
};
use tokio::sync::mpsc;

/// Records waiting for control, bytes per shard. At 300 bytes a record and 20 ms between two looks, 1 MiB lasts
/// for 170,000 requests a second.
const RECORD_QUEUE: usize = 1024 * 1024;

/// A shard's thread has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub shard: usize,
    pub reason: String,
    /// It was told to.
    pub orderly: bool,
}

enum Event {
    Ready,
    Ended(Ended),
}

pub(super) struct Shards {
    outboxes: Arc<[Outbox]>,
    records: Vec<RecordReceiver>,
    events: mpsc::UnboundedReceiver<Event>,
    running: usize,
    ready: usize,
    counters: Vec<Arc<Counters>>,
}

impl Shards {
    pub(super) fn start(
        snapshot: &Arc<Snapshot>,
        chosen: &Chosen,
        count: usize,
        cpus: &[core_affinity::CoreId],
        sockets: Vec<Vec<OwnedFd>>,
        storage: Option<&Arc<dyn Post>>,
        tickets: &Arc<Tickets>,
    ) -> Result<Self, String> {
        let limits = &snapshot.limits;
        let admission = Arc::new(Admission::new(limits.connections, limits.connections_per_client));
        let (sender, events) = mpsc::unbounded_channel();
        let seeds = RandomState::new();
        let shards = u32::try_from(count).ok().and_then(NonZeroU32::new);
        let shards = shards.ok_or("there must be a shard")?;
        let hash_key =
            HashKey::random().map_err(|error| format!("the system has no random numbers: {error}"))?;
        let keys = snapshot
            .rate_limit_keys
            .unwrap_or_else(|| keys_for_memory(sizes::memory()));
        let bank = Bank::new(keys, hash_key);
        let pseudonym: Arc<str> = format!("ringway-{:08x}", seeds.hash_one(0) as u32).into();
        let mut all = Self {
            outboxes: Arc::from([]),
            records: Vec::new(),
            events,
            running: 0,
            ready: 0,
            counters: Vec::new(),
        };
        // All of them first: each shard can hand connections to every other.
        let (outboxes, inboxes): (Vec<_>, Vec<_>) = (sockets.iter().map(|_| inbox()))
            .collect::<io::Result<Vec<_>>>()
            .map_err(|error| format!("a shard's inbox could not be made: {error}"))?
            .into_iter()
            .unzip();
        all.outboxes = outboxes.into();
        let board = Board::new(count);
        for (index, (listeners, inbox)) in sockets.into_iter().zip(inboxes).enumerate() {
            let records = snapshot.access_log.is_some().then(|| {
                let (sender, receiver) = queue(RECORD_QUEUE);
                all.records.push(receiver);
                sender
            });
            let counters = Arc::new(Counters::default());
            all.counters.push(counters.clone());
            let pin = snapshot.runtime.pin && !cpus.is_empty();
            let ready = sender.clone();
            let start = Start {
                parts: Parts {
                    driver: chosen.driver,
                    snapshot: snapshot.clone(),
                    counters,
                    admission: admission.clone(),
                    records,
                    pseudonym: pseudonym.clone(),
                    peers: Peers::new(index, board.clone(), all.outboxes.clone()),
                    shards,
                    bank: bank.clone(),
                    storage: storage.map(|post| (post.clone(), index)),
                    tickets: tickets.clone(),
                    seed: seeds.hash_one(index + 1),
                },
                listeners,
                inbox,
                cpu: pin.then(|| cpus[index % cpus.len()]),
                ready: Box::new(move || drop(ready.send(Event::Ready))),
            };
            spawn(index, start, sender.clone())?;
            all.running += 1;
        }
        debug_assert_eq!(all.running, count);
        Ok(all)
    }

    pub(super) fn outboxes(&self) -> Arc<[Outbox]> {
        self.outboxes.clone()
    }

    /// The record queues, once.
    pub(super) fn records(&mut self) -> Vec<RecordReceiver> {
        std::mem::take(&mut self.records)
    }

    /// In the order of the shards.
    pub(super) fn counters(&self) -> Vec<Arc<Counters>> {
        self.counters.clone()
    }

    pub(super) fn totals(&self) -> Totals {
        Counters::sum(self.counters.iter().map(Arc::as_ref))
    }

    pub(super) fn send(&self, message: &Message) {
        self.outboxes
            .iter()
            .for_each(|outbox| outbox.send(message.clone()));
    }

    pub(super) fn resolved(&self, name: &str, addresses: &[IpAddr]) {
        self.send(&Message::Resolved {
            name: name.into(),
            addresses: addresses.into(),
        });
    }

    /// Until every shard listens.
    pub(super) async fn all_ready(&mut self) -> Result<(), String> {
        while self.ready < self.running {
            match self.events.recv().await {
                Some(Event::Ready) => self.ready += 1,
                Some(Event::Ended(ended)) => {
                    return Err(format!("shard {} could not start: {}", ended.shard, ended.reason));
                }
                None => return Err("the shards are gone".to_owned()),
            }
        }
        Ok(())
    }

    /// The next shard to end, in order or not.
    pub(super) async fn next_end(&mut self) -> Ended {
        loop {
            match self.events.recv().await {
                Some(Event::Ready) => self.ready += 1,
                Some(Event::Ended(ended)) => {
                    self.running -= 1;
                    return ended;
                }
                // Each thread holds a sender until it has reported its end.
                None => std::future::pending::<()>().await,
            }
        }
    }

    /// Until every shard has ended.
    ///
    /// # Errors
    /// One did not end in order.
    pub(super) async fn all_ended(&mut self) -> Result<(), Ended> {
        while self.running > 0 {
            let ended = self.next_end().await;
            if !ended.orderly {
                return Err(ended);
            }
        }
        Ok(())
    }
}

fn spawn(index: usize, start: Start, events: mpsc::UnboundedSender<Event>) -> Result<(), String> {
    let body = move || {
        let run = std::panic::AssertUnwindSafe(|| shard::run(start));
        let (reason, orderly) = match std::panic::catch_unwind(run) {
            Ok(Ok(())) => ("drained".to_owned(), true),
            Ok(Err(error)) => (error.to_string(), false),
            Err(_) => ("it panicked".to_owned(), false),
        };
        // Control may already be on its way out.
        let _ = events.send(Event::Ended(Ended {
            shard: index,
            reason,
            orderly,
        }));
    };
    std::thread::Builder::new()
        .name(format!("shard-{index}"))
        .spawn(body)
        .map(drop)
        .map_err(|error| format!("shard {index} could not be started: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        route,
        runtime::{DriverChoice, choose},
        shard::snapshot::{Api, Forward, Listener},
    };

    /// A listener that no driver can watch: a regular file. The shard fails, and control hears of it.
    fn start_with_a_broken_listener() -> Shards {
        let address = "127.0.0.1:1".parse().expect("an address");
        let snapshot = Snapshot {
            listeners: vec![Listener {
                address,
                tls: None,
                routes: route::Table::<Api, Forward>::new(Vec::new()),
            }],
            ..Snapshot::default()
        };
        let file = std::fs::File::open("/proc/self/exe").expect("a file");
        let chosen = choose(DriverChoice::Epoll).expect("epoll");
        let tickets = Tickets::new(None, std::time::SystemTime::now()).expect("keys");
        Shards::start(
            &Arc::new(snapshot),
            &chosen,
            1,
            &[],
            vec![vec![file.into()]],
            None,
            &tickets,
        )
        .expect("a thread")
    }

    #[tokio::test]
    async fn a_shard_that_cannot_start_ends_the_start() {
        let error = start_with_a_broken_listener()
            .all_ready()
            .await
            .expect_err("it cannot serve");
        assert!(error.starts_with("shard 0 could not start: "), "{error}");
    }

    #[tokio::test]
    async fn a_shard_that_ends_by_itself_is_never_an_orderly_end() {
        let mut shards = start_with_a_broken_listener();
        let ended = shards.all_ended().await.expect_err("nobody asked it to");
        assert_eq!((ended.shard, ended.orderly), (0, false));
    }
}
