//! The storage's half of distributed caches: carries out what shards ask, and tells their fronts of invalidations.
//!
//! One task, one exchange under way: what is asked meanwhile goes out together with the next. So everything this process
//! asks reaches the server in the order in which it was asked, which is what keeps a look that comes after an invalidation
//! from finding what was invalidated.
//!
//! **How soon the others hear.** Each invalidation adds to a count of its cache, and every gateway reads the counts of its
//! caches [`LOOK`] by [`LOOK`]. One that has moved by more than what this gateway has added itself drops the fronts, whose
//! requests then find in the storage what is still good. The bound is that interval and a round trip; what a front still
//! holds meanwhile is given for so long. It costs one pipeline of one command a cache, four times a second, whatever the
//! traffic. Publish and subscribe would be sooner and lose messages with each connection, so that the count would be needed
//! all the same; a short life of what is in the fronts would have every popular answer fetched again and again.
//!
//! **While the storage is away** every look is a miss, nothing is kept there, and fronts go on as caches of their own.
//! Invalidations work on this process at once; that others, and the storage, were not told is remembered and made good by
//! dropping the whole cache when the storage is back, before anything is looked for in it.

use super::{Link, Trouble};
use crate::{
    policy::shared::{Ask, Name, Post, Record, Seen, SharedCache, Told},
    shard::{Message, Outbox},
};
use redis::{Pipeline, Value};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval},
};

/// Carries out what is asked through its [`Post`].
pub struct Caches {
    link: Link,
    caches: Vec<Cache>,
    asks: mpsc::Receiver<Ask>,
    waiting: Arc<AtomicUsize>,
}

struct Cache {
    shared: Arc<SharedCache>,
    /// How often something of it was invalidated, as far as its fronts know; None: they know nothing yet.
    count: Option<i64>,
}

/// The shards' end.
struct Queue {
    asks: mpsc::Sender<Ask>,
    /// Bytes of what is to be kept and has not been carried out.
    waiting: Arc<AtomicUsize>,
}

/// What one command's answer is for.
enum Wanted {
    /// Four answers: the record, its time to live, the generations of all and of its group.
    Look(Look),
    /// One; nobody hears of it.
    Done,
    /// One: the count after this gateway's own invalidation.
    Counted(usize),
    /// One: the count.
    Count(usize),
}

struct Look {
    cache: Arc<SharedCache>,
    name: Name,
    slot: u16,
    shard: usize,
    ticket: u64,
}

impl Caches {
    /// What shards post to, and what carries it out.
    pub fn new(link: Link, caches: impl IntoIterator<Item = Arc<SharedCache>>) -> (Arc<dyn Post>, Self) {
        let (sender, asks) = mpsc::channel(QUEUE);
        let waiting = Arc::new(AtomicUsize::new(0));
        let cache = |shared| Cache { shared, count: None };
        let queue = Queue {
            asks: sender,
            waiting: waiting.clone(),
        };
        let all = Self {
            link,
            caches: caches.into_iter().map(cache).collect(),
            asks,
            waiting,
        };
        (Arc::new(queue), all)
    }

    /// Until `shutdown` says true or its sender is gone.
    pub async fn run(mut self, outboxes: Arc<[Outbox]>, mut shutdown: watch::Receiver<bool>) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut asks = Vec::new();
            let mut bytes = 0;
            let due = tokio::select! {
                Some(ask) = self.asks.recv() => {
                    bytes += size(&ask);
                    asks.push(ask);
                    false
                }
                _ = looks.tick() => true,
                _ = shutdown.wait_for(|stop| *stop) => return,
            };
            while asks.len() < BATCH && bytes < BATCH_BYTES {
                let Ok(ask) = self.asks.try_recv() else { break };
                bytes += size(&ask);
                asks.push(ask);
            }
            self.turn(asks, due, &outboxes).await;
            self.waiting.fetch_sub(bytes, Relaxed);
        }
    }

    async fn turn(&mut self, asks: Vec<Ask>, due: bool, outboxes: &[Outbox]) {
        if !self.link.is_up() {
            return without(asks, outboxes);
        }
        let mut commands = redis::pipe();
        let mut wanted = Vec::new();
        let mut forgotten = Vec::new();
        for (index, cache) in self.caches.iter().enumerate() {
            // At once where nothing is known: what is looked for with it is found in fronts that stay.
            if due || cache.count.is_none() {
                commands.cmd("GET").arg(cache.shared.stored_count());
                wanted.push(Wanted::Count(index));
            }
            if cache.shared.take_untold() {
                forget(&mut commands, &mut wanted, &cache.shared, index, None);
                forgotten.push(cache.shared.clone());
            }
        }
        for ask in asks {
            match ask {
                Ask::Look {
                    cache,
                    name,
                    slot,
                    shard,
                    ticket,
                } => {
                    // As far as is good for anything, whatever somebody may have put there.
                    commands
                        .cmd("GETRANGE")
                        .arg(cache.stored_name(&name))
                        .arg(0)
                        .arg(MAX_VALUE);
                    commands.cmd("PTTL").arg(cache.stored_name(&name));
                    // After the record: one that an invalidation overtakes is found to be of before it.
                    commands.cmd("GET").arg(cache.stored_all());
                    commands.cmd("GET").arg(cache.stored_slot(slot));
                    wanted.push(Wanted::Look(Look {
                        cache,
                        name,
                        slot,
                        shard,
                        ticket,
                    }));
                }
                Ask::Keep {
                    cache,
                    name,
                    slot,
                    record,
                    lifetime_ms,
                } => {
                    let value = cache.seal(&record, &name);
                    commands
                        .cmd("SET")
                        .arg(cache.stored_name(&name))
                        .arg(value)
                        .arg("PX")
                        .arg(lifetime_ms.max(1));
                    let seconds = cache.generation_seconds();
                    commands.cmd("EXPIRE").arg(cache.stored_all()).arg(seconds);
                    commands.cmd("EXPIRE").arg(cache.stored_slot(slot)).arg(seconds);
                    wanted.extend([Wanted::Done, Wanted::Done, Wanted::Done]);
                }
                Ask::Forget { cache, key } => {
                    let index = self
                        .caches
                        .iter()
                        .position(|known| Arc::ptr_eq(&known.shared, &cache));
                    forget(
                        &mut commands,
                        &mut wanted,
                        &cache,
                        index.unwrap_or(usize::MAX),
                        key,
                    );
                    forgotten.push(cache);
                }
            }
        }
        let answers = self.link.exchange(&commands).await;
        if answers.is_err() {
            forgotten.iter().for_each(|cache| cache.set_untold());
        }
        let mut unknown = Vec::new();
        let mut told = Letters::new(outboxes);
        self.answered(wanted, answers, &mut told, &mut unknown);
        told.send();
        self.establish(unknown, outboxes).await;
    }

    /// Tells what is known; `unknown` are looks in places without generations.
    fn answered(
        &mut self,
        wanted: Vec<Wanted>,
        answers: Result<Vec<Value>, Trouble>,
        told: &mut Letters<'_>,
        unknown: &mut Vec<Look>,
    ) {
        let mut answers = answers.ok().map(Vec::into_iter);
        let mut next = || {
            answers
                .as_mut()
                .map(|answers| answers.next().unwrap_or(Value::Nil))
        };
        for wanted in wanted {
            match wanted {
                Wanted::Done => drop(next()),
                Wanted::Look(look) => {
                    let four = (next(), next(), next(), next());
                    let (Some(record), Some(left), Some(all), Some(slot)) = four else {
                        told.tell(&look, None, None);
                        continue;
                    };
                    match (number(&all), number(&slot)) {
                        (Some(all), Some(slot)) => {
                            let seen = Seen { all, slot };
                            told.tell(&look, Some(seen), found(&look, &record, &left, seen));
                        }
                        _ => unknown.push(look),
                    }
                }
                Wanted::Counted(index) => {
                    if let (Some(Value::Int(now)), Some(cache)) = (next(), self.caches.get_mut(index))
                        && cache.count == Some(now.wrapping_sub(1))
                    {
                        cache.count = Some(now);
                    }
                }
                Wanted::Count(index) => {
                    let Some(answer) = next() else { continue };
                    let Some(cache) = self.caches.get_mut(index) else {
                        continue;
                    };
                    let now = number(&answer).map(|number| number as i64);
                    if now.is_none() || now != cache.count {
                        cache.shared.drop_fronts();
                        cache.count = now;
                    }
                }
            }
        }
    }

    /// Makes generations where there are none, and counts; then tells those who look there.
    async fn establish(&mut self, unknown: Vec<Look>, outboxes: &[Outbox]) {
        let uncounted: Vec<_> = self
            .caches
            .iter_mut()
            .filter(|cache| cache.count.is_none())
            .collect();
        if unknown.is_empty() && uncounted.is_empty() {
            return;
        }
        let mut commands = redis::pipe();
        for cache in &uncounted {
            let count = cache.shared.stored_count();
            // Not from 0: a count that was lost and begun again is not to come to where it was.
            let first = random() >> 16;
            commands
                .cmd("SET")
                .arg(&count)
                .arg(first)
                .arg("NX")
                .arg("EX")
                .arg(COUNT_SECONDS);
            commands.cmd("GET").arg(&count);
        }
        for look in &unknown {
            let seconds = look.cache.generation_seconds();
            for name in [look.cache.stored_all(), look.cache.stored_slot(look.slot)] {
                commands
                    .cmd("SET")
                    .arg(&name)
                    .arg(random())
                    .arg("NX")
                    .arg("EX")
                    .arg(seconds);
                commands.cmd("GET").arg(&name);
            }
        }
        let answers = self.link.exchange(&commands).await.unwrap_or_default();
        // One of two is what was asked for.
        let mut answers = answers.iter().skip(1).step_by(2).map(number);
        for cache in uncounted {
            cache.count = answers.next().flatten().map(|number| number as i64);
            if cache.count.is_some() {
                cache.shared.drop_fronts();
            }
        }
        let mut told = Letters::new(outboxes);
        for look in &unknown {
            let (all, slot) = (answers.next().flatten(), answers.next().flatten());
            told.tell(look, all.zip(slot).map(|(all, slot)| Seen { all, slot }), None);
        }
        told.send();
    }
}

impl Post for Queue {
    fn post(&self, ask: Ask) -> bool {
        let bytes = size(&ask);
        if bytes > 0 && self.waiting.load(Relaxed) + bytes > QUEUE_BYTES {
            return false;
        }
        self.waiting.fetch_add(bytes, Relaxed);
        let posted = self.asks.try_send(ask).is_ok();
        if !posted {
            self.waiting.fetch_sub(bytes, Relaxed);
        }
        posted
    }
}

/// There is no storage: nothing is found, nothing is kept, and what was to be forgotten is remembered.
fn without(asks: Vec<Ask>, outboxes: &[Outbox]) {
    let mut told = Letters::new(outboxes);
    for ask in asks {
        match ask {
            Ask::Look {
                cache,
                name,
                slot,
                shard,
                ticket,
            } => {
                told.tell(
                    &Look {
                        cache,
                        name,
                        slot,
                        shard,
                        ticket,
                    },
                    None,
                    None,
                );
            }
            Ask::Forget { cache, .. } => cache.set_untold(),
            Ask::Keep { .. } => {}
        }
    }
    told.send();
}

fn size(ask: &Ask) -> usize {
    match ask {
        Ask::Keep { record, .. } => record.size(),
        Ask::Look { .. } | Ask::Forget { .. } => 0,
    }
}

/// Three commands. `index` is the cache's place.
fn forget(
    commands: &mut Pipeline,
    wanted: &mut Vec<Wanted>,
    cache: &SharedCache,
    index: usize,
    key: Option<(Name, u16)>,
) {
    let generation = match key {
        Some((name, slot)) => {
            commands.cmd("DEL").arg(cache.stored_name(&name));
            wanted.push(Wanted::Done);
            cache.stored_slot(slot)
        }
        None => cache.stored_all(),
    };
    let seconds = cache.generation_seconds();
    commands
        .cmd("SET")
        .arg(generation)
        .arg(random())
        .arg("EX")
        .arg(seconds);
    // After it: whoever hears of the one finds the other.
    commands.cmd("INCR").arg(cache.stored_count());
    commands
        .cmd("EXPIRE")
        .arg(cache.stored_count())
        .arg(COUNT_SECONDS);
    wanted.extend([Wanted::Done, Wanted::Counted(index), Wanted::Done]);
}

/// What was found, if it is a replica's, of this generation, and still to live.
fn found(look: &Look, record: &Value, left: &Value, seen: Seen) -> Option<(Arc<Record>, u64)> {
    let (Value::BulkString(bytes), Value::Int(left)) = (record, left) else {
        return None;
    };
    let left = u64::try_from(*left).ok().filter(|left| *left > 0)?;
    let record = look.cache.open(bytes, &look.name)?;
    (record.seen == seen).then(|| (Arc::new(record), left))
}

/// Decimal, as this file writes them.
fn number(value: &Value) -> Option<u64> {
    match value {
        Value::BulkString(digits) => std::str::from_utf8(digits).ok()?.parse().ok(),
        _ => None,
    }
}

/// Not to be guessed, though it would be worth nothing.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

/// Messages to shards, each of which is woken once.
struct Letters<'o> {
    outboxes: &'o [Outbox],
    of: Vec<Vec<Message>>,
}

impl<'o> Letters<'o> {
    fn new(outboxes: &'o [Outbox]) -> Self {
        Self {
            outboxes,
            of: outboxes.iter().map(|_| Vec::new()).collect(),
        }
    }

    fn tell(&mut self, look: &Look, seen: Option<Seen>, record: Option<(Arc<Record>, u64)>) {
        if let Some(letters) = self.of.get_mut(look.shard) {
            let ticket = look.ticket;
            letters.push(Message::Told(Told { ticket, seen, record }));
        }
    }

    fn send(self) {
        for (outbox, letters) in self.outboxes.iter().zip(self.of) {
            outbox.send_all(letters);
        }
    }
}

/// How often it is looked whether others have invalidated something.
const LOOK: Duration = Duration::from_millis(250);

/// What shards may ask before the first of it is carried out.
const QUEUE: usize = 4096;

/// Bytes of it that are to be kept.
const QUEUE_BYTES: usize = 32 << 20;

/// Asks of one exchange: so many answers of a megabyte have to come within its time.
const BATCH: usize = 32;

/// Bytes of one exchange, about.
const BATCH_BYTES: usize = 1 << 20;

/// The last byte of a value that is read.
const MAX_VALUE: usize = 3 << 20;

/// Seconds: 30 days. One that is lost costs the fronts once.
const COUNT_SECONDS: u64 = 30 * 24 * 3600;
