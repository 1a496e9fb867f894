//! Which endpoint of a cluster takes the next request: pure arithmetic, randomness and load are arguments.
//!
//! One [`Balancer`] a shard and cluster. Shards do not share it: each follows the weights by itself, so all together do.

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Policy {
    /// Smooth weighted round-robin: 5:1:1 gives `a a b a c a a`, not five in a row.
    RoundRobin,
    /// Of two endpoints drawn by weight, the one with fewer requests in flight for its weight.
    LeastRequest,
    /// Drawn by weight.
    Random,
    /// The same hash goes to the same endpoint as long as that one is usable.
    ConsistentHash(HashOn),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashOn {
    /// Lower case.
    Header(String),
    ClientAddress,
}

#[derive(Debug)]
pub struct Balancer {
    weights: Vec<u32>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// What each endpoint is owed, in weights.
    RoundRobin(Vec<i64>),
    LeastRequest,
    Random,
    /// Sorted by position.
    Ring(Vec<Point>),
}

#[derive(Debug, Clone, Copy)]
struct Point {
    position: u32,
    endpoint: u32,
}

impl Balancer {
    /// One entry an endpoint: a hash of its identity ([`hash`] of its address), which alone decides its places on the ring, and
    /// its weight, 0..=100. An endpoint of weight 0 is never chosen.
    pub fn new(policy: Policy, weights: &[(u64, u32)]) -> Self {
        let state = match policy {
            Policy::RoundRobin => State::RoundRobin(vec![0; weights.len()]),
            Policy::LeastRequest => State::LeastRequest,
            Policy::Random => State::Random,
            Policy::ConsistentHash(_) => State::Ring(ring(weights)),
        };
        Self {
            weights: weights.iter().map(|&(_, weight)| weight).collect(),
            state,
        }
    }

    /// The index of the chosen endpoint; None only if none is usable. `random` is uniform over all of u64, `hash` is of what
    /// [`HashOn`] names and is ignored by the other policies. O(endpoints), nothing allocated.
    pub fn choose(
        &mut self,
        random: u64,
        hash: u64,
        in_flight: &dyn Fn(usize) -> u32,
        usable: &dyn Fn(usize) -> bool,
    ) -> Option<usize> {
        let weights = &self.weights;
        let weight = |at: usize| if usable(at) { weights[at] } else { 0 };
        match &mut self.state {
            State::RoundRobin(owed) => smooth(owed, weight),
            State::Random => draw(random, weights.len(), weight),
            State::LeastRequest => {
                // Two draws need two independent halves; 32 bits are plenty for weights up to 100.
                let first = draw(random << 32, weights.len(), weight)?;
                let others = |at| if at == first { 0 } else { weight(at) };
                let Some(second) = draw(random & !0xffff_ffff, weights.len(), others) else {
                    return Some(first);
                };
                // in_flight / weight compared without dividing. On a draw the first stays: it was drawn by weight, so an idle
                // cluster is shared by weight as well.
                let load = |at: usize, other: usize| u64::from(in_flight(at)) * u64::from(weights[other]);
                Some(if load(second, first) < load(first, second) {
                    second
                } else {
                    first
                })
            }
            State::Ring(points) => {
                // Asked first, so that a cluster that is down costs one look at each endpoint, not at each point.
                if !(0..weights.len()).any(|at| weight(at) > 0) {
                    return None;
                }
                let position = (mix(hash) >> 32) as u32;
                let start = points.partition_point(|point| point.position < position);
                let (before, after) = points.split_at(start);
                after
                    .iter()
                    .chain(before)
                    .map(|point| point.endpoint as usize)
                    .find(|&at| usable(at))
            }
        }
    }
}

/// An index drawn by weight; `random` is uniform over all of u64. 0 when there are no weights or all are 0.
pub fn weighted_choice(random: u64, weights: impl Iterator<Item = u32> + Clone) -> usize {
    let total = weights.clone().map(u64::from).sum();
    let mut ticket = below(random, total);
    for (at, weight) in weights.enumerate() {
        match ticket.checked_sub(u64::from(weight)) {
            None => return at,
            Some(rest) => ticket = rest,
        }
    }
    0
}

/// The same on every machine and in every version (FNV-1a, finished by a mixer), so that all replicas hash alike. Not for
/// tables an attacker could fill: it has no key.
pub fn hash(bytes: &[u8]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    mix(bytes
        .iter()
        .fold(OFFSET, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME)))
}

/// Nginx's smooth weighted round-robin: everyone is owed its weight more, who is owed most pays for all.
///
/// An endpoint that is not usable is owed nothing more, so it does not come back to a burst.
fn smooth(owed: &mut [i64], weight: impl Fn(usize) -> u32) -> Option<usize> {
    let mut total = 0;
    let mut best: Option<usize> = None;
    for at in 0..owed.len() {
        let weight = i64::from(weight(at));
        if weight == 0 {
            continue;
        }
        owed[at] += weight;
        total += weight;
        if best.is_none_or(|best| owed[at] > owed[best]) {
            best = Some(at);
        }
    }
    owed[best?] -= total;
    best
}

/// None when all weights are 0.
fn draw(random: u64, count: usize, weight: impl Fn(usize) -> u32 + Copy) -> Option<usize> {
    let weights = (0..count).map(weight);
    let chosen = weighted_choice(random, weights);
    // The only answer that may stand for "none".
    (chosen > 0 || (0..count).any(|at| weight(at) > 0)).then_some(chosen)
}

/// `random` scaled to 0..limit; off by less than limit / 2^64 from uniform. 0 for limit 0.
fn below(random: u64, limit: u64) -> u64 {
    ((u128::from(random) * u128::from(limit)) >> 64) as u64
}

/// A ring of points, as many for an endpoint as its own weight says and where its own identity says.
///
/// Why not Maglev: its table is faster to read (one access; here a binary search over some cache lines, about 50 ns), but it is
/// filled by all endpoints in turn, so one that goes also moves keys of the ones that stay. On the ring exactly the keys of
/// that one move, whether it is unusable for a minute or gone from the configuration, and nothing else needs rebuilding. The
/// price: shares are off by some 1/sqrt(points), 8 % for an endpoint of weight 1 and 1 % for one of weight 100, and 8 bytes a
/// point: 1.3 KiB for each weight of 1.
fn ring(weights: &[(u64, u32)]) -> Vec<Point> {
    let mut points = Vec::with_capacity(
        weights
            .iter()
            .map(|&(_, weight)| (weight * POINTS_PER_WEIGHT) as usize)
            .sum(),
    );
    for (at, &(identity, weight)) in weights.iter().enumerate() {
        // The same endpoint written twice gets places of its own.
        let earlier = weights[..at]
            .iter()
            .filter(|&&(other, _)| other == identity)
            .count() as u64;
        let seed = mix(identity).wrapping_add(mix(earlier));
        points.extend((0..u64::from(weight * POINTS_PER_WEIGHT)).map(|number| Point {
            position: (mix(seed.wrapping_add(number.wrapping_mul(GOLDEN))) >> 32) as u32,
            endpoint: at as u32,
        }));
    }
    // Two endpoints at one position: identity decides, not the order in the file, which another replica may not share.
    points.sort_unstable_by_key(|point| (point.position, weights[point.endpoint as usize].0, point.endpoint));
    points
}

/// SplitMix64's finaliser: each bit of the input changes half of the output's.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(GOLDEN);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

const POINTS_PER_WEIGHT: u32 = 160;
/// 2^64 over the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests;
