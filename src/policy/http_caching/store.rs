//! What one shard has stored. First in, first out, as the vendor's: no look at an entry changes it.

use super::generation::Generation;
use crate::clock::Tick;
use std::{
    collections::{HashMap, VecDeque},
    rc::Rc,
    sync::Arc,
};

/// An answer as it will be given again.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) status: u16,
    pub(super) lines: Lines,
    pub(super) body: Arc<[u8]>,
    /// Seconds it was old when it came.
    pub(super) age: u64,
    /// Whom it may be given to beside requests without credentials.
    pub(super) audience: Audience,
}

/// RFC 9111 §3.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// The request for it had no credentials.
    Anonymous,
    /// The origin said that it is for everybody, credentials or not.
    Everybody,
    /// An access policy ahead of the cache had admitted the request, and admits every other.
    Admitted,
}

#[derive(Debug)]
enum Content {
    Stored(Rc<Stored>),
    /// The origin's answer can't be stored: nobody waits for it to be fetched by another.
    Pass(Passing),
}

/// Whose answers can't be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passing {
    Everybodys,
    /// Of those who bring credentials that nobody has looked at.
    OfCredentials,
}

/// The request's lines that `Vary` names, each joined to one value.
pub(super) type Selection = Lines;

/// Names and values.
pub(super) type Lines = Vec<(Box<[u8]>, Box<[u8]>)>;

#[derive(Debug)]
struct Entry {
    number: u64,
    selection: Selection,
    content: Content,
    stored: Tick,
    stale: Tick,
    generation: Generation,
    bytes: usize,
}

#[derive(Debug)]
pub(super) struct Store {
    entries: HashMap<Rc<[u8]>, Vec<Entry>>,
    /// Oldest first; of those that were replaced the numbers remain until [`trim`](Self::trim).
    order: VecDeque<(Rc<[u8]>, u64)>,
    /// Keys that are being fetched: since when, and by which of all fetches.
    fetching: HashMap<Box<[u8]>, (Tick, u64)>,
    fetches: u64,
    count: usize,
    bytes: usize,
    /// Of content on its way into the store.
    filling: usize,
    max_entries: usize,
    max_bytes: usize,
    next: u64,
}

/// What a look found.
#[derive(Debug)]
pub(super) enum Found {
    Fresh { stored: Rc<Stored>, since: Tick },
    Pass(Passing),
    Nothing,
}

impl Store {
    pub(super) fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: VecDeque::new(),
            fetching: HashMap::new(),
            fetches: 0,
            count: 0,
            bytes: 0,
            filling: 0,
            max_entries,
            max_bytes,
            next: 0,
        }
    }

    /// `serves` says whether an answer with these selecting values, for this audience, may be given to the request at
    /// hand.
    pub(super) fn find(
        &self,
        key: &[u8],
        now: Tick,
        generation: Generation,
        serves: impl Fn(&Selection, Audience) -> bool,
    ) -> Found {
        let Some(entries) = self.entries.get(key) else {
            return Found::Nothing;
        };
        let mut found = Found::Nothing;
        // The newest first.
        let good = |entry: &&Entry| entry.generation == generation && now < entry.stale;
        for entry in entries.iter().rev().filter(good) {
            match &entry.content {
                Content::Stored(stored) if serves(&entry.selection, stored.audience) => {
                    return Found::Fresh {
                        stored: stored.clone(),
                        since: entry.stored,
                    };
                }
                Content::Stored(_) => {}
                // It may be another request's answer that could not be stored.
                Content::Pass(whose) => found = Found::Pass(*whose),
            }
        }
        found
    }

    pub(super) fn put(
        &mut self,
        key: &[u8],
        selection: Selection,
        stored: Stored,
        now: Tick,
        lifetime_ms: u64,
        generation: Generation,
    ) {
        self.put_shared(key, selection, Rc::new(stored), now, lifetime_ms, generation);
    }

    /// The same of what is being given to somebody.
    pub(super) fn put_shared(
        &mut self,
        key: &[u8],
        selection: Selection,
        stored: Rc<Stored>,
        now: Tick,
        lifetime_ms: u64,
        generation: Generation,
    ) {
        let lines: usize = stored
            .lines
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        let bytes = key.len() + lines + stored.body.len();
        let content = Content::Stored(stored);
        self.insert(key, selection, content, now, lifetime_ms, generation, bytes);
    }

    /// Notes that the key's answers can't be stored, for a while.
    pub(super) fn pass(&mut self, key: &[u8], whose: Passing, now: Tick, generation: Generation) {
        self.insert(
            key,
            Vec::new(),
            Content::Pass(whose),
            now,
            PASS_MS,
            generation,
            key.len(),
        );
    }

    #[allow(clippy::too_many_arguments, reason = "an entry's parts")]
    fn insert(
        &mut self,
        key: &[u8],
        selection: Selection,
        content: Content,
        now: Tick,
        lifetime_ms: u64,
        generation: Generation,
        bytes: usize,
    ) {
        let chosen: usize = selection
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        let bytes = bytes + chosen + ENTRY_BYTES;
        if bytes > self.max_bytes || self.max_entries == 0 {
            return;
        }
        let key: Rc<[u8]> = match self.entries.get_key_value(key) {
            Some((known, _)) => known.clone(),
            None => key.into(),
        };
        let entries = self.entries.entry(key.clone()).or_default();
        // One for the same requests, and those that are of no use any more, make room.
        entries.retain(|entry| {
            let same = entry.selection == selection
                && matches!(entry.content, Content::Pass(_)) == matches!(content, Content::Pass(_));
            let stays = !same && entry.generation == generation && now < entry.stale;
            if !stays {
                self.count -= 1;
                self.bytes -= entry.bytes;
            }
            stays
        });
        if entries.len() >= MAX_VARIANTS {
            // The oldest: whoever asks in a thousand languages would make each look at the key a thousand comparisons.
            let gone = entries.remove(0);
            self.count -= 1;
            self.bytes -= gone.bytes;
        }
        let number = self.next;
        self.next += 1;
        entries.push(Entry {
            number,
            selection,
            content,
            stored: now,
            stale: now.saturating_add(lifetime_ms),
            generation,
            bytes,
        });
        self.order.push_back((key, number));
        self.count += 1;
        self.bytes += bytes;
        while self.count > self.max_entries || self.bytes > self.max_bytes {
            let Some((key, number)) = self.order.pop_front() else {
                break;
            };
            self.remove(&key, number);
        }
        self.trim();
    }

    fn remove(&mut self, key: &Rc<[u8]>, number: u64) {
        let Some(entries) = self.entries.get_mut(key) else {
            return;
        };
        if let Some(at) = entries.iter().position(|entry| entry.number == number) {
            let gone = entries.remove(at);
            self.count -= 1;
            self.bytes -= gone.bytes;
        }
        if entries.is_empty() {
            self.entries.remove(key);
        }
    }

    /// Forgets the numbers of what was replaced, before there are more of them than of entries.
    fn trim(&mut self) {
        if self.order.len() > 2 * self.count + 64 {
            let entries = &self.entries;
            self.order.retain(|(key, number)| {
                entries
                    .get(key)
                    .is_some_and(|of_key| of_key.iter().any(|entry| entry.number == *number))
            });
        }
    }

    /// The fetch's number, for [`end`](Self::end); None where another request is fetching it already.
    pub(super) fn begin(&mut self, key: &[u8], now: Tick) -> Option<u64> {
        if self.is_fetching(key, now) {
            return None;
        }
        self.fetches += 1;
        self.fetching.insert(key.into(), (now, self.fetches));
        Some(self.fetches)
    }

    /// Whether it is worth waiting for whoever fetches it.
    pub(super) fn is_fetching(&self, key: &[u8], now: Tick) -> bool {
        let since = self.fetching.get(key).map(|(since, _)| *since);
        since.is_some_and(|since| now < since.saturating_add(WAIT_MS))
    }

    /// Of one that took too long another may have taken the place.
    pub(super) fn end(&mut self, key: &[u8], number: u64) {
        if self
            .fetching
            .get(key)
            .is_some_and(|(_, current)| *current == number)
        {
            self.fetching.remove(key);
        }
    }

    /// Room for content on its way: as much in all as of what is stored, since whoever reads slowly keeps his waiting
    /// there. False: there is none left, and the answer goes by unstored.
    pub(super) fn reserve(&mut self, bytes: usize) -> bool {
        let fits = self.filling + bytes <= self.max_bytes;
        if fits {
            self.filling += bytes;
        }
        fits
    }

    pub(super) fn release(&mut self, bytes: usize) {
        self.filling -= bytes;
    }
}

/// How long one request may keep others waiting for what it fetches: a client that reads its answer a byte at a time, or an
/// origin that gives none, holds up nobody else for longer. Past it the next one fetches for itself, and those behind wait
/// for that one.
pub(super) const WAIT_MS: u64 = 5_000;

/// Entries of one key.
const MAX_VARIANTS: usize = 64;

/// How long requests for what can't be stored go to the origin without waiting for each other.
const PASS_MS: u64 = 60_000;

/// What an entry takes beside its bytes, about: the entry, its place in the queue and in the map, three vectors.
const ENTRY_BYTES: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::http_caching::generation::Generations;

    fn stored(body: &str) -> Stored {
        Stored {
            status: 200,
            lines: Vec::new(),
            body: body.as_bytes().into(),
            age: 0,
            audience: Audience::Anonymous,
        }
    }

    fn body(found: Found) -> Option<String> {
        match found {
            Found::Fresh { stored, .. } => Some(String::from_utf8_lossy(&stored.body).into_owned()),
            Found::Pass(_) | Found::Nothing => None,
        }
    }

    #[test]
    fn the_oldest_goes_first_whoever_asked_for_it() {
        let generations = Generations::new();
        let mut store = Store::new(2, 1 << 20);
        for key in ["a", "b"] {
            store.put(
                key.as_bytes(),
                Vec::new(),
                stored(key),
                0,
                100,
                generations.of(key.as_bytes()),
            );
        }
        let find = |store: &Store, key: &str, now| {
            body(store.find(key.as_bytes(), now, generations.of(key.as_bytes()), |_, _| true))
        };
        assert_eq!(find(&store, "a", 50).as_deref(), Some("a"));
        store.put(b"c", Vec::new(), stored("c"), 50, 100, generations.of(b"c"));
        assert_eq!(
            (find(&store, "a", 50), find(&store, "b", 50).as_deref()),
            (None, Some("b"))
        );
        assert_eq!(find(&store, "b", 100), None, "its time is over");
        generations.invalidate(b"c");
        assert_eq!(find(&store, "c", 60), None);
    }

    #[test]
    fn a_key_that_is_replaced_again_and_again_takes_no_more_room() {
        let generations = Generations::new();
        let mut store = Store::new(10, 1 << 20);
        for now in 0..10_000 {
            store.put(b"a", Vec::new(), stored("x"), now, 100, generations.of(b"a"));
        }
        assert_eq!((store.count, store.entries.len()), (1, 1));
        assert!(store.order.len() <= 2 * store.count + 65);
        let bytes = store.bytes;
        store.put(b"a", Vec::new(), stored("x"), 20_000, 100, generations.of(b"a"));
        assert_eq!(store.bytes, bytes);
    }

    #[test]
    fn bytes_are_bounded_and_what_is_larger_is_not_taken() {
        let generations = Generations::new();
        let mut store = Store::new(1000, 4096);
        for number in 0..100 {
            let key = format!("{number}");
            store.put(
                key.as_bytes(),
                Vec::new(),
                stored(&"x".repeat(500)),
                0,
                100,
                generations.of(key.as_bytes()),
            );
            assert!(store.bytes <= 4096);
        }
        assert!(store.count >= 4);
        let before = store.count;
        store.put(
            b"large",
            Vec::new(),
            stored(&"x".repeat(5000)),
            0,
            100,
            generations.of(b"large"),
        );
        assert_eq!(store.count, before);
    }

    #[test]
    fn answers_are_chosen_by_what_they_vary_by() {
        let generations = Generations::new();
        let mut store = Store::new(10, 1 << 20);
        let german = vec![(b"accept-language"[..].into(), b"de"[..].into())];
        let english = vec![(b"accept-language"[..].into(), b"en"[..].into())];
        for (selection, text) in [(&german, "hallo"), (&english, "hello")] {
            store.put(
                b"/",
                selection.clone(),
                stored(text),
                0,
                100,
                generations.of(b"/"),
            );
        }
        for (selection, text) in [(german, "hallo"), (english, "hello")] {
            let found = store.find(b"/", 1, generations.of(b"/"), |of, _| *of == selection);
            assert_eq!(body(found).as_deref(), Some(text));
        }
    }

    #[test]
    fn one_fetches_at_a_time_and_not_for_ever() {
        let mut store = Store::new(10, 1 << 20);
        let first = store.begin(b"a", 0).unwrap();
        assert!(store.begin(b"a", WAIT_MS - 1).is_none() && store.begin(b"b", 0).is_some());
        let second = store.begin(b"a", WAIT_MS).expect("the first takes too long");
        store.end(b"a", first);
        assert!(store.is_fetching(b"a", WAIT_MS), "the end of another's");
        store.end(b"a", second);
        assert!(!store.is_fetching(b"a", WAIT_MS) && store.begin(b"a", WAIT_MS).is_some());
    }

    #[test]
    fn one_key_has_so_many_entries_and_no_more() {
        let generations = Generations::new();
        let mut store = Store::new(100_000, 1 << 30);
        for number in 0..10 * MAX_VARIANTS {
            let language = vec![(
                b"accept-language"[..].into(),
                number.to_string().into_bytes().into(),
            )];
            store.put(b"/", language, stored("x"), 0, 100, generations.of(b"/"));
        }
        assert_eq!(store.entries[&b"/"[..]].len(), MAX_VARIANTS);
        assert_eq!(store.count, MAX_VARIANTS);
        assert!(store.order.len() <= 2 * store.count + 65);
        assert_eq!(
            store.bytes,
            store.entries[&b"/"[..]]
                .iter()
                .map(|entry| entry.bytes)
                .sum::<usize>()
        );
    }

    #[test]
    fn content_on_its_way_is_bounded() {
        let mut store = Store::new(10, 1000);
        assert!(store.reserve(600) && !store.reserve(600) && store.reserve(400));
        store.release(1000);
        assert!(store.reserve(1000));
    }
}
