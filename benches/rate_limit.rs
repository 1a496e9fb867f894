//! Rate limits: what one request costs on a shard, hashing of its key included.
//!
//! `cargo bench --bench rate_limit`
//!
//! With a million keys the cost is that of memory: "one read of memory" says how long this machine takes for one, in
//! a table of the same size, where nothing can be overlapped with it.

use criterion::{Criterion, criterion_group, criterion_main};
use ringway::{
    config::{Environment, load_text},
    http1::{Headers, RequestHead},
    observe::{counters::Counter, message::MessageLog},
    policy::{
        Authentication, Context, Local, Progress, Request, ShardParts, Step,
        rate_limit::{Bank, HashKey, Leases, Limit, Limits},
    },
    shard::snapshot::Snapshot,
};
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

/// `rate-limiting-flex` as a chain runs it: the expression evaluated, its value hashed, a token taken.
struct Policy {
    snapshot: Snapshot,
    locals: Vec<Local>,
    leases: Leases,
    head: RequestHead,
    bytes: Vec<u8>,
    key_at: usize,
    authentication: Authentication,
    reply: Headers,
    progress: Progress,
}

impl Policy {
    fn new(keys: u32, config: &str) -> Self {
        let yaml = format!(
            "apiVersion: ringway/v1\nkind: ApiInstance\nmetadata: {{name: a}}\nspec:\n  address: http://127.0.0.1:1\n  \
             services: {{s: {{address: \"http://127.0.0.1:2\"}}}}\n  policies:\n  - policyRef: {{name: rate-limiting-flex}}\n    \
             config:\n      rateLimits: [{{maximumRequests: 2147483647, timePeriodInMilliseconds: 3600000}}]\n{config}"
        );
        let snapshot = match load_text("bench", &yaml, &Environment::fixed([])) {
            Ok(loaded) => loaded.snapshot,
            Err(problems) => panic!("{problems:?}"),
        };
        let hash_key = HashKey::new(&[3; 16]);
        let shards = NonZeroU32::MIN;
        let parts = ShardParts {
            shards,
            hash_key: &hash_key,
            name: "",
            desk: None,
        };
        let locals = snapshot.chains[1].policies.locals("default/a", &parts);
        let bytes =
            b"GET /orders/1 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\
            X-Api-Key: client-00000000-00000000\r\nX-Other: 1\r\n\r\n"
                .to_vec();
        let key_at = bytes
            .windows(7)
            .position(|part| part == b"client-")
            .expect("the key")
            + 7;
        let mut head = RequestHead::default();
        head.parse(&bytes, &ringway::http1::Limits::default())
            .expect("a head");
        let mut policy = Self {
            snapshot,
            locals,
            leases: Leases::new(Bank::new(keys as usize, hash_key), shards),
            head,
            bytes,
            key_at,
            authentication: Authentication::default(),
            reply: Headers::default(),
            progress: Progress::default(),
        };
        (0..keys).for_each(|number| assert!(policy.admits(number)));
        policy
    }

    fn admits(&mut self, key: u32) -> bool {
        self.bytes[self.key_at..self.key_at + 4].copy_from_slice(&key.to_le_bytes());
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        let dropped = Counter::default();
        let context = Context {
            now: black_box(1000),
            unix_millis: 0,
            random: &|| 0,
            client: address,
            local: address,
            path: b"/",
            scheme: "http",
            peer: None,
            api: "default/a",
            request_id: b"0af7651916cd43dd8448eb211c80319c",
            log: MessageLog::new(None, &dropped),
            leases: &self.leases,
        };
        self.progress.clear();
        let mut request = Request {
            head: &mut self.head,
            bytes: black_box(&self.bytes),
            body: Some(b""),
            authentication: &mut self.authentication,
            reply: &mut self.reply,
            context: &context,
        };
        let chain = &self.snapshot.chains[1].policies;
        let step = chain.on_request(&mut request, &self.locals, &mut self.progress, None, |_, _| true);
        matches!(step, Step::Continue)
    }
}

fn through_the_policy(c: &mut Criterion) {
    let mut group = c.benchmark_group("rate-limiting-flex");
    group.measurement_time(Duration::from_secs(3));
    let by_header = "      keySelector: \"#[attributes.headers['x-api-key']]\"\n";
    for (name, config, keys) in [
        ("one count for all", "", 1),
        ("by header, 1000 live keys", by_header, 1_000),
        ("by header, 1000000 live keys", by_header, 1_000_000),
    ] {
        let mut policy = Policy::new(keys, config);
        let mut number = numbers();
        group.bench_function(name, |b| b.iter(|| policy.admits(number() % keys)));
    }
}

criterion_group!(benches, rate_limit, through_the_policy);
criterion_main!(benches);
