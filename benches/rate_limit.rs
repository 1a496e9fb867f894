//! Rate limits: what one request costs on a shard, hashing of its key included.
//!
//! `cargo bench --bench rate_limit`
//!
//! With a million keys the cost is that of memory: "one read of memory" says how long this machine takes for one, in
//! a table of the same size, where nothing can be overlapped with it.

use criterion::{Criterion, criterion_group, criterion_main};
use ringway::policy::rate_limit::{Bank, HashKey, Leases, Limit, Limits};
use std::{hint::black_box, num::NonZeroU32, time::Duration};

struct Shard {
    leases: Leases,
    limits: Limits,
    hash_key: HashKey,
}

impl Shard {
    fn new(shards: u32, requests: u32, keys: u32) -> Self {
        let hash_key = HashKey::new(&[3; 16]);
        let bank = Bank::new(keys as usize, hash_key);
        let limit = Limit {
            requests,
            window_ms: 3_600_000,
        };
        let shard = Self {
            leases: Leases::new(bank, NonZeroU32::new(shards).expect("shards")),
            limits: Limits::new("bench", &[limit], &hash_key),
            hash_key,
        };
        for number in 0..keys {
            shard.take(&key(number));
        }
        shard
    }

    fn take(&self, key: &[u8]) -> bool {
        let fingerprint = self.hash_key.value(black_box(key));
        black_box(self.leases.take(&self.limits, fingerprint, black_box(1000))).admitted
    }
}

/// A header's value of 24 bytes.
fn key(number: u32) -> [u8; 24] {
    let mut key = *b"client-00000000-00000000";
    key[7..11].copy_from_slice(&number.to_le_bytes());
    key
}

fn numbers() -> impl FnMut() -> u32 {
    let mut state = 88_172_645_463_325_252u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u32
    }
}

fn rate_limit(c: &mut Criterion) {
    let mut group = c.benchmark_group("rate limit");
    group.measurement_time(Duration::from_secs(3));
    group.bench_function("fingerprint of 24 bytes", |b| {
        let hash_key = HashKey::new(&[3; 16]);
        b.iter(|| black_box(hash_key.value(black_box(&key(7)))));
    });
    for (name, shards) in [("1 shard", 1), ("a lease of 1 of 2 shards", 2)] {
        group.bench_function(format!("one hot key, {name}"), |b| {
            let shard = Shard::new(shards, (1 << 31) - 1, 1);
            b.iter(|| assert!(shard.take(&key(0))));
        });
    }
    group.bench_function("one hot key, refused", |b| {
        let shard = Shard::new(2, 1, 1);
        b.iter(|| assert!(!shard.take(&key(0))));
    });
    for keys in [1_000, 1_000_000] {
        for (name, requests) in [("admitted", (1 << 31) - 1), ("refused", 1)] {
            let shard = Shard::new(1, requests, keys);
            let mut number = numbers();
            group.bench_function(format!("{keys} live keys at random, {name}"), |b| {
                b.iter(|| shard.take(&key(number() % keys)));
            });
        }
    }
    group.bench_function(
        "1000000 live keys at random, each told of one request ahead",
        |b| {
            let shard = Shard::new(1, (1 << 31) - 1, 1_000_000);
            let mut number = numbers();
            let mut ahead = shard.hash_key.value(&key(0));
            b.iter(|| {
                let this = ahead;
                ahead = shard.hash_key.value(black_box(&key(number() % 1_000_000)));
                shard.leases.prepare(&shard.limits, ahead);
                black_box(shard.leases.take(&shard.limits, this, black_box(1000))).admitted
            });
        },
    );
    group.bench_function("a new key each time", |b| {
        let shard = Shard::new(1, 10, 2_000_000);
        let mut number = 2_000_000;
        b.iter(|| {
            number += 1;
            shard.take(&key(number))
        });
    });

    // As many cache lines as a million keys have, in a circle in random order.
    let lines = 1 << 20;
    let mut circle: Vec<[u32; 16]> = vec![[0; 16]; lines];
    let mut order: Vec<u32> = (0..lines as u32).collect();
    let mut number = numbers();
    (1..lines)
        .rev()
        .for_each(|last| order.swap(last, number() as usize % (last + 1)));
    (0..lines).for_each(|at| circle[order[at] as usize][0] = order[(at + 1) % lines]);
    group.bench_function("(one read of memory)", |b| {
        let mut at = 0;
        b.iter(|| {
            at = circle[at as usize][0];
            black_box(at)
        });
    });
}

criterion_group!(benches, rate_limit);
criterion_main!(benches);
