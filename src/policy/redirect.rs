//! `redirect`: sends clients elsewhere. Ours; what nginx's `return 301` and HAProxy's `http-request redirect` are for.
//!
//! A target never depends on what a client says of itself unless the configuration asks for it: without `host` only a path
//! is redirected, relative to wherever the client thinks it is, so no `Host` header makes this an open redirect.

use super::{Answer, Refusal, Request, Step, template};
use crate::{
    choice,
    expr::{Scope, Template},
    fault::Kind,
    located::{Bounded, Located, Origin, Problems},
    object,
};

object! {
    /// Configuration of `redirect`.
    pub(super) struct RedirectSpec {
        /// Of the target. Default that of the request. Needs `host`.
        optional "scheme" scheme: Located<RedirectScheme>,
        /// Of the target, without a port: a name, or an expression. Default none: the target is a path alone.
        optional "host" host: Located<String>,
        /// Of the target. Default that of the scheme. Needs `host`.
        optional "port" port: Located<Bounded<1, 65535>>,
        /// Of the target, beginning with `/`: text, or an expression. Default that of the request.
        optional "path" path: Located<String>,
        /// 301, 302, 303, 307 or 308. Default 308, which is for good and lets no method become another.
        optional "status" status: Located<Bounded<301, 308>>,
        /// Whether the request's query goes on. Default true.
        optional "keepQuery" keep_query: bool,
    }
}

choice! {
    pub(super) enum RedirectScheme { Http = "http", Https = "https" }
}

#[derive(Debug)]
pub struct Redirect {
    scheme: Option<&'static str>,
    host: Option<Template>,
    port: Option<u16>,
    path: Option<Template>,
    status: u16,
    keep_query: bool,
}

impl Redirect {
    pub(super) fn compile(spec: &RedirectSpec, origin: &Origin, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        if spec.host.is_none() && spec.path.is_none() && spec.scheme.is_none() && spec.port.is_none() {
            problems.report(origin, "redirects nowhere: write `host`, `path` or both");
        }
        if spec.host.is_none() {
            let needs = "needs `host`: the name to send clients to. `#[attributes.headers.host]` takes the client's word for \
                         it, which lets anybody who can set that header choose the target";
            for (key, origin) in [
                ("scheme", spec.scheme.as_ref().map(|scheme| &scheme.origin)),
                ("port", spec.port.as_ref().map(|port| &port.origin)),
            ] {
                if let Some(origin) = origin {
                    problems.within(key, |problems| problems.report(origin, needs));
                }
            }
        }
        let mut parsed = |key, written: Option<&Located<String>>, usable: fn(&str) -> bool, message: &str| {
            let written = written?;
            let parsed = template(key, written, &Scope::REQUEST, problems)?;
            if parsed.literal().is_some_and(|text| !usable(text)) {
                let message = format!("`{}` {message}", written.value);
                problems.within(key, |problems| problems.report(&written.origin, message));
            }
            Some(parsed)
        };
        let host = parsed(
            "host",
            spec.host.as_ref(),
            |host| split_host(host.as_bytes()).is_some_and(|(_, port)| port.is_none()),
            "is no name of a host; a port goes into `port`",
        );
        let path = parsed(
            "path",
            spec.path.as_ref(),
            |path| path.starts_with('/') && !path.starts_with("//") && path.bytes().all(is_kept),
            "must begin with one `/` and hold only what a URL may, the rest percent-encoded",
        );
        let status = spec.status.as_ref().map_or(308, |status| status.unsigned());
        if let Some(written) = spec
            .status
            .as_ref()
            .filter(|_| !matches!(status, 301..=303 | 307 | 308))
        {
            problems.within("status", |problems| {
                problems.report(&written.origin, "must be 301, 302, 303, 307 or 308")
            });
        }
        (problems.len() == before).then_some(Self {
            scheme: spec.scheme.as_ref().map(|scheme| scheme.word()),
            host,
            // Both are within their types by their bounds.
            port: spec.port.as_ref().map(|port| port.unsigned() as u16),
            path,
            status: status as u16,
            keep_query: spec.keep_query.unwrap_or(true),
        })
    }

    pub(super) fn on_request(&self, request: &mut Request<'_>) -> Step {
        match self.target(request) {
            Ok(None) => Step::Continue,
            Ok(Some(target)) => {
                request.reply("Location", &target);
                Step::Answer(Answer::empty(self.status))
            }
            Err(refusal) => refusal.into(),
        }
    }

    /// None where the request is there already: a redirect to itself would never end.
    fn target(&self, request: &Request<'_>) -> Result<Option<Vec<u8>>, Refusal> {
        let view = request.view();
        let head = &*request.head;
        let mut target = Vec::new();
        let mut moves = false;
        if let Some(host) = &self.host {
            let host = host.text(&view).map_err(|_| NO_VALUE)?;
            let (host, _) = split_host(&host).ok_or(NO_HOST)?;
            let scheme = self.scheme.unwrap_or(request.context.scheme);
            let asked = head.host.and_then(|asked| split_host(asked.of(request.bytes)));
            moves |= scheme != request.context.scheme
                || !asked.is_some_and(|(asked, _)| asked.eq_ignore_ascii_case(host))
                || self.port.is_some_and(|port| port != request.context.local.port());
            for part in [scheme.as_bytes(), b"://", host] {
                target.extend_from_slice(part);
            }
            if let Some(port) = self.port.filter(|port| *port != default_port(scheme)) {
                target.extend_from_slice(format!(":{port}").as_bytes());
            }
        }
        let asked = head.path.of(request.bytes);
        let start = target.len();
        match &self.path {
            None => put(&mut target, asked),
            Some(path) => put(&mut target, &path.text(&view).map_err(|_| NO_VALUE)?),
        }
        if target.get(start) != Some(&b'/') {
            target.insert(start, b'/');
        }
        // `//name` alone would be another host.
        let slashes = target[start..].iter().take_while(|byte| **byte == b'/').count();
        target.drain(start..start + slashes - 1);
        moves |= self.path.is_some() && target[start..] != *asked;
        if let Some(query) = head.query.filter(|_| self.keep_query) {
            target.push(if target[start..].contains(&b'?') {
                b'&'
            } else {
                b'?'
            });
            put(&mut target, query.of(request.bytes));
        }
        Ok(moves.then_some(target))
    }
}

/// What is neither a character of a URL nor one that ends a header's line or the path goes as `%XX`, so that no value of
/// a request becomes a second line, a fragment or a host.
fn put(out: &mut Vec<u8>, part: &[u8]) {
    for &byte in part {
        if is_kept(byte) {
            out.push(byte);
        } else {
            let digit = |nibble: u8| b"0123456789ABCDEF"[usize::from(nibble)];
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// RFC 3986 §3.3 and §3.4, and `%`, which is taken to be part of what is encoded already.
fn is_kept(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte)
}

/// Name or address, and port. None for what is neither.
fn split_host(host: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let end = if host.starts_with(b"[") {
        host.iter().position(|byte| *byte == b']')? + 1
    } else {
        host.iter().position(|byte| *byte == b':').unwrap_or(host.len())
    };
    let (name, rest) = host.split_at(end);
    let port = match rest.split_first() {
        None => None,
        Some((b':', port)) if port.iter().all(u8::is_ascii_digit) => Some(port),
        Some(_) => return None,
    };
    let valid = match name.strip_prefix(b"[") {
        Some(address) => std::str::from_utf8(&address[..address.len() - 1])
            .is_ok_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok()),
        None => {
            !name.is_empty()
                && name
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(byte))
        }
    };
    valid.then_some((name, port))
}

fn default_port(scheme: &str) -> u16 {
    if scheme == "https" { 443 } else { 80 }
}

const NO_VALUE: Refusal = Refusal::new(Kind::Internal, "the target of a redirect could not be made");
const NO_HOST: Refusal = Refusal::new(Kind::Rejected, "the request names no host to redirect to");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses() {
        for (host, name, port) in [
            ("example.com", "example.com", None),
            ("example.com:8443", "example.com", Some("8443")),
            ("127.0.0.1:80", "127.0.0.1", Some("80")),
            ("[::1]:8443", "[::1]", Some("8443")),
            ("[::1]", "[::1]", None),
            ("a_b", "a_b", None),
            ("a:", "a", Some("")),
        ] {
            let expected = Some((name.as_bytes(), port.map(str::as_bytes)));
            assert_eq!(split_host(host.as_bytes()), expected, "{host}");
        }
        for bad in [
            "", ":80", "a b", "a/b", "a@b", "a\\b", "a\r\nb", "a:b", "[::1", "[x]", "[::1]x", "a?b", "a#b",
            "ä", "a%2f", "a:80:90",
        ] {
            assert_eq!(split_host(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn what_is_put_is_of_a_url() {
        let encoded = |text: &str| {
            let mut out = Vec::new();
            put(&mut out, text.as_bytes());
            String::from_utf8(out).expect("ASCII")
        };
        assert_eq!(encoded("/a/b?c=d&e=%20+f"), "/a/b?c=d&e=%20+f");
        assert_eq!(encoded("/\r\nSet-Cookie: x"), "/%0D%0ASet-Cookie:%20x");
        assert_eq!(encoded("/\\evil#ä\"<>"), "/%5Cevil%23%C3%A4%22%3C%3E");
    }
}
