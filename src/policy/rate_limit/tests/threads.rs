//! Real threads on one bank.

use super::*;
use std::{
    sync::{
        Barrier,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// All threads ask in each window until all that is left to them is refused; then together they go to the next.
fn admitted_per_window(threads: u32, limit: u32, windows: usize) -> Vec<u64> {
    const WINDOW_MS: u32 = 1000;
    let world = World::new(threads, &[(limit, WINDOW_MS)]);
    let bank = world.bank().clone();
    let limits = Arc::new(world.limits);
    let counts: Arc<Vec<AtomicU64>> = Arc::new((0..windows).map(|_| AtomicU64::new(0)).collect());
    let together = Arc::new(Barrier::new(threads as usize));
    let handles = (0..threads).map(|_| {
        let (limits, counts, together) = (limits.clone(), counts.clone(), together.clone());
        let (bank, shards) = (bank.clone(), NonZeroU32::new(threads).unwrap());
        thread::spawn(move || {
            let leases = Leases::new(bank, shards);
            let key = leases.bank().hash_key().value(b"alice");
            for (window, count) in counts.iter().enumerate() {
                let start = 5_000_000 + window as u64 * u64::from(WINDOW_MS);
                // Each begins a quarter of the limit's worth of requests, then loans come back, until nobody gets any.
                together.wait();
                for round in 0.. {
                    let mut admitted = 0;
                    while leases.take(&limits, key, start + round).admitted {
                        admitted += 1;
                    }
                    count.fetch_add(admitted, Ordering::Relaxed);
                    leases.tick();
                    together.wait();
                    let all = count.load(Ordering::Relaxed);
                    together.wait();
                    if all >= u64::from(limit) || round == 20 {
                        break;
                    }
                }
                assert!(!leases.take(&limits, key, start + 100).admitted);
            }
        })
    });
    let handles: Vec<_> = handles.collect();
    handles.into_iter().for_each(|handle| handle.join().unwrap());
    counts.iter().map(|count| count.load(Ordering::Relaxed)).collect()
}

#[test]
fn every_window_admits_exactly_the_limit() {
    for threads in [1, 2, 4, 8] {
        for (limit, windows) in [(1, 300), (50, 300), (100_000, 10)] {
            let admitted = admitted_per_window(threads, limit, windows);
            let (least, most) = (admitted.iter().min().unwrap(), admitted.iter().max().unwrap());
            println!("{threads} threads, limit {limit:>6}, {windows:>3} windows: {least} to {most} admitted");
            assert_eq!((*least, *most), (u64::from(limit), u64::from(limit)));
        }
    }
}

/// Many keys, few slots, short windows, a sweeper: keys are added, removed and added again by all threads at once. Time
/// is one for all threads and moves only between rounds; in each round every key must get exactly its limit.
#[test]
fn keys_come_and_go_under_all_threads_at_once() {
    const THREADS: usize = 4;
    const KEYS: usize = 24;
    const LIMIT: u32 = 3;
    const ROUNDS: u64 = 1500;
    let world = World::sized(THREADS as u32, &[(LIMIT, 50)], 15);
    let bank = world.bank().clone();
    let limits = Arc::new(world.limits);
    let counts: Arc<Vec<AtomicU64>> = Arc::new((0..KEYS).map(|_| AtomicU64::new(0)).collect());
    let together = Arc::new(Barrier::new(THREADS));
    let handles = (0..THREADS).map(|thread| {
        let (bank, limits) = (bank.clone(), limits.clone());
        let (counts, together) = (counts.clone(), together.clone());
        thread::spawn(move || {
            let leases = Leases::new(bank.clone(), NonZeroU32::new(THREADS as u32).unwrap());
            let mut numbers = Numbers(thread as u64);
            for round in 0..ROUNDS {
                // Ten milliseconds more than a window: one whose slot two threads claimed at once begins a millisecond or
                // two late, so that no start comes twice in a slot, and ends so much later.
                let now = 1000 + round * 60;
                together.wait();
                let first = numbers.below(KEYS as u64) as usize;
                for index in 0..KEYS * 2 {
                    let key = (first + index * 7) % KEYS;
                    // Another third of the keys each round, so that slots change hands.
                    let name = format!("{key}/{}", (round + key as u64) / 3);
                    let decision = leases.take(&limits, bank.hash_key().value(name.as_bytes()), now);
                    assert!(!decision.overflowed);
                    counts[key].fetch_add(u64::from(decision.admitted), Ordering::Relaxed);
                    if index % 5 == thread {
                        bank.sweep(now + numbers.below(2));
                    }
                }
                together.wait();
                if thread == 0 {
                    for (key, count) in counts.iter().enumerate() {
                        assert_eq!(
                            count.swap(0, Ordering::Relaxed),
                            u64::from(LIMIT),
                            "{key} in round {round}"
                        );
                    }
                    assert!(bank.keys() <= 32);
                }
            }
        })
    });
    let handles: Vec<_> = handles.collect();
    handles.into_iter().for_each(|handle| handle.join().unwrap());
}

/// Time moves while threads ask, and each looks at the clock when it likes. Windows are counted by their start as the
/// thread saw it in the decision, which the bank's own words decide.
#[test]
fn windows_that_begin_while_all_ask() {
    const THREADS: u32 = 4;
    const REQUESTS: u64 = 400_000;
    const WINDOW_MS: u64 = 5;
    const LIMIT: u64 = 40;
    let world = World::new(THREADS, &[(LIMIT as u32, WINDOW_MS as u32)]);
    let (bank, limits) = (world.bank().clone(), Arc::new(world.limits));
    let clock = Arc::new(AtomicU64::new(1_000_000 * 500));
    let handles = (0..THREADS).map(|_| {
        let (bank, limits, clock) = (bank.clone(), limits.clone(), clock.clone());
        thread::spawn(move || {
            let leases = Leases::new(bank, NonZeroU32::new(THREADS).unwrap());
            let key = leases.bank().hash_key().value(b"alice");
            let mut admitted = 0;
            for request in 0..REQUESTS {
                // 500 requests a millisecond, all threads together.
                let now = clock.fetch_add(1, Ordering::Relaxed) / 500;
                admitted += u64::from(leases.take(&limits, key, now).admitted);
                if request % 1000 == 0 {
                    leases.tick();
                }
            }
            admitted
        })
    });
    let handles: Vec<_> = handles.collect();
    let admitted: u64 = handles.into_iter().map(|handle| handle.join().unwrap()).sum();
    let milliseconds = REQUESTS * u64::from(THREADS) / 500;
    // A window lasts at least its length; the first begins at once.
    let most = (milliseconds / WINDOW_MS + 1) * LIMIT;
    assert!(admitted <= most, "{admitted} of at most {most}");
    println!("{admitted} admitted of at most {most}");
    assert!(admitted * 2 > most, "{admitted} of at most {most}");
}
