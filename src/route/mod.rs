//! Address + base path + rules → route, and the path to ask the origin for.
//!
//! A request's path is normalised ([`path`]), its API found by base path, its route by the first rule that matches
//! ([`table`]). Nothing here locks, and nothing allocates once a shard's [`Scratch`] is warm: a [`Table`] is immutable
//! and shared by all threads, whatever a search must write lives in the `Scratch`.

mod automaton;
mod index;
mod lookahead;
mod path;
mod pattern;
mod rule;
mod scratch;
mod table;

pub use path::{join_upstream_path, normalise_base_path, overlap};
pub use rule::{Rule, RuleError, RuleField, RuleSource};
pub use scratch::Scratch;
pub use table::{Table, any_matches};

/// One API of an address.
#[derive(Debug)]
pub struct Api<A, R> {
    /// "" or "/x/y", as [`normalise_base_path`] returns it.
    pub base_path: String,
    pub payload: A,
    /// In the order they are tried.
    pub routes: Vec<Route<R>>,
}

#[derive(Debug)]
pub struct Route<R> {
    /// One of them must match; none at all matches everything.
    pub rules: Vec<Rule>,
    pub payload: R,
}

/// What is matched of a request.
#[derive(Debug)]
pub struct Lookup<'r, H> {
    pub method: &'r [u8],
    /// The target's path as sent, without query.
    pub path: &'r [u8],
    /// The `Host` value as sent; a port is ignored.
    pub host: &'r [u8],
    pub headers: &'r H,
}

/// A request's header fields, however they are kept.
pub trait HeaderSource {
    /// True when `matches` is true for any value of the field `name` (lower case).
    fn any_value(&self, name: &str, matches: &mut dyn FnMut(&[u8]) -> bool) -> bool;
}

#[derive(Debug)]
pub enum Found<'t, A, R> {
    Route {
        api: &'t Api<A, R>,
        route: &'t Route<R>,
    },
    /// The API is known, none of its routes matches → 404 by that API.
    NoRoute {
        api: &'t Api<A, R>,
    },
    /// No base path matches, or the target is `*` → 404, or `OPTIONS *` answered by the caller.
    NoApi,
    /// → 400 with this reason: the path is malformed, or an origin could read it as another one.
    Refused(&'static str),
}
