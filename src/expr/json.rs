//! Arrays and objects as text: JSON, for logs and keys.

use super::MAX_DEPTH;
use super::budget::{Fault, MAX_PRODUCED};
use super::text::number_text;
use super::value::Value;

/// # Errors
/// When it would be larger than [`MAX_PRODUCED`] or deeper than [`MAX_DEPTH`].
pub(super) fn text(value: &Value<'_>) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::new();
    write(value, &mut out, MAX_DEPTH)?;
    Ok(out)
}

fn write(value: &Value<'_>, out: &mut Vec<u8>, depth: usize) -> Result<(), Fault> {
    let depth = depth.checked_sub(1).ok_or(Fault::TooDeep)?;
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Boolean(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Number(number) => out.extend_from_slice(&number_text(*number)),
        Value::String(text) => write_text(text, out)?,
        Value::Array(array) => {
            out.push(b'[');
            for (n, element) in array.iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                write(&element, out, depth)?;
            }
            out.push(b']');
        }
        Value::Object(object) => {
            out.push(b'{');
            for (n, (name, value)) in object.iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                write_text(name, out)?;
                out.push(b':');
                write(&value, out, depth)?;
            }
            out.push(b'}');
        }
    }
    if out.len() > MAX_PRODUCED {
        return Err(Fault::TooLarge);
    }
    Ok(())
}

/// Bytes that are not UTF-8 stay as they are: whoever writes this elsewhere must escape for that place anyway.
fn write_text(text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    if out.len() + text.len() > MAX_PRODUCED {
        return Err(Fault::TooLarge);
    }
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 | 0x7F => {
                let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
    Ok(())
}
