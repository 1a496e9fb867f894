//! A policy's own HTTP call, as values: what it asks (a token's introspection, an authorisation, a key set) and what
//! came of it. `policy` makes the one, `connection::outcall` carries it out over the upstream pools and gives the other.

use crate::fault::Fault;
use std::time::Duration;

/// A request whose body is there whole, to a cluster of the same snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcall {
    /// Index into `Snapshot::clusters`; `Host` is the name of the endpoint chosen.
    pub cluster: usize,
    /// A token (RFC 9110 §9.1), as it is to be sent.
    pub method: String,
    /// Begins with `/`; may have a query.
    pub path: String,
    /// Beside those that frame the message and name its host, which are not the caller's.
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    /// For all of it, from choosing a connection to the last byte of the reply.
    pub timeout: Duration,
    /// Of the reply's body; more is a fault, not a part of a reply.
    pub max_reply_bytes: usize,
}

impl Outcall {
    pub const REPLY_BYTES: usize = 1024 * 1024;
    pub const TIMEOUT: Duration = Duration::from_secs(5);

    /// A GET with the usual limits.
    pub fn get(cluster: usize, path: impl Into<String>) -> Self {
        Self {
            cluster,
            method: "GET".to_owned(),
            path: path.into(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: Self::TIMEOUT,
            max_reply_bytes: Self::REPLY_BYTES,
        }
    }

    /// A POST with the usual limits.
    pub fn post(cluster: usize, path: impl Into<String>, content_type: &str, body: Vec<u8>) -> Self {
        Self {
            method: "POST".to_owned(),
            headers: vec![("Content-Type".to_owned(), content_type.as_bytes().to_vec())],
            body,
            ..Self::get(cluster, path)
        }
    }

    /// Whether it can be sent as it is: a value taken from a client's request must not become a header of its own.
    ///
    /// # Errors
    /// Which part cannot.
    pub fn check(&self) -> Result<(), &'static str> {
        if !is_token(self.method.as_bytes()) || self.method == "CONNECT" {
            return Err("the method of a policy's call is not one");
        }
        let visible = |byte: &u8| matches!(byte, b'!'..=b'~');
        if !self.path.starts_with('/') || !self.path.as_bytes().iter().all(visible) || self.path.contains('#')
        {
            return Err("the path of a policy's call is not one");
        }
        for (name, value) in &self.headers {
            if !is_token(name.as_bytes()) || value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
                return Err("a header of a policy's call is not one");
            }
            if FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
                return Err("a header of a policy's call frames the message");
            }
        }
        Ok(())
    }
}

/// What came back: any status, redirects too, which nobody follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    /// In order, names as sent; those of one connection are left out.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Whole.
    pub body: Vec<u8>,
}

impl Reply {
    /// The first of that name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(value)
    }
}

/// Without a reply: the same value an exchange ends with, for the record. What it means to the client is the policy's to
/// say.
pub type CallError = Fault;

/// RFC 9110 §5.6.2.
fn is_token(name: &[u8]) -> bool {
    !name.is_empty()
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// Headers that frame a message and name its host: ours to write, or not to be written at all.
pub const FRAMING: &[&str] = &[
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "expect",
    "te",
    "trailer",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_more_than_one_request_is_none() {
        let good = Outcall::post(0, "/token?a=b", "text/plain", b"x".to_vec());
        assert_eq!(good.check(), Ok(()));
        for method in ["", "G ET", "GET\r\n", "CONNECT"] {
            let bad = Outcall {
                method: method.to_owned(),
                ..good.clone()
            };
            assert!(bad.check().is_err(), "{method:?}");
        }
        for path in ["", "x", "/ HTTP/1.1\r\nX: y\r\n", "/a b", "/a#b", "/\u{e4}"] {
            let bad = Outcall {
                path: path.to_owned(),
                ..good.clone()
            };
            assert!(bad.check().is_err(), "{path:?}");
        }
        for (name, value) in [
            ("X", "a\r\nHost: b"),
            ("X", "a\0"),
            ("X:", "a"),
            ("", "a"),
            ("Content-Length", "0"),
            ("HOST", "b"),
        ] {
            let bad = Outcall {
                headers: vec![(name.to_owned(), value.as_bytes().to_vec())],
                ..good.clone()
            };
            assert!(bad.check().is_err(), "{name:?}: {value:?}");
        }
    }

    #[test]
    fn names_of_headers_have_no_case() {
        let reply = Reply {
            status: 200,
            headers: vec![("Cache-Control".to_owned(), b"no-store".to_vec())],
            body: Vec::new(),
        };
        assert_eq!(reply.header("cache-control"), Some(&b"no-store"[..]));
        assert_eq!(reply.header("age"), None);
    }
}
