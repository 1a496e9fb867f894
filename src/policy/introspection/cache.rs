//! Verdicts of one shard, by the SHA-256 of their tokens: what a core dump or a bug could show opens nothing.

use aws_lc_rs::digest::{SHA256, digest};
use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    rc::Rc,
};

pub(super) type Hash = [u8; 32];

pub(super) fn hash(token: &[u8]) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token).as_ref());
    hash
}

/// The oldest makes room, used or not: a token's verdict has at most its time anyway, and a list that is reordered by every
/// request costs more than the call it saves now and then.
pub(super) struct Cache<V> {
    verdicts: HashMap<Hash, Kept<V>>,
    /// In the order they came. One that was replaced stands here again, so the list is cut when it is twice as long.
    order: VecDeque<(Hash, u64)>,
    capacity: usize,
    count: u64,
}

struct Kept<V> {
    verdict: Rc<V>,
    /// On the shard's clock, milliseconds.
    until: u64,
    number: u64,
}

impl<V> Cache<V> {
    /// None is kept with a capacity of 0.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            verdicts: HashMap::new(),
            order: VecDeque::new(),
            capacity,
            count: 0,
        }
    }

    pub(super) fn get(&mut self, hash: &Hash, now: u64) -> Option<Rc<V>> {
        let kept = self.verdicts.get(hash)?;
        if now < kept.until {
            return Some(kept.verdict.clone());
        }
        self.verdicts.remove(hash);
        None
    }

    pub(super) fn put(&mut self, hash: Hash, verdict: Rc<V>, until: u64) {
        if self.capacity == 0 {
            return;
        }
        self.count += 1;
        let kept = Kept {
            verdict,
            until,
            number: self.count,
        };
        if self.verdicts.insert(hash, kept).is_none() && self.verdicts.len() > self.capacity {
            self.evict();
        }
        self.order.push_back((hash, self.count));
        if self.order.len() > self.capacity * 2 {
            let verdicts = &self.verdicts;
            self.order
                .retain(|(hash, number)| verdicts.get(hash).is_some_and(|kept| kept.number == *number));
        }
    }

    fn evict(&mut self) {
        while let Some((hash, number)) = self.order.pop_front() {
            if let Entry::Occupied(entry) = self.verdicts.entry(hash)
                && entry.get().number == number
            {
                entry.remove();
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_forgets_what_is_over_and_the_oldest_of_too_many() {
        let mut cache = Cache::new(2);
        let at = |n: u8| hash(&[n]);
        cache.put(at(1), Rc::new(1), 10);
        assert_eq!(cache.get(&at(1), 9).as_deref(), Some(&1));
        assert_eq!(cache.get(&at(1), 10), None);
        assert_eq!(cache.get(&at(1), 9), None, "gone is gone");
        for n in 2..5 {
            cache.put(at(n), Rc::new(n), 100);
        }
        assert_eq!(
            [2, 3, 4].map(|n| cache.get(&at(n), 0).is_some()),
            [false, true, true]
        );
        // One that came anew is not the oldest any more.
        cache.put(at(3), Rc::new(30), 100);
        cache.put(at(5), Rc::new(5), 100);
        assert_eq!(
            [3, 4, 5].map(|n| cache.get(&at(n), 0).as_deref().copied()),
            [Some(30), None, Some(5)]
        );
    }

    #[test]
    fn its_size_is_bounded_whatever_comes() {
        let mut cache = Cache::new(16);
        for n in 0..10_000u32 {
            cache.put(hash(&(n % 40).to_le_bytes()), Rc::new(n), u64::from(n) + 5);
            let _ = cache.get(&hash(&(n % 7).to_le_bytes()), n.into());
            assert!(cache.verdicts.len() <= 16 && cache.order.len() <= 32);
        }
        let mut none = Cache::new(0);
        none.put(hash(b"a"), Rc::new(()), 100);
        assert!(none.get(&hash(b"a"), 0).is_none());
    }
}
