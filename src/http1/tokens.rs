//! The grammar of a head (RFC 9112 §3 to §5): where its parts lie. What they mean is [`super::parse`]'s matter.
//!
//! Stricter than the RFC asks: one space where there is a space, CRLF at each end of line, no folded lines. Tests compare
//! every verdict with that of `httparse`, which has read more traffic than we have.

use super::parse::{HeadError, HeadErrorKind, Version};
use super::{Headers, Range, blocks, is_field_content, is_tchar};
use wide::u8x16;

/// `method SP target SP version CRLF`
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestLine {
    pub method: Range,
    /// Never empty.
    pub target: Range,
    /// Where the first `?` stands, or else the target's end.
    pub path_end: u32,
    /// The target has a byte that no URI has.
    pub odd: bool,
    pub version: Version,
    /// Where the header lines begin.
    pub end: usize,
}

/// `version SP status [ SP reason ] CRLF`
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StatusLine {
    pub version: Version,
    /// Three digits.
    pub status: u16,
    pub reason: Range,
    pub end: usize,
}

pub(super) fn request_line(head: &[u8]) -> Result<RequestLine, HeadError> {
    const MALFORMED: HeadError = HeadError::malformed("malformed request line");
    let method_end = end_of_token(head, 0);
    if method_end == 0 || head.get(method_end) != Some(&b' ') {
        return Err(MALFORMED);
    }
    let start = method_end + 1;
    let (mut path_end, mut odd) = (None, false);
    let mut end = start;
    loop {
        end = blocks::find(head, end, notable_in_target, |byte| {
            !(0x21..0x7f).contains(&byte) || matches!(byte, b'?' | b'#' | b'\\')
        });
        match head.get(end) {
            Some(b'?') => path_end = path_end.or(Some(end)),
            Some(b'#' | b'\\' | 0x80..) => odd = true,
            _ => break,
        }
        end += 1;
    }
    if end == start || head.get(end) != Some(&b' ') {
        return Err(MALFORMED);
    }
    if odd && std::str::from_utf8(&head[start..end]).is_err() {
        return Err(MALFORMED);
    }
    let version = version(head, end + 1).ok_or_else(|| unknown_version(head))?;
    Ok(RequestLine {
        method: range(0, method_end),
        target: range(start, end),
        path_end: path_end.unwrap_or(end) as u32,
        odd,
        version,
        end: line_end(head, end + 1 + VERSION_LENGTH)?,
    })
}

pub(super) fn status_line(head: &[u8]) -> Result<StatusLine, HeadError> {
    const MALFORMED: HeadError = HeadError::malformed("malformed status line");
    const MALFORMED_VERSION: HeadError = HeadError::malformed("malformed version");
    let version = version(head, 0).ok_or(MALFORMED_VERSION)?;
    let Some(&[space, hundreds, tens, ones]) = head[VERSION_LENGTH..].first_chunk() else {
        return Err(MALFORMED);
    };
    if space != b' ' {
        return Err(MALFORMED_VERSION);
    }
    let mut status = 0;
    for digit in [hundreds, tens, ones] {
        if !digit.is_ascii_digit() {
            return Err(MALFORMED);
        }
        status = status * 10 + u16::from(digit - b'0');
    }
    let after = VERSION_LENGTH + 4;
    let start = match head.get(after) {
        Some(b' ') => after + 1,
        Some(b'\r') => after,
        _ => return Err(MALFORMED),
    };
    let end = end_of_text(head, start);
    Ok(StatusLine {
        version,
        status,
        reason: range(start, end),
        end: line_end(head, end).map_err(|_| MALFORMED)?,
    })
}

/// Puts the lines from `at` to the empty line at the end of `head` into `headers`, `limit` of them at most.
#[inline]
pub(super) fn header_lines(
    head: &[u8],
    mut at: usize,
    headers: &mut Headers,
    limit: usize,
) -> Result<(), HeadError> {
    headers.clear();
    while head.get(at) != Some(&b'\r') {
        let name_end = end_of_token(head, at);
        if name_end == at || head.get(name_end) != Some(&b':') {
            return Err(HeadError::malformed("malformed header name"));
        }
        let mut start = name_end + 1;
        while let Some(b' ' | b'\t') = head.get(start) {
            start += 1;
        }
        let end = end_of_text(head, start);
        let next = line_end(head, end).map_err(|_| HeadError::malformed("malformed header value"))?;
        let mut value_end = end;
        while value_end > start && matches!(head[value_end - 1], b' ' | b'\t') {
            value_end -= 1;
        }
        if headers.lines.len() == limit {
            return Err(HeadError::new(HeadErrorKind::TooLarge, "too many header lines"));
        }
        // `Name: value`, as nearly all lines are written.
        let canonical = start == name_end + 2 && head[name_end + 1] == b' ' && value_end == end;
        headers.push(head, range(at, name_end), range(start, value_end), canonical);
        at = next;
    }
    if line_end(head, at)? == head.len() {
        Ok(())
    } else {
        Err(HeadError::malformed("malformed head"))
    }
}

/// The end of the token that begins at `at`, which is `at` where none does.
#[inline]
fn end_of_token(head: &[u8], at: usize) -> usize {
    blocks::find(
        head,
        at,
        |block| !blocks::letters_and_hyphens(block),
        |byte| !is_tchar(byte),
    )
}

/// The end of what may stand in a field value or a reason.
#[inline]
fn end_of_text(head: &[u8], at: usize) -> usize {
    blocks::find(
        head,
        at,
        |block| blocks::below(block, 0x20) | blocks::equal(block, 0x7f),
        |byte| !is_field_content(byte),
    )
}

/// What ends a target, what divides it, and what it may not hold.
#[inline(always)]
fn notable_in_target(block: u8x16) -> u8x16 {
    // Below `!`, and DEL and beyond, which wrap around to it.
    let from_del = block - u8x16::splat(0x7f);
    blocks::below(from_del, 0x21 + 0x81)
        | blocks::equal(block, b'?')
        | blocks::equal(block, b'#')
        | blocks::equal(block, b'\\')
}

/// Where the line after the CRLF at `at` begins.
#[inline]
fn line_end(head: &[u8], at: usize) -> Result<usize, HeadError> {
    match head.get(at..at + 2) {
        Some(b"\r\n") => Ok(at + 2),
        _ => Err(HeadError::malformed("malformed line end")),
    }
}

#[inline]
fn version(head: &[u8], at: usize) -> Option<Version> {
    const HTTP_11: u64 = u64::from_ne_bytes(*b"HTTP/1.1");
    const HTTP_10: u64 = u64::from_ne_bytes(*b"HTTP/1.0");
    match u64::from_ne_bytes(*head.get(at..)?.first_chunk()?) {
        HTTP_11 => Some(Version::Http11),
        HTTP_10 => Some(Version::Http10),
        _ => None,
    }
}

/// RFC 9112 §2.3: `HTTP/` DIGIT `.` DIGIT. Of that form but not ours: 505. Anything else is no HTTP.
#[cold]
fn unknown_version(head: &[u8]) -> HeadError {
    let line = &head[..memchr::memchr(b'\r', head).unwrap_or(head.len())];
    let written = line.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    let form = matches!(
        written,
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9']
    );
    // Exactly two spaces: `GET  / HTTP/2.0` is as malformed as it is in HTTP/1.1.
    if form && line.iter().filter(|&&byte| byte == b' ').count() == 2 {
        HeadError::new(HeadErrorKind::VersionNotSupported, "version not supported")
    } else {
        HeadError::malformed("malformed version")
    }
}

#[inline]
fn range(start: usize, end: usize) -> Range {
    Range {
        start: start as u32,
        end: end as u32,
    }
}

const VERSION_LENGTH: usize = b"HTTP/1.1".len();

#[cfg(test)]
mod tests;
