//! Replies the gateway makes itself. One place turns a fault into a status, headers and a small JSON body.

use crate::{
    fault::{Fault, Kind, Side},
    http1::{Headers, Known, encode},
};

/// The status a client is told. Where no reply is possible (the client is gone) the number still stands in the
/// record: 499, nginx's for a client that closed.
pub fn status(fault: &Fault) -> u16 {
    match (fault.kind, fault.side) {
        (Kind::Malformed, Side::Client) => 400,
        (Kind::TargetTooLong, _) => 414,
        (Kind::HeadTooLarge, Side::Client) => 431,
        (Kind::BodyTooLarge, Side::Client) => 413,
        (Kind::MethodNotAllowed, _) => 405,
        (Kind::NotImplemented, Side::Client) => 501,
        (Kind::VersionNotSupported, Side::Client) => 505,
        (Kind::ExpectationFailed, _) => 417,
        (Kind::Loop, _) => 508,
        (Kind::Rejected, _) => 400,
        (Kind::Unauthorized, _) => 401,
        (Kind::Forbidden, _) => 403,
        (Kind::RateLimited, _) => 429,
        (Kind::NoRoute, _) => 404,
        (Kind::Unavailable | Kind::Overflow, _) => 503,
        (Kind::TimedOut, Side::Client) => 408,
        (Kind::TimedOut, _) => 504,
        (Kind::Closed | Kind::Truncated, Side::Client) => 499,
        (Kind::Drained, _) => 503,
        (Kind::Internal, _) => 500,
        // What an origin did wrong is all the same to a client.
        (
            Kind::Malformed
            | Kind::HeadTooLarge
            | Kind::BodyTooLarge
            | Kind::NotImplemented
            | Kind::VersionNotSupported
            | Kind::Refused
            | Kind::Closed
            | Kind::Truncated
            | Kind::CertificateExpired
            | Kind::CertificateName
            | Kind::CertificateUntrusted
            | Kind::TlsFailed,
            _,
        ) => 502,
    }
}

/// What the reply must say beside its status.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    pub date: &'a [u8],
    pub keep_alive: bool,
    /// An HTTP/1.0 client must be told that the connection stays.
    pub http10: bool,
    /// A reply to HEAD says the length of the body it leaves out (RFC 9110 §9.3.2).
    pub head: bool,
    /// Lines that policies add.
    pub added: &'a Headers,
}

/// Appends the head of a policy's own answer, with the lines that policies add; `length` is that of the content, which is
/// the caller's to write.
pub fn answer(out: &mut Vec<u8>, status: u16, length: Option<usize>, terms: Terms<'_>) {
    start(out, status, b"", false, terms);
    // RFC 9110 §8.6: neither has content, and of 304 the length would be another answer's.
    if !matches!(status, 204 | 304) {
        out.extend_from_slice(b"Content-Length: ");
        encode::decimal(out, length.unwrap_or(0) as u64);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the whole reply.
pub fn fault(out: &mut Vec<u8>, fault: &Fault, terms: Terms<'_>) {
    let status = status(fault);
    let extra: &[u8] = match status {
        405 => b"Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n",
        // Sound to ask again soon: a connection or an address may be there by then.
        503 => b"Retry-After: 1\r\n",
        _ => b"",
    };
    start(out, status, extra, true, terms);
    out.extend_from_slice(b"Content-Type: application/json\r\nContent-Length: ");
    encode::decimal(
        out,
        (BODY_START.len() + fault.detail.len() + BODY_END.len()) as u64,
    );
    out.extend_from_slice(b"\r\n\r\n");
    if !terms.head {
        // `detail` is ours and holds nothing that JSON would have to escape; a test looks.
        out.extend_from_slice(BODY_START);
        out.extend_from_slice(fault.detail.as_bytes());
        out.extend_from_slice(BODY_END);
    }
}

/// `OPTIONS *`, and OPTIONS that may be forwarded no further: what this gateway itself can do.
pub fn options(out: &mut Vec<u8>, terms: Terms<'_>) {
    start(
        out,
        204,
        b"Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n",
        false,
        terms,
    );
    out.extend_from_slice(b"\r\n");
}

/// To a connection beyond the cap, without having read a byte of it.
pub const TOO_MANY_CONNECTIONS: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n\
Content-Type: application/json\r\nContent-Length: 33\r\n\r\n{\"error\": \"too many connections\"}";

/// To a client that speaks plain text where TLS is spoken; such a client cannot be told in any other way.
pub const PLAIN_TEXT: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n\
Content-Length: 56\r\n\r\nThis port speaks TLS: ask for https:// instead of http.\n";

/// RFC 9110 §10.1.1.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

const BODY_START: &[u8] = b"{\"error\": \"";
const BODY_END: &[u8] = b"\"}";

/// `typed` says that the caller writes the content type.
fn start(out: &mut Vec<u8>, status: u16, extra: &[u8], typed: bool, terms: Terms<'_>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    encode::decimal(out, status.into());
    out.push(b' ');
    out.extend_from_slice(reason(status).as_bytes());
    out.extend_from_slice(b"\r\n");
    // One from a cache keeps the date of the answer that was stored.
    if !terms.added.adds(Known::Date) {
        for part in [b"Date: ", terms.date, b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    out.extend_from_slice(extra);
    // Of what the content is there is one line already, where it is the gateway's own.
    let own = |name: &[u8]| typed && name.eq_ignore_ascii_case(b"content-type");
    for (name, value) in terms.added.pairs(b"").filter(|(name, _)| !own(name)) {
        for part in [name, b": ", value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    if !terms.keep_alive {
        out.extend_from_slice(b"Connection: close\r\n");
    } else if terms.http10 {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        508 => "Loop Detected",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Phase;

    fn terms(added: &Headers) -> Terms<'_> {
        Terms {
            date: b"Thu, 01 Jan 1970 00:00:00 GMT",
            keep_alive: true,
            http10: false,
            head: false,
            added,
        }
    }

    #[test]
    fn the_length_is_that_of_the_body() {
        let fault_ = Fault::gateway(Kind::NoRoute, Phase::Route, "no route matches");
        let mut out = Vec::new();
        fault(&mut out, &fault_, terms(&Headers::default()));
        let text = String::from_utf8(out).expect("ASCII");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert_eq!(body, "{\"error\": \"no route matches\"}");
        assert!(
            head.contains(&format!("Content-Length: {}", body.len())),
            "{head}"
        );
        assert!(head.starts_with("HTTP/1.1 404 Not Found\r\n"), "{head}");
        assert!(!head.contains("Connection"), "{head}");
    }

    #[test]
    fn head_gets_the_head_alone_and_a_closing_one_says_so() {
        let mut out = Vec::new();
        let fault_ = Fault::upstream(Kind::Refused, Phase::Connect, "refused");
        fault(
            &mut out,
            &fault_,
            Terms {
                head: true,
                keep_alive: false,
                ..terms(&Headers::default())
            },
        );
        let text = String::from_utf8(out).expect("ASCII");
        assert!(
            text.ends_with("\r\n\r\n") && text.contains("Connection: close"),
            "{text}"
        );
    }

    #[test]
    fn the_fixed_replies_are_framed() {
        for reply in [TOO_MANY_CONNECTIONS, PLAIN_TEXT] {
            let text = std::str::from_utf8(reply).expect("ASCII");
            let (head, body) = text.split_once("\r\n\r\n").expect("a head");
            assert!(
                format!("{head}\r\n").contains(&format!("Content-Length: {}\r\n", body.len())),
                "{} {head}",
                body.len()
            );
        }
    }
}
