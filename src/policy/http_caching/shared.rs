//! A cache whose answers lie in shared storage too: what a shard asks of control, and what it is told.
//!
//! A shard never speaks to the storage. It posts what it wants into a bounded queue and waits for the answer, a few
//! milliseconds at most; a queue that is full, an answer that is late, any trouble at all is a miss.
//!
//! Invalidation is by *generations* that lie in the storage: a number for the whole cache and one for each of [`SLOTS`]
//! groups of keys. A fetch learns them before it asks the origin, and its answer is kept with them; an invalidation puts
//! others in their place. So what was fetched before an invalidation is not given after it, whoever keeps it and whenever
//! it arrives, and nothing has to be found and deleted first. The fronts, which are the shards' own stores, are dropped when
//! control sees that there was an invalidation (see `control::shared_storage::caches`).

pub use super::record::{Content, Entry, Record, Seen};
use super::{generation::Generations, store::Selection};
use crate::{policy::Signal, storage::Settings};
use aws_lc_rs::hmac;
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fmt::{self, Write},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// One cache of a configuration, as all shards and control share it.
pub struct SharedCache {
    /// In front of the names of all that is its own.
    place: String,
    names: hmac::Key,
    seal: hmac::Key,
    /// Of the fronts.
    pub(super) generations: Arc<Generations>,
    /// Milliseconds a request waits for the storage.
    pub(super) patience_ms: u64,
    /// Seconds that an answer is kept at most.
    ttl: u64,
    /// There was an invalidation that control was not told of.
    untold: AtomicBool,
}

/// What the storage keeps something by: a hash of its key.
pub type Name = [u8; 16];

/// What a shard wants.
#[derive(Debug)]
pub enum Ask {
    /// What is kept by this name.
    Look {
        cache: Arc<SharedCache>,
        name: Name,
        slot: u16,
        /// Whom to tell.
        shard: usize,
        ticket: u64,
    },
    Keep {
        cache: Arc<SharedCache>,
        name: Name,
        slot: u16,
        record: Box<Record>,
        lifetime_ms: u64,
    },
    /// Invalidation, of one key or of everything.
    Forget {
        cache: Arc<SharedCache>,
        key: Option<(Name, u16)>,
    },
}

/// What the storage had.
#[derive(Debug, Clone)]
pub struct Told {
    pub ticket: u64,
    /// The generations in force; None where there was any trouble.
    pub seen: Option<Seen>,
    /// With the milliseconds that it has still to live.
    pub record: Option<(Arc<Record>, u64)>,
}

/// The way to control, of all shards.
pub trait Post: Send + Sync {
    /// Never waits. False: there is no room, and nothing will come of it.
    fn post(&self, ask: Ask) -> bool;
}

/// One shard's end of the way to control and back.
pub struct Desk {
    post: Arc<dyn Post>,
    shard: usize,
    next: Cell<u64>,
    waiting: RefCell<HashMap<u64, Waiting>>,
}

struct Waiting {
    told: Rc<Cell<Option<Told>>>,
    signal: Signal,
}

/// An answer that may still come. Nobody waits for it any more once this is dropped.
pub(super) struct Pending {
    desk: Rc<Desk>,
    ticket: u64,
    told: Rc<Cell<Option<Told>>>,
    pub(super) signal: Signal,
}

impl SharedCache {
    /// `identity`: what is the same for replicas of this cache, and for no other.
    pub(super) fn new(
        settings: &Settings,
        identity: &str,
        generations: Arc<Generations>,
        patience_ms: u64,
        ttl: u64,
    ) -> Self {
        let key = |purpose| hmac::Key::new(hmac::HMAC_SHA256, &settings.derive(purpose));
        let names = key("names of cached answers");
        let mut place = format!("{}:cache:", settings.prefix);
        hex(&mut place, &hmac::sign(&names, identity.as_bytes()).as_ref()[..8]);
        place.push(':');
        Self {
            place,
            names,
            seal: key("seals of cached answers"),
            generations,
            patience_ms,
            ttl,
            untold: AtomicBool::new(false),
        }
    }

    /// For what is kept by this key, or by it and these lines of the request.
    pub(super) fn name(&self, key: &[u8], selection: &Selection) -> Name {
        let mut context = hmac::Context::with_key(&self.names);
        let mut part = |bytes: &[u8]| {
            context.update(&(bytes.len() as u64).to_be_bytes());
            context.update(bytes);
        };
        part(self.place.as_bytes());
        part(key);
        for (name, value) in selection {
            part(name);
            part(value);
        }
        let mut name = [0; 16];
        name.copy_from_slice(&context.sign().as_ref()[..16]);
        name
    }

    /// The group of keys that one of this name is invalidated with.
    pub(super) fn slot(name: &Name) -> u16 {
        u16::from_be_bytes([name[0], name[1]]) % SLOTS
    }

    /// In the storage.
    pub fn stored_name(&self, name: &Name) -> String {
        let mut stored = self.place.clone();
        hex(&mut stored, name);
        stored
    }

    /// Where the generation of a group lies in the storage.
    pub fn stored_slot(&self, slot: u16) -> String {
        format!("{}slot:{slot}", self.place)
    }

    /// Where that of the whole cache lies.
    pub fn stored_all(&self) -> String {
        format!("{}all", self.place)
    }

    /// Where it is counted how often something was invalidated.
    pub fn stored_count(&self) -> String {
        format!("{}count", self.place)
    }

    /// Seconds that a generation must live so that it outlives whatever is kept with it.
    pub fn generation_seconds(&self) -> u64 {
        self.ttl + GENERATION_SPARE
    }

    pub fn seal(&self, record: &Record, name: &Name) -> Vec<u8> {
        record.seal(&self.seal, self.stored_name(name).as_bytes())
    }

    /// None: nothing that a replica of this cache has written there.
    pub fn open(&self, bytes: &[u8], name: &Name) -> Option<Record> {
        Record::open(&self.seal, self.stored_name(name).as_bytes(), bytes)
    }

    /// Something was invalidated elsewhere: what the fronts have is to be asked for again.
    pub fn drop_fronts(&self) {
        self.generations.invalidate_all();
    }

    /// An invalidation is lost on its way: to be made good by one of everything.
    pub fn set_untold(&self) {
        self.untold.store(true, Ordering::Release);
    }

    /// Whether there is one to make good, once.
    pub fn take_untold(&self) -> bool {
        self.untold.load(Ordering::Acquire) && self.untold.swap(false, Ordering::AcqRel)
    }
}

impl Desk {
    pub fn new(post: Arc<dyn Post>, shard: usize) -> Rc<Self> {
        Rc::new(Self {
            post,
            shard,
            next: Cell::new(0),
            waiting: RefCell::default(),
        })
    }

    /// None: there is no room.
    pub(super) fn look(self: &Rc<Self>, cache: &Arc<SharedCache>, name: Name, slot: u16) -> Option<Pending> {
        let ticket = self.next.get();
        self.next.set(ticket.wrapping_add(1));
        let posted = self.post.post(Ask::Look {
            cache: cache.clone(),
            name,
            slot,
            shard: self.shard,
            ticket,
        });
        posted.then(|| {
            let (told, signal) = (Rc::new(Cell::new(None)), Signal::default());
            let waiting = Waiting {
                told: told.clone(),
                signal: signal.clone(),
            };
            self.waiting.borrow_mut().insert(ticket, waiting);
            Pending {
                desk: self.clone(),
                ticket,
                told,
                signal,
            }
        })
    }

    pub(super) fn keep(
        &self,
        cache: &Arc<SharedCache>,
        name: Name,
        slot: u16,
        record: Record,
        lifetime_ms: u64,
    ) {
        // What finds no room is in the front, and that is enough.
        self.post.post(Ask::Keep {
            cache: cache.clone(),
            name,
            slot,
            record: Box::new(record),
            lifetime_ms,
        });
    }

    pub(super) fn forget(&self, cache: &Arc<SharedCache>, key: Option<(Name, u16)>) {
        let cache = cache.clone();
        if !self.post.post(Ask::Forget {
            cache: cache.clone(),
            key,
        }) {
            cache.set_untold();
        }
    }

    /// From the inbox.
    pub fn told(&self, told: Told) {
        if let Some(waiting) = self.waiting.borrow_mut().remove(&told.ticket) {
            waiting.told.set(Some(told));
            waiting.signal.give();
        }
    }
}

impl Pending {
    /// What came, once.
    pub(super) fn take(&self) -> Option<Told> {
        self.told.take()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.desk.waiting.borrow_mut().remove(&self.ticket);
    }
}

impl fmt::Debug for SharedCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedCache({})", self.place)
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Desk({})", self.shard)
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pending({})", self.ticket)
    }
}

fn hex(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // A String takes everything.
        let _ = write!(out, "{byte:02x}");
    }
}

/// Groups of keys. An invalidation of one key drops the others of its group as well: one in so many.
const SLOTS: u16 = 4096;

/// Seconds: an hour for clocks, and for writers, that are late.
const GENERATION_SPARE: u64 = 3600;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::tests::settings;

    fn cache(identity: &str, prefix: &str) -> Arc<SharedCache> {
        let mut settings = settings("a", 1);
        settings.prefix = prefix.to_owned();
        let generations = Arc::new(Generations::new());
        Arc::new(SharedCache::new(&settings, identity, generations, 10, 60))
    }

    /// Room for so many, and what was posted.
    struct Room {
        room: usize,
        asked: std::sync::atomic::AtomicUsize,
    }

    impl Post for Room {
        fn post(&self, _: Ask) -> bool {
            self.asked.fetch_add(1, Ordering::Relaxed) < self.room
        }
    }

    fn desk(room: usize) -> Rc<Desk> {
        let asked = std::sync::atomic::AtomicUsize::new(0);
        Desk::new(Arc::new(Room { room, asked }), 0)
    }

    #[test]
    fn names_are_of_one_cache_one_key_and_one_selection() {
        let line = |name: &str, value: &str| (name.as_bytes().into(), value.as_bytes().into());
        let (one, none) = (cache("api a", "p"), Selection::new());
        assert_eq!(
            one.name(b"k", &none),
            cache("api a", "p").name(b"k", &none),
            "on every replica"
        );
        let names = [
            one.name(b"k", &none),
            one.name(b"l", &none),
            one.name(b"k", &vec![line("a", "bc")]),
            one.name(b"k", &vec![line("ab", "c")]),
            cache("api b", "p").name(b"k", &none),
            cache("api a", "q").name(b"k", &none),
        ];
        for (index, name) in names.iter().enumerate() {
            assert!(!names[..index].contains(name), "{index}");
            assert!(SharedCache::slot(name) < SLOTS);
        }
        let stored = one.stored_name(&names[0]);
        assert!(
            stored.starts_with("p:cache:") && !stored.contains('k') && stored.is_ascii(),
            "{stored}"
        );
        assert!(one.generation_seconds() > 60);
    }

    #[test]
    fn an_answer_is_told_to_whoever_waits_for_it_still() {
        let (cache, desk) = (cache("a", "p"), desk(2));
        let told = |ticket| Told {
            ticket,
            seen: None,
            record: None,
        };
        let first = desk.look(&cache, [0; 16], 0).expect("room");
        let second = desk.look(&cache, [1; 16], 1).expect("room");
        assert!(desk.look(&cache, [2; 16], 2).is_none(), "a full queue is a miss");
        drop(first);
        assert_eq!(desk.waiting.borrow().len(), 1);
        desk.told(told(0));
        assert!(second.take().is_none());
        desk.told(told(1));
        assert_eq!(second.take().expect("told").ticket, 1);
        assert!(second.take().is_none() && desk.waiting.borrow().is_empty());
        // Late, twice, of nobody: nothing.
        desk.told(told(1));
        desk.told(told(u64::MAX));
    }

    #[test]
    fn an_invalidation_without_room_is_made_good_later() {
        let (cache, desk) = (cache("a", "p"), desk(1));
        desk.forget(&cache, None);
        assert!(!cache.take_untold());
        desk.forget(&cache, Some(([0; 16], 0)));
        assert!(cache.take_untold() && !cache.take_untold());
    }
}
