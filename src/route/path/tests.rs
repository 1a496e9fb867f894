use super::*;
use proptest::prelude::*;

fn normal(raw: &str) -> Result<String, &'static str> {
    let mut out = Vec::new();
    normalise(raw.as_bytes(), &mut out).map(|_| String::from_utf8(out).unwrap())
}

fn again(raw: &str) -> Result<Option<String>, &'static str> {
    let mut out = Vec::new();
    let second = normalise(raw.as_bytes(), &mut out)?;
    if second == SecondReading::None {
        return Ok(None);
    }
    let mut other = Vec::new();
    read_again(&out, second, &mut other)?;
    Ok(Some(String::from_utf8(other).unwrap()))
}

#[test]
fn normal_forms() {
    for (raw, expected) in [
        ("", "/"),
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/A/b", "/A/b"),
        ("/a/b/", "/a/b/"),
        ("/a/./b", "/a/b"),
        ("/a/.", "/a/"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a/b/../", "/a/"),
        ("/a/../b", "/b"),
        ("/a/b/../../c", "/c"),
        ("//", "/"),
        ("/a//b", "/a/b"),
        ("///a///b//", "/a/b/"),
        ("/a//../b", "/b"),
        ("/./a", "/a"),
        ("/.well-known/x", "/.well-known/x"),
        ("/...", "/..."),
        ("/..a/.b", "/..a/.b"),
        ("/a..", "/a.."),
        ("/%41%7a%2D%2e%5F%7E%30", "/Az-._~0"),
        ("/a/%2e/b", "/a/b"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("/a%20b%c3%a9", "/a%20b%C3%A9"),
        ("/%3f%23%25", "/%3F%23%25"),
        ("/%252f", "/%252f"),
        ("/%252e%252e/", "/%252e%252e/"),
        ("/a%2fb%5Cc", "/a%2Fb%5Cc"),
        ("/a\\b", "/a%5Cb"),
        (
            "/caf\u{e9}/{x}|\"<>^`[]",
            "/caf%C3%A9/%7Bx%7D%7C%22%3C%3E%5E%60%5B%5D",
        ),
        ("/a;x=1/b", "/a;x=1/b"),
        ("/a%3bx", "/a%3Bx"),
        ("/a@b:c!$&'()*+,=", "/a@b:c!$&'()*+,="),
    ] {
        assert_eq!(normal(raw).as_deref(), Ok(expected), "{raw}");
    }
}

#[test]
fn refused() {
    for raw in [
        "/..",
        "/../a",
        "/a/../..",
        "/%2e%2e/",
        "/%2e%2e/etc/passwd",
        "/./..",
        "//..",
        "/a//../..",
        "/%",
        "/%2",
        "/%zz",
        "/%u002e",
        "/%%32%65",
        "/a%00",
        "/%0d%0aX:",
        "/%1F",
        "/%7f",
        "/a b",
        "/a\tb",
        "/a\u{7f}",
        "/a#b",
        "/a?b",
        "a",
        "../a",
        "http://x/",
        "/a/..;/b",
        "/a/..;x=1/b",
        "/a/.;/b",
        "/a/%2e%2e;/b",
        "/a/..%3b/b",
        "/a/.%3B",
        "/%c0%ae%c0%ae/",
        "/%c0%af",
        "/%C1%9C",
        "/%e0%80%af",
        "/%F0%80%80%AF",
        "/a;x%2fy",
        "/a%2fb;x",
        "/a;x\\y",
    ] {
        assert!(normal(raw).is_err(), "{raw} became {:?}", normal(raw));
    }
}

#[test]
fn overlong_bytes_are_refused_bare_as_encoded() {
    for raw in [&b"/\xc0\xae"[..], b"/\xc0%ae", b"/%c0\xaf", b"/\xe0\x80\xaf"] {
        assert!(normalise(raw, &mut Vec::new()).is_err(), "{raw:?}");
    }
}

#[test]
fn every_byte_of_a_path_is_plain_or_encoded() {
    for byte in 0x21..=u8::MAX {
        if matches!(byte, b'#' | b'?' | b'%' | 0x7f) {
            continue;
        }
        let path_byte = byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte);
        let expected = if path_byte {
            (byte as char).to_string()
        } else {
            format!("%{byte:02X}")
        };
        let mut out = Vec::new();
        // With and without something that ends the fast path.
        for (raw, prefix) in [
            (vec![b'/', b'x', byte], "/x"),
            (vec![b'/', b'%', b'4', b'1', byte], "/A"),
        ] {
            normalise(&raw, &mut out).unwrap();
            assert_eq!(
                String::from_utf8_lossy(&out),
                format!("{prefix}{expected}"),
                "{byte:#x}"
            );
        }
    }
}

#[test]
fn second_readings() {
    for (raw, expected) in [
        ("/a", None),
        ("/a%20b", None),
        ("/%252f", None),
        ("/a%2fb", Some("/a/b")),
        ("/a%5cb", Some("/a/b")),
        ("/a\\b", Some("/a/b")),
        ("/a/..%2fadmin", Some("/admin")),
        ("/a/%2e%2e%2fadmin", Some("/admin")),
        ("/a%2f%2e%2e/b", Some("/b")),
        ("/a/%2f/b", Some("/a/b")),
        ("/a%2f", Some("/a/")),
        ("/a%2fb/..", Some("/")),
        ("/admin;x/users", Some("/admin/users")),
        ("/;x/admin", Some("/admin")),
        ("/a;", Some("/a")),
        ("/a;x;y/b;z", Some("/a/b")),
    ] {
        assert_eq!(again(raw), Ok(expected.map(str::to_owned)), "{raw}");
    }
    for raw in [
        "/..%2f",
        "/a%2f..%2f..",
        "/..%5c..%5cwindows",
        "/x%2f..;%2f",
        "/x%2f..%3b%2fy",
        "/..\\a",
    ] {
        assert!(again(raw).is_err(), "{raw} became {:?}", again(raw));
    }
}

#[test]
fn dots_of_pieces() {
    for (piece, expected) in [
        ("", Dots::None),
        ("/a/b", Dots::None),
        ("a..b", Dots::None),
        ("../a", Dots::Climb),
        ("/..", Dots::Climb),
        ("/a/../b", Dots::Inside),
        ("/a/./b", Dots::Inside),
        ("/a%2f..%2f..", Dots::Climb),
        ("/a%2F..%5cb", Dots::Inside),
        ("..%2fadmin", Dots::Climb),
        ("/a/..;x", Dots::Climb),
    ] {
        assert_eq!(dots(piece.as_bytes()), expected, "{piece}");
    }
}

#[test]
fn base_paths() {
    for (written, expected) in [
        ("", ""),
        ("/", ""),
        ("/api", "/api"),
        ("/api/", "/api"),
        ("/a/b//", "/a/b"),
        ("/a/../b", "/b"),
        ("/%61", "/a"),
    ] {
        assert_eq!(normalise_base_path(written).as_deref(), Ok(expected), "{written}");
    }
    for written in ["api", "/a?b", "/a#b", "/a%2fb", "/a;v=1", "/..", "/%zz", "/a b"] {
        assert!(normalise_base_path(written).is_err(), "{written}");
    }
}

#[test]
fn overlapping_base_paths() {
    for (a, b, expected) in [
        ("", "", true),
        ("", "/cats", true),
        ("/cats", "/cats", true),
        ("/cats", "/cats/dogs", true),
        ("/cats", "/catsanddogs", false),
        ("/cats/a", "/cats/b", false),
        ("/a", "/b", false),
    ] {
        assert_eq!((overlap(a, b), overlap(b, a)), (expected, expected), "{a} {b}");
    }
}

#[test]
fn what_is_special_is_seen_wherever_it_stands() {
    for length in 2..60 {
        for at in 0..length - 1 {
            let mut path = vec![b'a'; length];
            for pair in [
                *b"//", *b"/.", *b"./", *b"..", *b"%a", *b"a%", *b"\x80a", *b"/a", *b"!=",
            ] {
                path[at..at + 2].copy_from_slice(&pair);
                assert_eq!(
                    is_plain(&path),
                    is_plain_short(&path),
                    "{}",
                    String::from_utf8_lossy(&path)
                );
            }
            let special = |byte: &u8| !is_plain_short(&[b'a', *byte]);
            assert_eq!((0..=u8::MAX).filter(special).count(), 256 - 79);
            for byte in 0..=u8::MAX {
                path[at..at + 2].copy_from_slice(&[byte, b'a']);
                assert_eq!(is_plain(&path), !special(&byte), "{byte:#x} at {at} of {length}");
            }
        }
    }
}

#[test]
fn below_a_base_path() {
    for (path, base, expected) in [
        ("/api", "/api", Some("/")),
        ("/api/", "/api", Some("/")),
        ("/api/x", "/api", Some("/x")),
        ("/apix", "/api", None),
        ("/x", "", Some("/x")),
    ] {
        assert!(path.starts_with(base));
        assert_eq!(
            below(path.as_bytes(), base.len()),
            expected.map(str::as_bytes),
            "{path} {base}"
        );
    }
}

#[test]
fn joining() {
    for (destination, suffix, expected) in [
        ("", "/foo", "/foo"),
        ("/", "/foo", "/foo"),
        ("", "", "/"),
        ("/", "", "/"),
        ("", "foo", "/foo"),
        ("/", "foo", "/foo"),
        ("/orders", "", "/orders"),
        ("/orders", "/foo", "/orders/foo"),
        ("/orders/", "/foo", "/orders/foo"),
        ("/orders/", "", "/orders/"),
        ("/orders/", "foo", "/orders/foo"),
        ("/orders", "foo", "/ordersfoo"),
        ("orders", "/foo", "/orders/foo"),
        ("/orders", "/", "/orders/"),
    ] {
        let mut out = b"GET ".to_vec();
        join_upstream_path(&mut out, destination, suffix.as_bytes());
        assert_eq!(
            String::from_utf8(out).unwrap(),
            format!("GET {expected}"),
            "{destination} + {suffix}"
        );
    }
}

#[test]
fn hosts() {
    for (host, expected) in [
        ("a.example", "a.example"),
        ("a.example:80", "a.example"),
        ("a.example.:80", "a.example"),
        ("a.example.", "a.example"),
        ("[::1]:80", "[::1]"),
        ("[::1]", "[::1]"),
        ("", ""),
        (":80", ""),
    ] {
        assert_eq!(host_without_port(host.as_bytes()), expected.as_bytes(), "{host}");
    }
}

/// The same rules, written the slow and obvious way.
fn oracle(raw: &str) -> Option<String> {
    let mut decoded = String::new();
    let mut rest = raw;
    while let Some(c) = rest.chars().next() {
        let triplet = (c == '%').then(|| {
            u8::from_str_radix(rest.get(1..3)?, 16)
                .ok()
                .filter(|_| !rest[1..3].contains('+'))
        });
        rest = match triplet {
            None => {
                decoded.push(c);
                &rest[1..]
            }
            Some(value) => {
                let value = value?;
                if value.is_ascii_alphanumeric() || "-._~".contains(value as char) {
                    decoded.push(value as char);
                } else if value.is_ascii_control() {
                    return None;
                } else {
                    decoded.push_str(&format!("%{value:02X}"));
                }
                &rest[3..]
            }
        };
    }
    let segments: Vec<&str> = decoded.split('/').skip(1).collect();
    let mut kept: Vec<&str> = Vec::new();
    for segment in &segments {
        match *segment {
            "" | "." => {}
            ".." => drop(kept.pop()?),
            _ => kept.push(segment),
        }
    }
    let slash = if kept.is_empty() || !matches!(*segments.last()?, "" | "." | "..") {
        ""
    } else {
        "/"
    };
    Some(format!("/{}{slash}", kept.join("/")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn as_the_obvious_way(raw in "/([/./a]|%2[eEfF5]|%4[1a]|%0a|%5|%zz){0,12}") {
        prop_assert_eq!(normal(&raw).ok(), oracle(&raw));
    }

    #[test]
    fn a_normal_form_is_its_own(raw in "/([/.a;\\\\]|%2[eEfF5]|%3[bB]|%5[cC]|%4[1a]){0,12}") {
        if let Ok(once) = normal(&raw) {
            prop_assert_eq!(normal(&once), Ok(once.clone()));
            prop_assert!(!once.contains("//") && once.starts_with('/'));
            prop_assert!(!once.split('/').any(|segment| matches!(segment, "." | "..")));
        }
    }

    #[test]
    fn plain_means_unchanged(raw in "/[/.a%;Z2\\-!~]{0,8}") {
        if is_plain(raw.as_bytes()) {
            prop_assert_eq!(oracle(&raw), Some(raw));
        }
    }
}
