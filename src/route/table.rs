//! All APIs of one address: which API, which of its routes.

use super::index::PrefixIndex;
use super::path::{self, Dots, SecondReading};
use super::pattern::Captured;
use super::rule::Rule;
use super::scratch::{Caches, Scratch, Suffix};
use super::{Api, Found, HeaderSource, Lookup, Route};
use std::cell::LazyCell;

/// Immutable; shared by all shards.
pub struct Table<A, R> {
    apis: Vec<Api<A, R>>,
    /// Base path → index into `apis`.
    bases: PrefixIndex,
    /// One for each API.
    routes: Vec<Routes>,
}

/// The rules of an API in the order they are tried.
#[derive(Debug)]
struct Routes {
    candidates: Vec<Candidate>,
    /// What every matching path begins with → index into `candidates`.
    prefixes: PrefixIndex,
    /// The first candidate matches every request: nothing has to be looked for.
    all_to_first: bool,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    route: usize,
    /// None for a route without rules.
    rule: Option<usize>,
    /// A path that begins as the index says matches, and nothing of it is captured: most rules. They are not looked
    /// at: with thousands of them each is four places of memory that no cache holds.
    by_prefix: bool,
}

/// Where one reading of the path leads.
#[derive(Debug, Clone, Copy)]
struct Place {
    api: usize,
    found: Option<Candidate>,
}

impl<A, R> Table<A, R> {
    /// Where base paths overlap the longest decides; among equal ones the first. Configuration refuses both.
    pub fn new(apis: Vec<Api<A, R>>) -> Self {
        let bases = apis
            .iter()
            .zip(0..)
            .map(|(api, at)| (api.base_path.as_bytes().into(), at))
            .collect();
        let routes = apis.iter().map(Routes::new).collect();
        Self {
            bases: PrefixIndex::new(bases),
            routes,
            apis,
        }
    }

    pub fn apis(&self) -> &[Api<A, R>] {
        &self.apis
    }

    pub fn find<'t, H: HeaderSource>(
        &'t self,
        lookup: &Lookup<'_, H>,
        scratch: &mut Scratch,
    ) -> Found<'t, A, R> {
        scratch.clear();
        if lookup.path == b"*" {
            return Found::NoApi;
        }
        match self.place(lookup, scratch) {
            Err(reason) => {
                scratch.clear();
                Found::Refused(reason)
            }
            Ok(None) => Found::NoApi,
            Ok(Some(place)) => {
                let api = &self.apis[place.api];
                match place.found {
                    Some(found) => Found::Route {
                        api,
                        route: &api.routes[found.route],
                    },
                    None => Found::NoRoute { api },
                }
            }
        }
    }

    fn place<H: HeaderSource>(
        &self,
        lookup: &Lookup<'_, H>,
        scratch: &mut Scratch,
    ) -> Result<Option<Place>, &'static str> {
        scratch.second = path::normalise(lookup.path, &mut scratch.path)?;
        let place = self.search(&scratch.path, lookup, &mut scratch.caches);
        if scratch.second != SecondReading::None {
            path::read_again(&scratch.path, scratch.second, &mut scratch.second_path)?;
            if scratch.second_path == scratch.path {
                // What made for another reading was in a segment that `..` left again.
                scratch.second = SecondReading::None;
            }
            let other = self.search(&scratch.second_path, lookup, &mut scratch.caches);
            let target =
                |place: Option<Place>| place.map(|place| (place.api, place.found.map(|found| found.route)));
            if target(place) != target(other) {
                return Err(match scratch.second {
                    SecondReading::Parameters => {
                        "without its path parameters the path would be routed differently"
                    }
                    _ => "with its separators decoded the path would be routed differently",
                });
            }
        }
        if let Some(place) = place {
            self.set_suffix(place, scratch)?;
        }
        Ok(place)
    }

    fn search<H: HeaderSource>(
        &self,
        path: &[u8],
        lookup: &Lookup<'_, H>,
        caches: &mut Caches,
    ) -> Option<Place> {
        // Most rules say nothing of hosts.
        let host = LazyCell::new(|| path::host_without_port(lookup.host));
        let (api, below) = self.bases.prefixes_of(path).find_map(|apis| {
            let api = apis[0] as usize;
            Some((api, path::below(path, self.apis[api].base_path.len())?))
        })?;
        let matches = |candidate: Candidate| {
            candidate.by_prefix
                || self
                    .rule(api, candidate)
                    .is_none_or(|rule| rule.matches(below, &host, lookup, caches))
        };
        Some(Place {
            api,
            found: self.routes[api].first(below, matches),
        })
    }

    /// The rule to be asked, if one is.
    fn rule(&self, api: usize, candidate: Candidate) -> Option<&Rule> {
        if candidate.by_prefix {
            return None;
        }
        Some(&self.apis[api].routes[candidate.route].rules[candidate.rule?])
    }

    fn set_suffix(&self, place: Place, scratch: &mut Scratch) -> Result<(), &'static str> {
        let Scratch {
            path,
            second,
            suffix,
            pieces,
            caches,
            ..
        } = scratch;
        let base = &self.apis[place.api].base_path;
        let below = path::below(path, base.len()).expect("found below it");
        let rule = place.found.and_then(|found| self.rule(place.api, found));
        let captured = rule.map_or(Captured::NoGroups, |rule| rule.capture(below, caches, pieces));
        let start = match captured {
            Captured::NoGroups => 0,
            Captured::From(start) => start.min(below.len()),
            Captured::Appended => {
                *suffix = Suffix::Pieces;
                return if path::dots(pieces) == Dots::None {
                    Ok(())
                } else {
                    Err(DOTS_CAPTURED)
                };
            }
        };
        let tail = &below[start..];
        // A tail that begins at a segment's border is as normal as the path; another may begin with dots, as in `/api(.*)`
        // for `/api../x`. And what climbs only once decoded stayed inside the API, but may climb out of the destination.
        let unaligned = tail.first().is_some_and(|&byte| byte != b'/');
        if unaligned && path::dots(tail) != Dots::None {
            return Err(DOTS_CAPTURED);
        }
        if *second == SecondReading::Separators && path::dots(tail) == Dots::Climb {
            return Err("with its separators decoded the path would climb out of its destination");
        }
        if base.len() == path.len() {
            // Nothing is left below the base path: the slash is not a part of the path.
            pieces.extend_from_slice(tail);
            *suffix = Suffix::Pieces;
        } else {
            *suffix = Suffix::Path(base.len() + start..path.len());
        }
        Ok(())
    }
}

/// Whether one of the rules matches below the base path, in the reading the path is routed by or in the one an origin
/// may have of it: what guards something must not be got round by a spelling. After [`Table::find`] has found an API.
pub fn any_matches<H: HeaderSource>(
    rules: &[Rule],
    base_path: &str,
    lookup: &Lookup<'_, H>,
    scratch: &mut Scratch,
) -> bool {
    let host = LazyCell::new(|| path::host_without_port(lookup.host));
    let Scratch {
        path: routed,
        second,
        second_path,
        caches,
        ..
    } = scratch;
    let second = (*second != SecondReading::None).then_some(&*second_path);
    std::iter::once(&*routed).chain(second).any(|path| {
        path.starts_with(base_path.as_bytes())
            && path::below(path, base_path.len()).is_some_and(|below| {
                rules
                    .iter()
                    .any(|rule| rule.matches(below, &host, lookup, caches))
            })
    })
}

const DOTS_CAPTURED: &str = "what the rule captures of the path would be a dot segment";

/// Says nothing of its contents: payloads may hold secrets.
impl<A, R> std::fmt::Debug for Table<A, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table")
            .field("apis", &self.apis.len())
            .finish_non_exhaustive()
    }
}

impl Routes {
    fn new<A, R>(api: &Api<A, R>) -> Self {
        let mut candidates = Vec::new();
        let mut entries: Vec<(Box<[u8]>, u32)> = Vec::new();
        for (route, Route { rules, .. }) in api.routes.iter().enumerate() {
            let rules = if rules.is_empty() {
                vec![None]
            } else {
                (0..rules.len()).map(Some).collect()
            };
            for rule in rules {
                let rank = u32::try_from(candidates.len()).expect("fewer than 2^32 rules");
                let prefixes = rule.map_or(&[][..], |rule| api.routes[route].rules[rule].path_prefixes());
                if prefixes.is_empty() {
                    entries.push((Box::default(), rank));
                }
                entries.extend(prefixes.iter().map(|prefix| (prefix.clone(), rank)));
                let by_prefix = rule.is_none_or(|rule| api.routes[route].rules[rule].is_prefix());
                candidates.push(Candidate {
                    route,
                    rule,
                    by_prefix,
                });
            }
        }
        let all_to_first = candidates.first().is_some_and(|&Candidate { route, rule, .. }| {
            rule.is_none_or(|rule: usize| api.routes[route].rules[rule].matches_everything())
        });
        Self {
            candidates,
            prefixes: PrefixIndex::new(entries),
            all_to_first,
        }
    }

    /// The first candidate, in their order, that matches. Only those are asked whose literal beginning fits.
    fn first(&self, path: &[u8], mut matches: impl FnMut(Candidate) -> bool) -> Option<Candidate> {
        if self.all_to_first {
            return self.candidates.first().copied();
        }
        let mut best = u32::MAX;
        for ranks in self.prefixes.prefixes_of(path) {
            let before = ranks.iter().take_while(|&&rank| rank < best);
            if let Some(&rank) = before
                .copied()
                .find(|&rank| matches(self.candidates[rank as usize]))
                .as_ref()
            {
                best = rank;
            }
        }
        self.candidates.get(best as usize).copied()
    }
}

#[cfg(test)]
mod tests;
