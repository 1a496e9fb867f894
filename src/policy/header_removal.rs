//! `header-removal-flex`: header lines that upstreams, or clients, shall not see.

use super::{Request, Response, Step, headers::is_read_as};
use crate::{
    http1::Headers,
    located::{Located, Origin, Problems},
    object,
};
use regex_automata::{Input, meta::Regex, util::syntax};

object! {
    /// Configuration of `header-removal-flex`.
    pub(super) struct HeaderRemovalSpec {
        /// Names, or regular expressions over whole names, of what upstreams shall not see.
        optional "inboundHeaders" inbound: Vec<Located<String>>,
        /// The same for clients.
        optional "outboundHeaders" outbound: Vec<Located<String>>,
    }
}

#[derive(Debug)]
pub struct HeaderRemoval {
    inbound: Vec<Name>,
    outbound: Vec<Name>,
}

#[derive(Debug)]
enum Name {
    /// In lower case.
    Literal(Box<[u8]>),
    Pattern(Regex),
}

impl HeaderRemoval {
    pub(super) fn compile(
        spec: &HeaderRemovalSpec,
        origin: &Origin,
        problems: &mut Problems,
    ) -> Option<Self> {
        let before = problems.len();
        let mut list = |key: &str, written: &Option<Vec<Located<String>>>| {
            let mut names = Vec::new();
            for name in written.as_deref().unwrap_or_default() {
                match Name::compile(name) {
                    Ok(name) => names.push(name),
                    Err(message) => problems.within(key, |problems| problems.report(&name.origin, message)),
                }
            }
            names
        };
        let inbound = list("inboundHeaders", &spec.inbound);
        let outbound = list("outboundHeaders", &spec.outbound);
        if problems.len() > before {
            return None;
        }
        if inbound.is_empty() && outbound.is_empty() {
            let message = "removes nothing: name something in `inboundHeaders` or `outboundHeaders`";
            problems.report(origin, message.to_owned());
            return None;
        }
        Some(Self { inbound, outbound })
    }

    pub(super) fn on_request(&self, request: &mut Request<'_>) -> Step {
        // Also in spellings that the server behind reads as the same name, or `X_Internal` would get past `X-Internal`.
        remove(
            &self.inbound,
            &mut request.head.headers,
            request.bytes,
            is_read_as,
        );
        Step::Continue
    }

    pub(super) fn on_response(&self, response: &mut Response<'_>) {
        remove(
            &self.outbound,
            response.headers,
            response.bytes,
            <[u8]>::eq_ignore_ascii_case,
        );
    }

    pub(super) fn sees_responses(&self) -> bool {
        !self.outbound.is_empty()
    }
}

fn remove(names: &[Name], headers: &mut Headers, bytes: &[u8], same: fn(&[u8], &[u8]) -> bool) {
    if !names.is_empty() {
        headers.remove(bytes, |written, _| {
            names.iter().any(|name| name.matches(written, same)) && !is_kept(written)
        });
    }
}

fn is_kept(written: &[u8]) -> bool {
    KEPT.iter()
        .any(|kept| written.eq_ignore_ascii_case(kept.as_bytes()))
}

impl Name {
    fn compile(written: &str) -> Result<Self, String> {
        if written
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            && !written.is_empty()
        {
            let name = written.to_ascii_lowercase();
            if KEPT.contains(&name.as_str()) {
                return Err(format!("`{written}` can't be removed: {}", KEPT.join(", ")));
            }
            return Ok(Self::Literal(name.into_bytes().into()));
        }
        let anchored = format!("^(?:{written})$");
        let syntax = syntax::Config::new()
            .case_insensitive(true)
            .unicode(false)
            .utf8(false);
        let config = Regex::config()
            .utf8_empty(false)
            .nfa_size_limit(Some(MAX_PATTERN_BYTES))
            .onepass_size_limit(Some(MAX_PATTERN_BYTES));
        Regex::builder()
            .syntax(syntax)
            .configure(config)
            .build(&anchored)
            .map(Self::Pattern)
            .map_err(|error| match error.syntax_error() {
                Some(_) => format!("`{written}` is neither a header's name nor a regular expression"),
                None => format!("`{written}` is too large a regular expression"),
            })
    }

    fn matches(&self, written: &[u8], same: fn(&[u8], &[u8]) -> bool) -> bool {
        match self {
            Self::Literal(name) => same(written, name),
            Self::Pattern(pattern) => {
                pattern.is_match(Input::new(written).anchored(regex_automata::Anchored::Yes))
            }
        }
    }
}

/// Of the vendor's list, and left alone by whatever happens to match them; messages without them are other messages, or none.
const KEPT: [&str; 7] = [
    "accept",
    "host",
    "content-type",
    "content-length",
    "date",
    "transfer-encoding",
    "connection",
];

const MAX_PATTERN_BYTES: usize = 256 * 1024;
