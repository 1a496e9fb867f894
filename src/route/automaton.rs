//! One regex as automata: does the whole value match, and where were its groups.
//!
//! Matching runs on a DFA made at load: one table look-up a byte, and nothing to write, so threads share it. Only a pattern whose
//! DFA would be large is simulated instead (Pike's algorithm, linear too, some 50 times slower). Groups are located once, for
//! the rule that won.

use super::scratch::Caches;
use regex_automata::{
    Anchored, Input, MatchKind,
    dfa::{Automaton as _, StartKind, dense, onepass},
    nfa::thompson::{self, NFA, WhichCaptures, pikevm::PikeVM},
};
use regex_syntax::hir::{Hir, Look};

/// Tells whether a regex matches the whole of a value.
#[derive(Debug)]
pub(super) enum Acceptor {
    Dense(Box<dense::DFA<Vec<u32>>>),
    Simulated(Box<PikeVM>),
}

/// Locates the groups of a regex in a value that it matches.
#[derive(Debug)]
pub(super) enum Locator {
    OnePass(Box<onepass::DFA>),
    Simulated(Box<PikeVM>),
}

impl Acceptor {
    pub(super) fn compile(regex: &Hir) -> Result<Self, String> {
        let nfa = thompson(regex, WhichCaptures::None)?;
        Ok(match dense(&nfa) {
            Some(dfa) => Self::Dense(Box::new(dfa)),
            None => Self::Simulated(Box::new(simulate(nfa)?)),
        })
    }

    pub(super) fn accepts(&self, value: &[u8], caches: &mut Caches) -> bool {
        let input = Input::new(value).anchored(Anchored::Yes).earliest(true);
        match self {
            // It fails on bytes it was told to give up at; it was told of none.
            Self::Dense(dfa) => dfa
                .try_search_fwd(&input)
                .expect("a DFA without quit bytes")
                .is_some(),
            Self::Simulated(pike) => {
                let (cache, _) = caches.pike(pike);
                pike.search_slots(cache, &input, &mut []).is_some()
            }
        }
    }
}

impl Locator {
    pub(super) fn compile(regex: &Hir) -> Result<Self, String> {
        let nfa = thompson(regex, WhichCaptures::All)?;
        let config = onepass::Config::new()
            .match_kind(MatchKind::LeftmostFirst)
            .size_limit(Some(DFA_BYTES));
        Ok(
            match onepass::Builder::new()
                .configure(config)
                .build_from_nfa(nfa.clone())
            {
                Ok(dfa) => Self::OnePass(Box::new(dfa)),
                Err(_) => Self::Simulated(Box::new(simulate(nfa)?)),
            },
        )
    }

    /// Appends the groups that took part, in order, to `out`.
    pub(super) fn concatenate_groups(&self, value: &[u8], caches: &mut Caches, out: &mut Vec<u8>) {
        let input = Input::new(value).anchored(Anchored::Yes);
        let slots = match self {
            Self::OnePass(dfa) => {
                let (cache, slots) = caches.one_pass(dfa);
                dfa.try_search_slots(cache, &input, slots)
                    .expect("an anchored search without quit bytes");
                slots
            }
            Self::Simulated(pike) => {
                let (cache, slots) = caches.pike(pike);
                pike.search_slots(cache, &input, slots);
                slots
            }
        };
        // The first pair is the whole match.
        for pair in slots.chunks_exact(2).skip(1) {
            if let [Some(start), Some(end)] = pair {
                out.extend_from_slice(&value[start.get()..end.get()]);
            }
        }
    }
}

/// Whether no text of `regex` begins with another text of it. None when deciding that would take too much memory.
pub(super) fn is_prefix_free(regex: &Hir) -> Option<bool> {
    let nfa = thompson(regex, WhichCaptures::None).ok()?;
    let dfa = dense(&nfa)?;
    let start = dfa
        .start_state_forward(&Input::new(b"").anchored(Anchored::Yes))
        .ok()?;
    let accepts = |state| dfa.is_match_state(dfa.next_eoi_state(state));
    let closure = |from: Vec<_>| {
        let mut seen: std::collections::HashSet<_> = from.iter().copied().collect();
        let mut open = from;
        while let Some(state) = open.pop() {
            open.extend(
                (0..=u8::MAX)
                    .map(|byte| dfa.next_state(state, byte))
                    .filter(|next| seen.insert(*next)),
            );
        }
        seen
    };
    let ends: Vec<_> = closure(vec![start])
        .into_iter()
        .filter(|state| accepts(*state))
        .collect();
    let behind_ends: std::collections::HashSet<_> = ends
        .iter()
        .flat_map(|&end| (0..=u8::MAX).map(move |byte| (end, byte)))
        .map(|(end, byte)| dfa.next_state(end, byte))
        .collect();
    Some(
        !closure(behind_ends.into_iter().collect())
            .into_iter()
            .any(accepts),
    )
}

fn thompson(regex: &Hir, captures: WhichCaptures) -> Result<NFA, String> {
    let anchored = Hir::concat(vec![Hir::look(Look::Start), regex.clone(), Hir::look(Look::End)]);
    let config = thompson::Config::new()
        .utf8(false)
        .which_captures(captures)
        .nfa_size_limit(Some(NFA_BYTES));
    thompson::Compiler::new()
        .configure(config)
        .build_from_hir(&anchored)
        .map_err(|error| match error.size_limit() {
            Some(_) => {
                "the pattern is too large once its repetitions are written out; use smaller counts".to_owned()
            }
            None => error.to_string(),
        })
}

fn dense(nfa: &NFA) -> Option<dense::DFA<Vec<u32>>> {
    let config = dense::Config::new()
        .start_kind(StartKind::Anchored)
        .dfa_size_limit(Some(DFA_BYTES))
        .determinize_size_limit(Some(DETERMINIZE_BYTES));
    dense::Builder::new().configure(config).build_from_nfa(nfa).ok()
}

fn simulate(nfa: NFA) -> Result<PikeVM, String> {
    PikeVM::builder()
        .build_from_nfa(nfa)
        .map_err(|error| error.to_string())
}

/// Usual rules need 1 to 10 KiB; past this a table of ten thousand would not fit a small machine.
const DFA_BYTES: usize = 256 * 1024;
const DETERMINIZE_BYTES: usize = 1024 * 1024;
/// Bounds the work of simulation for each byte of a value: some ten thousand states.
const NFA_BYTES: usize = 256 * 1024;
