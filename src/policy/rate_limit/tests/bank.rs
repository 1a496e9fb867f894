//! The table: what it holds, what it gives up, and what it never gives up.

use super::*;

#[test]
fn a_window_begins_with_a_keys_first_request_and_ends_as_written() {
    for window_ms in [1, 10, 1_000, 9_999, 60_000, 3_888_000_000] {
        let world = World::new(1, &[(2, window_ms)]);
        let length = u64::from(window_ms);
        for (key, start) in [("alice", 1_000_003), ("bob", 1_000_777)] {
            let first = world.take(0, key, start);
            assert_eq!(
                (first.admitted, first.remaining, first.reset_ms),
                (true, 1, window_ms)
            );
            let last = start + length - 1;
            let second = world.take(0, key, last);
            assert_eq!((second.admitted, second.remaining, second.reset_ms), (true, 0, 1));
            let third = world.take(0, key, last);
            assert_eq!(
                (third.admitted, third.limit, third.remaining, third.reset_ms),
                (false, 2, 0, 1)
            );
            assert!(!third.overflowed);
            let next = world.take(0, key, last + 1);
            assert_eq!(
                (next.admitted, next.remaining, next.reset_ms),
                (true, 1, window_ms)
            );
        }
    }
}

#[test]
fn the_largest_limit_is_kept_exactly_at_its_end() {
    let world = World::new(1, &[((1 << 31) - 1, 60_000)]);
    let key = world.bank().hash_key().value(b"alice");
    let rule = &world.limits.rules[0];
    assert_eq!(
        world.bank().take(rule, key, 5, |left| left - 2).tokens,
        (1 << 31) - 3
    );
    let remaining = [1, 0].map(|left| (true, left));
    let taken = [0, 1]
        .map(|_| world.take(0, "alice", 6))
        .map(|took| (took.admitted, took.remaining));
    assert_eq!(taken, remaining);
    assert!(!world.take(0, "alice", 7).admitted);
    assert!(world.take(0, "alice", 60_005).admitted);
}

#[test]
fn a_key_costs_at_most_64_bytes_and_a_full_bank_has_a_bucket_for_nearly_all() {
    const KEYS: usize = 200_000;
    let world = World::sized(1, &[(1, 60_000)], KEYS);
    assert!(world.bank().bytes() <= KEYS * 64 + 960);
    let overflowed = (0..KEYS)
        .filter(|key| world.take(0, &key.to_string(), 1).overflowed)
        .count();
    // Of a Poisson distribution with mean 15 what is above 32: 4 in a million.
    assert!(overflowed <= 8, "{overflowed} of {KEYS} found no room");
    assert_eq!(world.bank().keys(), KEYS - overflowed);
    let again = (0..KEYS)
        .filter(|key| world.take(0, &key.to_string(), 2).admitted)
        .count();
    assert_eq!(again, 0);
}

/// An attacker who could have his own key thrown out by flooding would begin a fresh window.
#[test]
fn a_flood_of_keys_resets_nobody_and_shares_one_bucket_which_is_counted() {
    let world = World::sized(1, &[(3, 60_000)], 15);
    for now in [1, 2, 3] {
        assert!(world.take(0, "alice", now).admitted);
    }
    let flood = |round: u32, now| {
        let decisions = (0..1000).map(|key| world.take(0, &format!("{round}/{key}"), now));
        let (overflowed, own): (Vec<_>, Vec<_>) = decisions.partition(|decision| decision.overflowed);
        (
            own.len(),
            overflowed.len(),
            overflowed.iter().filter(|one| one.admitted).count(),
        )
    };
    assert_eq!(flood(0, 100), (31, 969, 3));
    assert_eq!(flood(1, 200), (0, 1000, 0));
    assert!(!world.take(0, "alice", 60_000).admitted);
    assert_eq!(world.bank().keys(), 32);
    // All windows are over: everything is to be had again.
    assert!(world.take(0, "alice", 60_001).admitted);
    assert_eq!(flood(2, 60_100), (31, 969, 3));
    assert!(!world.take(0, "2/0", 60_101).overflowed);
}

#[test]
fn expired_keys_make_room_before_anyone_overflows() {
    let world = World::sized(1, &[(1, 100)], 15);
    let mut now = 1;
    for round in 0..1000 {
        for key in 0..20 {
            let decision = world.take(0, &format!("{round}/{key}"), now);
            assert!(decision.admitted && !decision.overflowed, "{round} {key}");
        }
        now += 100;
        assert!(world.bank().keys() <= 32);
    }
}

#[test]
fn the_sweep_removes_what_is_over_and_nothing_else() {
    let world = World::sized(1, &[(1, 90_000)], 3000);
    let bank = world.bank().clone();
    let short = Limits::new(
        "short",
        &[Limit {
            requests: 1,
            window_ms: 50,
        }],
        bank.hash_key(),
    );
    bank.sweep(0);
    for key in 0..1000u32 {
        let key = bank.hash_key().value(&key.to_le_bytes());
        assert!(world.shards[0].take(&world.limits, key, 10).admitted);
        assert!(world.shards[0].take(&short, key, 10).admitted);
    }
    assert_eq!(bank.keys(), 2000);
    for now in (100..=60_100).step_by(100) {
        bank.sweep(now);
    }
    assert_eq!(bank.keys(), 1000);
    for key in 0..1000u32 {
        let key = bank.hash_key().value(&key.to_le_bytes());
        assert!(!world.shards[0].take(&world.limits, key, 60_000).admitted);
    }
    // Nobody swept for hours: it is caught up with in a bounded part at a time.
    let mut calls = 0;
    while bank.keys() > 0 {
        bank.sweep(10_000_000 + calls);
        calls += 1;
    }
    assert!((10..=40).contains(&calls), "{calls}");
}

/// Keys that come and go in few slots, so that every slot changes hands over and over, across the wrap of 32 bits of
/// milliseconds: whoever is admitted is admitted by his own count. The oracle keeps 64-bit time.
#[test]
fn slots_change_hands_across_the_wrap_of_time() {
    let world = World::sized(1, &[(2, 40)], 15);
    let bank = world.bank().clone();
    let mut numbers = Numbers(1);
    let mut windows = std::collections::HashMap::<u64, (u64, u32)>::new();
    let mut now = (1u64 << 32) - 100_000;
    let mut admitted = 0;
    while now < (1u64 << 32) + 100_000 {
        now += numbers.below(6);
        bank.sweep(now);
        let key = numbers.below(40);
        let decision = world.take(0, &key.to_string(), now);
        assert!(!decision.overflowed);
        let window = windows.entry(key).or_insert((now, 0));
        if now - window.0 >= 40 {
            *window = (now, 0);
        }
        assert_eq!(decision.admitted, window.1 < 2, "{key} at {now}");
        window.1 += u32::from(decision.admitted);
        assert_eq!(decision.remaining, 2 - window.1);
        let reset = u32::try_from(window.0 + 40 - now).unwrap();
        assert_eq!(decision.reset_ms, reset);
        admitted += u64::from(decision.admitted);
    }
    assert!(admitted > 40_000, "{admitted}");
}

/// A key that rests longer than 32 bits of milliseconds can tell is met as new, because the sweep found it.
#[test]
fn a_key_comes_back_after_49_days() {
    let world = World::new(1, &[(1, 60_000)]);
    let bank = world.bank().clone();
    bank.sweep(0);
    assert!(world.take(0, "alice", 1000).admitted);
    assert!(!world.take(0, "alice", 1001).admitted);
    let mut now = 1000;
    for _ in 0..20 {
        now += 1_000_000;
        bank.sweep(now);
    }
    assert_eq!(bank.keys(), 0);
    assert!(world.take(0, "alice", (1 << 32) + 1001).admitted);
}

#[test]
fn limits_that_are_made_again_go_on() {
    let world = World::new(1, &[(3, 60_000)]);
    let bank = world.bank().clone();
    let key = bank.hash_key().value(b"alice");
    let take = |limits: &Limits, now| world.shards[0].take(limits, key, now);
    assert_eq!(take(&world.limits, 1).remaining, 2);
    assert_eq!(take(&limits_of(&bank, &[(3, 60_000)]), 2).remaining, 1);
    assert_eq!(take(&limits_of(&bank, &[(10, 60_000)]), 3).remaining, 7);
    let lowered = take(&limits_of(&bank, &[(2, 60_000)]), 4);
    assert_eq!(
        (lowered.admitted, lowered.remaining, lowered.limit),
        (false, 0, 2)
    );
    // Another window is another limit; so is the same of another policy.
    assert_eq!(take(&limits_of(&bank, &[(3, 60_001)]), 5).remaining, 2);
    let one = Limit {
        requests: 3,
        window_ms: 60_000,
    };
    assert_eq!(
        take(&Limits::new("another", &[one], bank.hash_key()), 6).remaining,
        2
    );
}

#[test]
fn the_bank_is_sized_by_memory() {
    assert_eq!(keys_for_memory(512 << 20), 1 << 18);
    assert_eq!(keys_for_memory(2 << 30), 1 << 20);
    assert_eq!(keys_for_memory(0), 1 << 16);
    assert_eq!(keys_for_memory(u64::MAX), 1 << 22);
}

#[test]
fn tags_find_each_byte() {
    for tag in 0..=u8::MAX {
        for other in 0..=u8::MAX {
            for place in 0..8 {
                let mut bytes = [other; 8];
                bytes[place] = tag;
                let expected = if tag == other { 0xff } else { 1 << place };
                assert_eq!(
                    super::super::bank::equal_bytes(u64::from_le_bytes(bytes), tag),
                    expected,
                    "{tag} {other} {place}"
                );
            }
        }
    }
}
