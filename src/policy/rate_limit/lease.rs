//! One shard's share: tokens taken from the bank in advance, spent as plain integers.
//!
//! Shards that all take one by one from the same word pass its cache line around for every request. So a key that a
//! shard asks for again and again is given several tokens at once, more each time, and what it did not spend goes back
//! on the shard's tick. How many depends on what is left, so the last tokens of a quota are taken one by one. A lease
//! is good for one window: it remembers when that began, and looks at the bank's word (a read that shards can share)
//! before each use.

use super::{
    bank::{Bank, Place, Taken},
    bucket::{self, LOAN, Millis, Window},
    keys::Fingerprint,
    rule::{Limits, Rule},
};
use std::{
    cell::{Cell, RefCell},
    num::NonZeroU32,
    sync::Arc,
};

/// What a request may do, and what it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    pub admitted: bool,
    /// Of several limits that which is nearest its end: of those that refuse the one that does so longest, else the
    /// one with the fewest requests left. The fields below are of the same.
    pub limit: u32,
    /// After this request. Tokens on loan to other shards count as used until they are given back.
    pub remaining: u32,
    /// Milliseconds until the next window.
    pub reset_ms: u32,
    /// The bank had no room for the key: it was counted with others in the rule's overflow bucket.
    pub overflowed: bool,
}

/// Of one shard.
pub struct Leases {
    bank: Arc<Bank>,
    shards: u32,
    held: RefCell<Held>,
    overflowed: Cell<u64>,
}

impl Leases {
    /// For one of `shards` shards; it is their number that keeps the sum of all loans small.
    pub fn new(bank: Arc<Bank>, shards: NonZeroU32) -> Self {
        Self {
            bank,
            shards: shards.get(),
            held: RefCell::new(Held::new()),
            overflowed: Cell::new(0),
        }
    }

    pub fn bank(&self) -> &Arc<Bank> {
        &self.bank
    }

    /// To be told as soon as the key is known, ahead of other work: in a table of a million keys a take is mostly the
    /// wait for one read of memory, and this begins it.
    pub fn prepare(&self, limits: &Limits, key: Fingerprint) {
        limits.rules.iter().for_each(|rule| self.bank.prepare(rule, key));
    }

    /// One request of `key` at `now`, in ticks of a millisecond. One that is refused costs no token of any limit.
    pub fn take(&self, limits: &Limits, key: Fingerprint, now: u64) -> Decision {
        let now = now as Millis;
        if let [rule] = &*limits.rules {
            return self.take_one(rule, key, now).0;
        }
        self.prepare(limits, key);
        // Looked at first, so that requests which one limit refuses do not keep taking from the others: for the moment
        // until they give back, the last token of another limit would be missed.
        let refused = limits
            .rules
            .iter()
            .filter_map(|rule| self.refusal(rule, key, now));
        if let Some(longest) = refused.max_by_key(|refusal| refusal.reset_ms) {
            return longest;
        }
        self.take_each(&limits.rules, key, now)
    }

    /// Gives back what was not spent. To be called 10 ms after [`holds`](Self::holds) became true; nothing else brings
    /// tokens back to where other shards find them.
    pub fn tick(&self) {
        let held = &mut *self.held.borrow_mut();
        for index in held.unspent.drain(..) {
            let lease = &mut held.leases[usize::from(index)];
            lease.listed = false;
            if lease.unspent > 0 {
                self.bank.give_back_slot(lease.slot, lease.start, lease.unspent);
                lease.want = lease.want.saturating_sub(lease.unspent).max(1);
                lease.unspent = 0;
            }
        }
    }

    /// Whether there is anything to give back.
    pub fn holds(&self) -> bool {
        !self.held.borrow().unspent.is_empty()
    }

    /// Requests since the last look whose key the bank had no room for.
    pub fn take_overflowed(&self) -> u64 {
        self.overflowed.replace(0)
    }

    #[cfg(test)]
    pub(super) fn unspent(&self, start: Millis) -> u32 {
        let held = self.held.borrow();
        let good = held.leases.iter().filter(|lease| lease.start == start);
        good.map(|lease| lease.unspent).sum()
    }

    /// From the first to the last; where one refuses, those before it are given back on the way out.
    pub(super) fn take_each(&self, rules: &[Rule], key: Fingerprint, now: Millis) -> Decision {
        let [rule, rest @ ..] = rules else {
            unreachable!("a policy has a limit")
        };
        let (own, place, start) = self.take_one(rule, key, now);
        if !own.admitted || rest.is_empty() {
            return own;
        }
        let others = self.take_each(rest, key, now);
        if !others.admitted {
            self.bank.give_back(place, rule, start, 1);
            return others;
        }
        let nearest = |decision: &Decision| (decision.remaining, u32::MAX - decision.reset_ms);
        std::cmp::min_by_key(own, others, nearest)
    }

    /// With the window the token was taken from.
    fn take_one(&self, rule: &Rule, key: Fingerprint, now: Millis) -> (Decision, Place, Millis) {
        // With one shard, or so few requests that a lease is never more than one, there is nothing to remember.
        let (taken, own) = if self.shards == 1 || rule.limit.requests / self.shards / LOAN < 2 {
            (self.bank.take(rule, key, now, |_| 1), 0)
        } else {
            self.take_leased(rule, key, now)
        };
        let mut decision = Decision::new(rule, taken.window, now);
        decision.admitted = taken.tokens > 0;
        decision.remaining += own;
        decision.overflowed = taken.place == Place::Overflow;
        if decision.overflowed {
            self.overflowed.set(self.overflowed.get() + 1);
        }
        (decision, taken.place, taken.window.start())
    }

    /// Tokens taken, of which all but one (or none) stay here: the second number.
    fn take_leased(&self, rule: &Rule, key: Fingerprint, now: Millis) -> (Taken, u32) {
        let held = &mut *self.held.borrow_mut();
        let (index, lease) = held.of(key.of(rule.fingerprint));
        if lease.key != key.of(rule.fingerprint) {
            let taken = self.bank.take(rule, key, now, |_| 1);
            // A key with tokens in hand keeps its place: it is asked for, and they would have to be given back first.
            if lease.unspent == 0 {
                lease.begin(key.of(rule.fingerprint), &taken, now);
            }
            return (taken, 0);
        }
        let place = Place::Slot(lease.slot);
        let window = self.bank.window(place, rule);
        if !window.began_at(lease.start) {
            // The window it was for is past. What is unspent went with it.
            let taken = self.bank.take(rule, key, now, |_| 1);
            lease.begin(lease.key, &taken, now);
            return (taken, 0);
        }
        if lease.unspent > 0 && !window.is_over(now, rule.limit.window_ms) {
            lease.unspent -= 1;
            let taken = Taken {
                place,
                window,
                tokens: 1,
            };
            return (taken, lease.unspent);
        }
        lease.unspent = 0;
        let want = lease.next_want(now);
        let ask = |left| bucket::lease(left, self.shards, want);
        let Some(taken) = self.bank.take_at(place, window, rule, now, ask) else {
            let taken = self.bank.take(rule, key, now, |_| 1);
            lease.begin(lease.key, &taken, now);
            return (taken, 0);
        };
        lease.start = taken.window.start();
        lease.want = want.min(taken.tokens.max(1));
        lease.taken_at = now;
        lease.unspent = taken.tokens.saturating_sub(1);
        let own = lease.unspent;
        if own > 0 && !lease.listed {
            lease.listed = true;
            held.unspent.push(index);
        }
        (taken, own)
    }

    /// The decision if this rule would refuse.
    fn refusal(&self, rule: &Rule, key: Fingerprint, now: Millis) -> Option<Decision> {
        let window = self.bank.look(rule, key)?;
        let is_exhausted =
            !window.is_over(now, rule.limit.window_ms) && window.left(rule.limit.requests) == 0;
        if !is_exhausted || self.has_unspent(rule, key, window) {
            return None;
        }
        Some(Decision::new(rule, window, now))
    }

    fn has_unspent(&self, rule: &Rule, key: Fingerprint, window: Window) -> bool {
        let key = key.of(rule.fingerprint);
        let lease = *self.held.borrow_mut().of(key).1;
        lease.key == key && lease.start == window.start() && lease.unspent > 0
    }
}

impl Decision {
    /// A refusal, as the bank alone sees it.
    fn new(rule: &Rule, window: Window, now: Millis) -> Self {
        Self {
            admitted: false,
            limit: rule.limit.requests,
            remaining: window.left(rule.limit.requests),
            reset_ms: window.reset(now, rule.limit.window_ms),
            overflowed: false,
        }
    }
}

struct Held {
    /// By fingerprint, each in one place: what is asked for often finds its place before others do.
    leases: Box<[Lease]>,
    /// Those with unspent tokens. Never grows: each lease is listed once.
    unspent: Vec<u16>,
}

impl Held {
    fn new() -> Self {
        Self {
            leases: vec![Lease::default(); LEASES].into(),
            unspent: Vec::with_capacity(LEASES),
        }
    }

    fn of(&mut self, key: Fingerprint) -> (u16, &mut Lease) {
        let index = (key.low >> 32) as usize % LEASES;
        (index as u16, &mut self.leases[index])
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Lease {
    key: Fingerprint,
    slot: u32,
    /// The window it is good for.
    start: Millis,
    unspent: u32,
    /// Tokens of the last lease.
    want: u32,
    taken_at: Millis,
    listed: bool,
}

impl Lease {
    fn begin(&mut self, key: Fingerprint, taken: &Taken, now: Millis) {
        let Place::Slot(slot) = taken.place else {
            // Keys without a slot are nobody's to lease.
            self.key = Fingerprint::default();
            self.unspent = 0;
            return;
        };
        *self = Self {
            key,
            slot,
            start: taken.window.start(),
            unspent: 0,
            want: 1,
            taken_at: now,
            listed: self.listed,
        };
    }

    /// Twice as many as last time where that is used up within a tick.
    fn next_want(&self, now: Millis) -> u32 {
        if now.wrapping_sub(self.taken_at) > TICK_MS {
            1
        } else {
            (self.want * 2).min(MAXIMUM_LEASE)
        }
    }
}

/// 40 KiB a shard: what it may lease at the same time. Further keys are served one by one.
const LEASES: usize = 1024;

/// One look at the bank in 256 requests costs nothing beside them; more would only be lent longer.
const MAXIMUM_LEASE: u32 = 256;

const TICK_MS: u32 = 10;
