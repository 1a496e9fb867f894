//! What is done with texts. A text is bytes; where characters count, each that is UTF-8 is one, and each byte that is
//! not is one. What comes of a borrowed text is borrowed where it is a part of it.

use super::budget::Fault;
use memchr::{memchr, memmem};
use std::borrow::Cow;

/// The parts of a text between separators, found when they are asked for.
#[derive(Debug, Clone)]
pub(super) struct Parts<'a> {
    text: Cow<'a, [u8]>,
    /// When empty, each character is a part.
    separator: Cow<'a, [u8]>,
}

/// Where a text is taken apart into pieces that may be a byte long, what each byte costs, in bytes looked at: finding the next
/// piece takes as long as skipping a few.
pub(super) const PIECE_COST: usize = 4;

/// Walks over [`Parts`].
#[derive(Debug, Clone)]
pub(super) struct PartsOf<'p> {
    rest: Option<&'p [u8]>,
    separator: &'p [u8],
}

impl<'a> Parts<'a> {
    pub(super) fn new(text: Cow<'a, [u8]>, separator: Cow<'a, [u8]>) -> Self {
        Self { text, separator }
    }

    /// What going through them costs, in bytes looked at.
    pub(super) fn scan_cost(&self) -> usize {
        self.text.len() * PIECE_COST
    }

    pub(super) fn count(&self) -> usize {
        match &*self.separator {
            [byte] => memchr::memchr_iter(*byte, &self.text).count() + 1,
            [] => count_characters(&self.text),
            separator => memmem::find_iter(&self.text, separator).count() + 1,
        }
    }

    pub(super) fn reborrow(&self) -> Parts<'_> {
        Parts {
            text: Cow::Borrowed(&self.text),
            separator: Cow::Borrowed(&self.separator),
        }
    }

    pub(super) fn iter(&self) -> PartsOf<'_> {
        PartsOf::new(&self.text, &self.separator)
    }

    /// The part at this index, from the end when negative.
    pub(super) fn take(self, index: i64) -> Option<Cow<'a, [u8]>> {
        let place = if index < 0 {
            self.count().checked_add_signed(index as isize)?
        } else {
            index as usize
        };
        match &self.text {
            Cow::Borrowed(text) => PartsOf::new(text, &self.separator)
                .nth(place)
                .map(|part| Cow::Borrowed(within(text, part))),
            Cow::Owned(text) => PartsOf::new(text, &self.separator)
                .nth(place)
                .map(|part| Cow::Owned(part.to_vec())),
        }
    }

    /// Each part as a text of its own.
    pub(super) fn each(self, visit: &mut dyn FnMut(Cow<'a, [u8]>) -> Result<(), Fault>) -> Result<(), Fault> {
        match &self.text {
            Cow::Borrowed(text) => PartsOf::new(text, &self.separator)
                .try_for_each(|part| visit(Cow::Borrowed(within(text, part)))),
            Cow::Owned(text) => {
                PartsOf::new(text, &self.separator).try_for_each(|part| visit(Cow::Owned(part.to_vec())))
            }
        }
    }
}

impl<'p> PartsOf<'p> {
    fn new(text: &'p [u8], separator: &'p [u8]) -> Self {
        let nothing = separator.is_empty() && text.is_empty();
        Self {
            rest: (!nothing).then_some(text),
            separator,
        }
    }
}

impl<'p> Iterator for PartsOf<'p> {
    type Item = &'p [u8];

    fn next(&mut self) -> Option<&'p [u8]> {
        let rest = self.rest?;
        if self.separator.is_empty() {
            let (part, behind) = rest.split_at(character_length(rest));
            self.rest = (!behind.is_empty()).then_some(behind);
            return Some(part);
        }
        let Some(at) = find(rest, self.separator) else {
            self.rest = None;
            return Some(rest);
        };
        self.rest = Some(&rest[at + self.separator.len()..]);
        Some(&rest[..at])
    }
}

/// Where `part` lies in `text`, with the lifetime of `text`: `part` was borrowed by way of something shorter.
fn within<'t>(text: &'t [u8], part: &[u8]) -> &'t [u8] {
    let start = (part.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
    &text[start..start + part.len()]
}

/// One byte is looked for without building a searcher.
pub(super) fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    match what {
        [byte] => memchr(*byte, text),
        _ => memmem::find(text, what),
    }
}

pub(super) fn find_last(text: &[u8], what: &[u8]) -> Option<usize> {
    match what {
        [byte] => memchr::memrchr(*byte, text),
        _ => memmem::rfind(text, what),
    }
}

/// A part of a text, borrowed where the text is.
pub(super) fn part(text: Cow<'_, [u8]>, range: std::ops::Range<usize>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[range]),
        Cow::Owned(mut text) => {
            text.truncate(range.end);
            text.drain(..range.start);
            Cow::Owned(text)
        }
    }
}

/// Without what is at most a space at both ends, as Java trims.
pub(super) fn trim(text: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let kept = |byte: &u8| *byte > b' ';
    let start = text.iter().position(kept).unwrap_or(text.len());
    let end = text.iter().rposition(kept).map_or(start, |last| last + 1);
    part(text, start..end)
}

pub(super) fn lower(text: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if text.is_ascii() {
        if !text.iter().any(u8::is_ascii_uppercase) {
            return text;
        }
        let mut text = text.into_owned();
        text.make_ascii_lowercase();
        return Cow::Owned(text);
    }
    each_valid(&text, |valid, out| {
        out.extend_from_slice(valid.to_lowercase().as_bytes());
    })
}

pub(super) fn upper(text: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if text.is_ascii() {
        if !text.iter().any(u8::is_ascii_lowercase) {
            return text;
        }
        let mut text = text.into_owned();
        text.make_ascii_uppercase();
        return Cow::Owned(text);
    }
    each_valid(&text, |valid, out| {
        out.extend_from_slice(valid.to_uppercase().as_bytes());
    })
}

/// Rewrites what is UTF-8; other bytes stay.
fn each_valid<'o>(text: &[u8], rewrite: impl Fn(&str, &mut Vec<u8>)) -> Cow<'o, [u8]> {
    let mut out = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        rewrite(chunk.valid(), &mut out);
        out.extend_from_slice(chunk.invalid());
    }
    Cow::Owned(out)
}

pub(super) fn count_characters(text: &[u8]) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    let chunks = text.utf8_chunks();
    chunks
        .map(|chunk| chunk.valid().chars().count() + chunk.invalid().len())
        .sum()
}

/// The character at this index, from the end when negative.
pub(super) fn character(text: Cow<'_, [u8]>, index: i64) -> Option<Cow<'_, [u8]>> {
    let ascii = text.is_ascii();
    let length = if index >= 0 { 0 } else { count_characters(&text) };
    let place = usize::try_from(length as i64 + index).ok()?;
    if ascii {
        return (place < text.len()).then(|| part(text, place..place + 1));
    }
    let mut start = 0;
    for _ in 0..place {
        if start == text.len() {
            return None;
        }
        start += character_length(&text[start..]);
    }
    let rest = &text[start..];
    let length = (!rest.is_empty()).then(|| character_length(rest))?;
    Some(part(text, start..start + length))
}

/// Of the first character, in bytes. `text` is not empty.
pub(super) fn character_length(text: &[u8]) -> usize {
    let length = match text[0] {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return 1,
    };
    let valid = text
        .get(..length)
        .is_some_and(|bytes| std::str::from_utf8(bytes).is_ok());
    if valid { length } else { 1 }
}

/// As DataWeave casts a number: no needless digits, and an exponent only where the digits would be mostly zeros.
pub(super) fn number_text(number: f64) -> Vec<u8> {
    let size = number.abs();
    if number == 0.0 {
        b"0".to_vec()
    } else if (1e-7..1e21).contains(&size) {
        format!("{number}").into_bytes()
    } else {
        format!("{number:E}").into_bytes()
    }
}

/// A JSON number, as the text of a comparison with one.
pub(super) fn parse_number(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?.trim();
    // Rust would take `inf`, `nan` and `+1`.
    let number_like = text.starts_with(|c: char| c.is_ascii_digit() || c == '-')
        && text.ends_with(|c: char| c.is_ascii_digit())
        && !text.contains("--");
    if !number_like
        || text.len() > 64
        || text
            .bytes()
            .any(|byte| byte.is_ascii_alphabetic() && byte | 0x20 != b'e')
    {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}
