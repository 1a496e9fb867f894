//! The forms in which one value is looked at. An origin decodes once, a framework behind it perhaps once more, a database
//! takes comments for white space and all of them forget about case: each form here is what one of them would see.

/// Undoes one layer of what a value may be wrapped in: `%41`, `%u0041`, `+` for a space, `\u0041`, `\x41`, `\n`, `\'`,
/// `&#65;`, `&#x41;`, `&lt;`. All at once, since nobody here knows which of them the origin undoes: a form too many costs
/// a scan, one too few an attack. False when there was nothing to undo.
pub(super) fn unwrap(value: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    let mut changed = false;
    let mut rest = value;
    while let Some((&first, tail)) = rest.split_first() {
        let found = match first {
            b'%' => percent(tail),
            b'\\' => backslash(tail),
            b'&' => reference(tail),
            b'+' => Some((u32::from(b' '), 0)),
            _ => None,
        };
        let Some((code, taken)) = found else {
            out.push(first);
            rest = tail;
            continue;
        };
        changed = true;
        rest = &tail[taken..];
        push(code, first == b'%', out);
    }
    changed
}

/// Lower case, a run of white space and control characters as one space, NUL as nothing.
pub(super) fn fold(value: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut spaced = false;
    for &byte in value {
        match byte {
            // Some parsers end at it, some leave it out; where it is left out words grow together.
            0 => {}
            1..=b' ' | 0x7f => {
                if !spaced {
                    out.push(b' ');
                }
                spaced = true;
            }
            _ => {
                spaced = false;
                out.push(byte.to_ascii_lowercase());
            }
        }
    }
}

/// Of a folded value: SQL's comments as one space each. What MySQL takes for code within them (`/*!50000union*/`) stays.
/// False when there are none.
pub(super) fn without_comments(folded: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    let mut changed = false;
    let mut versioned = false;
    let mut rest = folded;
    while let Some(&first) = rest.first() {
        let (replaced, taken) = if let Some(inside) = rest.strip_prefix(b"/*!") {
            versioned = true;
            let digits = inside.iter().take_while(|byte| byte.is_ascii_digit()).count();
            (true, 3 + digits)
        } else if rest.starts_with(b"/*") {
            match memchr::memmem::find(&rest[2..], b"*/") {
                Some(length) => (true, length + 4),
                // It is one to the end of the statement, which is of no use to anybody but an attacker's rules.
                None => (false, rest.len()),
            }
        } else if versioned && rest.starts_with(b"*/") {
            versioned = false;
            (true, 2)
        } else {
            (false, 1)
        };
        changed |= replaced;
        if replaced {
            if out.last() != Some(&b' ') {
                out.push(b' ');
            }
        } else if taken == 1 {
            if first != b' ' || out.last() != Some(&b' ') {
                out.push(first);
            }
        } else {
            out.extend_from_slice(&rest[..taken]);
        }
        rest = &rest[taken..];
    }
    changed
}

/// Behind `%`: the code, and how many bytes it took.
fn percent(tail: &[u8]) -> Option<(u32, usize)> {
    if let [b'u' | b'U', digits @ ..] = tail {
        return Some((hex(digits.get(..4)?)?, 5));
    }
    Some((hex(tail.get(..2)?)?, 2))
}

fn backslash(tail: &[u8]) -> Option<(u32, usize)> {
    let code = match tail.first()? {
        b'u' => return Some((hex(tail.get(1..5)?)?, 5)),
        b'x' => return Some((hex(tail.get(1..3)?)?, 3)),
        b'n' | b'r' | b't' | b'b' | b'f' | b'v' => b' ',
        quote @ (b'"' | b'\'' | b'/' | b'\\' | b'`') => *quote,
        _ => return None,
    };
    Some((u32::from(code), 1))
}

/// Behind `&`, as HTML has it: the semicolon may be missing behind a number.
fn reference(tail: &[u8]) -> Option<(u32, usize)> {
    if let Some(number) = tail.strip_prefix(b"#") {
        let (digits, radix, before) = match number {
            [b'x' | b'X', digits @ ..] => (digits, 16, 2),
            digits => (digits, 10, 1),
        };
        let length = digits
            .iter()
            .take_while(|digit| char::from(**digit).is_digit(radix))
            .count();
        let text = std::str::from_utf8(&digits[..length]).ok()?;
        // Longer ones than any character needs are filled up with zeros.
        let code = u32::from_str_radix(text, radix).ok()?;
        let semicolon = usize::from(digits.get(length) == Some(&b';'));
        return Some((code, before + length + semicolon));
    }
    NAMED.iter().find_map(|(name, character)| {
        let begins = tail
            .get(..name.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(name));
        begins.then_some((u32::from(*character), name.len()))
    })
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |code, digit| {
        Some(code * 16 + char::from(*digit).to_digit(16)?)
    })
}

/// A byte of a URL is a byte, whatever the others come to; elsewhere a number is a character.
fn push(code: u32, byte: bool, out: &mut Vec<u8>) {
    match u8::try_from(code) {
        Ok(code) if byte || code.is_ascii() => out.push(code),
        _ => {
            // Full-width forms, which some databases take for the narrow ones.
            let code = if (0xff01..=0xff5e).contains(&code) {
                code - 0xfee0
            } else {
                code
            };
            let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

/// Those that hide what the rules look for.
const NAMED: &[(&[u8], u8)] = &[
    (b"lt;", b'<'),
    (b"gt;", b'>'),
    (b"quot;", b'"'),
    (b"apos;", b'\''),
    (b"amp;", b'&'),
    (b"colon;", b':'),
    (b"lpar;", b'('),
    (b"rpar;", b')'),
    (b"tab;", b' '),
    (b"newline;", b' '),
    (b"sol;", b'/'),
    (b"equals;", b'='),
];
