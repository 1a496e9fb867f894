//! Query parameters, read from the query string as it was sent: `application/x-www-form-urlencoded`, in which `+` is a
//! space. A percent sign without two hex digits stands for itself.

use super::budget::{Budget, Fault};
use super::text::PIECE_COST;
use std::borrow::Cow;

/// The value of the first parameter of this name.
pub(super) fn param<'q>(
    query: Cow<'q, [u8]>,
    name: &[u8],
    budget: &mut Budget,
) -> Result<Option<Cow<'q, [u8]>>, Fault> {
    budget.work(query.len() * PIECE_COST)?;
    match query {
        Cow::Borrowed(query) => {
            let found = pairs(query).find(|(key, _)| decodes_to(key, name));
            found.map(|(_, value)| decode(value, budget)).transpose()
        }
        Cow::Owned(query) => {
            let found = pairs(&query).find(|(key, _)| decodes_to(key, name));
            let value = found.map(|(_, value)| decode(value, budget)).transpose()?;
            Ok(value.map(|value| Cow::Owned(value.into_owned())))
        }
    }
}

/// Names and values as sent, without empty pairs.
pub(super) fn pairs(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let equals = memchr::memchr(b'=', pair);
            equals.map_or((pair, &[][..]), |at| (&pair[..at], &pair[at + 1..]))
        })
}

/// Borrowed where there is nothing to decode.
pub(super) fn decode<'q>(text: &'q [u8], budget: &mut Budget) -> Result<Cow<'q, [u8]>, Fault> {
    if memchr::memchr2(b'%', b'+', text).is_none() {
        return Ok(Cow::Borrowed(text));
    }
    budget.produce(text.len())?;
    Ok(Cow::Owned(Decoded(text).collect()))
}

fn decodes_to(encoded: &[u8], name: &[u8]) -> bool {
    // Decoding never makes a text longer.
    encoded.len() >= name.len() && Decoded(encoded).eq(name.iter().copied())
}

struct Decoded<'q>(&'q [u8]);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        let digit = |n: usize| char::from(*rest.get(n)?).to_digit(16);
        if first == b'%'
            && let (Some(high), Some(low)) = (digit(0), digit(1))
        {
            self.0 = &rest[2..];
            return u8::try_from(high * 16 + low).ok();
        }
        self.0 = rest;
        Some(if first == b'+' { b' ' } else { first })
    }
}
