//! `(?!…)` without backtracking: a pattern is split into what must match and what must not.
//!
//! `P(?!B)S`, anchored at both ends, accepts w when w = p·s with p in P, s in S and no B at the start of s. If w can be cut
//! after P in one way only, that is "w in PS, and not in PB.*", two automata. Two ways to cut break it: with `a*(?!b).*`, the
//! text `aab` is accepted after cutting behind one `a`, yet it is in `a*b.*`. The cut is unique exactly when P is prefix-free
//! (no text of P begins with another text of P), which [`super::pattern`] decides on P's automaton. Everything else is refused.
//!
//! Captured groups are those of PS: the cut being the same for each way to match w, the look-ahead rules out all or none.

use std::ops::Range;

#[derive(Debug)]
pub(super) struct Split {
    /// The pattern without its look-aheads.
    pub(super) accepted: String,
    pub(super) refused: Vec<Refused>,
}

#[derive(Debug)]
pub(super) struct Refused {
    /// What stands before the look-ahead; must be prefix-free.
    pub(super) prefix: String,
    /// What stands in it.
    pub(super) body: String,
    /// Prefix, body, anything.
    pub(super) pattern: String,
}

/// Reads no more of the syntax than it must: escapes, classes, groups, `|`; the regex parser judges the rest.
///
/// # Errors
/// What linear-time matching can't do, or what means one thing in RE2 and another to the parser behind this.
pub(super) fn split(pattern: &str) -> Result<Split, String> {
    let scanned = Scanner::new(pattern).run()?;
    let mut accepted = String::with_capacity(pattern.len());
    let mut copied = 0;
    let mut refused = Vec::with_capacity(scanned.lookaheads.len());
    for lookahead in &scanned.lookaheads {
        for &group in &lookahead.within {
            let Group {
                alternates, repeated, ..
            } = scanned.groups[group];
            if alternates {
                return Err(UNDER_ALTERNATION.to_owned());
            }
            if repeated {
                return Err(IN_REPETITION.to_owned());
            }
        }
        accepted.push_str(&pattern[copied..lookahead.whole.start]);
        copied = lookahead.whole.end;
        let body = &pattern[lookahead.body.clone()];
        let closing = ")".repeat(lookahead.within.len() - 1);
        refused.push(Refused {
            prefix: format!("{accepted}{closing}"),
            body: body.to_owned(),
            pattern: format!("{accepted}(?:{body})(?s-u:.)*{closing}"),
        });
        // Not nothing: the tokens on both sides must not grow together.
        accepted.push_str("(?:)");
    }
    accepted.push_str(&pattern[copied..]);
    Ok(Split { accepted, refused })
}

pub(super) const AMBIGUOUS_PREFIX: &str = "what stands before `(?!…)` can end in several places, so the look-ahead has no \
     one place to look from; begin the pattern with it, as in `(?!.*/internal).*`, or put a text before it that ends in one \
     place, as in `/api/(?!internal/).*` or `/[^/]+/(?!internal/).*`";
pub(super) const ASSERTION_IN_PREFIX: &str = "`$`, `\\b` and the like before `(?!…)` are not supported; write the text itself, or begin the pattern with the look-ahead";
const UNDER_ALTERNATION: &str = "`(?!…)` in a branch of `|` is not supported; make each branch a rule of its own, one of a route's rules has to match";
const IN_REPETITION: &str = "`(?!…)` inside a repetition is not supported; for \"nowhere in it\" begin the pattern with `(?!.*…)`, as in `(?!.*admin).*`";
const REPEATED: &str = "a repetition of `(?!…)` itself is not supported; leave the repetition away";
const NESTED: &str =
    "`(?!…)` inside `(?!…)` is not supported; write what has to match in plain words instead";
const POSITIVE: &str =
    "look-ahead `(?=…)` is not supported; write what has to follow as a part of the pattern";
const BEHIND: &str = "look-behind `(?<=…)` and `(?<!…)` are not supported; write what stands before as a part of the pattern, \
     or begin the pattern with `(?!…)`";
const ATOMIC: &str =
    "atomic groups `(?>…)` are not supported; write `(?:…)`: matching takes linear time without them";
const BACKREFERENCE: &str =
    "backreferences are not supported, they can't be matched in linear time; write the text out";
const CLASS: &str =
    "`[`, `&&`, `--` and `~~` inside `[…]` mean different things in different dialects; put `\\` before them";
const FLAGS: &str = "of the flags only `i`, `m`, `s`, `U` and `u` are supported";
const UNCLOSED: &str = "unclosed group";

struct Scanner<'p> {
    pattern: &'p [u8],
    groups: Vec<Group>,
    /// Indices into `groups`, outermost (the pattern itself) first.
    open: Vec<usize>,
    lookaheads: Vec<Lookahead>,
    in_lookahead: bool,
}

struct Group {
    start: usize,
    lookahead: bool,
    alternates: bool,
    repeated: bool,
}

struct Lookahead {
    whole: Range<usize>,
    body: Range<usize>,
    within: Vec<usize>,
}

impl<'p> Scanner<'p> {
    fn new(pattern: &'p str) -> Self {
        Self {
            pattern: pattern.as_bytes(),
            groups: vec![Group {
                start: 0,
                lookahead: false,
                alternates: false,
                repeated: false,
            }],
            open: vec![0],
            lookaheads: Vec::new(),
            in_lookahead: false,
        }
    }

    fn run(mut self) -> Result<Self, String> {
        let mut at = 0;
        while let Some(&byte) = self.pattern.get(at) {
            at = match byte {
                b'\\' => self.escape(at)?,
                b'[' => self.class(at)?,
                b'(' => self.enter(at)?,
                b')' => self.leave(at)?,
                b'|' => {
                    let innermost = *self.open.last().expect("the pattern itself is never left");
                    self.groups[innermost].alternates = true;
                    at + 1
                }
                _ => at + 1,
            };
        }
        if self.open.len() > 1 {
            return Err(UNCLOSED.to_owned());
        }
        Ok(self)
    }

    fn escape(&self, at: usize) -> Result<usize, String> {
        match self.pattern.get(at + 1) {
            Some(b'1'..=b'9' | b'k') => Err(BACKREFERENCE.to_owned()),
            _ => Ok(at + 2),
        }
    }

    /// RE2 has no classes within classes and no set operations; taking them as the parser would might guard less than written.
    fn class(&self, at: usize) -> Result<usize, String> {
        let mut at = at + 1;
        at += usize::from(self.pattern.get(at) == Some(&b'^'));
        at += usize::from(self.pattern.get(at) == Some(&b']'));
        loop {
            match self.pattern.get(at..).unwrap_or_default() {
                [] => return Err("unclosed character class".to_owned()),
                [b'\\', ..] => at += 2,
                [b']', ..] => return Ok(at + 1),
                [b'[', b':', rest @ ..] => {
                    let name = rest
                        .iter()
                        .take_while(|byte| byte.is_ascii_alphabetic() || **byte == b'^')
                        .count();
                    if !rest[name..].starts_with(b":]") {
                        return Err(CLASS.to_owned());
                    }
                    at += 2 + name + 2;
                }
                [b'[', ..] | [b'&', b'&', ..] | [b'-', b'-', ..] | [b'~', b'~', ..] => {
                    return Err(CLASS.to_owned());
                }
                _ => at += 1,
            }
        }
    }

    fn enter(&mut self, at: usize) -> Result<usize, String> {
        let rest = &self.pattern[at + 1..];
        let mut lookahead = false;
        let mut skip = 1;
        match rest {
            [b'?', b'!', ..] => {
                if self.in_lookahead {
                    return Err(NESTED.to_owned());
                }
                self.in_lookahead = true;
                lookahead = true;
                skip = 3;
            }
            [b'?', b'=', ..] => return Err(POSITIVE.to_owned()),
            [b'?', b'<', b'=' | b'!', ..] => return Err(BEHIND.to_owned()),
            [b'?', b'>', ..] => return Err(ATOMIC.to_owned()),
            [b'?', b'P', b'=', ..] => return Err(BACKREFERENCE.to_owned()),
            [b'?', b'<', ..] | [b'?', b'P', b'<', ..] => {}
            [b'?', flags @ ..] => {
                let length = flags
                    .iter()
                    .take_while(|byte| byte.is_ascii_alphabetic() || **byte == b'-')
                    .count();
                if !flags[..length].iter().all(|flag| b"imsUu-".contains(flag)) {
                    return Err(FLAGS.to_owned());
                }
                if flags.get(length) == Some(&b')') {
                    return Ok(at + 2 + length + 1);
                }
                skip = 2;
            }
            _ => {}
        }
        self.groups.push(Group {
            start: at,
            lookahead,
            alternates: false,
            repeated: false,
        });
        self.open.push(self.groups.len() - 1);
        Ok(at + skip)
    }

    fn leave(&mut self, at: usize) -> Result<usize, String> {
        if self.open.len() == 1 {
            return Err("unopened group: `)` without `(`".to_owned());
        }
        let index = self.open.pop().expect("checked");
        let repeated = matches!(self.pattern.get(at + 1), Some(b'*' | b'+' | b'?' | b'{'));
        let group = &mut self.groups[index];
        group.repeated = repeated;
        if group.lookahead {
            if repeated {
                return Err(REPEATED.to_owned());
            }
            self.in_lookahead = false;
            self.lookaheads.push(Lookahead {
                whole: group.start..at + 1,
                body: group.start + 3..at,
                within: self.open.clone(),
            });
        }
        Ok(at + 1)
    }
}
