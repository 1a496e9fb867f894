//! Eight bytes at a time, as one number. Most parts of a head are a few dozen bytes long: there a vector routine chosen by
//! CPU at run time spends more on being called than on looking, and plain arithmetic is the same on every CPU.
//!
//! The marks below answer with the top bit of each byte that they mark; no byte's answer depends on its neighbours.

/// Where, from `at` on, the first byte stands that `stops`; the length of `bytes` where there is none. `mark` must mark
/// each such byte, and may mark others.
#[inline(always)]
pub(super) fn find(
    bytes: &[u8],
    mut at: usize,
    mark: impl Fn(u64) -> u64,
    stops: impl Fn(u8) -> bool,
) -> usize {
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let marks = mark(u64::from_le_bytes(*eight));
        if marks == 0 {
            at += 8;
            continue;
        }
        at += (marks.trailing_zeros() / 8) as usize;
        if bytes.get(at).is_some_and(|&byte| stops(byte)) {
            return at;
        }
        at += 1;
    }
    while let Some(&byte) = bytes.get(at) {
        if stops(byte) {
            break;
        }
        at += 1;
    }
    at
}

/// Where, from `at` on, the first 16 bytes begin of which `any` says that they may hold what is looked for, or fewer
/// are left. `any` is a loop without exit over its block, which compilers turn into a few vector instructions.
#[inline(always)]
pub(super) fn skip_blocks(bytes: &[u8], mut at: usize, any: impl Fn(&[u8; 16]) -> bool) -> usize {
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk)
        && !any(block)
    {
        at += 16;
    }
    at
}

/// ASCII bytes below `bound`, which is at most 0x80.
#[inline(always)]
pub(super) fn below(word: u64, bound: u8) -> u64 {
    !((word & !TOP) + each(0x80 - bound)) & !word & TOP
}

/// Bytes equal to `byte`, which is ASCII.
#[inline(always)]
pub(super) fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ each(byte), 1)
}

/// Bytes that are not ASCII.
#[inline(always)]
pub(super) fn beyond_ascii(word: u64) -> u64 {
    word & TOP
}

/// Letters and hyphens, of which most names are made.
#[inline(always)]
pub(super) fn letters_and_hyphens(word: u64) -> u64 {
    let lower = word | each(0x20);
    below(lower, b'z' + 1) & !below(lower, b'a') | equal(word, b'-')
}

/// The top bit of each byte.
pub(super) const TOP: u64 = each(0x80);

const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_what_they_say_whatever_stands_beside() {
        for byte in 0..=u8::MAX {
            for other in 0..=u8::MAX {
                for place in [0, 3, 7] {
                    let mut bytes = [other; 8];
                    bytes[place] = byte;
                    let word = u64::from_le_bytes(bytes);
                    let says = |marks: u64| {
                        assert_eq!(marks & !TOP, 0);
                        marks >> (8 * place + 7) & 1 == 1
                    };
                    for bound in [1, 0x0e, 0x20, 0x21, 0x7f, 0x80] {
                        assert_eq!(says(below(word, bound)), byte < bound, "{byte:#x} {bound:#x}");
                    }
                    assert_eq!(says(equal(word, b'?')), byte == b'?');
                    assert_eq!(says(equal(word, 0x7f)), byte == 0x7f);
                    assert_eq!(says(beyond_ascii(word)), !byte.is_ascii());
                    let usual = byte.is_ascii_alphabetic() || byte == b'-';
                    assert_eq!(says(letters_and_hyphens(word)), usual, "{byte:#x}");
                }
            }
        }
    }

    #[test]
    fn what_stops_is_found_wherever_it_stands() {
        for length in 0..40 {
            for from in 0..=length {
                // Marked and not stopping: a tab before the line feed.
                for at in from..=length {
                    let mut bytes = vec![b'a'; length];
                    bytes[..at].fill(b'\t');
                    bytes[from.min(at)..at].fill(b'b');
                    if at > from {
                        bytes[from] = b'\t';
                    }
                    if at < length {
                        bytes[at] = b'\n';
                    }
                    let found = find(&bytes, from, |word| below(word, 0x20), |byte| byte == b'\n');
                    assert_eq!(found, at, "{length} {from} {at}");
                    let any = |block: &[u8; 16]| block.contains(&b'\n');
                    let skipped = skip_blocks(&bytes, from, any);
                    assert!(skipped <= at && (at - skipped < 16), "{length} {from} {at}");
                }
            }
        }
    }
}
