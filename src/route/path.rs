//! What a path means: normalisation, the second reading an origin may give it, base paths, the upstream path.
//!
//! The normalised path is both matched and forwarded, so that gateway and origin cannot see two different paths. Where
//! origins are known to differ in how they read a byte sequence (encoded separators, path parameters) the other reading is
//! computed too, and [`super::Table`] refuses what would be routed differently under it.

use memchr::{memchr, memrchr};

/// How else an origin may read the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum SecondReading {
    #[default]
    None,
    /// `%2F`, `%5C` or `\` taken for `/`.
    Separators,
    /// `;…` dropped from segments, as servlet containers do.
    Parameters,
}

/// Writes the normalised form of `raw` into `out` (emptied first).
///
/// Empty segments vanish before `..` takes its effect, so `/a//../b` is `/b`: RFC 3986 §5.2.4 alone would say `/a/b`, yet
/// origins that merge slashes read `/b`, and what is forwarded holds neither `//` nor dots for them to disagree on.
///
/// Even a path that needs no change is copied: a copy of some 30 bytes costs a few ns, and in exchange a `Scratch` outlives
/// the buffer the request was read into.
pub(super) fn normalise(raw: &[u8], out: &mut Vec<u8>) -> Result<SecondReading, &'static str> {
    out.clear();
    match raw.first() {
        Some(b'/') => {}
        None => {
            // The absolute form may leave the path away: RFC 9110 §4.2.3 makes that "/".
            out.push(b'/');
            return Ok(SecondReading::None);
        }
        Some(_) => return Err("the path does not begin with a slash"),
    }
    if is_plain(raw) {
        out.extend_from_slice(raw);
        return Ok(SecondReading::None);
    }
    let second = decode(raw, out)?;
    resolve(out)?;
    Ok(second)
}

/// Writes the second reading of the normalised `path` into `out`.
pub(super) fn read_again(path: &[u8], second: SecondReading, out: &mut Vec<u8>) -> Result<(), &'static str> {
    out.clear();
    let mut at = 0;
    while let Some(&byte) = path.get(at) {
        match second {
            SecondReading::Separators if is_encoded_separator(&path[at..]) => {
                out.push(b'/');
                at += 3;
            }
            SecondReading::Parameters if byte == b';' => {
                at = memchr(b'/', &path[at..]).map_or(path.len(), |skip| at + skip);
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    resolve(out)
}

/// Dot segments of a piece of path that is about to be put behind another path, under the loosest reading: `/`, `\` and their
/// encodings all separate, parameters are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dots {
    None,
    Inside,
    /// There are more `..` than segments before them.
    Climb,
}

pub(super) fn dots(piece: &[u8]) -> Dots {
    let mut found = Dots::None;
    let mut depth = 0_u32;
    let mut rest = piece;
    loop {
        let mut length = 0;
        let mut separator = 0;
        while length < rest.len() {
            if matches!(rest[length], b'/' | b'\\') {
                separator = 1;
                break;
            }
            if is_encoded_separator(&rest[length..]) {
                separator = 3;
                break;
            }
            length += 1;
        }
        match segment(&rest[..length]) {
            Segment::Empty => {}
            Segment::Name => depth += 1,
            Segment::Current => found = found.max(Dots::Inside),
            Segment::Parent if depth == 0 => return Dots::Climb,
            Segment::Parent => {
                depth -= 1;
                found = found.max(Dots::Inside);
            }
            Segment::DotsWithParameters => return Dots::Climb,
        }
        if separator == 0 {
            return found;
        }
        rest = &rest[length + separator..];
    }
}

/// What is left of the normalised `path` below the base path ("" or "/x/y") of `base` bytes that it begins with: None when
/// that ends within a segment, "/" when nothing is left.
pub(super) fn below(path: &[u8], base: usize) -> Option<&[u8]> {
    let rest = &path[base..];
    match rest.first() {
        None => Some(b"/"),
        Some(b'/') => Some(rest),
        Some(_) => None,
    }
}

/// The base path as [`super::Api`] wants it: normalised, without a slash at the end, "" for none.
///
/// # Errors
/// Why no request could ever match it, or not safely.
pub fn normalise_base_path(written: &str) -> Result<String, String> {
    if written.is_empty() {
        return Ok(String::new());
    }
    if written.contains(['?', '#']) {
        return Err(format!(
            "base path `{written}` holds a query or a fragment; write the path alone"
        ));
    }
    let mut out = Vec::with_capacity(written.len());
    match normalise(written.as_bytes(), &mut out)
        .map_err(|reason| format!("base path `{written}`: {reason}"))?
    {
        SecondReading::None => {}
        SecondReading::Separators => {
            return Err(format!(
                "base path `{written}` holds an encoded separator or a backslash; write `/`"
            ));
        }
        SecondReading::Parameters => {
            return Err(format!(
                "base path `{written}` holds a path parameter (`;…`), which origins may drop"
            ));
        }
    }
    if out.last() == Some(&b'/') {
        out.pop();
    }
    String::from_utf8(out).map_err(|_| format!("base path `{written}` is not text"))
}

/// True when two base paths are equal or one lies below the other, on segment borders.
pub fn overlap(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    long.strip_prefix(short)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Appends `destination_path` + `suffix` as one path: it begins with a slash, and the seam has one slash at most.
///
/// No slash is put in between: `/orders` and `foo` are `/ordersfoo`, as the arithmetic of capture groups says.
pub fn join_upstream_path(out: &mut Vec<u8>, destination_path: &str, suffix: &[u8]) {
    let destination = destination_path.as_bytes();
    let head = if suffix.first() == Some(&b'/') {
        &destination[..destination
            .iter()
            .rposition(|&byte| byte != b'/')
            .map_or(0, |last| last + 1)]
    } else {
        destination
    };
    let first = head.first().or(suffix.first());
    if first != Some(&b'/') {
        out.push(b'/');
    }
    out.extend_from_slice(head);
    out.extend_from_slice(suffix);
}

/// True when normalisation changes nothing and there is one reading only.
fn is_plain(raw: &[u8]) -> bool {
    let Some(last) = raw.last_chunk::<BLOCK>() else {
        return is_plain_short(raw);
    };
    // The last block overlaps the one before it: cheaper than a loop over what would be left.
    let mut usual = are_usual(last) & is_usual(last[BLOCK - 1]);
    let mut rest = raw;
    while rest.len() > BLOCK
        && let Some(block) = rest.first_chunk::<BLOCK>()
    {
        usual &= are_usual(block);
        rest = &rest[BLOCK - 1..];
    }
    usual || is_plain_short(raw)
}

/// The same for any length, byte by byte.
fn is_plain_short(raw: &[u8]) -> bool {
    let (mut special, mut before) = (0, 0);
    for &byte in raw {
        let class = CLASS[usize::from(byte)];
        special |= class & (SPECIAL | before << 1);
        before = class & SLASH;
    }
    special == 0
}

/// Looks at all bytes but the last, which is there to see what follows a slash. Neither loop nor exit, so that the
/// compiler compares 16 bytes at a time.
fn are_usual(block: &[u8; BLOCK]) -> bool {
    let mut usual = true;
    for at in 0..BLOCK - 1 {
        let (byte, next) = (block[at], block[at + 1]);
        usual &= is_usual(byte) & !((byte == b'/') & ((next == b'/') | (next == b'.')));
    }
    usual
}

/// Letters, digits, `-._/:` and the marks between them in ASCII: not special, and few comparisons to find out. The rest of
/// what is not special is rare in paths.
const fn is_usual(byte: u8) -> bool {
    let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    letter | (byte.wrapping_sub(b'&') <= b':' - b'&') | (byte == b'_')
}

/// What [`decode`] encodes, decodes, refuses, or takes for the beginning of a parameter.
const fn is_special(byte: u8) -> bool {
    (byte <= b'"') & (byte != b'!')
        | (byte >= b'{') & (byte != b'~')
        | (byte >= b'[') & (byte <= b'^')
        | (byte == b'#')
        | (byte == b'%')
        | (byte == b';')
        | (byte == b'<')
        | (byte == b'>')
        | (byte == b'?')
        | (byte == b'`')
}

/// 16 bytes and the one after them.
const BLOCK: usize = 17;

const SLASH: u8 = 1;
/// What may not follow a slash: `SLASH << 1`.
const SLASH_OR_DOT: u8 = 2;
const SPECIAL: u8 = 4;

const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        if is_special(byte as u8) {
            table[byte] = SPECIAL;
        }
        byte += 1;
    }
    table[b'/' as usize] = SLASH | SLASH_OR_DOT;
    table[b'.' as usize] = SLASH_OR_DOT;
    table
};

/// Copies `raw` with each byte in its one normal form; dots and slashes are left for [`resolve`].
///
/// What RFC 3986 §3.3 has no place for in a path (`"`, `|`, `{`, bytes above ASCII …) is encoded rather than passed: bare and
/// encoded it means the same to an origin, so it has to mean the same to a rule. The backslash is one of them.
fn decode(raw: &[u8], out: &mut Vec<u8>) -> Result<SecondReading, &'static str> {
    let mut separators = false;
    let mut parameters = false;
    // The byte just before if it is encoded here, for overlong UTF-8.
    let mut before: Option<u8> = None;
    let mut at = 0;
    while let Some(&byte) = raw.get(at) {
        at += 1;
        let previous = before.take();
        let value = match byte {
            b'%' => {
                let (Some(&high), Some(&low)) = (raw.get(at), raw.get(at + 1)) else {
                    return Err("the path ends inside a percent encoding");
                };
                let (Some(high), Some(low)) = (hex(high), hex(low)) else {
                    return Err("the path holds a percent sign that no two hex digits follow");
                };
                at += 2;
                high << 4 | low
            }
            b'#' => return Err("the path holds a fragment"),
            b'?' => return Err("the path holds a query"),
            b' ' => return Err("the path holds a space"),
            b'/' | b':' | b'@' | b'!' | b'$' | b'&'..=b',' | b';' | b'=' => {
                parameters |= byte == b';';
                out.push(byte);
                continue;
            }
            _ => byte,
        };
        match value {
            0..=0x1f | 0x7f => return Err("the path holds a control character"),
            b'/' | b'\\' => separators = true,
            _ => {}
        }
        if is_unreserved(value) {
            out.push(value);
        } else {
            if previous.is_some_and(|lead| is_overlong(lead, value)) {
                return Err("the path holds overlong UTF-8");
            }
            before = Some(value);
            push_triplet(out, value);
        }
    }
    match (separators, parameters) {
        // Is a separator within a parameter dropped or does it end the parameter? Origins differ, and there would be four
        // readings to compare instead of two; nobody sends this by chance.
        (true, true) => Err("the path holds both path parameters and encoded separators"),
        (true, false) => Ok(SecondReading::Separators),
        (false, true) => Ok(SecondReading::Parameters),
        (false, false) => Ok(SecondReading::None),
    }
}

/// Removes dot segments (RFC 3986 §5.2.4) and empty segments in place. `path` begins with a slash, or is empty and becomes one.
///
/// The RFC drops a `..` at the root; here it is refused, for an origin under a destination path would climb out of it.
fn resolve(path: &mut Vec<u8>) -> Result<(), &'static str> {
    let length = path.len();
    // path[..done] holds finished segments, each with its slash before it.
    let mut done = 0;
    let mut at = 0;
    let mut ends_with_slash = true;
    while at < length {
        let start = at + 1;
        let end = memchr(b'/', &path[start..]).map_or(length, |found| start + found);
        ends_with_slash = true;
        match segment(&path[start..end]) {
            Segment::Empty | Segment::Current => {}
            Segment::Parent => {
                done = memrchr(b'/', &path[..done]).ok_or("the path climbs above its root")?;
            }
            Segment::DotsWithParameters => return Err("the path holds a dot segment with a path parameter"),
            Segment::Name => {
                path.copy_within(at..end, done);
                done += end - at;
                ends_with_slash = false;
            }
        }
        at = end;
    }
    path.truncate(done);
    if ends_with_slash {
        path.push(b'/');
    }
    Ok(())
}

enum Segment {
    Empty,
    Current,
    Parent,
    /// `..;x`: a name by RFC 3986, a way up for an origin that drops parameters first. No honest client sends it.
    DotsWithParameters,
    Name,
}

fn segment(bytes: &[u8]) -> Segment {
    let Some(rest) = bytes.strip_prefix(b".") else {
        return if bytes.is_empty() {
            Segment::Empty
        } else {
            Segment::Name
        };
    };
    let (rest, plain) = match rest.strip_prefix(b".") {
        Some(rest) => (rest, Segment::Parent),
        None => (rest, Segment::Current),
    };
    match rest {
        [] => plain,
        [b';', ..] | [b'%', b'3', b'B' | b'b', ..] => Segment::DotsWithParameters,
        _ => Segment::Name,
    }
}

fn is_encoded_separator(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [b'%', b'2', b'F' | b'f', ..] | [b'%', b'5', b'C' | b'c', ..]
    )
}

/// UTF-8 that spells a character with more bytes than it needs: never valid, and how `.` and `/` were once smuggled.
fn is_overlong(lead: u8, next: u8) -> bool {
    matches!(
        (lead, next),
        (0xc0 | 0xc1, 0x80..=0xbf) | (0xe0, 0x80..=0x9f) | (0xf0, 0x80..=0x8f)
    )
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn push_triplet(out: &mut Vec<u8>, value: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(&[
        b'%',
        DIGITS[usize::from(value >> 4)],
        DIGITS[usize::from(value & 15)],
    ]);
}

/// The host of a `Host` value: no port, no dot of the DNS root, brackets of an IPv6 literal kept.
pub(super) fn host_without_port(host: &[u8]) -> &[u8] {
    let end = if host.first() == Some(&b'[') {
        memchr(b']', host).map_or(host.len(), |close| close + 1)
    } else {
        memrchr(b':', host).unwrap_or(host.len())
    };
    let name = &host[..end];
    name.strip_suffix(b".").unwrap_or(name)
}

#[cfg(test)]
mod tests;
