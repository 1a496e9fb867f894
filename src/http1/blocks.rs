//! Sixteen bytes at a time. Most parts of a head are a few dozen bytes long: there a vector routine chosen by CPU at run
//! time spends more on being called than on looking. These are the instructions every CPU of an architecture has, inlined.

use wide::u8x16;

/// Where, from `at` on, the first byte stands that `stops`; the length of `bytes` where there is none. `mark` must answer
/// 0xff for each such byte, and may for others.
#[inline(always)]
pub(super) fn find(
    bytes: &[u8],
    mut at: usize,
    mark: impl Fn(u8x16) -> u8x16,
    stops: impl Fn(u8) -> bool,
) -> usize {
    let marks = |block: [u8; 16]| mark(u8x16::new(block)).to_bitmask();
    while at < bytes.len() {
        let marks = if let Some(block) = bytes[at..].first_chunk() {
            marks(*block)
        } else if let Some(block) = bytes.last_chunk() {
            // The last 16 bytes, without those before `at`.
            marks(*block) >> (16 - (bytes.len() - at))
        } else {
            1
        };
        if marks == 0 {
            at = (at + 16).min(bytes.len());
            continue;
        }
        at += marks.trailing_zeros() as usize;
        if bytes.get(at).is_none_or(|&byte| stops(byte)) {
            break;
        }
        at += 1;
    }
    at
}

/// Bytes below `bound`, which is not 0.
#[inline(always)]
pub(super) fn below(block: u8x16, bound: u8) -> u8x16 {
    block.simd_eq(block.min(u8x16::splat(bound - 1)))
}

#[inline(always)]
pub(super) fn equal(block: u8x16, byte: u8) -> u8x16 {
    block.simd_eq(u8x16::splat(byte))
}

/// Letters and hyphens, of which most names are made.
#[inline(always)]
pub(super) fn letters_and_hyphens(block: u8x16) -> u8x16 {
    let from_a = (block | u8x16::splat(0x20)) - u8x16::splat(b'a');
    below(from_a, 26) | equal(block, b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_what_they_say() {
        let bits = |block: u8x16| block.to_bitmask();
        for byte in 0..=u8::MAX {
            for place in 0..16 {
                let mut bytes = [b'\n'; 16];
                bytes[place] = byte;
                let block = u8x16::new(bytes);
                let says = |marks: u8x16| bits(marks) >> place & 1 == 1;
                for bound in [1, 0x0e, 0x20, 0x21, 0x7f, 0x80, 0xff] {
                    assert_eq!(says(below(block, bound)), byte < bound, "{byte:#x} {bound:#x}");
                }
                assert_eq!(says(equal(block, b'?')), byte == b'?');
                let usual = byte.is_ascii_alphabetic() || byte == b'-';
                assert_eq!(says(letters_and_hyphens(block)), usual, "{byte:#x}");
            }
        }
    }

    #[test]
    fn what_stops_is_found_wherever_it_stands() {
        for length in 0..70 {
            for from in 0..=length {
                for at in from..=length {
                    // Before it what is marked and does not stop; behind it more of what stops.
                    let mut bytes = vec![b'a'; length];
                    bytes[..from].fill(b'\n');
                    if at > from {
                        bytes[from] = b'\t';
                        bytes[at - 1] = b'\t';
                    }
                    bytes[at..].fill(b'\n');
                    let found = find(&bytes, from, |block| below(block, 0x20), |byte| byte == b'\n');
                    assert_eq!(found, at, "{length} {from} {at}");
                }
            }
        }
    }
}
