//! Every key's window, for all shards: a table of fixed size that is read and written without a lock and without
//! waiting for anybody.
//!
//! A key's fingerprint chooses a group of 32 slots; it is in one of those or nowhere. Three kinds of words decide all:
//!
//! - A slot's **window** ([`Window`]). Tokens are taken and given back by a compare-and-swap of it. No value of it
//!   returns, so one that succeeds proves that nothing of the slot changed since the window was read.
//! - A group's **header**: which slots hold a key, and a version that every change of that counts up. A key is added
//!   by a compare-and-swap from the header under which it was found absent. So no key is ever in two slots, and two
//!   shards that meet a new key at once agree on one bucket.
//! - **Tags**, a byte of each slot's fingerprint in the header's cache line: hints that save looking at other slots.
//!
//! To add a key, its slot is claimed first (a compare-and-swap of its vacant window), then written while nobody looks
//! at it, then published in the header. To remove one, its window is vacated first: from there on nobody can take from
//! it; then its bit is cleared, by whoever comes by. Whoever stops halfway holds up nobody: a claimed slot is one slot
//! fewer, a vacated one is cleared by the next.
//!
//! What was read of a slot counts only if the header is the same afterwards. Otherwise the slot could have been given
//! to another key between two reads.
//!
//! A key whose window runs is never removed, or a client could begin a fresh one by flooding the table. Keys that find
//! no slot share one bucket per rule, for as long as they find none; one that gets a slot later begins there with a
//! whole limit. A group whose last free slots are just being filled counts as full: waiting for whoever fills them is
//! what a shard must not do.

use super::{
    atomics::{AtomicU32, AtomicU64, Ordering, SLOTS, prefetch, zeroed, zeroed_at_start},
    bucket::{Millis, Window},
    keys::{Fingerprint, HashKey},
    rule::Rule,
};
use std::{array, sync::Arc};

pub struct Bank {
    groups: Box<[Group]>,
    slots: Box<[Slots]>,
    /// The tick up to which the sweep has come.
    swept: AtomicU64,
    hash_key: HashKey,
}

zeroed_at_start! {
    /// What is looked at first, in a line of its own: 64 bytes for 15 keys stay in a cache where the slots do not.
    #[repr(C, align(64))]
    struct Group {
        header: AtomicU64,
        tags: [AtomicU64; TAG_WORDS],
    }

    #[repr(C, align(64))]
    struct Slots {
        slots: [Slot; SLOTS],
        /// Beside the slots: only who wants a slot of another key asks how long its window is.
        lengths: [AtomicU32; SLOTS],
    }

    #[repr(C)]
    struct Slot {
        window: AtomicU64,
        high: AtomicU64,
        low: AtomicU64,
    }
}

/// Where a key's window is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Place {
    Slot(u32),
    /// The rule's bucket for keys without one.
    #[default]
    Overflow,
}

/// What a request got.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    pub(super) place: Place,
    /// As it was left.
    pub(super) window: Window,
    /// 0: refused.
    pub(super) tokens: u32,
}

impl Bank {
    /// Room for `keys` keys, at 64 bytes each; at least for 15, at most for 2^31.
    pub fn new(keys: usize, hash_key: HashKey) -> Arc<Self> {
        let groups = keys.clamp(1, MAXIMUM_KEYS).div_ceil(KEYS_PER_GROUP);
        Arc::new(Self {
            groups: zeroed(groups),
            slots: zeroed(groups),
            swept: AtomicU64::new(NEVER),
            hash_key,
        })
    }

    pub fn hash_key(&self) -> &HashKey {
        &self.hash_key
    }

    /// Keys it has, those included whose windows are over and were not yet swept. Looks at 64 bytes for every 15 keys
    /// of room: for a scrape, not for a request.
    pub fn keys(&self) -> usize {
        let count = |group: &Group| occupied(group.header.load(Ordering::Relaxed)).count_ones() as usize;
        self.groups.iter().map(count).sum()
    }

    /// Of memory, all of which is reserved and none of which is used before keys come.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.groups) + size_of_val(&*self.slots)
    }

    /// Removes keys whose windows are over: each time the part that is due, the whole table in [`REVOLUTION_MS`]. To
    /// be called a few times a second by any shard; with several the first does it. Must come around within 4.5 days,
    /// or windows that are long over could be taken for running ones (see `bucket`).
    ///
    /// A million keys cost 64 MB a minute of reading in order; one call reads at most a 16th of the table.
    pub fn sweep(&self, now: u64) {
        let last = self.swept.load(Ordering::Relaxed);
        if last == NEVER {
            self.advance(last, now);
            return;
        }
        // Another shard's clock is newer.
        if now <= last {
            return;
        }
        // Of revolutions that were missed all but the last are left out; it goes on at the same place.
        let from = last + ((now - last) / REVOLUTION_MS).saturating_sub(1) * REVOLUTION_MS;
        let to = now.min(from + REVOLUTION_MS / 16);
        let groups = self.groups.len() as u64;
        let passed = |tick: u64| (u128::from(tick) * u128::from(groups) / u128::from(REVOLUTION_MS)) as u64;
        if self.advance(last, to) {
            for group in passed(from)..passed(to) {
                self.evict((group % groups) as usize, now as Millis);
            }
        }
    }

    fn advance(&self, from: u64, to: u64) -> bool {
        (self.swept)
            .compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// Fetches what a take will look at.
    pub(super) fn prepare(&self, rule: &Rule, key: Fingerprint) {
        let key = key.of(rule.fingerprint);
        let group = self.group_of(key);
        prefetch(&self.groups[group]);
        let first = &self.slots[group].slots[preferred(key)];
        prefetch(&first.window);
        // Its last word may be in the next line, and so is likely the key where another has its place.
        prefetch(&self.slots[group].slots[preferred(key) + 1]);
    }

    /// Takes what `ask` says of what is left, where anything is; the window begins with this where there is none.
    /// `ask` is given at least 1, and answers at least 1 and at most that.
    pub(super) fn take(&self, rule: &Rule, key: Fingerprint, now: Millis, ask: impl Fn(u32) -> u32) -> Taken {
        let key = key.of(rule.fingerprint);
        let group = self.group_of(key);
        loop {
            let header = self.groups[group].header.load(Ordering::Acquire);
            match self.find(group, header, key) {
                Found::Live(place, window) => {
                    if let Some(taken) = self.take_at(place, window, rule, now, &ask) {
                        return taken;
                    }
                }
                Found::Vacated(slot) => self.clear(group, slot),
                Found::Changed => {}
                Found::Absent => match self.add(group, header, key, rule, now, &ask) {
                    Added::Yes(taken) => return taken,
                    Added::NoRoom => return self.take_overflow(rule, now, &ask),
                    Added::Changed => {}
                },
            }
        }
    }

    /// The same where the key's place is known, and its window as it was there. None when neither is right any more.
    pub(super) fn take_at(
        &self,
        place: Place,
        window: Window,
        rule: &Rule,
        now: Millis,
        ask: impl Fn(u32) -> u32,
    ) -> Option<Taken> {
        let cell = self.cell(place, rule);
        let mut seen = window;
        loop {
            let met = seen.at(now, rule.limit.window_ms);
            let left = met.left(rule.limit.requests);
            if left == 0 {
                return Some(Taken {
                    place,
                    window: met,
                    tokens: 0,
                });
            }
            let tokens = ask(left);
            let next = met.take(tokens);
            match swap(cell, seen, next) {
                Ok(()) => {
                    return Some(Taken {
                        place,
                        window: next,
                        tokens,
                    });
                }
                Err(now_there) if now_there.began_at(window.start()) => seen = now_there,
                Err(_) => return None,
            }
        }
    }

    fn take_overflow(&self, rule: &Rule, now: Millis, ask: impl Fn(u32) -> u32) -> Taken {
        loop {
            let window = self.window(Place::Overflow, rule);
            if let Some(taken) = self.take_at(Place::Overflow, window, rule, now, &ask) {
                return taken;
            }
        }
    }

    /// Takes nothing. None: this key has no window; where one begins, everything is left.
    pub(super) fn look(&self, rule: &Rule, key: Fingerprint) -> Option<Window> {
        let key = key.of(rule.fingerprint);
        let group = self.group_of(key);
        loop {
            let header = self.groups[group].header.load(Ordering::Acquire);
            match self.find(group, header, key) {
                Found::Live(_, window) => return Some(window),
                Found::Vacated(_) | Found::Absent => return None,
                Found::Changed => {}
            }
        }
    }

    pub(super) fn window(&self, place: Place, rule: &Rule) -> Window {
        load(self.cell(place, rule))
    }

    /// What was taken in the window that began at `start` and not spent. Nothing where that window is past: it went
    /// with it.
    pub(super) fn give_back(&self, place: Place, rule: &Rule, start: Millis, tokens: u32) {
        self.give_back_to(self.cell(place, rule), start, tokens);
    }

    /// The same for a slot of any rule.
    pub(super) fn give_back_slot(&self, slot: u32, start: Millis, tokens: u32) {
        self.give_back_to(&self.slot(slot).window, start, tokens);
    }

    fn give_back_to(&self, cell: &AtomicU64, start: Millis, tokens: u32) {
        let mut seen = load(cell);
        while seen.began_at(start) {
            match swap(cell, seen, seen.give_back(tokens)) {
                Ok(()) => return,
                Err(now_there) => seen = now_there,
            }
        }
    }

    fn cell<'a>(&'a self, place: Place, rule: &'a Rule) -> &'a AtomicU64 {
        match place {
            Place::Slot(slot) => &self.slot(slot).window,
            Place::Overflow => &rule.overflow,
        }
    }

    fn slot(&self, slot: u32) -> &Slot {
        let slot = slot as usize;
        &self.slots[slot / SLOTS].slots[slot % SLOTS]
    }

    fn group_of(&self, key: Fingerprint) -> usize {
        ((u128::from(key.high) * self.groups.len() as u128) >> 64) as usize
    }

    fn find(&self, group: usize, header: u64, key: Fingerprint) -> Found {
        let at = &self.groups[group];
        // Most keys are where they would be. Looking there without asking the tags first lets the CPU fetch both
        // cache lines at once; one after the other would be twice the wait for memory.
        let index = preferred(key);
        if self.holds(group, index, key) && occupied(header) >> index & 1 == 1 {
            return self.found(group, header, index);
        }
        let mut candidates = at.tagged(tag_of(key)) & occupied(header);
        while candidates != 0 {
            let index = candidates.trailing_zeros() as usize;
            candidates &= candidates - 1;
            if self.holds(group, index, key) {
                return self.found(group, header, index);
            }
        }
        Found::Absent
    }

    /// Each an acquire, so that a header read after it is not older than what was read here.
    fn holds(&self, group: usize, index: usize, key: Fingerprint) -> bool {
        let slot = &self.slots[group].slots[index];
        let (high, low) = (
            slot.high.load(Ordering::Acquire),
            slot.low.load(Ordering::Acquire),
        );
        high == key.high && low == key.low
    }

    fn found(&self, group: usize, header: u64, index: usize) -> Found {
        let window = load(&self.slots[group].slots[index].window);
        if self.groups[group].header.load(Ordering::Acquire) != header {
            Found::Changed
        } else if window.is_live() {
            Found::Live(place(group, index), window)
        } else {
            Found::Vacated(index)
        }
    }

    /// Puts a key that was absent under `header` into a slot, with its first tokens taken.
    fn add(
        &self,
        group: usize,
        header: u64,
        key: Fingerprint,
        rule: &Rule,
        now: Millis,
        ask: impl Fn(u32) -> u32,
    ) -> Added {
        let (at, slots) = (&self.groups[group], &self.slots[group]);
        let Some((index, start)) = self.claim(group, header, preferred(key), now) else {
            let removed = self.evict(group, now);
            let changed = removed || at.header.load(Ordering::Acquire) != header;
            return if changed { Added::Changed } else { Added::NoRoom };
        };
        let slot = &slots.slots[index];
        let tokens = ask(rule.limit.requests);
        let window = Window::open(start, 0).take(tokens);
        at.set_tag(index, tag_of(key));
        slots.lengths[index].store(rule.limit.window_ms, Ordering::Relaxed);
        slot.high.store(key.high, Ordering::Release);
        slot.low.store(key.low, Ordering::Release);
        slot.window.store(window.bits(), Ordering::Release);

        let mut header = header;
        loop {
            match swap_header(at, header, with(header, index)) {
                Ok(()) => {
                    let place = place(group, index);
                    return Added::Yes(Taken {
                        place,
                        window,
                        tokens,
                    });
                }
                Err(now_there) => header = now_there,
            }
            // Somebody else changed the group. Did they add this very key?
            if !matches!(self.find(group, header, key), Found::Absent) {
                slot.window.store(window.vacated().bits(), Ordering::Release);
                return Added::Changed;
            }
        }
    }

    /// A slot that nobody else writes, and when its window begins.
    fn claim(&self, group: usize, header: u64, first: usize, now: Millis) -> Option<(usize, Millis)> {
        let (at, slots) = (&self.groups[group], &self.slots[group].slots);
        let from_first = (0..SLOTS).map(|offset| (first + offset) % SLOTS);
        for index in from_first.filter(|index| occupied(header) >> index & 1 == 0) {
            let cell = &slots[index].window;
            let window = load(cell);
            let claimed = window.claimed(now);
            if !window.is_vacant() || swap(cell, window, claimed).is_err() {
                continue;
            }
            // It may have been vacated just now, with its bit still standing: what is written here must not be seen
            // before it is published.
            let mut header = at.header.load(Ordering::Acquire);
            while occupied(header) >> index & 1 == 1 {
                match swap_header(at, header, without(header, index)) {
                    Ok(()) => break,
                    Err(now_there) => header = now_there,
                }
            }
            return Some((index, claimed.start()));
        }
        None
    }

    /// Removes what is over in a group. Whether there was anything.
    fn evict(&self, group: usize, now: Millis) -> bool {
        let (at, slots) = (&self.groups[group], &self.slots[group]);
        let mut removed = false;
        let mut candidates = occupied(at.header.load(Ordering::Acquire));
        while candidates != 0 {
            let index = candidates.trailing_zeros() as usize;
            candidates &= candidates - 1;
            let header = at.header.load(Ordering::Acquire);
            if occupied(header) >> index & 1 == 0 {
                continue;
            }
            let cell = &slots.slots[index].window;
            let window = load(cell);
            let length = slots.lengths[index].load(Ordering::Acquire);
            if at.header.load(Ordering::Acquire) != header {
                continue;
            }
            let vacated = !window.is_live()
                || window.is_over(now, length) && swap(cell, window, window.vacated()).is_ok();
            if vacated {
                self.clear(group, index);
                removed = true;
            }
        }
        removed
    }

    /// Clears the bit of a slot whose window was vacated.
    fn clear(&self, group: usize, index: usize) {
        let at = &self.groups[group];
        loop {
            let header = at.header.load(Ordering::Acquire);
            let is_set = occupied(header) >> index & 1 == 1;
            // Live again: somebody else cleared it, and it holds another key by now.
            if !is_set || load(&self.slots[group].slots[index].window).is_live() {
                return;
            }
            if swap_header(at, header, without(header, index)).is_ok() {
                return;
            }
        }
    }
}

/// Room for how many keys where the process may use `bytes` of memory: a 32nd of it, between 65,536 and four million
/// keys. What is not used is not touched.
pub fn keys_for_memory(bytes: u64) -> usize {
    (bytes / 32 / 64).clamp(1 << 16, 1 << 22) as usize
}

enum Found {
    Live(Place, Window),
    /// On its way out: nobody can take from it, its bit is still to be cleared.
    Vacated(usize),
    /// The group changed under the look.
    Changed,
    /// As of the header that was given.
    Absent,
}

enum Added {
    Yes(Taken),
    Changed,
    NoRoom,
}

impl Group {
    /// The slots with this tag, a bit each.
    fn tagged(&self, tag: u8) -> u32 {
        let words: [u64; TAG_WORDS] = array::from_fn(|word| self.tags[word].load(Ordering::Relaxed));
        let equal = words.map(|word| equal_bytes(word, tag));
        let bits = equal
            .iter()
            .rev()
            .fold(0, |bits, equal| bits << 8 | u64::from(*equal));
        bits as u32
    }

    /// For the slot's claimant alone: nobody else changes this byte meanwhile, others may change those beside it.
    fn set_tag(&self, index: usize, tag: u8) {
        let (word, shift) = (&self.tags[index / 8], index % 8 * 8);
        let former = (word.load(Ordering::Relaxed) >> shift) as u8;
        word.fetch_xor(u64::from(former ^ tag) << shift, Ordering::Relaxed);
    }
}

/// Which of eight bytes are `tag`, a bit each.
pub(super) fn equal_bytes(bytes: u64, tag: u8) -> u8 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let zero_where_equal = bytes ^ (u64::from(tag) * 0x0101_0101_0101_0101);
    // The high bit of each byte that is zero; no carry leaves a byte.
    let equal = !(((zero_where_equal & LOW) + LOW) | zero_where_equal | LOW);
    // Gathers the eight high bits in the top byte.
    ((equal >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
}

fn tag_of(key: Fingerprint) -> u8 {
    key.low as u8
}

/// The slot a key takes if it can; else the next ones, which are likely in the same cache line. In the first half: a
/// group is about half full, and keys that lie close together are fewer cache lines (0.17 instead of 0.41 misses of a
/// cache of 32 MB, with a million keys).
fn preferred(key: Fingerprint) -> usize {
    (key.low >> 8) as usize % (SLOTS / 2)
}

fn place(group: usize, index: usize) -> Place {
    Place::Slot((group * SLOTS + index) as u32)
}

/// Lower half: a bit for each slot that holds a key. Upper half: the version.
fn occupied(header: u64) -> u32 {
    header as u32
}

fn with(header: u64, index: usize) -> u64 {
    header.wrapping_add(VERSION) | 1 << index
}

fn without(header: u64, index: usize) -> u64 {
    header.wrapping_add(VERSION) & !(1 << index)
}

fn load(cell: &AtomicU64) -> Window {
    Window::from_bits(cell.load(Ordering::Acquire))
}

fn swap(cell: &AtomicU64, from: Window, to: Window) -> Result<(), Window> {
    cell.compare_exchange(from.bits(), to.bits(), Ordering::AcqRel, Ordering::Acquire)
        .map(|_| ())
        .map_err(Window::from_bits)
}

fn swap_header(group: &Group, from: u64, to: u64) -> Result<(), u64> {
    (group.header)
        .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
        .map(|_| ())
}

const TAG_WORDS: usize = SLOTS.div_ceil(8);
const VERSION: u64 = 1 << 32;

/// (64 + 896) / 15 = 64 bytes a key.
const KEYS_PER_GROUP: usize = 15;

/// So that every slot has a number of 32 bits.
const MAXIMUM_KEYS: usize = 1 << 30;

/// In which time the sweep passes the whole table.
const REVOLUTION_MS: u64 = 60_000;
const NEVER: u64 = u64::MAX;
