//! Heads of origins.

use super::*;

pub(super) fn response_to(
    request_was_head: bool,
    bytes: impl AsRef<[u8]>,
) -> Result<(Vec<u8>, ResponseHead), HeadError> {
    let bytes = scan(HeadScanner::response, bytes.as_ref())?;
    let mut head = ResponseHead::default();
    head.parse(&bytes, request_was_head, &LIMITS)?;
    Ok((bytes, head))
}

pub(super) fn response(bytes: impl AsRef<[u8]>) -> Result<(Vec<u8>, ResponseHead), HeadError> {
    response_to(false, bytes)
}

fn answer(status: u16, lines: &str) -> ResponseHead {
    let text = format!("HTTP/1.1 {status} X\r\n{lines}\r\n");
    response(&text)
        .unwrap_or_else(|error| panic!("{text:?}: {}", error.detail))
        .1
}

#[test]
fn status_lines() {
    for (line, status, reason) in [
        ("HTTP/1.1 200 OK", 200, "OK"),
        ("HTTP/1.1 200 ", 200, ""),
        ("HTTP/1.1 200", 200, ""),
        ("HTTP/1.1 100 Continue", 100, "Continue"),
        ("HTTP/1.1 999 Odd", 999, "Odd"),
        ("HTTP/1.0 404 Not  found\t!", 404, "Not  found\t!"),
        ("HTTP/1.1 500 Ori\u{eb}ntatie", 500, "Ori\u{eb}ntatie"),
        ("HTTP/1.1 200  x", 200, " x"),
    ] {
        let (bytes, head) = response(format!("{line}\r\nA: b\r\n\r\n")).unwrap();
        assert_eq!(
            (head.status, text(head.reason, &bytes)),
            (status, reason),
            "{line}"
        );
    }
    for line in [
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2 OK",
        "HTTP/1.1 099 Low",
        "HTTP/1.1 000 X",
        "HTTP/1.1200 OK",
        "HTTP/1.1  200 OK",
        "HTTP/1.1\t200 OK",
        "HTTP/1.1 200\tOK",
        "HTTP/1.1 200OK",
        "HTTP/1.1 -20 OK",
        "HTTP/1.1 2x0 OK",
        "HTTP/1.1 OK",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.2 200 OK",
        "HTTP/2.0 200 OK",
        "HTTP/0.9 200 OK",
        "HTTP/1.10 200 OK",
        "HTTP/1 200 OK",
        "HTTP/2 200",
        "http/1.1 200 OK",
        "RTSP/1.0 200 OK",
        "ICY 200 OK",
        "HTTP 200 OK",
        "HTTP/1.1 200 O\u{1}K",
        "HTTP/1.1 200 O\u{7f}K",
        " HTTP/1.1 200 OK",
    ] {
        assert!(response(format!("{line}\r\n\r\n")).is_err(), "{line:?}");
    }
}

#[test]
fn header_lines_of_responses_have_one_form() {
    for lines in [
        "X-A : b\r\n",
        " X-A: b\r\n",
        ": b\r\n",
        "X-A\r\n",
        "X A: b\r\n",
        "X-A: b\r\n c\r\n",
        "X-A: b\r\n\tc\r\n",
        "X-A: \u{1}\u{1f}\r\n",
        "X-A: \u{7f}\r\n",
        "X\u{e9}: b\r\n",
        "Transfer-Encoding : chunked\r\n",
    ] {
        assert!(
            response(format!("HTTP/1.1 200 OK\r\n{lines}\r\n")).is_err(),
            "{lines:?}"
        );
        assert!(
            response(format!("HTTP/1.1 200 OK\r\nA: b\r\n{lines}\r\n")).is_err(),
            "{lines:?}"
        );
    }
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(17));
    assert_eq!(response(many).unwrap_err().kind, HeadErrorKind::TooLarge);
}

#[test]
fn framing_of_responses() {
    for (status, lines, framing, declared) in [
        (200, "", Framing::UntilClose, None),
        (200, "Content-Length: 5\r\n", Framing::Length(5), Some(5)),
        (200, "Content-Length: 0\r\n", Framing::Length(0), Some(0)),
        (
            200,
            "Content-Length: 5\r\nContent-Length: 05\r\n",
            Framing::Length(5),
            Some(5),
        ),
        (200, "Transfer-Encoding: chunked\r\n", Framing::Chunked, None),
        (200, "Transfer-Encoding: CHUNKED\r\n", Framing::Chunked, None),
        (205, "Content-Length: 0\r\n", Framing::Length(0), Some(0)),
        (100, "", Framing::None, None),
        (103, "Link: </a>\r\n", Framing::None, None),
        (101, "Upgrade: a\r\n", Framing::None, None),
        (204, "", Framing::None, None),
        (204, "Content-Length: 6\r\n", Framing::None, Some(6)),
        (204, "Transfer-Encoding: chunked\r\n", Framing::None, None),
        (304, "Content-Length: 6\r\n", Framing::None, Some(6)),
        (304, "", Framing::None, None),
    ] {
        let head = answer(status, lines);
        assert_eq!(
            (head.framing, head.content_length),
            (framing, declared),
            "{status} {lines:?}"
        );
    }
    for lines in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length:\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length: 5\r\nContent-Length: x\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\r\n",
    ] {
        for status in [200, 204, 304] {
            assert!(
                response(format!("HTTP/1.1 {status} X\r\n{lines}\r\n")).is_err(),
                "{status} {lines:?}"
            );
        }
        assert!(
            response_to(true, format!("HTTP/1.1 200 X\r\n{lines}\r\n")).is_err(),
            "HEAD {lines:?}"
        );
    }
    assert!(response("HTTP/1.0 200 X\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
}

#[test]
fn an_answer_to_head_has_no_body() {
    for (lines, declared) in [
        ("", None),
        ("Content-Length: 5\r\n", Some(5)),
        ("Transfer-Encoding: chunked\r\n", None),
    ] {
        let (_, head) = response_to(true, format!("HTTP/1.1 200 OK\r\n{lines}\r\n")).unwrap();
        assert_eq!(
            (head.framing, head.content_length, head.keep_alive),
            (Framing::None, declared, true)
        );
    }
}

#[test]
fn an_origin_connection_is_kept_where_that_is_safe() {
    for (version, status, lines, keep_alive) in [
        ("1.1", 200, "Content-Length: 5\r\n", true),
        ("1.1", 200, "Transfer-Encoding: chunked\r\n", true),
        ("1.1", 200, "Content-Length: 5\r\nConnection: close\r\n", false),
        (
            "1.1",
            200,
            "Content-Length: 5\r\nConnection: keep-alive, Close\r\n",
            false,
        ),
        ("1.1", 200, "", false),
        ("1.1", 200, "Connection: keep-alive\r\n", false),
        ("1.0", 200, "Content-Length: 5\r\n", false),
        (
            "1.0",
            200,
            "Content-Length: 5\r\nConnection: keep-alive\r\n",
            true,
        ),
        ("1.1", 204, "", true),
        ("1.1", 204, "Content-Length: 0\r\n", true),
        ("1.1", 304, "Content-Length: 6\r\n", true),
        // A body that must not be announced may be on its way.
        ("1.1", 204, "Content-Length: 6\r\n", false),
        ("1.1", 204, "Transfer-Encoding: chunked\r\n", false),
        ("1.1", 103, "Content-Length: 6\r\n", false),
    ] {
        let (_, head) = response(format!("HTTP/{version} {status} X\r\n{lines}\r\n")).unwrap();
        assert_eq!(head.keep_alive, keep_alive, "{version} {status} {lines:?}");
    }
}

#[test]
fn a_switch_names_its_protocol() {
    let (bytes, head) =
        response("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            .unwrap();
    assert_eq!(head.upgrade.map(|value| text(value, &bytes)), Some("websocket"));
    assert_eq!(answer(101, "Upgrade: h2c\r\n").upgrade, None);
    assert_eq!(answer(101, "").upgrade, None);
    assert_eq!(
        answer(426, "Upgrade: websocket\r\nContent-Length: 0\r\n").upgrade,
        None
    );
}
