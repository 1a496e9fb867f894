//! A rule: conditions on path, methods, host and headers that must all hold.

use super::pattern::{Captured, Pattern};
use super::scratch::Caches;
use super::{HeaderSource, Lookup};
use std::cell::LazyCell;

/// A rule as written; whatever is absent matches everything.
#[derive(Debug, Default, Clone)]
pub struct RuleSource<'a> {
    pub path: Option<&'a str>,
    pub methods: Option<&'a str>,
    pub host: Option<&'a str>,
    /// Name and regular expression.
    pub headers: Vec<(&'a str, &'a str)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleField {
    Path,
    Methods,
    Host,
    /// Its name as written.
    Header(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleError {
    pub field: RuleField,
    /// What is wrong and what to write instead, without place.
    pub message: String,
}

/// A rule ready to match.
#[derive(Debug)]
pub struct Rule {
    path: Pattern,
    methods: Pattern,
    host: Pattern,
    /// Names in lower case.
    headers: Vec<(String, Pattern)>,
}

impl Rule {
    /// # Errors
    /// Everything that is wrong with the rule.
    pub fn compile(source: &RuleSource<'_>) -> Result<Self, Vec<RuleError>> {
        let mut errors = Vec::new();
        let mut compile = |written: Option<&str>, ignore_case, field: RuleField| {
            let compiled = written.map_or(Ok(Pattern::ANY), |pattern| Pattern::compile(pattern, ignore_case));
            compiled.unwrap_or_else(|message| {
                errors.push(RuleError { field, message });
                Pattern::ANY
            })
        };
        let path = compile(source.path, false, RuleField::Path);
        let methods = compile(source.methods, false, RuleField::Methods);
        // Host names are the same in any case (RFC 9110 §4.2.3).
        let host = compile(source.host, true, RuleField::Host);
        let headers = source
            .headers
            .iter()
            .map(|&(name, value)| {
                (
                    name.to_ascii_lowercase(),
                    compile(Some(value), false, RuleField::Header(name.to_owned())),
                )
            })
            .collect();
        for &(name, _) in &source.headers {
            if name.is_empty() || !name.bytes().all(is_token) {
                let message = format!("`{name}` is not a header name, no request can have it");
                errors.push(RuleError {
                    field: RuleField::Header(name.to_owned()),
                    message,
                });
            }
        }
        if errors.is_empty() {
            Ok(Self {
                path,
                methods,
                host,
                headers,
            })
        } else {
            Err(errors)
        }
    }

    /// `path` is what lies below the base path, `host` is without port.
    pub(super) fn matches<'h, H: HeaderSource>(
        &self,
        path: &[u8],
        host: &LazyCell<&'h [u8], impl FnOnce() -> &'h [u8]>,
        lookup: &Lookup<'_, H>,
        caches: &mut Caches,
    ) -> bool {
        self.path.matches(path, caches)
            && self.methods.matches(lookup.method, caches)
            && (self.host.matches_everything() || self.host.matches(host, caches))
            && self.headers.iter().all(|(name, pattern)| {
                lookup
                    .headers
                    .any_value(name, &mut |value| pattern.matches(value, caches))
            })
    }

    /// True when no request can fail it. Not always true where none can: `.*` is seen, `(.|..)*` is not.
    pub(super) fn matches_everything(&self) -> bool {
        let patterns = [&self.path, &self.methods, &self.host];
        patterns.into_iter().all(Pattern::matches_everything) && self.headers.is_empty()
    }

    /// True when every path below its prefix matches, whatever else the request is, and none is captured of.
    pub(super) fn is_prefix(&self) -> bool {
        self.path.is_prefix()
            && self.methods.matches_everything()
            && self.host.matches_everything()
            && self.headers.is_empty()
    }

    pub(super) fn capture(&self, path: &[u8], caches: &mut Caches, out: &mut Vec<u8>) -> Captured {
        self.path.capture(path, caches, out)
    }

    /// Every path that matches begins with one of these; empty when all paths match.
    pub(super) fn path_prefixes(&self) -> &[Box<[u8]>] {
        self.path.prefixes()
    }
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
