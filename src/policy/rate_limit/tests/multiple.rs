//! Several limits on one key.

use super::*;

#[test]
fn all_must_have_quota_and_a_refused_request_costs_none_of_them() {
    let world = World::new(1, &[(2, 100), (3, 10_000)]);
    let told = |decision: Decision| {
        (
            decision.admitted,
            decision.limit,
            decision.remaining,
            decision.reset_ms,
        )
    };
    assert_eq!(told(world.take(0, "a", 1000)), (true, 2, 1, 100));
    assert_eq!(told(world.take(0, "a", 1000)), (true, 2, 0, 100));
    // The first refuses; the second still has its one.
    for _ in 0..10 {
        assert_eq!(told(world.take(0, "a", 1001)), (false, 2, 0, 99));
    }
    assert_eq!(told(world.take(0, "a", 1100)), (true, 3, 0, 9900));
    // The second refuses; the first still has its one in the window it began, and none is begun.
    for _ in 0..10 {
        assert_eq!(told(world.take(0, "a", 1150)), (false, 3, 0, 9850));
    }
    assert_eq!(
        world
            .bank()
            .look(&world.limits.rules[0], world.bank().hash_key().value(b"a"))
            .unwrap()
            .used(),
        1
    );
    // At the second's next window.
    assert_eq!(told(world.take(0, "a", 11_000)), (true, 2, 1, 100));
}

#[test]
fn of_those_that_refuse_the_longest_is_told() {
    let world = World::new(1, &[(1, 10), (1, 1000), (1, 100)]);
    assert!(world.take(0, "a", 5).admitted);
    let refused = world.take(0, "a", 6);
    assert_eq!((refused.admitted, refused.reset_ms), (false, 999));
}

/// Another shard uses up the second limit between the look and the take.
#[test]
fn what_an_earlier_limit_gave_comes_back() {
    let world = World::new(1, &[(5, 1000), (1, 1000)]);
    let key = world.bank().hash_key().value(b"a");
    assert!(world.take(0, "a", 1).admitted);
    let refused = world.shards[0].take_each(&world.limits.rules, key, 2);
    assert!(!refused.admitted && refused.limit == 1);
    assert_eq!(world.bank().look(&world.limits.rules[0], key).unwrap().used(), 1);
}

#[test]
fn equal_limits_are_counted_apart() {
    let world = World::new(1, &[(2, 1000), (3, 1000)]);
    let admitted = (0..10).filter(|_| world.take(0, "a", 7).admitted).count();
    assert_eq!(admitted, 2);
}

#[test]
fn leases_and_several_limits() {
    let world = World::new(4, &[(10_000, 1000), (2_000, 500)]);
    let mut numbers = Numbers(3);
    for window in 0..4 {
        let mut admitted = 0;
        for request in 0..30_000u64 {
            let now = 10_000 + window * 500 + request / 100;
            admitted += u64::from(world.take(numbers.below(4) as usize, "a", now).admitted);
            if request % 1000 == 999 {
                world.tick();
            }
        }
        assert_eq!(admitted, 2_000, "window {window}");
    }
}
