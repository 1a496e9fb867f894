//! A rule's regular expression: RE2's dialect on bytes, the whole value must match.
//!
//! `.` is any byte, also a line end or one that is no UTF-8: a rule that guards `/admin/.*` must not be got round by `%FF`. Most
//! patterns have one of a few simple shapes and are compared as bytes; the others are [`super::automaton`]s.

use super::automaton::{Acceptor, Locator, is_prefix_free};
use super::lookahead::{self, AMBIGUOUS_PREFIX, ASSERTION_IN_PREFIX};
use super::scratch::Caches;
use regex_syntax::hir::{Class, Hir, HirKind, Look, literal::Extractor};
use regex_syntax::{ast, hir};

#[derive(Debug)]
pub(super) struct Pattern {
    matcher: Matcher,
    groups: Groups,
    ignore_case: bool,
    /// Every value that matches begins with one of these.
    prefixes: Vec<Box<[u8]>>,
}

#[derive(Debug)]
enum Matcher {
    /// `.*`
    Any,
    /// `/orders`
    Exact(Box<[u8]>),
    /// `/orders/.*`: begins with.
    Prefix(Box<[u8]>),
    /// `/orders(/.*)?`: itself or anything below it.
    Tree(Box<[u8]>),
    /// `GET|POST`
    OneOf(Box<[Box<[u8]>]>),
    Automata {
        accepted: Acceptor,
        refused: Option<Acceptor>,
    },
}

#[derive(Debug)]
enum Groups {
    None,
    /// One group, from this offset to the end of the value.
    From(usize),
    Anywhere(Locator),
}

/// What the capture groups of a pattern hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Captured {
    /// The pattern has no groups.
    NoGroups,
    /// The value from this offset on.
    From(usize),
    /// Appended to `out`.
    Appended,
}

impl Pattern {
    pub(super) const ANY: Self = Self {
        matcher: Matcher::Any,
        groups: Groups::None,
        ignore_case: false,
        prefixes: Vec::new(),
    };

    /// # Errors
    /// Why the pattern can't be used and what to write instead.
    pub(super) fn compile(pattern: &str, ignore_case: bool) -> Result<Self, String> {
        let split = lookahead::split(pattern)?;
        let simple = split.refused.is_empty();
        // A shape is compared ignoring case as a whole, which is right for literals only: `[^a]` ignoring case is not the letters
        // of `[^a]` ignoring case, and flags may switch it off for a part.
        if simple && !(ignore_case && pattern.contains("(?")) {
            let regex = parse(&split.accepted, false).map_err(|error| error.describe(simple))?;
            if let Some((matcher, groups)) = shape(&regex, ignore_case) {
                let prefixes = if ignore_case {
                    vec![Box::default()]
                } else {
                    prefixes(&regex)
                };
                return Ok(Self {
                    matcher,
                    groups,
                    ignore_case,
                    prefixes,
                });
            }
        }
        let regex = parse(&split.accepted, ignore_case).map_err(|error| error.describe(simple))?;
        let refused = compile_refused(&split.refused, ignore_case)?;
        let groups = match regex.properties().explicit_captures_len() {
            0 => Groups::None,
            _ => Groups::Anywhere(Locator::compile(&regex)?),
        };
        let prefixes = prefixes(&regex);
        let matcher = Matcher::Automata {
            accepted: Acceptor::compile(&regex)?,
            refused,
        };
        Ok(Self {
            matcher,
            groups,
            ignore_case,
            prefixes,
        })
    }

    pub(super) fn matches(&self, value: &[u8], caches: &mut Caches) -> bool {
        let same = |a: &[u8], b: &[u8]| {
            if self.ignore_case {
                a.eq_ignore_ascii_case(b)
            } else {
                a == b
            }
        };
        let begins = |literal: &[u8]| value.len() >= literal.len() && same(&value[..literal.len()], literal);
        match &self.matcher {
            Matcher::Any => true,
            Matcher::Exact(literal) => same(value, literal),
            Matcher::Prefix(literal) => begins(literal),
            Matcher::Tree(literal) => {
                begins(literal) && value.get(literal.len()).is_none_or(|&next| next == b'/')
            }
            Matcher::OneOf(literals) => literals.iter().any(|literal| same(value, literal)),
            Matcher::Automata { accepted, refused } => {
                accepted.accepts(value, caches)
                    && !refused.as_ref().is_some_and(|not| not.accepts(value, caches))
            }
        }
    }

    #[inline]
    pub(super) fn matches_everything(&self) -> bool {
        matches!(self.matcher, Matcher::Any)
    }

    /// True when all that begins with its one prefix matches, and nothing is captured.
    pub(super) fn is_prefix(&self) -> bool {
        let whole = match &self.matcher {
            Matcher::Any => true,
            Matcher::Prefix(literal) => self.prefixes == [literal.clone()],
            _ => false,
        };
        whole && !self.ignore_case && matches!(self.groups, Groups::None)
    }

    /// The groups in a value that matches.
    pub(super) fn capture(&self, value: &[u8], caches: &mut Caches, out: &mut Vec<u8>) -> Captured {
        match &self.groups {
            Groups::None => Captured::NoGroups,
            Groups::From(start) => Captured::From(*start),
            Groups::Anywhere(locator) => {
                locator.concatenate_groups(value, caches, out);
                Captured::Appended
            }
        }
    }

    /// Every value that matches begins with one of these; empty for [`Self::ANY`], which any value begins with.
    pub(super) fn prefixes(&self) -> &[Box<[u8]>] {
        &self.prefixes
    }
}

/// The look-aheads of a pattern as one automaton.
fn compile_refused(refused: &[lookahead::Refused], ignore_case: bool) -> Result<Option<Acceptor>, String> {
    let mut branches = Vec::with_capacity(refused.len());
    for lookahead in refused {
        parse(&lookahead.body, ignore_case)
            .map_err(|error| format!("in `(?!…)`: {}", error.describe(false)))?;
        let prefix = parse(&lookahead.prefix, ignore_case).map_err(|error| error.describe(false))?;
        // `^` means the same whatever follows; `$` and `\b` would look beyond the prefix.
        let mut looks = prefix.properties().look_set();
        looks.set_remove(Look::Start);
        if !looks.is_empty() {
            return Err(ASSERTION_IN_PREFIX.to_owned());
        }
        let properties = prefix.properties();
        let fixed_length =
            properties.minimum_len().is_some() && properties.minimum_len() == properties.maximum_len();
        if !fixed_length && is_prefix_free(&prefix) != Some(true) {
            return Err(AMBIGUOUS_PREFIX.to_owned());
        }
        branches.push(parse(&lookahead.pattern, ignore_case).map_err(|error| error.describe(false))?);
    }
    if branches.is_empty() {
        Ok(None)
    } else {
        Acceptor::compile(&Hir::alternation(branches)).map(Some)
    }
}

fn parse(pattern: &str, ignore_case: bool) -> Result<Hir, SyntaxError> {
    let mut parser = regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .dot_matches_new_line(true)
        .case_insensitive(ignore_case)
        .nest_limit(NEST_LIMIT)
        .build();
    parser
        .parse(pattern)
        .map_err(|error| SyntaxError(Box::new(error)))
}

struct SyntaxError(Box<regex_syntax::Error>);

impl SyntaxError {
    /// One line; the column only where the text parsed is the text the user wrote.
    fn describe(&self, with_column: bool) -> String {
        let (what, column) = match &*self.0 {
            regex_syntax::Error::Parse(error) => {
                let what = match error.kind() {
                    ast::ErrorKind::RepetitionCountInvalid
                    | ast::ErrorKind::RepetitionCountUnclosed
                    | ast::ErrorKind::RepetitionCountDecimalEmpty
                    | ast::ErrorKind::RepetitionMissing
                    | ast::ErrorKind::DecimalEmpty
                    | ast::ErrorKind::DecimalInvalid => {
                        format!(
                            "{}; `*`, `+`, `?` and `{{` that stand for themselves are written `\\*`, `\\{{`; any one segment is `[^/]+`",
                            error.kind()
                        )
                    }
                    kind => kind.to_string(),
                };
                (what, error.span().start.column)
            }
            regex_syntax::Error::Translate(error) => {
                let what = match error.kind() {
                    hir::ErrorKind::UnicodeNotAllowed => {
                        "patterns match bytes, so Unicode classes need `(?u:…)` around them".to_owned()
                    }
                    kind => kind.to_string(),
                };
                (what, error.span().start.column)
            }
            other => (other.to_string(), 0),
        };
        if with_column && column > 0 {
            format!("{what} (character {column})")
        } else {
            what
        }
    }
}

/// The simple shape of a regex, if it has one.
fn shape(regex: &Hir, ignore_case: bool) -> Option<(Matcher, Groups)> {
    if let Some(found) = Shape::of(regex) {
        let groups = found.group.map_or(Groups::None, Groups::From);
        let literal = found.literal.into_boxed_slice();
        let matcher = match found.tail {
            Tail::None => Matcher::Exact(literal),
            Tail::Any if literal.is_empty() => Matcher::Any,
            Tail::Any => Matcher::Prefix(literal),
            Tail::Below => Matcher::Tree(literal),
        };
        return Some((matcher, groups));
    }
    let properties = regex.properties();
    // The extractor takes assertions for the empty text, and enumerated classes can't be compared ignoring case.
    if ignore_case || !properties.look_set().is_empty() || properties.explicit_captures_len() > 0 {
        return None;
    }
    let texts = Extractor::new().limit_total(MAX_TEXTS).extract(regex);
    if !texts.is_exact() {
        return None;
    }
    let texts = texts
        .literals()?
        .iter()
        .map(|text| text.as_bytes().into())
        .collect();
    Some((Matcher::OneOf(texts), Groups::None))
}

/// A literal and at most one tail, with at most one group that reaches to the end.
#[derive(Default)]
struct Shape {
    literal: Vec<u8>,
    tail: Tail,
    group: Option<usize>,
    group_closed: bool,
    /// After a tail or `$` nothing but the end of the group may come.
    ended: bool,
}

#[derive(Default, PartialEq, Eq)]
enum Tail {
    #[default]
    None,
    Any,
    /// `(/.*)?`
    Below,
}

impl Shape {
    fn of(regex: &Hir) -> Option<Self> {
        let mut shape = Self::default();
        shape.take(regex).then_some(shape)
    }

    fn take(&mut self, regex: &Hir) -> bool {
        match regex.kind() {
            HirKind::Empty => true,
            HirKind::Look(Look::Start) => self.literal.is_empty() && !self.ended,
            HirKind::Look(Look::End) => {
                self.ended = true;
                true
            }
            HirKind::Concat(parts) => parts.iter().all(|part| self.take(part)),
            HirKind::Capture(capture) => {
                // Not at a group's end: what follows would not belong to it, and it would not reach to the end.
                if self.ended || self.group.is_some() {
                    return false;
                }
                self.group = Some(self.literal.len());
                let simple = self.take(&capture.sub);
                self.group_closed = true;
                simple
            }
            _ if self.ended || self.group_closed => false,
            HirKind::Literal(literal) => {
                self.literal.extend_from_slice(&literal.0);
                true
            }
            HirKind::Repetition(repetition) => {
                self.ended = true;
                if is_anything(regex) {
                    self.tail = Tail::Any;
                    return true;
                }
                if (repetition.min, repetition.max) != (0, Some(1)) {
                    return false;
                }
                self.tail = Tail::Below;
                match repetition.sub.kind() {
                    HirKind::Capture(capture) if self.group.is_none() => {
                        self.group = Some(self.literal.len());
                        is_below(&capture.sub)
                    }
                    _ => is_below(&repetition.sub),
                }
            }
            _ => false,
        }
    }
}

/// `/.*`
fn is_below(regex: &Hir) -> bool {
    let HirKind::Concat(parts) = regex.kind() else {
        return false;
    };
    matches!(&parts[..], [slash, rest]
        if matches!(slash.kind(), HirKind::Literal(literal) if *literal.0 == *b"/") && is_anything(rest))
}

/// `.*`, any bytes whatsoever.
fn is_anything(regex: &Hir) -> bool {
    let HirKind::Repetition(repetition) = regex.kind() else {
        return false;
    };
    let every_byte = match repetition.sub.kind() {
        HirKind::Class(Class::Bytes(class)) => {
            matches!(class.ranges(), [range] if (range.start(), range.end()) == (0, u8::MAX))
        }
        _ => false,
    };
    every_byte && (repetition.min, repetition.max) == (0, None)
}

/// Texts one of which every match begins with; the empty text when nothing better is known.
fn prefixes(regex: &Hir) -> Vec<Box<[u8]>> {
    let found = Extractor::new().limit_total(MAX_PREFIXES).extract(regex);
    let mut prefixes: Vec<Box<[u8]>> = match found.literals() {
        Some(texts) if !texts.is_empty() => texts.iter().map(|text| text.as_bytes().into()).collect(),
        _ => Vec::new(),
    };
    if prefixes.is_empty() || prefixes.iter().any(|text| text.is_empty()) {
        let mut literal = Vec::new();
        leading_literal(regex, &mut literal);
        prefixes = vec![literal.into_boxed_slice()];
    }
    prefixes
}

/// Appends the literal a regex begins with. Returns whether that is all of it.
fn leading_literal(regex: &Hir, literal: &mut Vec<u8>) -> bool {
    match regex.kind() {
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(text) => {
            literal.extend_from_slice(&text.0);
            true
        }
        HirKind::Concat(parts) => parts.iter().all(|part| leading_literal(part, literal)),
        HirKind::Capture(capture) => leading_literal(&capture.sub, literal),
        _ => false,
    }
}

/// Texts compared one by one; above this a DFA is faster.
const MAX_TEXTS: usize = 16;
/// Index entries one rule may have.
const MAX_PREFIXES: usize = 16;
/// Depth of nested groups; the parser recurses.
const NEST_LIMIT: u32 = 100;

#[cfg(test)]
mod tests;
