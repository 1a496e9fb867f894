//! `uri-host [ ":" port ]` (RFC 9110 §7.2, RFC 3986 §3.2): the value of Host and the authority of an
//! absolute-form target.

use std::net::Ipv6Addr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Authority<'h> {
    /// With the brackets where it is an IPv6 address.
    host: &'h [u8],
    /// None where there is none, or an empty one (`host:`), which RFC 3986 §6.2.3 holds equal.
    port: Option<u16>,
}

impl<'h> Authority<'h> {
    /// None when it is empty or not of that form. User information is not part of it: an `@` is how a host
    /// is made to look like another one, and RFC 9110 §4.2.4 wants it treated as an error.
    /// IPvFuture literals and zone identifiers are refused: neither can name a host to somebody else.
    pub(super) fn parse(bytes: &'h [u8]) -> Option<Self> {
        let length = if bytes.first() == Some(&b'[') {
            let close = memchr::memchr(b']', bytes)?;
            std::str::from_utf8(&bytes[1..close])
                .ok()?
                .parse::<Ipv6Addr>()
                .ok()?;
            close + 1
        } else {
            registered_name(bytes)?
        };
        let (host, rest) = bytes.split_at(length);
        let port = match rest.split_first() {
            None => None,
            Some((b':', digits)) => port(digits)?,
            Some(_) => return None,
        };
        Some(Self { host, port })
    }

    /// Whether both name one server. Host names are compared without case, the scheme's own port is the same as none.
    pub(super) fn agrees(&self, other: &Authority<'_>, default_port: u16) -> bool {
        self.host.eq_ignore_ascii_case(other.host)
            && self.port.unwrap_or(default_port) == other.port.unwrap_or(default_port)
    }
}

/// The length of a non-empty reg-name (or IPv4 address) that ends at a colon or with the bytes.
fn registered_name(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let plain = bytes[at..]
            .iter()
            .position(|&byte| !REGISTERED_NAME[byte as usize]);
        at = plain.map_or(bytes.len(), |length| at + length);
        match bytes.get(at) {
            None | Some(b':') => break,
            Some(b'%') if bytes.get(at + 1..at + 3)?.iter().all(u8::is_ascii_hexdigit) => at += 3,
            Some(_) => return None,
        }
    }
    (at > 0).then_some(at)
}

/// Some(None) for the empty port. Leading zeros are digits like others, but five places are all a port has.
fn port(digits: &[u8]) -> Option<Option<u16>> {
    if digits.is_empty() {
        return Some(None);
    }
    if digits.len() > 5 {
        return None;
    }
    let mut value = 0u32;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u32::from(digit - b'0');
    }
    u16::try_from(value).ok().map(Some)
}

/// unreserved and sub-delims of RFC 3986; percent-encoding is looked at byte by byte.
const REGISTERED_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"-._~!$&'()*+,;=";
    let mut n = 0;
    while n < marks.len() {
        table[marks[n] as usize] = true;
        n += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_that_are_one() {
        let accepted: [(&str, &str, Option<u16>); 12] = [
            ("a", "a", None),
            ("example.com", "example.com", None),
            ("example.com:", "example.com", None),
            ("example.com:8080", "example.com", Some(8080)),
            ("example.com:00080", "example.com", Some(80)),
            ("127.0.0.1:65535", "127.0.0.1", Some(65535)),
            ("_dmarc.a-b~c", "_dmarc.a-b~c", None),
            ("caf%C3%A9.example", "caf%C3%A9.example", None),
            ("[::1]", "[::1]", None),
            ("[::1]:80", "[::1]", Some(80)),
            ("[2001:db8::7:8]:", "[2001:db8::7:8]", None),
            ("[::ffff:10.0.0.1]:1", "[::ffff:10.0.0.1]", Some(1)),
        ];
        for (written, host, port) in accepted {
            let parsed = Authority::parse(written.as_bytes());
            assert_eq!(
                parsed,
                Some(Authority {
                    host: host.as_bytes(),
                    port
                }),
                "{written}"
            );
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for refused in [
            "",
            ":",
            ":80",
            "a b",
            "a:b",
            "a:80:80",
            "a:65536",
            "a:-1",
            "a:+1",
            "a:000080",
            "a: 80",
            "a/",
            "a?b",
            "a#b",
            "a@b",
            "u:p@h",
            "<a>",
            "http://a",
            "a\\b",
            "a%",
            "a%4",
            "a%zz",
            "caf\u{e9}",
            "[",
            "[]",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]:x",
            "[::g]",
            "[1.2.3.4]",
            "[fe80::1%25eth0]",
            "[v1.x]",
            "a[::1]",
            "a\tb",
            "a\0b",
            "a\u{7f}",
            "\"a\"",
            "a|b",
            "a^b",
            "{a}",
        ] {
            assert_eq!(Authority::parse(refused.as_bytes()), None, "{refused:?}");
        }
    }

    #[test]
    fn agreement_minds_case_and_default_ports() {
        let agrees = |a: &str, b: &str, default: u16| {
            Authority::parse(a.as_bytes())
                .unwrap()
                .agrees(&Authority::parse(b.as_bytes()).unwrap(), default)
        };
        assert!(agrees("a.example", "A.Example", 80));
        assert!(agrees("a", "a:80", 80));
        assert!(agrees("a:", "a:443", 443));
        assert!(agrees("a:0080", "a", 80));
        assert!(!agrees("a", "a:80", 443));
        assert!(!agrees("a", "b", 80));
        assert!(!agrees("a:1", "a:2", 80));
        assert!(!agrees("a", "a.", 80));
    }
}
