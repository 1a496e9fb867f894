use super::*;

fn headers(lines: &[u8]) -> (Vec<u8>, Headers) {
    let head = lines.to_vec();
    let mut headers = Headers::default();
    crate::http1::tokens::header_lines(&head, 0, &mut headers, 64).unwrap();
    headers.refuse_lookalikes().unwrap();
    (head, headers)
}

fn marked(lines: &[u8]) -> (Vec<String>, ConnectionOptions) {
    let (head, mut headers) = headers(lines);
    let options = headers.connection_options(&head).unwrap();
    let names = headers
        .iter()
        .filter(|line| line.hop_by_hop)
        .map(|line| line.name.of(&head));
    (
        names
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect(),
        options,
    )
}

#[test]
fn every_known_name_is_known_in_any_case() {
    let names = [
        ("Connection", Known::Connection),
        ("Content-Length", Known::ContentLength),
        ("Date", Known::Date),
        ("Expect", Known::Expect),
        ("Host", Known::Host),
        ("HTTP2-Settings", Known::Http2Settings),
        ("Keep-Alive", Known::KeepAlive),
        ("Max-Forwards", Known::MaxForwards),
        ("Proxy-Authenticate", Known::ProxyAuthenticate),
        ("Proxy-Authorization", Known::ProxyAuthorization),
        ("Proxy-Connection", Known::ProxyConnection),
        ("Retry-After", Known::RetryAfter),
        ("Server", Known::Server),
        ("TE", Known::Te),
        ("Trailer", Known::Trailer),
        ("Transfer-Encoding", Known::TransferEncoding),
        ("Upgrade", Known::Upgrade),
        ("Via", Known::Via),
        ("X-Forwarded-For", Known::XForwardedFor),
        ("X-Forwarded-Host", Known::XForwardedHost),
        ("X-Forwarded-Client-Cert", Known::XForwardedClientCert),
        ("X-Forwarded-Proto", Known::XForwardedProto),
        ("X-Request-Id", Known::XRequestId),
    ];
    assert_eq!(names.len() + 1, Known::XRequestId as usize + 1, "each name above");
    for (name, known) in names {
        assert_eq!(Known::of(name.as_bytes()), known);
        assert_eq!(Known::of(name.to_ascii_lowercase().as_bytes()), known);
        assert_eq!(Known::of(name.to_ascii_uppercase().as_bytes()), known);
        // One letter off
        assert_eq!(Known::of(&name.as_bytes()[1..]), Known::Other);
        assert_eq!(Known::of(format!("{name}s").as_bytes()), Known::Other);
        let last = format!("{}~", &name[..name.len() - 1]);
        assert_eq!(Known::of(last.as_bytes()), Known::Other);
    }
    assert_eq!(Known::of(b""), Known::Other);
    assert_eq!(Known::of(b"User-Agent"), Known::Other);
}

#[test]
fn names_that_look_like_framing_are_found() {
    for name in [
        "Content_Length",
        "content_length",
        "CONTENT_LENGTH",
        "ContentLength",
        "Content.Length",
        "Content--Length",
        "_Content-Length",
        "Content-Length_",
        "C-ontent-Length",
        "Transfer_Encoding",
        "transfer~encoding",
        "TransferEncoding",
        "Transfer-Encoding-",
        "!Transfer-Encoding",
        "_Host",
        "Host_",
        "H-ost",
        "'host",
        "Host.",
        "Connection_",
        "Con-nection",
        "Ex_pect",
        "Upgrade!",
        "X_Forwarded_For",
        "x-forwarded_for",
        "X.Forwarded.Host",
        "X_Forwarded-Proto",
    ] {
        assert!(is_lookalike(name.as_bytes()), "{name}");
    }
    for name in [
        "Content-Type",
        "Content-Encoding",
        "Content-Length-Hint",
        "X-Content-Length",
        "Transfer",
        "Transfer-Encoding2",
        "Hostname",
        "X-Host",
        "Host2",
        "2Host",
        "Cookie",
        "Cache-Control",
        "User-Agent",
        "Upgrade-Insecure-Requests",
        "Connections",
        "Expect-CT",
        "Expected",
        "X-Forwarded-Port",
        "X-Forwarded-Foo",
        "XForwardedFor",
        "client_id",
        "_",
        "~~~",
        "accept",
    ] {
        assert!(!is_lookalike(name.as_bytes()), "{name}");
    }
}

#[test]
fn lines_keep_their_order_and_are_found_by_name() {
    let (head, headers) = headers(b"Via: 1.1 a\r\nX-One:\t1 \r\nvia:b\r\nX-ONE: 2\r\nEmpty:\r\n\r\n");
    let values = |known| {
        headers
            .find(known)
            .map(|line| line.value.of(&head))
            .collect::<Vec<_>>()
    };
    assert_eq!(values(Known::Via), [&b"1.1 a"[..], b"b"]);
    assert!(values(Known::Date).is_empty());
    assert!(headers.has(Known::Via) && headers.is_repeated(Known::Via) && !headers.has(Known::Date));
    assert_eq!(headers.get(&head, "x-one"), Some(&b"1"[..]));
    assert_eq!(headers.all(&head, "x-one").collect::<Vec<_>>(), [&b"1"[..], b"2"]);
    assert_eq!(headers.get(&head, "empty"), Some(&b""[..]));
    assert_eq!(headers.get(&head, "other"), None);
    assert_eq!(headers.iter().count(), 5);
    assert!(headers.iter().nth(4).unwrap().value.is_empty());
}

#[test]
fn connection_options_are_read_from_every_line_in_any_case() {
    let (names, options) =
        marked(b"Connection: foo ,\tCLOSE\t\r\nX-A: b\r\nconnection: Keep-Alive, , upGrade\r\n\r\n");
    assert_eq!(
        options,
        ConnectionOptions {
            close: true,
            keep_alive: true,
            upgrade: true
        }
    );
    assert!(names.is_empty());
    assert_eq!(
        marked(b"X-Connection: close\r\n\r\n").1,
        ConnectionOptions::default()
    );
    // Words inside others, quoted or with parameters are not the option
    assert_eq!(
        marked(b"Connection: closed, \"close\", close;a, not close\r\n\r\n").1,
        ConnectionOptions::default()
    );
}

#[test]
fn lines_named_by_connection_are_for_one_hop() {
    assert_eq!(
        marked(b"X-Drop: 1\r\nConnection: x-DROP, other\r\nX-Keep: 2\r\nx-drop: 3\r\n\r\n").0,
        ["X-Drop", "x-drop"]
    );
}

#[test]
fn what_means_something_end_to_end_cannot_be_stripped() {
    for name in [
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "Content-Type",
        "Authorization",
        "Cookie",
        "Set-Cookie",
        "Cache-Control",
        "Expect",
        "Max-Forwards",
        "Via",
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Forwarded-Port",
        "X-Real-IP",
        "X-Request-Id",
        "Date",
        "Server",
        "client_id",
        "If-Match",
        "Accept",
        "Accept-Encoding",
    ] {
        for written in [name.to_owned(), name.to_ascii_lowercase()] {
            let lines = format!("{name}: 1\r\nConnection: {written}\r\n\r\n");
            assert!(marked(lines.as_bytes()).0.is_empty(), "{name}");
        }
    }
}

#[test]
fn the_number_of_names_is_bounded() {
    let with = |count: usize| {
        let (head, mut headers) =
            headers(format!("Connection: close{}\r\n\r\n", ",x".repeat(count)).as_bytes());
        headers.connection_options(&head)
    };
    assert!(with(MAX_NAMED_LINES).is_ok());
    assert!(with(MAX_NAMED_LINES + 1).is_err());
}

#[test]
fn a_switch_must_be_to_what_was_offered() {
    for (asked, answered, agrees) in [
        ("websocket", "websocket", true),
        ("websocket", "WebSocket", true),
        ("a, b", "b", true),
        ("a, b", "b, a", true),
        ("websocket", "other", false),
        ("a", "a, b", false),
        ("a", "", false),
        ("a", ",", false),
        ("websocket/1", "websocket", false),
    ] {
        assert_eq!(
            upgrade_agrees(asked.as_bytes(), answered.as_bytes()),
            agrees,
            "{asked} {answered}"
        );
    }
}
