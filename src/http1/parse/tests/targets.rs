//! Request targets in their four forms.

use super::*;

#[test]
fn targets_in_origin_form() {
    for (target, path, query) in [
        ("/", "/", None),
        ("//b", "//b", None),
        ("/a?", "/a", Some("")),
        ("/a?b=1&c=?/d", "/a", Some("b=1&c=?/d")),
        ("/%2e%2e/%5c;a=b,c", "/%2e%2e/%5c;a=b,c", None),
        ("/http://b/", "/http://b/", None),
        ("/a@b:c|d{e}\"^`<>", "/a@b:c|d{e}\"^`<>", None),
    ] {
        let (bytes, head) = get(&format!("GET {target} HTTP/1.1"), "Host: a\r\n");
        assert_eq!(text(head.target, &bytes), target);
        assert_eq!(
            (text(head.path, &bytes), head.query.map(|q| text(q, &bytes))),
            (path, query)
        );
    }
}

#[test]
fn targets_with_other_bytes_are_refused() {
    for target in [
        "/#",
        "/a#b",
        "/a?b#c",
        "#",
        "/a\\b",
        "\\",
        "/?\\",
        "/\u{7f}",
        "/\u{1b}x",
        "/\u{1}",
        "/caf\u{e9}",
        "/\u{80}",
        "/?\u{2028}",
    ] {
        assert_eq!(
            kind(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")),
            MALFORMED,
            "{target:?}"
        );
    }
    for byte in [0x80, 0xa0, 0xc3, 0xff] {
        let line = [b"GET /a", &[byte][..], b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        assert_eq!(kind(line), MALFORMED, "{byte:#x}");
    }
}

#[test]
fn targets_of_other_forms_are_refused() {
    for target in [
        "a",
        "a/b",
        "a.example:80",
        "?a",
        "@b/c",
        ".",
        "..",
        "**",
        "*/",
        "http:",
        "http:/",
        "http:/a",
        "http//a/",
        "ftp://a/",
        "file:///a",
        "ws://a/",
        "javascript:a",
        "mailto:a@b",
        "httpx://a/",
        "http//a",
    ] {
        assert_eq!(
            kind(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")),
            MALFORMED,
            "{target:?}"
        );
        assert_eq!(
            kind(format!("OPTIONS {target} HTTP/1.1\r\nHost: a\r\n\r\n")),
            MALFORMED,
            "{target:?}"
        );
    }
}

#[test]
fn the_asterisk_is_for_options() {
    let (bytes, head) = get("OPTIONS * HTTP/1.1", "Host: a\r\n");
    assert!(head.asterisk_form);
    assert_eq!((text(head.path, &bytes), head.query), ("*", None));
    assert_eq!(kind("GET * HTTP/1.1\r\nHost: a\r\n\r\n"), MALFORMED);
    assert_eq!(kind("OPTIONS *?a HTTP/1.1\r\nHost: a\r\n\r\n"), MALFORMED);
    assert!(!get("OPTIONS / HTTP/1.1", "Host: a\r\n").1.asterisk_form);
}

#[test]
fn targets_in_absolute_form() {
    for (target, host, path, query) in [
        ("http://a/b?c", "a", "/b", Some("c")),
        ("HTTP://A/b", "a", "/b", None),
        ("http://a:80/", "a", "/", None),
        ("http://a/", "a:80", "/", None),
        ("https://a:443/", "A:", "/", None),
        ("http://a", "a", "/", None),
        ("http://a:8080", "a:8080", "/", None),
        ("http://a?b/c", "a", "/", Some("b/c")),
        ("http://a?", "a", "/", Some("")),
        ("http://[::1]:80//b", "[::1]", "//b", None),
    ] {
        let (bytes, head) = get(&format!("GET {target} HTTP/1.1"), &format!("Host: {host}\r\n"));
        assert_eq!(
            (text(head.target, &bytes), text(head.host.unwrap(), &bytes)),
            (target, host)
        );
        assert_eq!(
            (text(head.path, &bytes), head.query.map(|q| text(q, &bytes))),
            (path, query),
            "{target}"
        );
        assert!(!head.asterisk_form);
    }
    for (target, host) in [
        ("http://b/", "a"),
        ("http://a:81/", "a"),
        ("https://a:80/", "a"),
        ("http://a:443/", "a"),
        ("http:///a", "a"),
        ("http://", "a"),
        ("http://?a", "a"),
        ("http://:80/", "a"),
        ("http://u@a/", "a"),
        ("http://u:p@a/", "a"),
        ("http://a:b/", "a"),
        ("http://a:65536/", "a"),
        ("http://a,b/", "a"),
        ("http://a%/", "a"),
        ("http://[::1/", "[::1]"),
        ("http://a.b/", "a.b.c"),
    ] {
        assert_eq!(
            kind(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")),
            MALFORMED,
            "{target} {host}"
        );
    }
    // Host is not replaced by the target in HTTP/1.1, but may be missing in 1.0.
    assert_eq!(kind("GET http://a/ HTTP/1.1\r\n\r\n"), MALFORMED);
    let (bytes, head) = get("GET http://a:81/b HTTP/1.0", "");
    assert_eq!(
        (text(head.host.unwrap(), &bytes), text(head.path, &bytes)),
        ("a:81", "/b")
    );
    assert_eq!(kind("GET http://a/ HTTP/1.0\r\nHost: b\r\n\r\n"), MALFORMED);
}

#[test]
fn options_of_a_whole_server_in_absolute_form() {
    let (bytes, head) = get("OPTIONS http://a:81 HTTP/1.1", "Host: a:81\r\n");
    assert!(head.asterisk_form);
    assert_eq!(text(head.path, &bytes), "/");
    for target in ["http://a/", "http://a?"] {
        assert!(
            !get(&format!("OPTIONS {target} HTTP/1.1"), "Host: a\r\n")
                .1
                .asterisk_form
        );
    }
}

#[test]
fn connect_is_understood_well_enough_to_be_refused() {
    let (bytes, head) = get("CONNECT a.example:443 HTTP/1.1", "Host: a.example:443\r\n");
    assert_eq!(
        (head.method_kind, text(head.path, &bytes)),
        (Method::Connect, "a.example:443")
    );
    assert_eq!(get("CONNECT /x?y HTTP/1.1", "Host: a\r\n").1.query, None);
    assert_eq!(kind("CONNECT a:1#b HTTP/1.1\r\nHost: a\r\n\r\n"), MALFORMED);
}
