//! Which shard should serve a connection: arithmetic only, fed with what the shards publish.
//!
//! Two measures, because two things can be known. Of a new connection nothing is, so open connections are
//! compared. Of one that has served requests its pace is, so busyness is: an idle connection weighs nothing.
//!
//! Busyness is not the number of requests alone. What a busy connection gets served is what its shard can do, not
//! what it wants: on a shard at its limit four connections get a fourth each, and on a CPU that something else
//! uses they get less again. By requests such a shard would look light, and be given more. And busyness is not
//! the number of connections that spoke: one that asks once a second is not one that never stops. So a connection
//! counts by its requests, and from an eighth of the typical pace on it counts as one whole busy connection.
//! Typical is the pace of the connection that the middle one of all requests came by, which a crowd of quiet
//! connections does not change. The error accepted: connections whose paces lie within a factor of eight of the
//! typical count the same. Less would tell them apart better, and mistake a shard that has to share its CPU for
//! an idle one.
//!
//! Paces are known as powers of two only: a shard counts how many connections got how far, which costs a request
//! one comparison, and leaves what is typical to be asked when the window is over.

use crate::clock::Tick;
use std::{cmp::Reverse, ops::AddAssign};

/// Paces are measured over this long, in milliseconds; the windows of all shards begin at the same time.
pub(super) const WINDOW: Tick = 1000;

/// What one busy connection weighs.
pub(super) const BUSY: u32 = 256;

/// Paces told apart: up to 2^23 requests a window, far above what one connection can do.
pub(super) const LEVELS: usize = 24;

/// An eighth of the typical pace, as levels below it.
const BELOW_TYPICAL: usize = 3;

/// A shard that served fewer requests in a window gives none away: there is nothing to gain.
const QUIET: u64 = 64;

/// Given away after one window at most. More is a matter of the next.
const AT_ONCE: u32 = 32 * BUSY;

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

    /// What it weighed in the window before. 0 in the window in which it came to this shard: what it does here is
    /// not known yet, and so nothing is passed on that has just been passed.
    pub(super) fn weight(self, whole: usize) -> u32 {
        let level = self.before.checked_ilog2();
        level.map_or(0, |level| weight(level as usize, whole))
    }
}

/// Of a connection that served at least 2^`level` requests and fewer than twice that, where 2^`whole` make a busy one.
fn weight(level: usize, whole: usize) -> u32 {
    BUSY >> whole.saturating_sub(level).min(31)
}

/// One window of one shard, or of all together.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Work {
    /// Connections that served at least 2^index requests.
    pub reached: [u32; LEVELS],
}

impl Work {
    /// `served`: what [`Pace::count`] gave; to be called when it is a power of two.
    pub(super) fn add(&mut self, served: u32) {
        if let Some(reached) = self.reached.get_mut(served.trailing_zeros() as usize) {
            *reached += 1;
        }
    }

    /// Connections by level, from the lowest; each only under the highest it reached.
    fn levels(&self) -> impl DoubleEndedIterator<Item = (usize, u32)> {
        (0..LEVELS).map(|level| {
            let higher = self.reached.get(level + 1).copied().unwrap_or(0);
            (level, self.reached[level].saturating_sub(higher))
        })
    }

    /// Counting each connection's last power of two only: at least half of all.
    fn requests(&self) -> u64 {
        self.levels()
            .map(|(level, connections)| u64::from(connections) << level)
            .sum()
    }

    /// The level from which a connection counts as one whole.
    pub(super) fn whole(&self) -> usize {
        let (all, mut above) = (self.requests(), 0);
        let typical = self.levels().rev().find(|(level, connections)| {
            above += u64::from(*connections) << level;
            above > 0 && above * 2 >= all
        });
        typical.map_or(0, |(level, _)| level.saturating_sub(BELOW_TYPICAL))
    }

    /// The sum of the weights of its connections.
    pub(super) fn load(&self, whole: usize) -> u32 {
        (self.levels()).fold(0_u32, |load, (level, connections)| {
            load.saturating_add(connections.saturating_mul(weight(level, whole)))
        })
    }
}

impl AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        for (sum, more) in self.reached.iter_mut().zip(other.reached) {
            *sum = sum.saturating_add(more);
        }
    }
}

/// Where a new connection goes that came to shard `me`; None to stay.
///
/// `total` is the number open on all shards and `open` that of one, without the new one. Where there are many,
/// the kernel's hash is even enough: a sixteenth of the mean is let pass, and a shard that has no more than the
/// mean does not even look at the others. Below sixteen connections a shard every one counts.
pub(super) fn place(me: usize, shards: usize, total: u32, open: impl Fn(usize) -> u32) -> Option<usize> {
    let mine = open(me);
    let slack = total / (shards as u32 * 16);
    if slack > 0 && u64::from(mine) * shards as u64 <= u64::from(total) {
        return None;
    }
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
    /// The level that weights refer to: that of the window the plan was made of, so that the weights of this shard's
    /// connections add up to the load it was made of.
    pub whole: usize,
}

impl Plan {
    /// Whether a connection of this weight brings the two shards closer: by rounding one may be given that is
    /// heavier than what is left, but never one after which the other shard would be ahead by half as much as
    /// this one was, and none that is not worth a move.
    pub(super) fn wants(&self, weight: u32) -> bool {
        weight >= BUSY / 8 && weight * 2 <= self.left.saturating_mul(3)
    }
}

/// Whether shard `me` gives connections away, and to which, after a window in which the shards did this work.
///
/// The heaviest gives to the lightest, the second to the second, so that no two give to the same; all shards
/// come to the same pairs, as they look at the same numbers. Half the difference is given, when it is at least
/// one and a half busy connections (moving one of two would only swap the roles) and an eighth of the giver's
/// load (the next window differs by itself).
pub(super) fn plan(me: usize, works: &[(usize, Work)]) -> Option<Plan> {
    let mut all = Work::default();
    works.iter().for_each(|(_, work)| all += *work);
    let whole = all.whole();
    let mut loads: Vec<(u32, usize)> = works
        .iter()
        .filter(|(shard, work)| *shard != me || work.requests() >= QUIET)
        .map(|(shard, work)| (work.load(whole), *shard))
        .collect();
    loads.sort_unstable_by_key(|(load, shard)| (Reverse(*load), *shard));
    let rank = loads.iter().position(|(_, shard)| *shard == me)?;
    let partner = loads.len() - 1 - rank;
    if partner <= rank {
        return None;
    }
    let (mine, (theirs, to)) = (loads[rank].0, loads[partner]);
    let excess = mine - theirs;
    let left = (excess / 2).min(AT_ONCE);
    (excess >= BUSY + BUSY / 2 && excess >= mine / 8).then_some(Plan { to, left, whole })
}

/// What to carry out of two windows' plans, one after the other: what both say. A single window is often odd, its
/// traffic just beginning or a CPU just taken.
pub(super) fn lasting(before: Option<Plan>, now: Option<Plan>) -> Option<Plan> {
    let (before, now) = (before?, now?);
    let left = now.left.min(before.left);
    Some(Plan { left, ..now })
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

    /// Windows of shards whose connections serve so many requests each.
    fn works(shards: &[Vec<u32>]) -> Vec<(usize, Work)> {
        let work = |connections: &Vec<u32>| {
            let mut work = Work::default();
            for served in connections {
                (0..LEVELS)
                    .filter(|level| *served >= 1 << level)
                    .for_each(|level| work.reached[level] += 1);
            }
            work
        };
        shards.iter().map(work).enumerate().collect()
    }

    fn planned(me: usize, shards: &[Vec<u32>]) -> Option<Plan> {
        plan(me, &works(shards))
    }

    fn pace(served: u32) -> Pace {
        Pace {
            before: served,
            ..Pace::default()
        }
    }

    /// Connections that wait for each answer, on shards that serve 60,000 at most: those of one share it.
    fn closed_loop(connections: &[u32]) -> Vec<Vec<u32>> {
        connections
            .iter()
            .map(|n| vec![(60_000 / (*n).max(1)).min(35_000); *n as usize])
            .collect()
    }

    /// Moves what the plans want and asks again, until nothing more is wanted; fails if that never is.
    fn settle(mut shards: Vec<Vec<u32>>) -> (Vec<Vec<u32>>, usize) {
        let mut moves = 0;
        for _ in 0..20 {
            let works = works(&shards);
            let mut moved = Vec::new();
            for (me, connections) in shards.iter_mut().enumerate() {
                let Some(mut plan) = plan(me, &works) else {
                    continue;
                };
                connections.retain(|served| {
                    let weight = pace(*served).weight(plan.whole);
                    let wanted = plan.wants(weight);
                    if wanted {
                        plan.left = plan.left.saturating_sub(weight);
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
                let Some(mut plan) = planned(0, &shards) else {
                    break;
                };
                let weight = pace(shards[0][0]).weight(plan.whole);
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

    /// The same connections, four on each, but the second shard gets a fifth of its CPU.
    #[test]
    fn a_shard_that_shares_its_cpu_is_not_given_more() {
        assert_eq!(planned(0, &[vec![15_000; 4], vec![3_000; 4]]), None);
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
    fn the_work_of_a_window_is_the_sum_of_its_connections() {
        let (mut work, mut paces) = (Work::default(), Vec::new());
        for served in [1, 4, 10, 700, 9000] {
            let mut pace = Pace::default();
            for _ in 0..served {
                let served = pace.count(7);
                if served.is_power_of_two() {
                    work.add(served);
                }
            }
            pace.count(8);
            paces.push(pace);
        }
        assert_eq!(vec![(0, work)], works(&[vec![1, 4, 10, 700, 9000]]));
        assert_eq!((work.requests(), work.whole()), (1 + 4 + 8 + 512 + 8192, 10));
        for whole in 0..LEVELS {
            let weights: u32 = paces.iter().map(|pace| pace.weight(whole)).sum();
            assert_eq!(work.load(whole), weights, "{whole}");
        }
        assert_eq!((Work::default().whole(), Work::default().load(3)), (0, 0));
    }

    #[test]
    fn one_odd_window_moves_nothing() {
        let some = |left| {
            Some(Plan {
                to: 1,
                left,
                whole: 3,
            })
        };
        assert_eq!(lasting(None, some(9)), None);
        assert_eq!(lasting(some(9), None), None);
        assert_eq!(lasting(some(9), some(5)), some(5));
        assert_eq!(lasting(some(5), some(9)), some(5));
    }

    #[test]
    fn a_pace_is_that_of_the_last_whole_window() {
        let mut pace = Pace::default();
        assert_eq!((pace.count(5), pace.count(5), pace.weight(1)), (1, 2, 0));
        assert_eq!(
            (pace.count(6), pace.weight(1), pace.weight(2)),
            (1, BUSY, BUSY / 2)
        );
        pace.count(9);
        assert_eq!(pace.weight(0), 0, "it was idle for a window");
    }
}
