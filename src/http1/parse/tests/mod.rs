use proptest::prelude::*;

use super::*;
use crate::http1::{HeadScanner, Scan};

const LIMITS: Limits = Limits {
    head_bytes: 4096,
    target_bytes: 64,
    headers: 16,
};

/// The head that `scanner` finds in `bytes`, read in two pieces at every place; the verdicts must be one.
fn scan(new: fn() -> HeadScanner, bytes: &[u8]) -> Result<Vec<u8>, HeadError> {
    let verdict = |split: usize| {
        let mut scanner = new();
        match scanner.scan(&bytes[..split], &LIMITS) {
            Scan::NeedMore => scanner.scan(bytes, &LIMITS),
            verdict => verdict,
        }
    };
    let whole = verdict(bytes.len());
    for split in 0..bytes.len() {
        assert_eq!(
            verdict(split),
            whole,
            "split at {split} of {}",
            bytes.escape_ascii()
        );
    }
    match whole {
        Scan::Complete { start, end } => Ok(bytes[start..end].to_vec()),
        Scan::Refused(error) => Err(error),
        Scan::NeedMore => panic!("incomplete head {}", bytes.escape_ascii()),
    }
}

fn request(bytes: impl AsRef<[u8]>) -> Result<(Vec<u8>, RequestHead), HeadError> {
    let bytes = scan(HeadScanner::default, bytes.as_ref())?;
    let mut head = RequestHead::default();
    head.parse(&bytes, &LIMITS)?;
    Ok((bytes, head))
}

/// A proper head of `request_line` and `lines`, which each end with CRLF.
fn get(request_line: &str, lines: &str) -> (Vec<u8>, RequestHead) {
    let text = format!("{request_line}\r\n{lines}\r\n");
    request(&text).unwrap_or_else(|error| panic!("{text:?}: {}", error.detail))
}

fn with(lines: &str) -> (Vec<u8>, RequestHead) {
    get("POST / HTTP/1.1", &format!("Host: a\r\n{lines}"))
}

fn kind(bytes: impl AsRef<[u8]>) -> Option<HeadErrorKind> {
    request(bytes).err().map(|error| error.kind)
}

fn kind_with(lines: &str) -> Option<HeadErrorKind> {
    kind(format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))
}

fn text(range: Range, head: &[u8]) -> &str {
    std::str::from_utf8(range.of(head)).unwrap()
}

const MALFORMED: Option<HeadErrorKind> = Some(HeadErrorKind::Malformed);
const NOT_IMPLEMENTED: Option<HeadErrorKind> = Some(HeadErrorKind::NotImplemented);
const VERSION: Option<HeadErrorKind> = Some(HeadErrorKind::VersionNotSupported);

#[test]
fn a_request_is_taken_apart() {
    let (bytes, head) = get("GET /a/b?c=d HTTP/1.1", "Host: a.example:8080\r\nX-A:  b c \r\n");
    assert_eq!(text(head.method, &bytes), "GET");
    assert_eq!(head.method_kind, Method::Get);
    assert_eq!(text(head.target, &bytes), "/a/b?c=d");
    assert_eq!(text(head.path, &bytes), "/a/b");
    assert_eq!(text(head.query.unwrap(), &bytes), "c=d");
    assert_eq!(text(head.host.unwrap(), &bytes), "a.example:8080");
    assert_eq!(head.version, Version::Http11);
    assert_eq!(head.framing, Framing::None);
    assert!(head.keep_alive && !head.expect_continue && !head.unknown_expect && !head.asterisk_form);
    assert_eq!((head.upgrade, head.max_forwards), (None, None));
    assert_eq!(head.headers.get(&bytes, "x-a"), Some(&b"b c"[..]));
}

#[test]
fn nothing_of_a_head_is_left_for_the_next() {
    let (_, mut head) = get(
        "OPTIONS * HTTP/1.1",
        "Host: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\nMax-Forwards: 3\r\nConnection: upgrade, close\r\nUpgrade: b\r\n",
    );
    assert!(head.asterisk_form && head.expect_continue && head.upgrade.is_some());
    head.parse(b"GET / HTTP/1.0\r\n\r\n", &LIMITS).unwrap();
    assert!(!head.asterisk_form && !head.expect_continue && !head.keep_alive);
    assert_eq!(
        (head.upgrade, head.max_forwards, head.host, head.query),
        (None, None, None, None)
    );
    assert_eq!((head.framing, head.headers.lines.len()), (Framing::None, 0));
    assert!(!head.headers.has(Known::Host));
}

#[test]
fn methods_are_tokens_and_case_sensitive() {
    for (method, kind) in [
        ("GET", Method::Get),
        ("HEAD", Method::Head),
        ("POST", Method::Post),
        ("PUT", Method::Put),
        ("DELETE", Method::Delete),
        ("PATCH", Method::Patch),
        ("OPTIONS", Method::Options),
        ("TRACE", Method::Trace),
        ("CONNECT", Method::Connect),
        ("get", Method::Other),
        ("GETT", Method::Other),
        ("M-SEARCH", Method::Other),
        ("!#$%&'*+-.^_`|~", Method::Other),
    ] {
        let (bytes, head) = get(&format!("{method} / HTTP/1.1"), "Host: a\r\n");
        assert_eq!((text(head.method, &bytes), head.method_kind), (method, kind));
    }
    for method in [
        "", "G(T", "G:T", "G/T", "G\tT", "G\u{e9}T", "G\u{1}T", "\"GET\"", "{GET}", "G\u{7f}",
    ] {
        assert_eq!(
            kind(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")),
            MALFORMED,
            "{method:?}"
        );
    }
}

#[test]
fn what_may_be_repeated() {
    use Method::*;
    for method in [Get, Head, Options, Trace] {
        assert!(method.is_safe() && method.is_idempotent());
    }
    for method in [Put, Delete] {
        assert!(!method.is_safe() && method.is_idempotent());
    }
    for method in [Post, Patch, Connect, Other] {
        assert!(!method.is_safe() && !method.is_idempotent());
    }
}

#[test]
fn request_lines_have_one_form() {
    for line in [
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        " GET / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET\t/ HTTP/1.1",
        "GET /\tHTTP/1.1",
        "GET / HTTP/1.1\t",
        "GET HTTP/1.1",
        "GET  HTTP/1.1",
        "GET /",
        "GET / ",
        "GET",
        "GET / HTTP/1.1 HTTP/1.1",
        "GET / a HTTP/1.1",
        "GET / HTTP/1.1 GET /b HTTP/1.1",
        "GET / HTTP/1.1x",
        "GET / xHTTP/1.1",
        "GET /\u{b}HTTP/1.1",
        "GET /\u{c}x HTTP/1.1",
    ] {
        assert_eq!(kind(format!("{line}\r\nHost: a\r\n\r\n")), MALFORMED, "{line:?}");
    }
}

#[test]
fn versions() {
    for (version, expected) in [
        ("HTTP/1.1", None),
        ("HTTP/1.0", None),
        ("HTTP/1.2", VERSION),
        ("HTTP/1.9", VERSION),
        ("HTTP/2.0", VERSION),
        ("HTTP/3.0", VERSION),
        ("HTTP/0.9", VERSION),
        ("HTTP/0.0", VERSION),
        ("HTTP/1.10", MALFORMED),
        ("HTTP/1.01", MALFORMED),
        ("HTTP/01.1", MALFORMED),
        ("HTTP/1.22", MALFORMED),
        ("HTTP/1.4294967297", MALFORMED),
        ("HTTP/11", MALFORMED),
        ("HTTP/1,1", MALFORMED),
        ("HTTP/1.", MALFORMED),
        ("HTTP/1", MALFORMED),
        ("HTTP/2", MALFORMED),
        ("HTTP/", MALFORMED),
        ("HTTP/a.b", MALFORMED),
        ("HTTP /1.1", MALFORMED),
        ("http/1.1", MALFORMED),
        ("Http/1.1", MALFORMED),
        ("RTSP/1.0", MALFORMED),
        ("HTTPS/1.1", MALFORMED),
        ("HTTP/-1.1", MALFORMED),
        ("HTTP/1.\u{661}", MALFORMED),
    ] {
        assert_eq!(
            kind(format!("GET / {version}\r\nHost: a\r\n\r\n")),
            expected,
            "{version}"
        );
    }
    assert_eq!(kind("GET  / HTTP/2.0\r\n\r\n"), MALFORMED);
    assert_eq!(kind("GET / x HTTP/2.0\r\n\r\n"), MALFORMED);
    assert_eq!(kind("PRI * HTTP/2.0\r\n\r\n"), VERSION);
}

#[test]
fn host_is_there_once_and_valid() {
    for (lines, expected) in [
        ("", MALFORMED),
        ("Host: a\r\n", None),
        ("hOST:a\r\n", None),
        ("Host: a\r\nHost: a\r\n", MALFORMED),
        ("Host: a\r\nHOST: b\r\n", MALFORMED),
        ("Host: a\r\nX: y\r\nhost:\r\n", MALFORMED),
        ("Host:\r\n", MALFORMED),
        ("Host: \t \r\n", MALFORMED),
        ("Host: a b\r\n", MALFORMED),
        ("Host: a, b\r\n", MALFORMED),
        ("Host: http://a\r\n", MALFORMED),
        ("Host: u@a\r\n", MALFORMED),
        ("Host: <a>\r\n", MALFORMED),
        ("Host: a/b\r\n", MALFORMED),
        ("Host: a:65536\r\n", MALFORMED),
        ("Host: [::1]:80\r\n", None),
        ("Host: a\u{1}\r\n", MALFORMED),
        ("Host: caf\u{e9}\r\n", MALFORMED),
    ] {
        assert_eq!(
            kind(format!("GET / HTTP/1.1\r\n{lines}\r\n")),
            expected,
            "{lines:?}"
        );
        let in_http10 = if lines.is_empty() { None } else { expected };
        assert_eq!(
            kind(format!("GET / HTTP/1.0\r\n{lines}\r\n")),
            in_http10,
            "{lines:?}"
        );
    }
    assert_eq!(kind(b"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n"), MALFORMED);
}

#[test]
fn header_lines_have_one_form() {
    for lines in [
        "X-A : b\r\n",
        "X-A\t: b\r\n",
        " X-A: b\r\n",
        "\tX-A: b\r\n",
        ": b\r\n",
        ":\r\n",
        "X-A\r\n",
        "X A: b\r\n",
        "X\tA: b\r\n",
        "X@A: b\r\n",
        "X(A): b\r\n",
        "\"X\": b\r\n",
        "X/A: b\r\n",
        "X\u{e9}: b\r\n",
        "X\u{ad}A: b\r\n",
        "X\u{1}: b\r\n",
        "X\u{7f}: b\r\n",
        "X,A: b\r\n",
        "X;A: b\r\n",
        "X-A: b\r\n c\r\n",
        "X-A: b\r\n\tc\r\n",
        "X-A: b\r\n \r\n",
        " \r\n",
        "GET / HTTP/1.1\r\n",
        "X-A: \u{1}\r\n",
        "X-A: b\u{8}\r\n",
        "X-A: \u{b}b\r\n",
        "X-A: b\u{c}\r\n",
        "X-A: b\u{1f}c\r\n",
        "X-A: \u{7f}\r\n",
        "X-A: b\u{7f}c\r\n",
        "X-A: 0123456789abcdef0123456789abcdef\u{7f}\r\n",
        "X-A: 0123456789abcdef0123456789abcde\u{1}f\r\n",
        "X0123456789abcdef0123456789abcdef\u{7f}: b\r\n",
        "X0123456789abcdef0123456789abcde\u{1}f: b\r\n",
    ] {
        assert_eq!(kind_with(lines), MALFORMED, "{lines:?}");
        assert_eq!(
            kind(format!("POST / HTTP/1.1\r\n{lines}Host: a\r\n\r\n")),
            MALFORMED,
            "{lines:?}"
        );
    }
    for (lines, value) in [
        ("X-A:b\r\n", &b"b"[..]),
        ("X-A: \t b\tc \t\r\n", b"b\tc"),
        ("X-A:\r\n", b""),
        ("X-A: \t\r\n", b""),
        ("X-A: b: c\r\n", b"b: c"),
        ("X-A:: b\r\n", b": b"),
        ("X-A: \u{e9}\r\n", "\u{e9}".as_bytes()),
        (
            "x-a: !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\r\n",
            b"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
        ),
    ] {
        let (bytes, head) = with(lines);
        assert_eq!(head.headers.get(&bytes, "x-a"), Some(value), "{lines:?}");
    }
    let (bytes, head) = with("!#$%&'*+-.^_`|~09azAZ: b\r\n");
    assert_eq!(head.headers.get(&bytes, "!#$%&'*+-.^_`|~09azAZ"), Some(&b"b"[..]));
    assert!(request(b"GET / HTTP/1.1\r\nHost: a\r\nX: \x80\xff\r\n\r\n").is_ok());
}

#[test]
fn every_byte_in_every_place_of_a_header_line() {
    for byte in 0..=255u8 {
        let value = [b"GET / HTTP/1.1\r\nHost: a\r\nX: b", &[byte][..], b"c\r\n\r\n"].concat();
        assert_eq!(
            request(value).is_ok(),
            byte == b'\t' || byte >= 0x20 && byte != 0x7f,
            "value {byte:#x}"
        );
        let name = [b"GET / HTTP/1.1\r\nHost: a\r\nX", &[byte][..], b"b: c\r\n\r\n"].concat();
        assert_eq!(
            request(name).is_ok(),
            super::super::is_tchar(byte) || byte == b':',
            "name {byte:#x}"
        );
        let target = [b"GET /", &[byte][..], b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        let taken = (0x21..0x7f).contains(&byte) && byte != b'#' && byte != b'\\';
        assert_eq!(request(target).is_ok(), taken, "target {byte:#x}");
    }
}

#[test]
fn names_that_look_like_others_are_refused() {
    for name in [
        "Content_Length",
        "Content.Length",
        "ContentLength",
        "Transfer_Encoding",
        "TRANSFER_ENCODING",
        "Host_",
        "_Host",
        "Connection_",
        "X_Forwarded_For",
    ] {
        assert_eq!(kind_with(&format!("{name}: 5\r\n")), MALFORMED, "{name}");
        assert!(
            response(format!("HTTP/1.1 200 OK\r\n{name}: 5\r\n\r\n")).is_err(),
            "{name}"
        );
    }
    assert_eq!(kind_with("client_id: x\r\nX_Custom: y\r\n"), None);
}

#[test]
fn content_length_of_requests() {
    for (value, length) in [
        ("0", 0),
        ("5", 5),
        ("\t 5\t ", 5),
        ("000000000005", 5),
        ("999999999999", 999_999_999_999),
        ("9223372036854775807", i64::MAX.cast_unsigned()),
    ] {
        assert_eq!(
            with(&format!("Content-Length:{value}\r\n")).1.framing,
            Framing::Length(length),
            "{value}"
        );
    }
    for value in [
        "",
        " ",
        "+5",
        "-5",
        "5 5",
        "5x",
        "x",
        "A",
        "0x5",
        "0o5",
        "5e0",
        "5.0",
        "5;x",
        "5,",
        ",5",
        "5,5",
        "5, 5",
        "5, 6",
        "0, 5",
        "5_0",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "18446744073709551621",
        "999999999999999999999999999999",
        "5\u{a0}",
        "\u{665}",
        "\"5\"",
        "5\u{b}",
        ": 5",
    ] {
        assert_eq!(
            kind_with(&format!("Content-Length: {value}\r\n")),
            MALFORMED,
            "{value:?}"
        );
    }
    assert_eq!(kind_with("Content-Length: 5\r\nContent-Length: 5\r\n"), MALFORMED);
    assert_eq!(
        kind_with("Content-Length: 5\r\nX: y\r\ncontent-length: 6\r\n"),
        MALFORMED
    );
    assert_eq!(kind_with("Content-Length: 5\r\n 0\r\n"), MALFORMED);
    assert_eq!(kind_with("Content-Length : 5\r\n"), MALFORMED);
    assert_eq!(
        get("GET / HTTP/1.0", "Content-Length: 5\r\n").1.framing,
        Framing::Length(5)
    );
}

#[test]
fn transfer_encoding_of_requests() {
    for value in ["chunked", "Chunked", "CHUNKED", " \tchunked \t"] {
        assert_eq!(
            with(&format!("Transfer-Encoding:{value}\r\n")).1.framing,
            Framing::Chunked,
            "{value:?}"
        );
    }
    for (value, expected) in [
        ("gzip", NOT_IMPLEMENTED),
        ("identity", NOT_IMPLEMENTED),
        ("chunkedx", NOT_IMPLEMENTED),
        ("xchunked", NOT_IMPLEMENTED),
        ("vnd-x;a=b", NOT_IMPLEMENTED),
        ("gzip, chunked", NOT_IMPLEMENTED),
        ("gzip,deflate , chunked", NOT_IMPLEMENTED),
        ("", MALFORMED),
        (",", MALFORMED),
        (",chunked", MALFORMED),
        ("chunked,", MALFORMED),
        (", chunked,", MALFORMED),
        ("gzip,,chunked", MALFORMED),
        ("chunked, chunked", MALFORMED),
        ("chunked, identity", MALFORMED),
        ("chunked, gzip, chunked", MALFORMED),
        ("chunked;a=b", MALFORMED),
        ("chunked;", MALFORMED),
        ("chunked gzip", MALFORMED),
        ("chunk ed", MALFORMED),
        ("\"chunked\"", MALFORMED),
        ("'chunked", NOT_IMPLEMENTED),
        ("=?utf-8?b?Y2h1bmtlZA==?=", MALFORMED),
        ("\u{b}chunked", MALFORMED),
        ("chunked\u{7f}", MALFORMED),
        ("chunked\u{a0}", MALFORMED),
        ("(chunked)", MALFORMED),
    ] {
        assert_eq!(
            kind_with(&format!("Transfer-Encoding: {value}\r\n")),
            expected,
            "{value:?}"
        );
    }
    for (lines, expected) in [
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            MALFORMED,
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            MALFORMED,
        ),
        (
            "Transfer-Encoding: identity\r\ntransfer-encoding: chunked\r\n",
            NOT_IMPLEMENTED,
        ),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n", MALFORMED),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", MALFORMED),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", MALFORMED),
        ("Content-Length: 5\r\nTransfer-Encoding: identity\r\n", MALFORMED),
        ("Content-Length: x\r\nTransfer-Encoding: gzip\r\n", MALFORMED),
        ("Transfer-Encoding : chunked\r\n", MALFORMED),
        ("Transfer-Encoding x: chunked\r\n", MALFORMED),
        ("Transfer-Encoding: chunked\r\n\t\r\n", MALFORMED),
    ] {
        assert_eq!(kind_with(lines), expected, "{lines:?}");
    }
    assert_eq!(
        kind("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
        MALFORMED
    );
    assert_eq!(
        kind("POST / HTTP/1.0\r\nTransfer-Encoding: gzip\r\n\r\n"),
        MALFORMED
    );
}

#[test]
fn connections_persist_by_version_and_option() {
    for (version, lines, keep_alive) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.1", "Connection: keep-alive, close\r\n", false),
        ("1.1", "Connection: x\r\nconnection: CLOSE\r\n", false),
        ("1.1", "Proxy-Connection: close\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: close, keep-alive\r\n", false),
        ("1.0", "Proxy-Connection: keep-alive\r\n", false),
    ] {
        let (_, head) = get(&format!("GET / HTTP/{version}"), &format!("Host: a\r\n{lines}"));
        assert_eq!(head.keep_alive, keep_alive, "{version} {lines:?}");
    }
    assert_eq!(
        kind_with(&format!("Connection: {}\r\n", "a,".repeat(33))),
        MALFORMED
    );
}

#[test]
fn upgrades_are_offered_with_connection_and_never_to_http2() {
    let offered = |version: &str, lines: &str| {
        let (bytes, head) = get(&format!("GET / HTTP/{version}"), &format!("Host: a\r\n{lines}"));
        head.upgrade.map(|value| text(value, &bytes).to_owned())
    };
    let websocket = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n";
    assert_eq!(offered("1.1", websocket).as_deref(), Some("websocket"));
    assert_eq!(
        offered("1.1", "Connection: upgrade\r\nUpgrade: a/1, b\r\n").as_deref(),
        Some("a/1, b")
    );
    assert_eq!(offered("1.0", websocket), None);
    for lines in [
        "Upgrade: websocket\r\n",
        "Connection: upgrade\r\n",
        "Connection: upgrade\r\nUpgrade:\r\n",
        "Connection: upgrade\r\nUpgrade: ,\r\n",
        "Connection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "Connection: upgrade\r\nUpgrade: websocket, H2C\r\n",
        "Connection: upgrade\r\nUpgrade: h2\r\n",
        "Connection: upgrade\r\nUpgrade: HTTP/2.0\r\n",
        "Connection: upgrade\r\nUpgrade: h2c/1\r\n",
    ] {
        assert_eq!(offered("1.1", lines), None, "{lines:?}");
    }
}

#[test]
fn expectations() {
    let of = |line: &str, lines: &str| {
        let (_, head) = get(line, &format!("Host: a\r\n{lines}"));
        (head.expect_continue, head.unknown_expect)
    };
    let post = "POST / HTTP/1.1";
    assert_eq!(
        of(post, "Expect: 100-continue\r\nContent-Length: 5\r\n"),
        (true, false)
    );
    assert_eq!(
        of(post, "expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n"),
        (true, false)
    );
    assert_eq!(
        of(
            post,
            "Connection: Expect\r\nExpect: 100-continue\r\nContent-Length: 5\r\n"
        ),
        (true, false)
    );
    // Nothing to wait with
    assert_eq!(of(post, "Expect: 100-continue\r\n"), (false, false));
    assert_eq!(
        of(post, "Expect: 100-continue\r\nContent-Length: 0\r\n"),
        (false, false)
    );
    assert_eq!(
        of("POST / HTTP/1.0", "Expect: 100-continue\r\nContent-Length: 5\r\n"),
        (false, false)
    );
    for value in [
        "200-ok",
        "",
        "100-continue, 100-continue",
        "100-continue;a",
        "100 continue",
    ] {
        assert_eq!(
            of(post, &format!("Expect: {value}\r\nContent-Length: 5\r\n")),
            (false, true),
            "{value:?}"
        );
    }
    assert_eq!(
        of(post, "Expect: 100-continue\r\nExpect: x\r\nContent-Length: 5\r\n"),
        (true, true)
    );
}

#[test]
fn max_forwards_is_a_number() {
    assert_eq!(with("Max-Forwards: 0\r\n").1.max_forwards, Some(0));
    assert_eq!(with("Max-Forwards: 05\r\n").1.max_forwards, Some(5));
    assert_eq!(
        with("Max-Forwards: 99999999999999999999999\r\n").1.max_forwards,
        Some(u32::MAX)
    );
    for lines in [
        "Max-Forwards: -1\r\n",
        "Max-Forwards:\r\n",
        "Max-Forwards: x\r\n",
        "Max-Forwards: 1\r\nMax-Forwards: 1\r\n",
    ] {
        assert_eq!(kind_with(lines), MALFORMED, "{lines:?}");
    }
}

#[test]
fn limits_are_exact() {
    let target = |length: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(length - 1));
    assert_eq!(kind(target(64)), None);
    assert_eq!(kind(target(65)), Some(HeadErrorKind::TargetTooLong));
    let lines = |count: usize| "X: y\r\n".repeat(count - 1);
    assert_eq!(kind_with(&lines(16)), None);
    assert_eq!(kind_with(&lines(17)), Some(HeadErrorKind::TooLarge));
    let mut head = RequestHead::default();
    let bytes = b"GET / HTTP/1.0\r\nA: b\r\n\r\n";
    let limits = |head_bytes| Limits { head_bytes, ..LIMITS };
    assert!(head.parse(bytes, &limits(bytes.len())).is_ok());
    assert_eq!(
        head.parse(bytes, &limits(bytes.len() - 1)).unwrap_err().kind,
        HeadErrorKind::TooLarge
    );
}

#[test]
fn more_lines_than_fit_the_stack_are_taken_where_allowed() {
    let limits = Limits {
        head_bytes: 1 << 20,
        headers: 5000,
        ..LIMITS
    };
    let lines = |count: usize| "X: y\r\n".repeat(count);
    let mut request = RequestHead::default();
    request
        .parse(
            format!("GET / HTTP/1.0\r\n{}\r\n", lines(5000)).as_bytes(),
            &limits,
        )
        .unwrap();
    assert_eq!(request.headers.lines.len(), 5000);
    assert!(
        request
            .parse(
                format!("GET / HTTP/1.0\r\n{}\r\n", lines(5001)).as_bytes(),
                &limits
            )
            .is_err()
    );
    let mut response = ResponseHead::default();
    response
        .parse(
            format!("HTTP/1.1 200 OK\r\n{}\r\n", lines(5000)).as_bytes(),
            false,
            &limits,
        )
        .unwrap();
    assert_eq!(response.headers.lines.len(), 5000);
}

#[test]
fn what_the_scanner_did_not_pass_is_not_parsed() {
    let mut head = RequestHead::default();
    let proper = b"GET / HTTP/1.0\r\nA: b\r\n\r\n";
    for end in 0..proper.len() {
        assert!(head.parse(&proper[..end], &LIMITS).is_err());
    }
    assert!(head.parse(b"GET / HTTP/1.0\r\n\r\nmore", &LIMITS).is_err());
    assert!(head.parse(b"\r\nGET / HTTP/1.0\r\n\r\n", &LIMITS).is_err());
    assert!(
        ResponseHead::default()
            .parse(b"\r\nHTTP/1.0 200 OK\r\n\r\n", false, &LIMITS)
            .is_err()
    );
    assert!(
        ResponseHead::default()
            .parse(b"HTTP/1.0 200 OK\r\n\r\nmore", false, &LIMITS)
            .is_err()
    );
}

use responses::response;

mod responses;
mod targets;

proptest! {
    #[test]
    fn nonsense_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..200), like in "[ -~\r\n\t]{0,200}") {
        for bytes in [&bytes[..], like.as_bytes()] {
            let _ = RequestHead::default().parse(bytes, &LIMITS);
            let _ = ResponseHead::default().parse(bytes, false, &LIMITS);
            let _ = HeadScanner::default().scan(bytes, &LIMITS);
            let _ = HeadScanner::response().scan(bytes, &LIMITS);
        }
    }

    /// Whatever the bytes of a line's parts are: a head that is taken has tokens for names and no control
    /// byte in a value, and says of every range what the bytes say.
    #[test]
    fn what_is_taken_is_clean(
        target in "[/*a-z:?#%\\\\@é ]{1,12}",
        name in "[A-Za-z_\\- :\t(é]{0,20}",
        value in "[ -~\t\u{1}\u{7f}é]{0,40}",
    ) {
        let text = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{name}: {value}\r\n\r\n");
        if let Ok((bytes, head)) = request(&text) {
            prop_assert!(head.target.of(&bytes).iter().all(|b| (0x21..0x7f).contains(b)));
            prop_assert_eq!(head.target.of(&bytes), target.as_bytes());
            let line = head.headers.iter().nth(1).unwrap();
            prop_assert!(is_token(line.name.of(&bytes)));
            prop_assert!(line.value.of(&bytes).iter().all(|&b| b >= 0x20 && b != 0x7f || b == b'\t'));
            prop_assert_eq!(line.value.of(&bytes), trim(line.value.of(&bytes)));
        }
    }
}
