//! Which shard should serve a connection: arithmetic only, fed with what the shards publish.
//!
//! Two measures, because two things can be known. Of a new connection nothing is, so open connections are
//! compared. Of one that has served requests its pace is, so busyness is: an idle connection weighs nothing.
//!
//! Busyness is not the number of requests alone. Shards at their limit all serve as many as they can, whether
//! four connections share one or one has it to itself; the one who suffers is the client, whose connection gets
//! a fourth. And it is not the number of connections that spoke: one that asks once a second is not one that
//! never stops. So a connection counts by its requests, and from half the typical pace on it counts as one whole
//! busy connection. Typical is the pace that a request finds on its connection (the mean over requests, not over
//! connections), which a crowd of quiet connections does not change. The error accepted: connections whose
//! paces lie within a factor of two of the typical count the same.

use crate::clock::Tick;
use std::cmp::Reverse;

/// Paces are measured over this long, in milliseconds; the windows of all shards begin at the same time.
pub(super) const WINDOW: Tick = 1000;

/// What one busy connection weighs.
pub(super) const BUSY: u32 = 256;

/// A shard that served fewer requests in a window gives none away: there is nothing to gain.
const QUIET: u64 = 100;

/// How many requests a connection served: in this window, and in the one before.
#[derive(Debug, Default, Clone, Copy)]
pub struct Pace {
    window: u32,
    now: u32,
    before: u32,
}

impl Pace {
    /// One more request; gives how many that makes in this window.
    pub(super) fn count(&mut self, window: u32) -> u32 {
        if self.window != window {
            let follows = self.window.wrapping_add(1) == window;
            self.before = if follows { self.now } else { 0 };
            self.now = 0;
            self.window = window;
        }
        self.now += 1;
        self.now
    }

    /// Of [`BUSY`]. 0 in the window in which it came to this shard: what it does here is not known yet, and so
    /// nothing is passed on that has just been passed.
    pub(super) fn weight(self, whole: u32) -> u32 {
        let capped = u64::from(self.before.min(whole));
        (capped * u64::from(BUSY) / u64::from(whole.max(1))) as u32
    }
}

/// One shard's window.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Work {
    pub requests: u64,
    /// Sum over requests of how many their connection had served by then in the window.
    pub paces: u64,
    /// Requests, each connection's only up to the pace from which it counts as one whole.
    pub counted: u64,
}

impl Work {
    /// `served`: what [`Pace::count`] gave.
    pub(super) fn add(&mut self, served: u32, whole: u32) {
        self.requests += 1;
        self.paces += u64::from(served);
        self.counted += u64::from(served <= whole);
    }

    /// In parts of [`BUSY`].
    pub(super) fn load(&self, whole: u32) -> u32 {
        let load = self.counted.saturating_mul(u64::from(BUSY)) / u64::from(whole.max(1));
        u32::try_from(load).unwrap_or(u32::MAX)
    }
}

/// The pace from which a connection counts as one whole, given the sums over all shards: the mean, over
/// requests, of how many their connection had served by then, which is half of what it served in all.
pub(super) fn whole(requests: u64, paces: u64) -> u32 {
    u32::try_from(paces / requests.max(1)).unwrap_or(u32::MAX).max(1)
}

/// Where a new connection goes that came to shard `me`; None to stay.
///
/// `total` is the number open on all shards and `open` that of one, without the new one. Where there are many,
/// the kernel's hash is even enough: a sixteenth of the mean is let pass, which below sixteen connections a shard
/// is nothing. A shard that has no more than the mean keeps what it gets without looking at the others.
pub(super) fn place(me: usize, shards: usize, total: u32, open: impl Fn(usize) -> u32) -> Option<usize> {
    let mine = open(me);
    if u64::from(mine) * shards as u64 <= u64::from(total) {
        return None;
    }
    let slack = total / (shards as u32 * 16);
    let (least, lightest) = (0..shards)
        .filter(|shard| *shard != me)
        .map(|shard| (open(shard), shard))
        .min()?;
    (mine > least + slack).then_some(lightest)
}

/// What a shard gives away until the window ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub to: usize,
    /// In parts of [`BUSY`].
    pub left: u32,
}

impl Plan {
    /// Whether a connection of this weight brings the two shards closer: by rounding one may be given that is
    /// heavier than what is left, but never one after which the other shard would be ahead by half as much as
    /// this one was, and none that is not worth a move.
    pub(super) fn wants(&self, weight: u32) -> bool {
        weight >= BUSY / 8 && weight * 2 <= self.left.saturating_mul(3)
    }
}

/// Whether shard `me` gives connections away, and to which, after a window with these loads.
///
/// The heaviest gives to the lightest, the second to the second, so that no two give to the same; all shards
/// come to the same pairs, as they look at the same numbers. Half the difference is given, when it is at least
/// one and a half busy connections (moving one of two would only swap the roles) and an eighth of the giver's
/// load (the next window differs by itself).
pub(super) fn plan(me: usize, requests: u64, loads: &mut [(u32, usize)]) -> Option<Plan> {
    if requests < QUIET {
        return None;
    }
    loads.sort_unstable_by_key(|(load, shard)| (Reverse(*load), *shard));
    let rank = loads.iter().position(|(_, shard)| *shard == me)?;
    let partner = loads.len() - 1 - rank;
    if partner <= rank {
        return None;
    }
    let (mine, (theirs, to)) = (loads[rank].0, loads[partner]);
    let excess = mine - theirs;
    let left = excess / 2;
    (excess >= BUSY + BUSY / 2 && excess >= mine / 8).then_some(Plan { to, left })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(me: usize, open: &[u32]) -> Option<usize> {
        place(me, open.len(), open.iter().sum(), |shard| open[shard])
    }

    #[test]
    fn a_new_connection_goes_where_fewest_are() {
        assert_eq!(placed(0, &[0, 0]), None);
        assert_eq!(placed(0, &[1, 0]), Some(1));
        assert_eq!(placed(1, &[1, 0]), None);
        assert_eq!(placed(2, &[1, 0, 3, 0]), Some(1));
        assert_eq!(placed(0, &[9]), None);
    }

    #[test]
    fn few_connections_are_spread_evenly_wherever_the_hash_sends_them() {
        for shards in [2, 3, 4, 64] {
            let mut seed = 1_u64;
            for connections in 1..=64 {
                let mut open = vec![0_u32; shards];
                for _ in 0..connections {
                    seed = seed
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    // The worst hash: all to the first; and a fair one.
                    let hashed = if connections % 2 == 0 {
                        0
                    } else {
                        (seed >> 33) as usize % shards
                    };
                    let place = placed(hashed, &open).unwrap_or(hashed);
                    open[place] += 1;
                }
                let (least, most) = (open.iter().min().copied(), open.iter().max().copied());
                let apart = if shards == 2 { 1 } else { 2 } + u32::from(connections >= 16 * shards);
                assert!(most <= least.map(|least| least + apart), "{open:?}");
            }
        }
    }

    #[test]
    fn many_connections_stay_where_the_hash_sent_them() {
        assert_eq!(placed(0, &[1030, 970]), None);
        assert_eq!(placed(0, &[1200, 800]), Some(1));
    }

    /// Windows of shards whose connections serve so many requests each; what a whole one is settles first.
    fn loads(shards: &[Vec<u32>]) -> (u32, Vec<(u32, usize)>) {
        let work = |whole| {
            shards.iter().map(move |connections| {
                let mut work = Work::default();
                for served in connections {
                    let served = u64::from(*served);
                    work.requests += served;
                    work.paces += served * (served + 1) / 2;
                    work.counted += served.min(u64::from(whole));
                }
                work
            })
        };
        let (requests, paces) = work(1).fold((0, 0), |(r, p), work| (r + work.requests, p + work.paces));
        let whole = whole(requests, paces);
        let loads = work(whole).map(|work| work.load(whole)).zip(0..).collect();
        (whole, loads)
    }

    fn planned(me: usize, shards: &[Vec<u32>]) -> Option<Plan> {
        plan(
            me,
            u64::from(shards[me].iter().sum::<u32>()),
            &mut loads(shards).1,
        )
    }

    /// Connections that wait for each answer, on shards that serve 60,000 at most: those of one share it.
    fn closed_loop(connections: &[u32]) -> Vec<Vec<u32>> {
        connections
            .iter()
            .map(|n| vec![(60_000 / (*n).max(1)).min(35_000); *n as usize])
            .collect()
    }

    /// Moves what the plan wants and asks again, until nothing more is wanted; fails if that never is.
    fn settle(mut shards: Vec<Vec<u32>>) -> (Vec<Vec<u32>>, usize) {
        let mut moves = 0;
        for _ in 0..20 {
            let (whole, loads) = loads(&shards);
            let mut moved = Vec::new();
            for me in 0..shards.len() {
                let requests = shards[me].iter().map(|n| u64::from(*n)).sum();
                let Some(mut plan) = plan(me, requests, &mut loads.clone()) else {
                    continue;
                };
                shards[me].retain(|served| {
                    let pace = Pace {
                        before: *served,
                        ..Pace::default()
                    };
                    let wanted = plan.wants(pace.weight(whole));
                    if wanted {
                        plan.left = plan.left.saturating_sub(pace.weight(whole));
                        moved.push((plan.to, *served));
                    }
                    !wanted
                });
            }
            if moved.is_empty() {
                return (shards, moves);
            }
            moves += moved.len();
            moved.into_iter().for_each(|(to, served)| shards[to].push(served));
        }
        panic!("it never settles: {shards:?}");
    }

    #[test]
    fn saturated_shards_come_to_as_many_busy_connections_each() {
        for start in [[7, 1], [6, 2], [5, 3], [15, 1], [3, 1], [2, 0], [16, 0]] {
            let mut counts = start.to_vec();
            // Rates follow from the counts, so each round begins from them anew.
            for _ in 0..8 {
                let shards = closed_loop(&counts);
                let whole = loads(&shards).0;
                let Some(mut plan) = planned(0, &shards) else {
                    break;
                };
                let weight = Pace {
                    before: shards[0][0],
                    ..Pace::default()
                }
                .weight(whole);
                while plan.wants(weight) {
                    plan.left = plan.left.saturating_sub(weight);
                    counts[0] -= 1;
                    counts[plan.to] += 1;
                }
            }
            assert_eq!(counts[0], counts[1], "from {start:?}");
        }
    }

    #[test]
    fn what_is_even_stays() {
        for even in [[4, 4], [1, 0], [2, 1], [3, 2], [9, 8], [500, 450]] {
            assert_eq!(planned(0, &closed_loop(&even)), None, "{even:?}");
        }
    }

    #[test]
    fn busy_ones_are_told_from_idle_ones() {
        // As many connections on each, all of the work on one.
        let shards = vec![vec![10_000; 4], vec![1; 4]];
        let plan = planned(0, &shards).expect("a plan");
        assert_eq!((plan.to, plan.left / BUSY), (1, 2));
        let (after, moves) = settle(shards);
        assert_eq!(moves, 2);
        assert!(
            after
                .iter()
                .all(|shard| shard.iter().filter(|n| **n == 10_000).count() == 2)
        );
        // A crowd of quiet ones does not hide three busy ones.
        let mut crowd = vec![vec![1; 5_000], vec![1; 5_000]];
        crowd[1].extend([9_000; 3]);
        assert_eq!(planned(1, &crowd).map(|plan| plan.to), Some(0));
    }

    #[test]
    fn one_heavy_connection_is_not_passed_around() {
        assert_eq!(settle(vec![vec![20_000], vec![100; 5]]).1, 0);
        assert_eq!(settle(vec![vec![20_000, 100, 100], vec![100; 3]]).1, 0);
    }

    #[test]
    fn an_almost_idle_gateway_moves_nothing() {
        assert_eq!(planned(0, &[vec![10; 4], vec![]]), None);
    }

    #[test]
    fn pairs_of_shards_give_at_once_and_nobody_gets_twice() {
        let shards = vec![vec![1000; 6], vec![1000; 6], vec![], vec![1000]];
        let plans: Vec<_> = (0..4)
            .map(|me| planned(me, &shards).map(|plan| plan.to))
            .collect();
        assert_eq!(plans, [Some(2), Some(3), None, None]);
        let (after, _) = settle(shards);
        assert!(
            after.iter().all(|shard| (3..=4).contains(&shard.len())),
            "{after:?}"
        );
    }

    #[test]
    fn any_start_settles() {
        let mut seed = 7_u64;
        let mut next = |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % below
        };
        for _ in 0..300 {
            let shards = 2 + next(6);
            let mut start = vec![Vec::new(); shards as usize];
            for shard in &mut start {
                for _ in 0..next(12) {
                    shard.push(1 + next(10_000) as u32);
                }
            }
            settle(start);
        }
    }

    #[test]
    fn work_is_what_its_connections_served() {
        let mut work = Work::default();
        for served in [1, 4, 10] {
            (1..=served).for_each(|n| work.add(n, 4));
        }
        let expected = Work {
            requests: 15,
            paces: 1 + 10 + 55,
            counted: 1 + 4 + 4,
        };
        assert_eq!((work, work.load(4)), (expected, BUSY * 9 / 4));
        assert_eq!(whole(work.requests, work.paces), 4);
        assert_eq!(whole(0, 0), 1);
    }

    #[test]
    fn a_pace_is_that_of_the_last_whole_window() {
        let mut pace = Pace::default();
        assert_eq!((pace.count(5), pace.count(5), pace.weight(2)), (1, 2, 0));
        assert_eq!(
            (pace.count(6), pace.weight(2), pace.weight(4)),
            (1, BUSY, BUSY / 2)
        );
        pace.count(9);
        assert_eq!(pace.weight(1), 0, "it was idle for a window");
    }
}
