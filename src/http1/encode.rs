//! Heads for the next hop, appended to a buffer by copying alone: no formatting machinery.
//!
//! A head is written from what was understood of the one that came: same meaning, same order of lines, but
//! framing, connection and forwarding lines are ours. Nothing of the other hop's framing survives.

use super::{Added, Framing, Headers, Known, RequestHead, ResponseHead, Version};

/// What a request says to the origin beyond what the client said.
#[derive(Debug, Clone, Copy)]
pub struct Forwarding<'a> {
    pub method: &'a [u8],
    /// Path and query as the origin shall see them.
    pub target: &'a [u8],
    pub host: &'a [u8],
    /// Added to X-Forwarded-For. Without a port. Empty where there is none to tell.
    pub client_address: &'a [u8],
    /// How the client came: `http` or `https`.
    pub scheme: &'a [u8],
    /// What origins are told of the certificate a client has shown. Empty where nothing is.
    pub client_certificate: &'a [u8],
    /// The client's Host. Empty where it sent none.
    pub original_host: &'a [u8],
    /// Used if the client sent none.
    pub request_id: &'a [u8],
    /// Our pseudonym (RFC 9110 §7.6.3).
    pub via: &'a [u8],
    pub framing: Framing,
    /// As to be sent, already counted down where that is due.
    pub max_forwards: Option<u32>,
    /// Offer what the client offered in [`RequestHead::upgrade`].
    pub upgrade: bool,
}

/// What a response says to the client beyond what the origin said.
#[derive(Debug, Clone, Copy)]
pub struct Answering<'a> {
    pub version_of_client: Version,
    /// How the body will be sent. Never chunked to HTTP/1.0.
    pub framing: Framing,
    /// Whether the client's connection stays open. A close-delimited body says close, whatever this says.
    pub keep_alive: bool,
    /// Added when the origin sent none (RFC 9110 §6.6.1).
    pub date: &'a [u8],
    pub via: &'a [u8],
    /// Switch to what the origin switched to, [`ResponseHead::upgrade`].
    pub upgrade: bool,
}

/// `head_bytes` are what `head` was parsed from.
pub fn request(out: &mut Vec<u8>, head_bytes: &[u8], head: &RequestHead, f: &Forwarding<'_>) {
    out.reserve(head_bytes.len() + f.target.len() + f.host.len() + 2 * f.original_host.len() + ROOM_FOR_OURS);
    put(
        out,
        &[f.method, b" ", f.target, b" HTTP/1.1\r\nHost: ", f.host, b"\r\n"],
    );
    lines(out, head_bytes, &head.headers, NOT_TO_ORIGINS);
    let added = head.headers.added();
    added_lines(out, added);

    appended(
        out,
        b"X-Forwarded-For: ",
        head_bytes,
        &head.headers,
        Known::XForwardedFor,
        &[f.client_address],
    );
    if !added.has(Known::XForwardedProto) {
        put(out, &[b"X-Forwarded-Proto: ", f.scheme, b"\r\n"]);
    }
    if !f.client_certificate.is_empty() && !added.has(Known::XForwardedClientCert) {
        put(
            out,
            &[b"X-Forwarded-Client-Cert: ", f.client_certificate, b"\r\n"],
        );
    }
    if !f.original_host.is_empty() && !added.has(Known::XForwardedHost) {
        put(out, &[b"X-Forwarded-Host: ", f.original_host, b"\r\n"]);
    }
    via(out, head_bytes, &head.headers, head.version, f.via);
    if !head.headers.has(Known::XRequestId) && !added.has(Known::XRequestId) && !f.request_id.is_empty() {
        put(out, &[b"X-Request-Id: ", f.request_id, b"\r\n"]);
    }
    if let Some(hops) = f.max_forwards {
        put(out, &[b"Max-Forwards: "]);
        decimal(out, u64::from(hops));
        put(out, &[b"\r\n"]);
    }
    match f.framing {
        Framing::Length(length) => content_length(out, length),
        Framing::Chunked => put(out, &[b"Transfer-Encoding: chunked\r\n"]),
        // RFC 9110 §8.6: where the method means a body, that there is none is said. Some answer 411 otherwise.
        Framing::None if matches!(f.method, b"POST" | b"PUT" | b"PATCH") => {
            content_length(out, 0);
        }
        Framing::None | Framing::UntilClose => {}
    }
    match head.upgrade {
        Some(protocols) if f.upgrade => switch(out, protocols.of(head_bytes)),
        _ => {}
    }
    out.extend_from_slice(b"\r\n");
}

/// A final response, or the 101 that ends HTTP on this connection.
pub fn response(out: &mut Vec<u8>, head_bytes: &[u8], head: &ResponseHead, a: &Answering<'_>) {
    debug_assert!(a.version_of_client == Version::Http11 || a.framing != Framing::Chunked);
    out.reserve(head_bytes.len() + ROOM_FOR_OURS);
    status_line(out, head_bytes, head);
    lines(out, head_bytes, &head.headers, NOT_TO_CLIENTS);
    let added = head.headers.added();
    added_lines(out, added);

    if !head.headers.has(Known::Date) && !added.has(Known::Date) {
        put(out, &[b"Date: ", a.date, b"\r\n"]);
    }
    via(out, head_bytes, &head.headers, head.version, a.via);
    match (a.framing, head.content_length) {
        (Framing::Length(length), _) => content_length(out, length),
        (Framing::Chunked, _) => put(out, &[b"Transfer-Encoding: chunked\r\n"]),
        // RFC 9110 §8.6: to HEAD and 304 it says what GET would have had; 1xx and 204 must not have it.
        (Framing::None, Some(length)) if !matches!(head.status, 100..=199 | 204) => {
            content_length(out, length);
        }
        (Framing::None | Framing::UntilClose, _) => {}
    }
    match head.upgrade {
        Some(protocol) if a.upgrade => switch(out, protocol.of(head_bytes)),
        _ if !a.keep_alive || a.framing == Framing::UntilClose => put(out, &[b"Connection: close\r\n"]),
        _ if a.version_of_client == Version::Http10 => put(out, &[b"Connection: keep-alive\r\n"]),
        _ => {}
    }
    out.extend_from_slice(b"\r\n");
}

/// An interim response (1xx but 101) on its way to a client of HTTP/1.1.
pub fn interim(out: &mut Vec<u8>, head_bytes: &[u8], head: &ResponseHead) {
    out.reserve(head_bytes.len() + ROOM_FOR_OURS);
    status_line(out, head_bytes, head);
    lines(out, head_bytes, &head.headers, NOT_IN_INTERIM);
    out.extend_from_slice(b"\r\n");
}

/// Appends `n` in decimal digits.
pub fn decimal(out: &mut Vec<u8>, mut n: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends `n` in hexadecimal digits, in lower case.
pub fn hex(out: &mut Vec<u8>, n: u64) {
    let (digits, length) = hex_digits(n);
    out.extend_from_slice(&digits[..length]);
}

/// The line before a chunk of `length` bytes: the first so many bytes of the array. `length` must not be 0,
/// which would end the body: see [`LAST_CHUNK`]. CRLF follows the data.
pub fn chunk_prefix(length: usize) -> ([u8; 18], usize) {
    debug_assert!(length > 0);
    let (digits, count) = hex_digits(length as u64);
    let mut line = [0; 18];
    line[..count].copy_from_slice(&digits[..count]);
    line[count..count + 2].copy_from_slice(b"\r\n");
    (line, count + 2)
}

/// The end of a chunked body; trailers are not forwarded.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

fn hex_digits(n: u64) -> ([u8; 16], usize) {
    let mut digits = [0; 16];
    let count = (n.checked_ilog2().unwrap_or(0) / 4 + 1) as usize;
    for (place, digit) in digits[..count].iter_mut().rev().enumerate() {
        *digit = b"0123456789abcdef"[(n >> (4 * place)) as usize & 0xf];
    }
    (digits, count)
}

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn status_line(out: &mut Vec<u8>, head_bytes: &[u8], head: &ResponseHead) {
    let digit = |n: u16| b'0' + (n % 10) as u8;
    let status = [
        digit(head.status / 100),
        digit(head.status / 10),
        digit(head.status),
    ];
    // The space stays when there is no reason (RFC 9112 §4).
    put(
        out,
        &[b"HTTP/1.1 ", &status, b" ", head.reason.of(head_bytes), b"\r\n"],
    );
}

/// Every line but those named in `dropped` and those of this hop only.
#[inline]
fn lines(out: &mut Vec<u8>, head_bytes: &[u8], headers: &Headers, dropped: u32) {
    let copy = |out: &mut Vec<u8>, run: std::ops::Range<usize>| {
        if !run.is_empty() {
            out.extend_from_slice(&head_bytes[run]);
        }
    };
    // Neighbours that stay as they were sent are one copy.
    let mut run = 0..0;
    for line in headers.iter() {
        if dropped & line.known.bit() != 0 || line.hop_by_hop {
            continue;
        }
        let (start, end) = (line.name.start as usize, line.value.end as usize + b"\r\n".len());
        if line.canonical && start == run.end {
            run.end = end;
            continue;
        }
        copy(out, run);
        run = start..end;
        if !line.canonical {
            run = 0..0;
            put(
                out,
                &[
                    line.name.of(head_bytes),
                    b": ",
                    line.value.of(head_bytes),
                    b"\r\n",
                ],
            );
        }
    }
    copy(out, run);
}

fn added_lines(out: &mut Vec<u8>, added: &Added) {
    if added.is_empty() {
        return;
    }
    for (name, value) in added.pairs() {
        put(out, &[name, b": ", value, b"\r\n"]);
    }
}

/// One line that holds the list as it came, over however many lines, with an element added (of `parts`).
/// Nothing where both are empty.
fn appended(
    out: &mut Vec<u8>,
    name: &[u8],
    head_bytes: &[u8],
    headers: &Headers,
    known: Known,
    parts: &[&[u8]],
) {
    if !headers.has(known) {
        if parts.iter().any(|part| !part.is_empty()) {
            out.extend_from_slice(name);
            put(out, parts);
            out.extend_from_slice(b"\r\n");
        }
        return;
    }
    let before = out.len();
    out.extend_from_slice(name);
    let empty = out.len();
    for line in headers.find(known).filter(|line| !line.value.is_empty()) {
        if out.len() > empty {
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(line.value.of(head_bytes));
    }
    if parts.iter().any(|part| !part.is_empty()) {
        if out.len() > empty {
            out.extend_from_slice(b", ");
        }
        put(out, parts);
    }
    if out.len() == empty {
        out.truncate(before);
    } else {
        out.extend_from_slice(b"\r\n");
    }
}

/// RFC 9110 §7.6.3: the version is the one in which the message came.
fn via(out: &mut Vec<u8>, head_bytes: &[u8], headers: &Headers, received: Version, pseudonym: &[u8]) {
    let version: &[u8] = if received == Version::Http10 {
        b"1.0 "
    } else {
        b"1.1 "
    };
    appended(
        out,
        b"Via: ",
        head_bytes,
        headers,
        Known::Via,
        &[version, pseudonym],
    );
}

fn content_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"Content-Length: ");
    decimal(out, length);
    out.extend_from_slice(b"\r\n");
}

fn switch(out: &mut Vec<u8>, protocols: &[u8]) {
    put(out, &[b"Connection: upgrade\r\nUpgrade: ", protocols, b"\r\n"]);
}

/// What concerns one hop (RFC 9110 §7.6.1). TE and Trailer with it, since trailers are not passed on;
/// Proxy-Authorization, since it is meant for us.
const HOP_BY_HOP: u32 = Known::Connection.bit()
    | Known::KeepAlive.bit()
    | Known::ProxyConnection.bit()
    | Known::Te.bit()
    | Known::Trailer.bit()
    | Known::TransferEncoding.bit()
    | Known::Upgrade.bit()
    | Known::Http2Settings.bit()
    | Known::ProxyAuthenticate.bit()
    | Known::ProxyAuthorization.bit();

/// And what is written anew.
const NOT_TO_ORIGINS: u32 = HOP_BY_HOP
    | Known::Host.bit()
    | Known::ContentLength.bit()
    | Known::Expect.bit()
    | Known::MaxForwards.bit()
    // Believed by origins, so nobody but us may have written it.
    | Known::XForwardedClientCert.bit()
    | Known::XForwardedFor.bit()
    | Known::XForwardedHost.bit()
    | Known::XForwardedProto.bit()
    | Known::Via.bit();
const NOT_TO_CLIENTS: u32 = HOP_BY_HOP | Known::ContentLength.bit() | Known::Via.bit();
const NOT_IN_INTERIM: u32 = HOP_BY_HOP | Known::ContentLength.bit();

/// For the names and short values of our lines, so that a head is written after one reservation.
const ROOM_FOR_OURS: usize = 512;

#[cfg(test)]
mod tests;
