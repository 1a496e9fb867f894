use super::*;

const LIMITS: Limits = Limits {
    head_bytes: 200,
    target_bytes: 20,
    headers: 10,
};

/// The verdict on `bytes`, which must be the same read whole, in two reads at any place, and byte by byte.
fn scan(new: fn() -> HeadScanner, bytes: &[u8], limits: &Limits) -> Scan {
    let whole = new().scan(bytes, limits);
    for split in 0..=bytes.len() {
        let mut scanner = new();
        let mut verdict = scanner.scan(&bytes[..split], limits);
        if verdict == Scan::NeedMore {
            verdict = scanner.scan(bytes, limits);
        }
        assert_eq!(
            verdict,
            whole,
            "split at {split} of {:?}",
            bytes.escape_ascii().to_string()
        );
    }
    let mut scanner = new();
    let one_by_one = (0..=bytes.len())
        .map(|n| scanner.scan(&bytes[..n], limits))
        .find(|v| *v != Scan::NeedMore);
    assert_eq!(one_by_one.unwrap_or(Scan::NeedMore), whole);
    whole
}

fn request(bytes: &[u8]) -> Scan {
    scan(HeadScanner::default, bytes, &LIMITS)
}

fn response(bytes: &[u8]) -> Scan {
    scan(HeadScanner::response, bytes, &LIMITS)
}

fn detail(scan: Scan) -> (HeadErrorKind, &'static str) {
    match scan {
        Scan::Refused(error) => (error.kind, error.detail),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_head_ends_at_its_empty_line() {
    assert_eq!(
        request(b"GET / HTTP/1.1\r\n\r\n"),
        Scan::Complete { start: 0, end: 18 }
    );
    assert_eq!(
        request(b"GET / HTTP/1.1\r\nA: b\r\n\r\nGET /"),
        Scan::Complete { start: 0, end: 24 }
    );
    assert_eq!(request(b"GET / HTTP/1.1\r\nA: b\r\n"), Scan::NeedMore);
    assert_eq!(request(b"GET / HTTP/1.1\r\nA: b\r\n\r"), Scan::NeedMore);
    assert_eq!(request(b""), Scan::NeedMore);
    assert_eq!(
        response(b"HTTP/1.1 200 OK\r\n\r\nbody\0\n"),
        Scan::Complete { start: 0, end: 19 }
    );
    assert_eq!(response(b"HTT"), Scan::NeedMore);
}

#[test]
fn a_few_empty_lines_before_a_request_are_skipped() {
    assert_eq!(
        request(b"\r\nGET / HTTP/1.1\r\n\r\n"),
        Scan::Complete { start: 2, end: 20 }
    );
    assert_eq!(
        request(b"\r\n\r\n\r\n\r\nG / HTTP/1.1\r\n\r\n"),
        Scan::Complete { start: 8, end: 24 }
    );
    assert_eq!(request(b"\r\n\r\n"), Scan::NeedMore);
    assert_eq!(request(b"\r"), Scan::NeedMore);
    assert_eq!(
        detail(request(b"\r\n\r\n\r\n\r\n\r\nG / HTTP/1.1\r\n\r\n")).1,
        "too many empty lines before the request line"
    );
    detail(response(b"\r\nHTTP/1.1 200 OK\r\n\r\n"));
}

#[test]
fn bad_line_ends_are_refused_where_they_stand() {
    let lf = "line feed without carriage return";
    let cr = "carriage return without line feed";
    for (bytes, expected) in [
        (&b"\n"[..], lf),
        (b"\r\n\n", lf),
        (b"\rG", cr),
        (b"GET\n", lf),
        (b"GET / HTTP/1.1\n", lf),
        (b"GET / HTTP/1.1\r\nA: b\n", lf),
        (b"GET / HTTP/1.1\r\nA: b\r\n\n", lf),
        (b"GET / HTTP/1.1\r\nA: b\r\r", cr),
        (b"GET / HTTP/1.1\rA", cr),
        (b"GET / HTTP/1.1\r\n\rX", cr),
        (b"GET /\0", "NUL in the head"),
        (b"GET / HTTP/1.1\r\nA: \0", "NUL in the head"),
    ] {
        assert_eq!(
            detail(request(bytes)),
            (HeadErrorKind::Malformed, expected),
            "{}",
            bytes.escape_ascii()
        );
    }
    assert_eq!(detail(response(b"HTTP/1.1 200 OK\n")).1, lf);
    assert_eq!(detail(response(b"HTTP/1.1 200 OK\r\nA: b\rC")).1, cr);
}

#[test]
fn other_protocols_are_known_by_their_first_bytes() {
    for first in [0x16, 0x80, 0x00, 0x05, b' ', b'\t', b':', b'/', b'"', 0x7f, 0xff] {
        assert_eq!(
            detail(request(&[first])),
            (HeadErrorKind::Malformed, "this is not HTTP")
        );
    }
    for bytes in [
        &b"RTSP/1.0 200 OK\r\n\r\n"[..],
        b"H2",
        b"http/1.1",
        b"SSH-2.0",
        b" HTTP/1.1",
        b"HTTP 1",
    ] {
        assert_eq!(
            detail(response(bytes)).1,
            "this is not HTTP",
            "{}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn a_head_may_be_as_large_as_the_limit_and_no_larger() {
    let of = |size: usize| {
        let mut head = b"GET / HTTP/1.1\r\nA: ".to_vec();
        head.resize(size - 4, b'a');
        head.extend_from_slice(b"\r\n\r\n");
        head
    };
    assert_eq!(request(&of(200)), Scan::Complete { start: 0, end: 200 });
    assert_eq!(detail(request(&of(201))).0, HeadErrorKind::TooLarge);
    // Empty lines before the head are not part of it.
    assert_eq!(
        request(&[b"\r\n\r\n", &of(200)[..]].concat()),
        Scan::Complete { start: 4, end: 204 }
    );
    // Refused as soon as it is certain, which is before the end comes.
    assert_eq!(request(&of(300)[..199]), Scan::NeedMore);
    assert_eq!(detail(request(&of(300)[..200])).0, HeadErrorKind::TooLarge);
    let status_line = [b"HTTP/1.1 200 ".as_slice(), &[b'a'; 187]].concat();
    assert_eq!(detail(response(&status_line)).0, HeadErrorKind::TooLarge);
}

#[test]
fn a_request_line_without_end_is_refused() {
    let line = |target: usize| [b"GET /".as_slice(), &vec![b'a'; target - 1], b" HTTP/1.1\r\n\r\n"].concat();
    assert!(matches!(request(&line(20)), Scan::Complete { .. }));
    // Within the slack: left to the parser, which measures the target alone.
    assert!(matches!(request(&line(21)), Scan::Complete { .. }));
    assert_eq!(detail(request(&line(80))).0, HeadErrorKind::TargetTooLong);
    assert_eq!(detail(request(&line(150)[..84])).0, HeadErrorKind::TargetTooLong);
    // The smaller limit of the two gives the name.
    let limits = Limits {
        head_bytes: 50,
        ..LIMITS
    };
    assert_eq!(
        detail(scan(HeadScanner::default, &line(80), &limits)).0,
        HeadErrorKind::TooLarge
    );
}

#[test]
fn limits_without_bound_do_not_overflow() {
    let limits = Limits {
        head_bytes: usize::MAX,
        target_bytes: usize::MAX,
        headers: 1,
    };
    assert_eq!(
        scan(HeadScanner::default, b"\r\nG / HTTP/1.1\r\n\r\n", &limits),
        Scan::Complete { start: 2, end: 18 }
    );
}

#[test]
fn a_scanner_begins_anew_after_reset() {
    for (mut scanner, head) in [
        (HeadScanner::default(), &b"GET / HTTP/1.1\r\n\r\n"[..]),
        (HeadScanner::response(), b"HTTP/1.1 200 OK\r\n\r\n"),
    ] {
        for _ in 0..2 {
            assert_eq!(scanner.scan(&head[..7], &LIMITS), Scan::NeedMore);
            assert_eq!(
                scanner.scan(head, &LIMITS),
                Scan::Complete {
                    start: 0,
                    end: head.len()
                }
            );
            scanner.reset();
        }
    }
    let mut scanner = HeadScanner::response();
    scanner.reset();
    assert!(matches!(scanner.scan(b"\r\n", &LIMITS), Scan::Refused(_)));
}

#[test]
fn cost_is_linear_when_bytes_come_one_by_one() {
    // Bytes already judged are not looked at again: changing them changes nothing.
    let mut bytes = b"GET / HTTP/1.1\r\nA: b\r\nC: d".to_vec();
    let mut scanner = HeadScanner::default();
    assert_eq!(scanner.scan(&bytes, &LIMITS), Scan::NeedMore);
    let judged = bytes.len();
    bytes[..judged].fill(0);
    bytes.extend_from_slice(b"\r\n\r\n");
    assert_eq!(
        scanner.scan(&bytes, &LIMITS),
        Scan::Complete {
            start: 0,
            end: judged + 4
        }
    );
}
