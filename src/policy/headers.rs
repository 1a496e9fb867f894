//! Header lines that policies add to what goes to an upstream, in the place of whatever the client sent.

use super::Request;
use crate::{
    http1::{NotALine, is_token},
    located::{Located, Problems},
};

/// Reports a name that is none, or not a policy's to write. `key` is the field's; empty for an element of a list.
pub(super) fn check_forwarded(key: &str, name: &Located<String>, problems: &mut Problems) {
    let message = if !is_token(name.as_bytes()) {
        format!("`{}` is no header name", name.value)
    } else if FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
        format!("`{}` is written by the gateway itself", name.value)
    } else {
        return;
    };
    if key.is_empty() {
        problems.report(&name.origin, message);
    } else {
        problems.within(key, |problems| problems.report(&name.origin, message));
    }
}

/// One line, instead of all that may be taken for it behind us; none where there is no value.
///
/// # Errors
/// The value is that of no line; then there is none.
pub(super) fn set_forwarded(
    request: &mut Request<'_>,
    name: &str,
    value: Option<&[u8]>,
) -> Result<(), NotALine> {
    let bytes = request.bytes;
    let headers = &mut request.head.headers;
    headers.remove(bytes, |written, _| is_read_as(written, name.as_bytes()));
    value.map_or(Ok(()), |value| headers.append(name.as_bytes(), value))
}

/// Whether a line of the one name may be read as one of the other: CGI and its heirs make an underscore of each mark.
pub(super) fn is_read_as(written: &[u8], name: &[u8]) -> bool {
    let folded = |byte: &u8| {
        if byte.is_ascii_alphanumeric() {
            byte.to_ascii_lowercase()
        } else {
            b'_'
        }
    };
    written.len() == name.len() && written.iter().map(folded).eq(name.iter().map(folded))
}

/// Of one connection, or of one message's frame.
pub(super) const FRAMING: [&str; 13] = [
    "connection",
    "content-length",
    "date",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
