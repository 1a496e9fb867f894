//! Looks for rules in a value, in every form that somebody behind the gateway may see it in.

use super::{normal, rules};
use regex_automata::{
    Input,
    hybrid::dfa::{Cache, DFA},
    nfa::thompson,
    util::syntax,
};

/// Compiled rules: the gateway's own, and those of the configuration.
#[derive(Debug)]
pub(super) struct Rules {
    sets: Vec<Set>,
}

#[derive(Debug)]
struct Set {
    sees: Sees,
    dfa: DFA,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sees {
    Sql,
    Xss,
    Custom,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Sql,
    Xss,
    /// By its place in the configuration.
    Custom(usize),
}

/// What a scan writes into: one for each shard, so that a scan allocates nothing once it is warm.
#[derive(Debug)]
pub struct Scratch {
    caches: Vec<Cache>,
    unwrapped: [Vec<u8>; 2],
    folded: Vec<u8>,
    uncommented: Vec<u8>,
}

/// Which rule of the configuration can't be used, and why.
#[derive(Debug)]
pub(super) struct Unusable {
    pub(super) index: usize,
    pub(super) message: String,
}

impl Rules {
    /// # Errors
    /// The first of `custom` that is no regular expression, or too large a one.
    pub(super) fn new(sql: bool, xss: bool, custom: &[&str]) -> Result<Self, Unusable> {
        let mut sets = Vec::new();
        let mut add = |sees, patterns| {
            let dfa = compile(patterns).expect("the gateway's own rules compile, as a test shows");
            sets.push(Set { sees, dfa });
        };
        if sql {
            add(Sees::Sql, rules::SQL);
            add(Sees::Sql, rules::SQL_WITH_GAPS);
        }
        if xss {
            add(Sees::Xss, rules::XSS);
            add(Sees::Xss, rules::XSS_WITH_GAPS);
        }
        // One by one first, so that a problem says whose it is.
        for (index, pattern) in custom.iter().enumerate() {
            compile(&[pattern]).map_err(|message| Unusable { index, message })?;
        }
        if !custom.is_empty() {
            let dfa = compile(custom).map_err(|message| Unusable {
                index: custom.len() - 1,
                message,
            })?;
            sets.push(Set {
                sees: Sees::Custom,
                dfa,
            });
        }
        Ok(Self { sets })
    }

    pub(super) fn scratch(&self) -> Scratch {
        Scratch {
            caches: self.sets.iter().map(|set| set.dfa.create_cache()).collect(),
            unwrapped: Default::default(),
            folded: Vec::new(),
            uncommented: Vec::new(),
        }
    }

    /// Looks at the value as it came, unwrapped once and unwrapped twice.
    pub(super) fn find(&self, value: &[u8], scratch: &mut Scratch) -> Option<Found> {
        let Scratch {
            caches,
            unwrapped: [once, twice],
            folded,
            uncommented,
        } = scratch;
        let mut look = |form: &[u8]| {
            let custom = self.look(Sees::Custom, form, caches);
            if custom.is_some() || is_harmless(form) {
                return custom;
            }
            normal::fold(form, folded);
            let found = self.look(Sees::Sql, folded, caches);
            let found = found.or_else(|| self.look(Sees::Xss, folded, caches));
            // Both with and without: what is a comment to the database may be text to the origin, and the other way round.
            found.or_else(|| {
                normal::without_comments(folded, uncommented)
                    .then(|| self.look(Sees::Sql, uncommented, caches))
                    .flatten()
            })
        };
        let found = look(value);
        if found.is_some() || !normal::unwrap(value, once) {
            return found;
        }
        look(once).or_else(|| normal::unwrap(once, twice).then(|| look(twice)).flatten())
    }

    fn look(&self, sees: Sees, form: &[u8], caches: &mut [Cache]) -> Option<Found> {
        let sets = self.sets.iter().zip(caches);
        for (set, cache) in sets.filter(|(set, _)| set.sees == sees) {
            let input = Input::new(form).earliest(true);
            match set.dfa.try_search_fwd(cache, &input) {
                Ok(None) => {}
                Ok(Some(found)) => {
                    return Some(match sees {
                        Sees::Sql => Found::Sql,
                        Sees::Xss => Found::Xss,
                        Sees::Custom => Found::Custom(found.pattern().as_usize()),
                    });
                }
                // Neither quit bytes nor a limit of clearings is configured, so there is no error. If a release of the
                // library thinks otherwise, a value that was not looked at must not pass.
                Err(_) => {
                    return Some(match sees {
                        Sees::Sql => Found::Sql,
                        Sees::Xss => Found::Xss,
                        Sees::Custom => Found::Custom(0),
                    });
                }
            }
        }
        None
    }
}

/// A word, a number, a path: nothing that any of the gateway's own rules begins or ends with. Most headers are one.
fn is_harmless(value: &[u8]) -> bool {
    let of_words = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./:,".contains(byte);
    value.iter().all(of_words)
}

/// As RE2 reads them, over bytes: `\w` and the like are ASCII's.
fn compile(patterns: &[&str]) -> Result<DFA, String> {
    let syntax = syntax::Config::new().unicode(false).utf8(false);
    let nfa = thompson::Config::new()
        .utf8(false)
        .nfa_size_limit(Some(MAX_PATTERN_BYTES));
    let config = DFA::config()
        .match_kind(regex_automata::MatchKind::All)
        .cache_capacity(CACHE_BYTES)
        .skip_cache_capacity_check(true);
    DFA::builder()
        .syntax(syntax)
        .thompson(nfa)
        .configure(config)
        .build_many(patterns)
        .map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            if cause.is_some_and(|cause| cause.contains("limit")) {
                "is too large a regular expression".to_owned()
            } else {
                "is not a regular expression (RE2, without look-around)".to_owned()
            }
        })
}

/// Of all custom rules together, and of each list of ours.
const MAX_PATTERN_BYTES: usize = 1024 * 1024;

/// Of each list and shard, taken as it is used. Past it states are thrown away and made again.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

#[cfg(test)]
impl Scratch {
    pub(super) fn clearings(&self) -> usize {
        self.caches.iter().map(Cache::clear_count).sum()
    }

    pub(super) fn bytes(&self) -> Vec<usize> {
        self.caches.iter().map(Cache::memory_usage).collect()
    }
}
