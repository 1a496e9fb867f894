//! An answer from the store.

use super::store::Stored;
use crate::{
    clock::Tick,
    http1::encode,
    policy::{Answer, Request, Step},
};

/// Also to a conditional request, which what is stored may answer with 304 (RFC 9111 §4.3.2).
pub(super) fn answer(request: &mut Request<'_>, stored: &Stored, since: Tick) -> Step {
    let unchanged = stored.status == 200 && is_unchanged(request, stored);
    for (name, value) in &stored.lines {
        // RFC 9110 §15.4.5: what a 304 repeats is what the client keeps its copy by.
        if !unchanged
            || TOLD_OF_UNCHANGED
                .iter()
                .any(|told| name.eq_ignore_ascii_case(told.as_bytes()))
        {
            let _ = request.reply.append(name, value);
        }
    }
    // What an origin says of an age may be the largest number there is.
    let age = (stored.age).saturating_add(request.context.now.saturating_sub(since) / 1000);
    let mut digits = Vec::with_capacity(20);
    encode::decimal(&mut digits, age);
    request.reply("Age", &digits);
    if unchanged {
        return Step::Answer(Answer::empty(304));
    }
    Step::Answer(Answer {
        status: stored.status,
        body: Some(stored.body.clone()),
        refusal: None,
    })
}

fn is_unchanged(request: &Request<'_>, stored: &Stored) -> bool {
    let line = |name: &str| {
        let mut lines = stored.lines.iter();
        lines
            .find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| &**value)
    };
    let mut asked = request.values("if-none-match").peekable();
    if asked.peek().is_some() {
        let Some(tag) = line("etag").map(opaque) else {
            return false;
        };
        return asked.any(|value| value == b"*" || tags(value).any(|one| opaque(one) == tag));
    }
    // The same date, letter by letter: what another server's clock says later or earlier needs no interpreting.
    let mut since = request.values("if-modified-since");
    let modified = line("last-modified");
    modified.is_some() && since.next() == modified && since.next().is_none()
}

/// Weak comparison (RFC 9110 §8.8.3.2).
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// A list of entity tags. Commas may stand in them.
fn tags(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let start = rest.iter().position(|&byte| byte == b'"')?;
        let end = start + 1 + rest[start + 1..].iter().position(|&byte| byte == b'"')?;
        let tag = &rest[start..=end];
        rest = &rest[end + 1..];
        Some(tag)
    })
}

const TOLD_OF_UNCHANGED: [&str; 6] = [
    "cache-control",
    "content-location",
    "date",
    "etag",
    "expires",
    "vary",
];
