use super::*;
use proptest::prelude::*;

const HASHED: Policy = Policy::ConsistentHash(HashOn::ClientAddress);
const ALL: [Policy; 4] = [Policy::RoundRobin, Policy::LeastRequest, Policy::Random, HASHED];

fn endpoints(weights: &[u32]) -> Vec<(u64, u32)> {
    weights
        .iter()
        .zip(0..)
        .map(|(&weight, at)| (hash(format!("10.0.0.{at}:80").as_bytes()), weight))
        .collect()
}

/// The `n`th of a sequence that looks random.
fn random(n: u64) -> u64 {
    mix(n.wrapping_mul(0x2545_f491_4f6c_dd1d))
}

fn shares(balancer: &mut Balancer, turns: u64, usable: &dyn Fn(usize) -> bool) -> Vec<u64> {
    let mut counts = vec![0; balancer.weights.len()];
    for turn in 0..turns {
        counts[balancer
            .choose(random(turn), random(turn + turns), &|_| 0, usable)
            .unwrap()] += 1;
    }
    counts
}

#[test]
fn round_robin_is_smooth() {
    let mut balancer = Balancer::new(Policy::RoundRobin, &endpoints(&[5, 1, 1]));
    let chosen: Vec<_> = (0..7)
        .map(|_| balancer.choose(0, 0, &|_| 0, &|_| true).unwrap())
        .collect();
    assert_eq!(chosen, [0, 0, 1, 0, 2, 0, 0]);
}

#[test]
fn round_robin_owes_nothing_to_the_absent() {
    let mut balancer = Balancer::new(Policy::RoundRobin, &endpoints(&[1, 1]));
    for _ in 0..1000 {
        assert_eq!(balancer.choose(0, 0, &|_| 0, &|at| at == 0), Some(0));
    }
    let back: Vec<_> = (0..4)
        .map(|_| balancer.choose(0, 0, &|_| 0, &|_| true).unwrap())
        .collect();
    assert_eq!(back.iter().filter(|&&at| at == 1).count(), 2);
}

#[test]
fn least_request_prefers_the_idle() {
    let mut balancer = Balancer::new(Policy::LeastRequest, &endpoints(&[1, 1]));
    for turn in 0..1000 {
        assert_eq!(
            balancer.choose(random(turn), 0, &|at| [5, 4][at], &|_| true),
            Some(1)
        );
    }
    // 12 in flight of weight 4 are less than 4 of weight 1.
    let mut balancer = Balancer::new(Policy::LeastRequest, &endpoints(&[4, 1]));
    for turn in 0..1000 {
        assert_eq!(
            balancer.choose(random(turn), 0, &|at| [12, 4][at], &|_| true),
            Some(0)
        );
    }
}

#[test]
fn least_request_fills_by_weight() {
    let mut balancer = Balancer::new(Policy::LeastRequest, &endpoints(&[3, 2, 1]));
    let mut in_flight = [0_u32; 3];
    for turn in 0..6000 {
        let chosen = balancer
            .choose(random(turn), 0, &|at| in_flight[at], &|_| true)
            .unwrap();
        in_flight[chosen] += 1;
    }
    for (count, expected) in in_flight.into_iter().zip([3000, 2000, 1000]) {
        assert!(count.abs_diff(expected) < 60, "{in_flight:?}");
    }
}

#[test]
fn one_that_goes_takes_only_its_own_keys() {
    let all = endpoints(&[1; 10]);
    let gone = 3;
    let mut rest = all.clone();
    rest.remove(gone);
    let mut whole = Balancer::new(HASHED, &all);
    let mut less = Balancer::new(HASHED, &rest);
    let mut moved = 0;
    for key in 0..20_000 {
        let before = whole.choose(0, random(key), &|_| 0, &|_| true).unwrap();
        let after = rest[less.choose(0, random(key), &|_| 0, &|_| true).unwrap()];
        // Gone from the configuration or only not usable: the same.
        let skipped = all[whole.choose(0, random(key), &|_| 0, &|at| at != gone).unwrap()];
        assert_eq!(after, skipped);
        if before == gone {
            moved += 1;
        } else {
            assert_eq!(after, all[before]);
        }
    }
    assert!(
        (1300..2700).contains(&moved),
        "{moved} of 20000 moved, a tenth was expected"
    );
}

#[test]
fn the_ring_does_not_depend_on_the_order_written() {
    let all = endpoints(&[1, 5, 2, 7]);
    let mut turned = all.clone();
    turned.reverse();
    let (mut one, mut other) = (Balancer::new(HASHED, &all), Balancer::new(HASHED, &turned));
    for key in 0..5000 {
        let first = all[one.choose(0, random(key), &|_| 0, &|_| true).unwrap()];
        assert_eq!(
            first,
            turned[other.choose(0, random(key), &|_| 0, &|_| true).unwrap()]
        );
    }
}

#[test]
fn the_same_endpoint_twice_is_two() {
    let twice = vec![(7, 1), (7, 1)];
    let counts = shares(&mut Balancer::new(HASHED, &twice), 10_000, &|_| true);
    assert!(counts.iter().all(|&count| count > 3000), "{counts:?}");
}

#[test]
fn nothing_to_choose() {
    for policy in ALL {
        assert_eq!(
            Balancer::new(policy.clone(), &[]).choose(1, 1, &|_| 0, &|_| true),
            None
        );
        assert_eq!(
            Balancer::new(policy.clone(), &endpoints(&[0])).choose(1, 1, &|_| 0, &|_| true),
            None
        );
        assert_eq!(
            Balancer::new(policy, &endpoints(&[1, 2])).choose(1, 1, &|_| 0, &|_| false),
            None
        );
    }
}

#[test]
fn weighted_choice_covers_its_range() {
    let choose = |random, weights: &[u32]| weighted_choice(random, weights.iter().copied());
    assert_eq!(choose(0, &[1, 1]), 0);
    assert_eq!(choose(u64::MAX, &[1, 1]), 1);
    assert_eq!(choose(u64::MAX / 2, &[1, 1]), 0);
    assert_eq!(choose(u64::MAX / 2 + 1, &[1, 1]), 1);
    assert_eq!(choose(0, &[0, 3]), 1);
    assert_eq!(choose(u64::MAX, &[3, 0]), 0);
    assert_eq!(choose(u64::MAX, &[100; 7]), 6);
    assert_eq!(choose(9, &[]), 0);
    assert_eq!(choose(9, &[0, 0]), 0);
}

#[test]
fn the_hash_never_changes() {
    // A change would send every client elsewhere on upgrade, and replicas of two versions to different endpoints.
    assert_eq!(hash(b""), mix(0xcbf2_9ce4_8422_2325));
    assert_eq!(hash(b"a"), mix(0xaf63_dc4c_8601_ec8c));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn shares_follow_weights(
        endpoints_ in prop::collection::vec((1..=100_u32, any::<bool>()), 1..6),
        policy in prop::sample::select(ALL.to_vec()),
    ) {
        let (weights, usable): (Vec<u32>, Vec<bool>) = endpoints_.into_iter().unzip();
        prop_assume!(usable.contains(&true));
        const TURNS: u64 = 20_000;
        let mut balancer = Balancer::new(policy.clone(), &endpoints(&weights));
        let counts = shares(&mut balancer, TURNS, &|at| usable[at]);
        let total: u32 = weights.iter().zip(&usable).filter(|(_, usable)| **usable).map(|(weight, _)| weight).sum();
        for (at, &count) in counts.iter().enumerate() {
            let expected = if usable[at] { f64::from(weights[at]) / f64::from(total) } else { 0.0 };
            let share = count as f64 / TURNS as f64;
            let slack = match policy {
                Policy::RoundRobin => 100.0 / TURNS as f64,
                // Four to five standard deviations of a draw, 0.5 / sqrt(TURNS).
                Policy::Random | Policy::LeastRequest => 0.017,
                // A weight of 1 against others of 1 has 160 points: 8 % of its share, and four times that.
                Policy::ConsistentHash(_) => 0.017 + 0.32 * expected / f64::from(weights[at]).sqrt() + 0.03 * expected,
            };
            prop_assert!((share - expected).abs() <= slack, "{policy:?} {weights:?} {usable:?}: {counts:?}");
        }
    }

    #[test]
    fn only_the_usable_are_chosen(
        usable in prop::collection::vec(any::<bool>(), 1..8),
        policy in prop::sample::select(ALL.to_vec()),
        seeds in prop::collection::vec(any::<(u64, u64, u32)>(), 20),
    ) {
        let mut balancer = Balancer::new(policy, &endpoints(&vec![3; usable.len()]));
        for (random, hash, load) in seeds {
            let chosen = balancer.choose(random, hash, &|at| load.rotate_left(at as u32), &|at| usable[at]);
            prop_assert_eq!(chosen.is_some(), usable.contains(&true));
            prop_assert!(chosen.is_none_or(|at| usable[at]));
        }
    }
}
