//! Who sends a request, where proxies in front have written that into it.

use crate::{
    addresses::{Addresses, address},
    http1::{Headers, Known, RequestHead},
};
use std::net::{IpAddr, SocketAddr};

/// As far as is known: the connection's client, or behind it whom trusted proxies name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender {
    /// Without a port (0) where a proxy named it.
    pub client: SocketAddr,
    /// `http` or `https`, by which the request came to the first proxy that is trusted.
    pub scheme: &'static str,
}

impl Sender {
    pub(super) fn new(client: SocketAddr, secured: bool) -> Self {
        Self {
            client,
            scheme: if secured { "https" } else { "http" },
        }
    }

    /// Takes what a trusted proxy says of the request, and takes out of it what anybody else says: no policy and no origin
    /// is to see it.
    pub(super) fn identify(&mut self, trusted: &Addresses, request: &mut RequestHead, bytes: &[u8]) {
        let headers = &mut request.headers;
        if !trusted.contains(self.client.ip()) {
            headers.remove(bytes, |name, _| {
                CLAIMS.iter().any(|claim| name.eq_ignore_ascii_case(claim))
            });
            return;
        }
        let lines = headers.values(bytes, b"x-forwarded-for");
        if let Some(client) = client(trusted, lines.flat_map(|line| line.split(|byte| *byte == b','))) {
            self.client = SocketAddr::new(client, 0);
        }
        self.scheme = match headers.value_of(bytes, Known::XForwardedProto) {
            Some(b"https") => "https",
            Some(b"http") => "http",
            // Nothing, or nothing that can be meant.
            _ => self.scheme,
        };
        // What is written anew for the next hop is left alone where a policy has set it; so is this. Several lines are
        // nobody's clear word.
        keep(headers, bytes, Known::XForwardedHost, b"X-Forwarded-Host");
        if headers.has(Known::XForwardedProto) {
            // Digits and letters: it is a line.
            let _ = headers.set(bytes, b"X-Forwarded-Proto", self.scheme.as_bytes());
        }
    }
}

fn keep(headers: &mut Headers, bytes: &[u8], known: Known, name: &[u8]) {
    if let Some(value) = headers.value_of(bytes, known) {
        let value = value.to_vec();
        // It was one.
        let _ = headers.set(bytes, name, &value);
    }
}

/// From the last to the first of those who passed it on: the first who is not trusted to name the one before. What can't be
/// read is nobody's, and whoever passed that on is as far as is known. None: nobody is named.
fn client<'v>(trusted: &Addresses, elements: impl Iterator<Item = &'v [u8]>) -> Option<IpAddr> {
    let (mut untrusted, mut first) = (None, None);
    for element in elements {
        match address(element) {
            None => (untrusted, first) = (None, None),
            Some(named) if trusted.contains(named) => first = first.or(Some(named)),
            Some(named) => untrusted = Some(named),
        }
    }
    untrusted.or(first)
}

/// Lines by which origins, and policies, learn who asks.
const CLAIMS: [&[u8]; 6] = [
    b"forwarded",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-port",
    b"x-forwarded-proto",
    b"x-real-ip",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        http1::Limits,
        located::{Located, Origin, Problems},
    };

    fn trusted(written: &[&str]) -> Addresses {
        let origin = Origin {
            file: "test".into(),
            line: 1,
            column: 1,
        };
        let written: Vec<_> = written
            .iter()
            .map(|text| Located::new((*text).to_owned(), origin.clone()))
            .collect();
        Addresses::compile(&written, &mut Problems::default()).expect("ranges")
    }

    fn identified(peer: &str, lines: &str) -> (Sender, RequestHead, Vec<u8>) {
        let bytes = format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n").into_bytes();
        let mut head = RequestHead::default();
        head.parse(&bytes, &Limits::default()).expect("a head");
        let mut sender = Sender::new(peer.parse().expect("an address"), false);
        sender.identify(&trusted(&["10.0.0.0/8", "2001:db8::/32"]), &mut head, &bytes);
        (sender, head, bytes)
    }

    #[test]
    fn the_last_who_is_not_trusted_is_the_client() {
        for (list, client) in [
            ("203.0.113.7", "203.0.113.7:0"),
            ("1.1.1.1, 203.0.113.7", "203.0.113.7:0"),
            ("1.1.1.1, 203.0.113.7, 10.9.9.9, 10.1.1.1", "203.0.113.7:0"),
            ("203.0.113.7:4711", "203.0.113.7:0"),
            ("10.3.3.3, 10.2.2.2", "10.3.3.3:0"),
            ("2001:db9::7, 2001:db8::1", "[2001:db9::7]:0"),
            ("203.0.113.7, nonsense, 10.2.2.2", "10.2.2.2:0"),
            ("203.0.113.7, unknown", "10.1.2.3:80"),
            ("203.0.113.7,", "10.1.2.3:80"),
            ("", "10.1.2.3:80"),
        ] {
            let (sender, ..) = identified("10.1.2.3:80", &format!("X-Forwarded-For: {list}\r\n"));
            assert_eq!(sender.client, client.parse().expect("an address"), "{list}");
        }
        // Lines are one list (RFC 9110 §5.3).
        let (sender, ..) = identified(
            "10.1.2.3:80",
            "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-For: 10.2.2.2\r\n",
        );
        assert_eq!(sender.client, "203.0.113.7:0".parse().expect("an address"));
    }

    #[test]
    fn nobody_elses_word_counts() {
        let lines = "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\nForwarded: for=1.1.1.1\r\nX-Real-IP: 1.1.1.1\r\n";
        let (sender, head, bytes) = identified("192.0.2.1:80", lines);
        assert_eq!(
            (sender.client, sender.scheme),
            ("192.0.2.1:80".parse().expect("an address"), "http")
        );
        for name in CLAIMS {
            assert_eq!(head.headers.values(&bytes, name).count(), 0);
        }
    }

    #[test]
    fn how_it_came_goes_on() {
        let (sender, head, bytes) = identified(
            "10.0.0.1:80",
            "X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop\r\n",
        );
        assert_eq!(sender.scheme, "https");
        let values = |name: &[u8]| {
            head.headers
                .values(&bytes, name)
                .map(<[u8]>::to_vec)
                .collect::<Vec<_>>()
        };
        assert_eq!(values(b"x-forwarded-proto"), [b"https".to_vec()]);
        assert_eq!(values(b"x-forwarded-host"), [b"shop".to_vec()]);
        let (sender, head, bytes) = identified("10.0.0.1:80", "X-Forwarded-Proto: gopher\r\n");
        assert_eq!(sender.scheme, "http");
        assert_eq!(
            head.headers.values(&bytes, b"x-forwarded-proto").next(),
            Some(&b"http"[..])
        );
    }
}
