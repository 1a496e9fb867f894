use proptest::prelude::*;

use super::*;
use crate::http1::Limits;

const FORWARDING: Forwarding<'static> = Forwarding {
    client_certificate: b"",
    method: b"GET",
    target: b"/up?q",
    host: b"origin:80",
    client_address: b"192.0.2.1",
    scheme: b"http",
    original_host: b"a.example",
    request_id: b"id-1",
    via: b"ringway-1",
    framing: Framing::None,
    max_forwards: None,
    upgrade: false,
};

const ANSWERING: Answering<'static> = Answering {
    version_of_client: Version::Http11,
    framing: Framing::Length(5),
    keep_alive: true,
    date: b"Thu, 01 Jan 1970 00:00:00 GMT",
    via: b"ringway-1",
    upgrade: false,
};

fn parsed(bytes: &[u8]) -> RequestHead {
    let mut head = RequestHead::default();
    head.parse(bytes, &Limits::default())
        .unwrap_or_else(|e| panic!("{}: {}", bytes.escape_ascii(), e.detail));
    head
}

fn forwarded(head: &str, forwarding: &Forwarding<'_>) -> String {
    let mut out = b"before".to_vec();
    request(&mut out, head.as_bytes(), &parsed(head.as_bytes()), forwarding);
    // What leaves is understood as it was meant.
    let again = parsed(&out[6..]);
    assert_eq!(
        again.framing,
        match forwarding.framing {
            Framing::None if matches!(forwarding.method, b"POST" | b"PUT" | b"PATCH") => Framing::Length(0),
            framing => framing,
        }
    );
    assert_eq!(again.host.unwrap().of(&out[6..]), forwarding.host);
    assert!(again.keep_alive);
    let text = String::from_utf8(out).unwrap();
    text.strip_prefix("before").unwrap().to_owned()
}

fn forwarded_lines(lines: &str) -> Vec<String> {
    let text = forwarded(
        &format!("GET / HTTP/1.1\r\nHost: a.example\r\n{lines}\r\n"),
        &FORWARDING,
    );
    let lines = text.strip_suffix("\r\n\r\n").unwrap().split("\r\n").skip(2);
    lines.map(str::to_owned).collect()
}

/// The lines that every request gets, between which the client's stand.
const OURS: [&str; 5] = [
    "X-Forwarded-For: 192.0.2.1",
    "X-Forwarded-Proto: http",
    "X-Forwarded-Host: a.example",
    "Via: 1.1 ringway-1",
    "X-Request-Id: id-1",
];

#[test]
fn a_request_in_full() {
    assert_eq!(
        forwarded(
            "GET /down HTTP/1.1\r\nX-B:  two \r\nHost: a.example\r\nX-A: one\r\n\r\n",
            &FORWARDING
        ),
        "GET /up?q HTTP/1.1\r\nHost: origin:80\r\nX-B: two\r\nX-A: one\r\nX-Forwarded-For: 192.0.2.1\r\n\
         X-Forwarded-Proto: http\r\nX-Forwarded-Host: a.example\r\nVia: 1.1 ringway-1\r\nX-Request-Id: id-1\r\n\r\n"
    );
}

#[test]
fn lines_of_one_hop_stay_behind() {
    for line in [
        "Connection: keep-alive",
        "Connection: close",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "TE: trailers",
        "Trailer: X-T",
        "Upgrade: websocket",
        "HTTP2-Settings: AAMAAABk",
        "Proxy-Authenticate: Basic",
        "Proxy-Authorization: Basic eA==",
        "Expect: x",
        "Max-Forwards: 3",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil.example",
        "Connection: X-A\r\nX-A: b",
    ] {
        assert_eq!(forwarded_lines(&format!("{line}\r\n")), OURS, "{line}");
    }
}

#[test]
fn other_lines_pass_in_order_as_they_were() {
    let sent = [
        "X-Dup: a",
        "Cookie: a=b; c=d",
        "X-Dup: b",
        "x-dup: c",
        "Date: now",
        "Server: s",
        "Retry-After: 1",
        "Empty: ",
    ];
    let lines = forwarded_lines(&format!("{}\r\n", sent.join("\r\n")));
    assert_eq!(lines[..sent.len()], sent);
    assert_eq!(lines[sent.len()..], OURS);
    // Written anew where the white space was not ours.
    let odd = forwarded_lines("A:b\r\nC:\t d\t\r\nE:  f\r\nG:\r\nH: i \r\n");
    assert_eq!(odd[..5], ["A: b", "C: d", "E: f", "G: ", "H: i"]);
}

#[test]
fn addresses_and_hops_are_added_to_what_was_there() {
    let lines = forwarded_lines(
        "X-Forwarded-For: 198.51.100.7\r\nVia: 1.0 one\r\nx-forwarded-for:\r\nX-Forwarded-For: a, b\r\nvia: 2 two\r\nX-Request-Id: mine\r\n",
    );
    assert_eq!(
        lines,
        [
            "X-Request-Id: mine",
            "X-Forwarded-For: 198.51.100.7, a, b, 192.0.2.1",
            "X-Forwarded-Proto: http",
            "X-Forwarded-Host: a.example",
            "Via: 1.0 one, 2 two, 1.1 ringway-1",
        ]
    );
    // Naming them in Connection does not remove them.
    let lines = forwarded_lines("Connection: X-Forwarded-For, Via\r\nX-Forwarded-For: b\r\nVia: 1.1 c\r\n");
    assert!(lines.contains(&"X-Forwarded-For: b, 192.0.2.1".to_owned()));
    assert!(lines.contains(&"Via: 1.1 c, 1.1 ringway-1".to_owned()));
}

#[test]
fn via_says_the_version_the_client_spoke() {
    let text = forwarded(
        "GET / HTTP/1.0\r\n\r\n",
        &Forwarding {
            original_host: b"",
            client_address: b"",
            ..FORWARDING
        },
    );
    assert!(text.contains("\r\nVia: 1.0 ringway-1\r\n"));
    assert!(!text.contains("X-Forwarded-Host") && !text.contains("X-Forwarded-For"));
}

#[test]
fn requests_are_framed_anew() {
    let framed = |method: &'static str, framing: Framing| {
        let text = forwarded(
            "POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 000007\r\n\r\n",
            &Forwarding {
                method: method.as_bytes(),
                framing,
                ..FORWARDING
            },
        );
        let last = text.trim_end().rsplit("\r\n").next().unwrap().to_owned();
        assert!(text.to_ascii_lowercase().matches("content-length").count() <= 1);
        last
    };
    assert_eq!(framed("POST", Framing::Length(7)), "Content-Length: 7");
    assert_eq!(framed("POST", Framing::Chunked), "Transfer-Encoding: chunked");
    assert_eq!(framed("GET", Framing::None), "X-Request-Id: id-1");
    assert_eq!(framed("GET", Framing::Length(0)), "Content-Length: 0");
    for method in ["POST", "PUT", "PATCH"] {
        assert_eq!(framed(method, Framing::None), "Content-Length: 0");
    }
    assert_eq!(framed("DELETE", Framing::None), "X-Request-Id: id-1");
    let chunked = forwarded(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n",
        &Forwarding {
            method: b"POST",
            framing: Framing::Chunked,
            ..FORWARDING
        },
    );
    assert_eq!(chunked.matches("Transfer-Encoding").count(), 1);
    assert!(!chunked.contains("Trailer"));
}

#[test]
fn hops_and_upgrade_are_sent_when_asked() {
    let head = "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nMax-Forwards: 5\r\n\r\n";
    let text = forwarded(
        head,
        &Forwarding {
            max_forwards: Some(4),
            upgrade: true,
            framing: Framing::Length(1),
            ..FORWARDING
        },
    );
    let end = "Max-Forwards: 4\r\nContent-Length: 1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert!(text.ends_with(end), "{text}");
    assert!(
        !forwarded(head, &FORWARDING)
            .to_ascii_lowercase()
            .contains("upgrade")
    );
    // Asked for, but the client offered nothing.
    let text = forwarded(
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        &Forwarding {
            upgrade: true,
            ..FORWARDING
        },
    );
    assert!(!text.contains("Connection"));
}

fn answer(request_was_head: bool, head: &str) -> ResponseHead {
    let mut parsed = ResponseHead::default();
    parsed
        .parse(head.as_bytes(), request_was_head, &Limits::default())
        .unwrap_or_else(|e| panic!("{head:?}: {}", e.detail));
    parsed
}

fn answered(head: &str, answering: &Answering<'_>) -> String {
    let mut out = Vec::new();
    response(
        &mut out,
        head.as_bytes(),
        &answer(answering.framing == Framing::None, head),
        answering,
    );
    let text = String::from_utf8(out).unwrap();
    answer(answering.framing == Framing::None, &text);
    text
}

#[test]
fn a_response_in_full() {
    assert_eq!(
        answered(
            "HTTP/1.0 404 Not here\r\nServer: o\r\nContent-Length: 5\r\nX-A:  b\r\n\r\n",
            &ANSWERING
        ),
        "HTTP/1.1 404 Not here\r\nServer: o\r\nX-A: b\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nVia: 1.0 ringway-1\r\n\
         Content-Length: 5\r\n\r\n"
    );
    assert_eq!(
        answered(
            "HTTP/1.1 200\r\nDate: then\r\nVia: 1.1 b\r\nConnection: close, X-A\r\nX-A: 1\r\nKeep-Alive: x\r\n\
             Transfer-Encoding: chunked\r\nTrailer: y\r\nProxy-Connection: z\r\nUpgrade: w\r\n\r\n",
            &Answering {
                framing: Framing::Chunked,
                ..ANSWERING
            }
        ),
        "HTTP/1.1 200 \r\nDate: then\r\nVia: 1.1 b, 1.1 ringway-1\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
}

#[test]
fn reasons_that_are_not_ascii_pass() {
    let head = "HTTP/1.1 500 Ori\u{eb}ntatie\r\nContent-Length: 5\r\n\r\n";
    assert!(answered(head, &ANSWERING).starts_with("HTTP/1.1 500 Ori\u{eb}ntatie\r\n"));
}

#[test]
fn the_connection_line_follows_the_client() {
    let said = |answering: Answering<'_>| {
        let text = answered("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", &answering);
        text.split("\r\n")
            .find_map(|line| line.strip_prefix("Connection: "))
            .map(str::to_owned)
    };
    let http10 = Version::Http10;
    assert_eq!(said(ANSWERING), None);
    assert_eq!(
        said(Answering {
            keep_alive: false,
            ..ANSWERING
        })
        .as_deref(),
        Some("close")
    );
    assert_eq!(
        said(Answering {
            version_of_client: http10,
            ..ANSWERING
        })
        .as_deref(),
        Some("keep-alive")
    );
    assert_eq!(
        said(Answering {
            version_of_client: http10,
            keep_alive: false,
            ..ANSWERING
        })
        .as_deref(),
        Some("close")
    );
    assert_eq!(
        said(Answering {
            framing: Framing::UntilClose,
            ..ANSWERING
        })
        .as_deref(),
        Some("close")
    );
}

#[test]
fn a_length_without_body_is_told_where_it_means_something() {
    let none = Answering {
        framing: Framing::None,
        ..ANSWERING
    };
    for (status, length) in [(200, Some("7")), (304, Some("7")), (204, None), (103, None)] {
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: 7\r\nContent-Length: 07\r\n\r\n");
        let text = answered(&head, &none);
        let lines: Vec<_> = text
            .split("\r\n")
            .filter_map(|line| line.strip_prefix("Content-Length: "))
            .collect();
        assert_eq!(lines, length.into_iter().collect::<Vec<_>>(), "{status}");
    }
    assert!(!answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &none).contains("Transfer"));
    assert!(!answered("HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n", &none).contains("Transfer"));
}

#[test]
fn a_switch_is_passed_on() {
    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";
    let text = answered(
        head,
        &Answering {
            upgrade: true,
            framing: Framing::None,
            ..ANSWERING
        },
    );
    assert!(text.contains("\r\nSec-WebSocket-Accept: x\r\n"));
    assert!(
        text.ends_with("\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
        "{text}"
    );
}

#[test]
fn interim_responses_have_their_own_lines_only() {
    let head = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 5\r\nConnection: close\r\nKeep-Alive: 1\r\n\r\n";
    let mut out = Vec::new();
    interim(&mut out, head.as_bytes(), &answer(false, head));
    assert_eq!(out, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
}

#[test]
fn numbers() {
    for n in [
        0,
        1,
        9,
        10,
        15,
        16,
        99,
        255,
        256,
        4095,
        4096,
        65535,
        1 << 32,
        u64::MAX - 1,
        u64::MAX,
    ] {
        let mut out = Vec::new();
        decimal(&mut out, n);
        assert_eq!(out, n.to_string().as_bytes());
        out.clear();
        hex(&mut out, n);
        assert_eq!(out, format!("{n:x}").as_bytes());
        if n > 0 {
            let (line, length) = chunk_prefix(n as usize);
            assert_eq!(&line[..length], format!("{n:x}\r\n").as_bytes());
        }
    }
}

#[test]
fn one_reservation_is_enough() {
    let head = format!(
        "GET / HTTP/1.1\r\nHost: a.example\r\n{}\r\n",
        "X-A:b\r\n".repeat(20)
    );
    let mut out = Vec::new();
    request(&mut out, head.as_bytes(), &parsed(head.as_bytes()), &FORWARDING);
    let (length, capacity) = (out.len(), out.capacity());
    out.clear();
    request(&mut out, head.as_bytes(), &parsed(head.as_bytes()), &FORWARDING);
    assert_eq!((out.len(), out.capacity()), (length, capacity));
}

proptest! {
    /// Whatever lines a client sends: what leaves is a proper head with the framing and the host that we said.
    #[test]
    fn what_leaves_is_proper(
        lines in prop::collection::vec(
            prop_oneof![
                ("[A-Za-z-]{1,12}", "[ -~\t]{0,30}").prop_map(|(name, value)| format!("{name}: {value}\r\n")),
                ("Connection|TE|Upgrade|Via|X-Forwarded-For|Trailer|Keep-Alive", "[a-z, -]{0,20}")
                    .prop_map(|(name, value)| format!("{name}:{value}\r\n")),
            ],
            0..12,
        ),
        length in 0..=i64::MAX.cast_unsigned(),
    ) {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{}\r\n", lines.concat());
        let mut parsed = RequestHead::default();
        if parsed.parse(head.as_bytes(), &Limits::default()).is_ok() {
            let mut out = Vec::new();
            let framing = Framing::Length(length);
            request(&mut out, head.as_bytes(), &parsed, &Forwarding { framing, ..FORWARDING });
            let mut again = RequestHead::default();
            prop_assert!(again.parse(&out, &Limits::default()).is_ok());
            prop_assert_eq!(again.framing, framing);
            prop_assert_eq!(again.host.unwrap().of(&out), FORWARDING.host);
            prop_assert!(again.keep_alive && again.upgrade.is_none());
            prop_assert!(!again.headers.has(Known::Connection));
        }
    }
}
