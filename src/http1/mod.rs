//! HTTP/1.1 as bytes: heads, body framing, encoding. No sockets, no clock; fed at every split point in tests.
//! The only place that names `httparse`, an oracle of its tests.
//!
//! Everything a peer can get wrong is refused here, before anything is forwarded. What leaves is always
//! written anew from what was understood, never passed through.
//!
//! In the order of a message: [`HeadScanner`] finds the end of a head, [`RequestHead`] or [`ResponseHead`]
//! understands it, [`BodyDecoder`] finds the content and the end of the body, [`encode`] writes for the next hop.

mod authority;
mod blocks;
pub mod body;
pub mod encode;
pub mod edits;
mod headers;
pub mod limits;
pub mod parse;
pub mod scan;
mod tokens;

pub use body::{BodyDecoder, Event, Framing, Truncated};
pub use edits::{Added, NotALine};
pub use headers::{Headers, Known, Line, Range, upgrade_agrees};
pub use limits::Limits;
pub use parse::{HeadError, HeadErrorKind, Method, RequestHead, ResponseHead, Version};
pub use scan::{HeadScanner, Scan};

/// token characters (RFC 9110 §5.6.2): methods, field names, connection options, chunk extensions.
const TCHAR: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"!#$%&'*+-.^_`|~";
    let mut n = 0;
    while n < marks.len() {
        table[marks[n] as usize] = true;
        n += 1;
    }
    table
};

#[inline]
fn is_tchar(byte: u8) -> bool {
    TCHAR[byte as usize]
}

pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_tchar(byte))
}

/// What a field value may hold (RFC 9110 §5.5): HTAB, SP, visible ASCII and obs-text. The control characters
/// and DEL are out: a peer that cuts its strings at one of them would read another value than we did.
#[inline]
fn is_field_content(byte: u8) -> bool {
    byte >= 0x20 && byte != 0x7f || byte == b'\t'
}

/// Of [`is_field_content`] alone.
pub fn is_field_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| is_field_content(byte))
}
