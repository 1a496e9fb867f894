//! What a search writes: the paths of the request at hand, and the work space of the regex engines.

use super::path::SecondReading;
use regex_automata::{dfa::onepass, nfa::thompson::pikevm, util::primitives::NonMaxUsize};
use std::ops::Range;

/// One for each shard. It serves any table, one after another: nothing in it belongs to a particular regex (see [`Caches`]).
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) path: Vec<u8>,
    pub(super) second: SecondReading,
    pub(super) second_path: Vec<u8>,
    pub(super) suffix: Suffix,
    pub(super) pieces: Vec<u8>,
    pub(super) caches: Caches,
}

#[derive(Debug)]
pub(super) enum Suffix {
    /// A part of `Scratch::path`.
    Path(Range<usize>),
    /// `Scratch::pieces`, put together from several places.
    Pieces,
}

impl Default for Suffix {
    fn default() -> Self {
        Self::Path(0..0)
    }
}

impl Scratch {
    /// After `Found::Route`: the concatenated capture groups of the matching rule, or without groups the normalised path below
    /// the base path. After `Found::NoRoute`: the latter. What [`super::join_upstream_path`] puts behind a destination path.
    pub fn suffix(&self) -> &[u8] {
        match &self.suffix {
            Suffix::Path(range) => &self.path[range.clone()],
            Suffix::Pieces => &self.pieces,
        }
    }

    /// The whole normalised path, base path included. Empty after `Found::Refused` and for the target `*`.
    pub fn normalised_path(&self) -> &[u8] {
        &self.path
    }

    /// The same path as an origin reads it that takes encoded separators (`%2F`, `%5C`, `\`) for `/`, or one that drops path
    /// parameters (`;…`). None when both readings are the same bytes. A rule that guards something must hold for both.
    pub fn decoded_path(&self) -> Option<&[u8]> {
        (self.second != SecondReading::None).then_some(&*self.second_path)
    }

    pub(super) fn clear(&mut self) {
        self.path.clear();
        self.second = SecondReading::None;
        self.second_path.clear();
        self.suffix = Suffix::default();
        self.pieces.clear();
    }
}

/// Work space shared by all regexes: each use resets it for the regex at hand, so state of one can never meet another, and a
/// shard holds the largest work space rather than the sum. The reset costs O(states), and only engines that are fallbacks
/// or run once for the route that won need it.
#[derive(Debug, Default)]
pub(super) struct Caches {
    one_pass: Option<onepass::Cache>,
    pike: Option<pikevm::Cache>,
    slots: Vec<Option<NonMaxUsize>>,
}

impl Caches {
    pub(super) fn one_pass(
        &mut self,
        regex: &onepass::DFA,
    ) -> (&mut onepass::Cache, &mut [Option<NonMaxUsize>]) {
        let cache = self.one_pass.get_or_insert_with(|| regex.create_cache());
        cache.reset(regex);
        let slots = regex.get_nfa().group_info().slot_len();
        self.slots.clear();
        self.slots.resize(slots, None);
        (cache, &mut self.slots)
    }

    pub(super) fn pike(
        &mut self,
        regex: &pikevm::PikeVM,
    ) -> (&mut pikevm::Cache, &mut [Option<NonMaxUsize>]) {
        let cache = self.pike.get_or_insert_with(|| regex.create_cache());
        cache.reset(regex);
        let slots = regex.get_nfa().group_info().slot_len();
        self.slots.clear();
        self.slots.resize(slots, None);
        (cache, &mut self.slots)
    }
}
