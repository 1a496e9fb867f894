//! What the rate limit promises, each part by itself: the bank, shards with leases in simulated time, real threads.

use super::*;
use std::{num::NonZeroU32, sync::Arc};

mod bank;
mod multiple;
mod shards;
mod threads;

/// A bank and the leases of its shards, with time in the test's hand.
struct World {
    limits: Limits,
    shards: Vec<Leases>,
}

impl World {
    fn new(shards: u32, limits: &[(u32, u32)]) -> Self {
        Self::sized(shards, limits, 1000)
    }

    fn sized(shards: u32, limits: &[(u32, u32)], keys: usize) -> Self {
        let bank = Bank::new(keys, HashKey::new(&[9; 16]));
        let number = NonZeroU32::new(shards).unwrap();
        Self {
            limits: limits_of(&bank, limits),
            shards: (0..shards).map(|_| Leases::new(bank.clone(), number)).collect(),
        }
    }

    fn bank(&self) -> &Arc<Bank> {
        self.shards[0].bank()
    }

    fn take(&self, shard: usize, key: &str, now: u64) -> Decision {
        let key = self.bank().hash_key().value(key.as_bytes());
        self.shards[shard].take(&self.limits, key, now)
    }

    fn tick(&self) {
        self.shards.iter().for_each(Leases::tick);
    }
}

fn limits_of(bank: &Bank, limits: &[(u32, u32)]) -> Limits {
    let limit = |&(requests, window_ms): &(u32, u32)| Limit { requests, window_ms };
    let limits: Vec<Limit> = limits.iter().map(limit).collect();
    Limits::new("default/shop/limit", &limits, bank.hash_key())
}

/// SplitMix64: a seed's numbers, the same everywhere.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// How many arrivals of a Poisson process with this mean.
    fn poisson(&mut self, mean: f64) -> u64 {
        let (bound, mut product, mut count) = ((-mean).exp(), 1.0, 0);
        loop {
            product *= (self.next() >> 11) as f64 / (1u64 << 53) as f64;
            if product <= bound {
                return count;
            }
            count += 1;
        }
    }
}
