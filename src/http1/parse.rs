//! What a head says. [`super::tokens`] splits it; everything else that has security in it is decided here:
//! which forms of target are taken, who the host is, where the body ends, which lines concern one hop only.

use super::authority::Authority;
use super::headers::{ConnectionOptions, list, trim};
use super::tokens::{header_lines, request_line, status_line};
use super::{Framing, Headers, Known, Limits, Range, is_token};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    Http10,
    #[default]
    Http11,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadError {
    pub kind: HeadErrorKind,
    /// For logs; holds nothing of what the peer sent.
    pub detail: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadErrorKind {
    /// 400 of a request; of a response 502, as any other kind.
    Malformed,
    /// 414
    TargetTooLong,
    /// 431
    TooLarge,
    /// 501: a transfer coding that we do not know.
    NotImplemented,
    /// 505
    VersionNotSupported,
}

impl HeadError {
    pub(super) const fn new(kind: HeadErrorKind, detail: &'static str) -> Self {
        Self { kind, detail }
    }

    pub(super) const fn malformed(detail: &'static str) -> Self {
        Self::new(HeadErrorKind::Malformed, detail)
    }
}

/// Methods are case-sensitive: `get` is [`Method::Other`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Patch,
    Options,
    Trace,
    Connect,
    #[default]
    Other,
}

impl Method {
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        match name {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"PATCH" => Self::Patch,
            b"OPTIONS" => Self::Options,
            b"TRACE" => Self::Trace,
            b"CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }

    /// RFC 9110 §9.2.1: asks for nothing to be changed.
    pub fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options | Self::Trace)
    }

    /// RFC 9110 §9.2.2: may be sent again when the answer was lost. Unknown methods are not.
    pub fn is_idempotent(self) -> bool {
        self.is_safe() || matches!(self, Self::Put | Self::Delete)
    }
}

/// A request head that was understood and found proper. Ranges are into the bytes given to [`Self::parse`].
#[derive(Debug, Default)]
pub struct RequestHead {
    pub method: Range,
    pub method_kind: Method,
    /// As sent. Of CONNECT unchecked beyond its bytes: no form of it is served.
    pub target: Range,
    /// The path, of an absolute-form target too, where an absent one is `/`. Begins with `/`, but for the
    /// asterisk form (`*`) and CONNECT (the target).
    pub path: Range,
    /// Without the `?`. An empty query is Some.
    pub query: Option<Range>,
    /// `OPTIONS *`, also written `OPTIONS http://host` (RFC 9112 §3.2.4), of which `path` is `/`.
    pub asterisk_form: bool,
    pub version: Version,
    /// Value of Host; of HTTP/1.0 without one the authority of an absolute-form target, or none.
    pub host: Option<Range>,
    pub headers: Headers,
    /// Never [`Framing::UntilClose`].
    pub framing: Framing,
    /// The client waits for a 100. Only of HTTP/1.1 (RFC 9110 §10.1.1), and only where there is a body to wait with.
    pub expect_continue: bool,
    /// An expectation that is not 100-continue: 417 may be answered.
    pub unknown_expect: bool,
    pub keep_alive: bool,
    /// Value of Upgrade, only when Connection lists it and the version is 1.1. Never offers HTTP/2.
    pub upgrade: Option<Range>,
    /// Of any method; it means something to TRACE and OPTIONS. Saturates.
    pub max_forwards: Option<u32>,
}

impl RequestHead {
    /// `head` is what [`super::HeadScanner`] found to be complete. It vouches for the line ends, which are not
    /// checked a second time. After an error the fields mean nothing.
    pub fn parse(&mut self, head: &[u8], limits: &Limits) -> Result<(), HeadError> {
        check_size(head, limits)?;
        let line = request_line(head)?;
        header_lines(head, line.end, &mut self.headers, limits.headers)?;
        if line.target.end - line.target.start > target_limit(limits) {
            return Err(HeadError::new(HeadErrorKind::TargetTooLong, "target too long"));
        }
        self.headers.refuse_lookalikes()?;
        // A fragment is never sent (RFC 9110 §7.1), and a backslash is a slash to some.
        if line.odd {
            return Err(HeadError::malformed("target with a byte that no URI has"));
        }
        self.method = line.method;
        self.method_kind = Method::of(line.method.of(head));
        self.target = line.target;
        self.version = line.version;
        self.read_target_and_host(head, line.path_end)?;
        self.read_framing(head)?;
        let options = self
            .headers
            .connection_options(head)
            .map_err(HeadError::malformed)?;
        self.keep_alive = is_persistent(self.version, options);
        self.read_upgrade(head, options);
        self.read_expect(head);
        self.read_max_forwards(head)
    }

    /// RFC 9112 §3.2. Anything a URI cannot hold is refused, not repaired: origins repair differently.
    fn read_target_and_host(&mut self, head: &[u8], path_end: u32) -> Result<(), HeadError> {
        let target = self.target.of(head);
        self.host = None;
        self.query = None;
        self.asterisk_form = false;
        let host = self.read_host(head)?;
        match target[0] {
            _ if self.method_kind == Method::Connect => self.path = self.target,
            b'/' => self.split_query(self.target, path_end),
            b'*' if target.len() == 1 && self.method_kind == Method::Options => {
                self.path = self.target;
                self.asterisk_form = true;
            }
            _ => self.read_absolute_form(head, host, path_end)?,
        }
        Ok(())
    }

    /// Exactly one Host (RFC 9112 §3.2), optional of HTTP/1.0.
    fn read_host<'h>(&mut self, head: &'h [u8]) -> Result<Option<Authority<'h>>, HeadError> {
        let Some(value) = self.headers.first(Known::Host) else {
            return match self.version {
                Version::Http10 => Ok(None),
                Version::Http11 => Err(HeadError::malformed("Host missing")),
            };
        };
        if self.headers.is_repeated(Known::Host) {
            return Err(HeadError::malformed("several Host"));
        }
        self.host = Some(value);
        match Authority::parse(value.of(head)) {
            None => Err(HeadError::malformed("invalid Host")),
            authority => Ok(authority),
        }
    }

    fn read_absolute_form(
        &mut self,
        head: &[u8],
        host: Option<Authority<'_>>,
        path_end: u32,
    ) -> Result<(), HeadError> {
        let target = self.target.of(head);
        let (scheme, default_port) = if starts_without_case(target, b"http://") {
            (b"http://".len(), 80)
        } else if starts_without_case(target, b"https://") {
            (b"https://".len(), 443)
        } else {
            return Err(HeadError::malformed("target of a form that is not served"));
        };
        let end = target[scheme..]
            .iter()
            .position(|byte| matches!(byte, b'/' | b'?'));
        let end = end.map_or(target.len(), |n| scheme + n);
        let authority = Authority::parse(&target[scheme..end])
            .ok_or(HeadError::malformed("target with an invalid authority"))?;
        // RFC 9112 §3.2.2 lets the target win. A request that says two things is refused instead: the layers
        // behind us may look at the other one.
        match host {
            Some(host) if !host.agrees(&authority, default_port) => {
                return Err(HeadError::malformed("target and Host disagree"));
            }
            Some(_) => {}
            None => self.host = Some(Range::within(head, &target[scheme..end])),
        }
        self.split_query(
            Range {
                start: self.target.start + end as u32,
                end: self.target.end,
            },
            path_end,
        );
        if self.path.is_empty() {
            self.asterisk_form = self.method_kind == Method::Options && self.query.is_none();
            // A path that was left out is `/` (RFC 9112 §3.2.1); the last one of `://` will do.
            self.path = Range::within(head, &target[scheme - 1..scheme]);
        }
        Ok(())
    }

    /// `path_end` is where the first `?` of the target stands, or its end.
    fn split_query(&mut self, range: Range, path_end: u32) {
        self.path = Range {
            start: range.start,
            end: path_end,
        };
        if path_end < range.end {
            self.query = Some(Range {
                start: path_end + 1,
                end: range.end,
            });
        }
    }

    /// RFC 9112 §6.3 for requests, with every doubt resolved by refusing.
    fn read_framing(&mut self, head: &[u8]) -> Result<(), HeadError> {
        let length = self.headers.first(Known::ContentLength);
        self.framing = if self.headers.has(Known::TransferEncoding) {
            if self.version == Version::Http10 {
                return Err(HeadError::malformed("Transfer-Encoding in HTTP/1.0"));
            }
            if length.is_some() {
                return Err(HeadError::malformed("Content-Length with Transfer-Encoding"));
            }
            transfer_encoding(head, &self.headers)?
        } else if let Some(length) = length {
            if self.headers.is_repeated(Known::ContentLength) {
                return Err(HeadError::malformed("several Content-Length"));
            }
            Framing::Length(content_length(length.of(head))?)
        } else {
            Framing::None
        };
        Ok(())
    }

    fn read_upgrade(&mut self, head: &[u8], options: ConnectionOptions) {
        let offered = options.upgrade && self.version == Version::Http11;
        self.upgrade = if offered {
            upgrade(head, &self.headers)
        } else {
            None
        };
    }

    fn read_expect(&mut self, head: &[u8]) {
        self.expect_continue = false;
        self.unknown_expect = false;
        if self.version == Version::Http10 {
            return;
        }
        for line in self.headers.find(Known::Expect) {
            if line.value.of(head).eq_ignore_ascii_case(b"100-continue") {
                self.expect_continue = !matches!(self.framing, Framing::None | Framing::Length(0));
            } else {
                self.unknown_expect = true;
            }
        }
    }

    fn read_max_forwards(&mut self, head: &[u8]) -> Result<(), HeadError> {
        self.max_forwards = None;
        let Some(value) = self.headers.first(Known::MaxForwards) else {
            return Ok(());
        };
        let digits = value.of(head);
        if digits.is_empty()
            || !digits.iter().all(u8::is_ascii_digit)
            || self.headers.is_repeated(Known::MaxForwards)
        {
            return Err(HeadError::malformed("invalid Max-Forwards"));
        }
        let add = |n: u32, digit: &u8| n.saturating_mul(10).saturating_add(u32::from(digit - b'0'));
        self.max_forwards = Some(digits.iter().fold(0, add));
        Ok(())
    }
}

/// A response head that was understood and found proper. Ranges are into the bytes given to [`Self::parse`].
#[derive(Debug, Default)]
pub struct ResponseHead {
    /// 100 to 999
    pub status: u16,
    /// May be empty, may hold bytes that are not ASCII.
    pub reason: Range,
    pub version: Version,
    pub headers: Headers,
    pub framing: Framing,
    /// What the origin declared, also where there is no body: of HEAD and 304 it is worth passing on.
    pub content_length: Option<u64>,
    /// Whether the origin will take another request. Never of a close-delimited body.
    pub keep_alive: bool,
    /// Value of Upgrade in a 101.
    pub upgrade: Option<Range>,
}

impl ResponseHead {
    /// As [`RequestHead::parse`]. Interim responses (1xx) are heads of their own.
    pub fn parse(&mut self, head: &[u8], request_was_head: bool, limits: &Limits) -> Result<(), HeadError> {
        check_size(head, limits)?;
        let line = status_line(head)?;
        header_lines(head, line.end, &mut self.headers, limits.headers)?;
        if line.status < 100 {
            return Err(HeadError::malformed("invalid status code"));
        }
        self.headers.refuse_lookalikes()?;
        self.version = line.version;
        self.status = line.status;
        self.reason = line.reason;
        let options = self
            .headers
            .connection_options(head)
            .map_err(HeadError::malformed)?;
        self.read_framing(head, request_was_head)?;
        self.keep_alive = is_persistent(self.version, options) && self.ends_before_the_connection();
        self.upgrade = if self.status == 101 {
            upgrade(head, &self.headers)
        } else {
            None
        };
        Ok(())
    }

    /// RFC 9112 §6.3 for responses. Headers that contradict each other are refused even where there is no body:
    /// they say that the origin, or somebody before it, is confused about where its answers end.
    fn read_framing(&mut self, head: &[u8], request_was_head: bool) -> Result<(), HeadError> {
        self.content_length = None;
        for line in self.headers.find(Known::ContentLength) {
            let length = content_length(line.value.of(head))?;
            // The same number twice is common enough behind CGI, and it leaves no doubt.
            if self.content_length.is_some_and(|other| other != length) {
                return Err(HeadError::malformed("differing Content-Length"));
            }
            self.content_length = Some(length);
        }
        self.framing = match self.content_length {
            Some(length) => Framing::Length(length),
            None => Framing::UntilClose,
        };
        if self.headers.has(Known::TransferEncoding) {
            if self.version == Version::Http10 {
                return Err(HeadError::malformed("Transfer-Encoding in HTTP/1.0"));
            }
            if self.content_length.is_some() {
                return Err(HeadError::malformed("Content-Length with Transfer-Encoding"));
            }
            // §6.3 reads a response to the close when its last coding is not chunked. We could not name
            // that coding to the client.
            self.framing = transfer_encoding(head, &self.headers)?;
        }
        if request_was_head || matches!(self.status, 100..=199 | 204 | 304) {
            self.framing = Framing::None;
        }
        Ok(())
    }

    /// Not so when the close is its end, and not so when an answer that cannot have a body announces one:
    /// then the origin may well send it, and it would stand before the next answer.
    fn ends_before_the_connection(&self) -> bool {
        let announced =
            self.content_length.is_some_and(|length| length > 0) || self.headers.has(Known::TransferEncoding);
        self.framing != Framing::UntilClose && !(matches!(self.status, 100..=199 | 204) && announced)
    }
}

fn check_size(head: &[u8], limits: &Limits) -> Result<(), HeadError> {
    if head.len() > limits.head_bytes || head.len() > u32::MAX as usize {
        return Err(HeadError::new(HeadErrorKind::TooLarge, "head too large"));
    }
    // The scanner has counted and removed them, of requests alone.
    if matches!(head.first(), Some(b'\r' | b'\n')) {
        return Err(HeadError::malformed("empty line before the head"));
    }
    Ok(())
}

/// Heads end before 4 GiB.
fn target_limit(limits: &Limits) -> u32 {
    u32::try_from(limits.target_bytes).unwrap_or(u32::MAX)
}

/// Digits, all of them, and a number that fits.
fn content_length(value: &[u8]) -> Result<u64, HeadError> {
    const INVALID: HeadError = HeadError::malformed("invalid Content-Length");
    if value.is_empty() {
        return Err(INVALID);
    }
    let mut length = 0u64;
    for byte in value {
        if !byte.is_ascii_digit() {
            return Err(INVALID);
        }
        length = length
            .checked_mul(10)
            .and_then(|n| n.checked_add(u64::from(byte - b'0')))
            .ok_or(INVALID)?;
    }
    // Lengths past i63 turn negative in other implementations.
    if length > i64::MAX.cast_unsigned() {
        return Err(INVALID);
    }
    Ok(length)
}

/// Exactly `chunked`, once. Everything else is refused: as unknown where it is a coding that somebody may
/// implement, as malformed where the list could be read in two ways.
fn transfer_encoding(head: &[u8], headers: &Headers) -> Result<Framing, HeadError> {
    let mut codings = 0;
    let mut chunked = 0;
    let mut chunked_is_last = false;
    for line in headers.find(Known::TransferEncoding) {
        for element in line.value.of(head).split(|&byte| byte == b',').map(trim) {
            let coding = element
                .split(|&byte| byte == b';')
                .next()
                .map(trim)
                .unwrap_or_default();
            if !is_token(coding) {
                return Err(HeadError::malformed("malformed Transfer-Encoding"));
            }
            codings += 1;
            chunked_is_last = coding.eq_ignore_ascii_case(b"chunked");
            if chunked_is_last {
                chunked += 1;
                // chunked has no parameters (RFC 9112 §7.1)
                if element.len() != coding.len() {
                    return Err(HeadError::malformed("malformed Transfer-Encoding"));
                }
            }
        }
    }
    match (codings, chunked) {
        (1, 1) => Ok(Framing::Chunked),
        (_, 0) => Err(HeadError::new(
            HeadErrorKind::NotImplemented,
            "unknown transfer coding",
        )),
        (_, 1) if chunked_is_last => Err(HeadError::new(
            HeadErrorKind::NotImplemented,
            "unknown transfer coding",
        )),
        _ => Err(HeadError::malformed("chunked is not last, or repeated")),
    }
}

/// RFC 9112 §9.3.
fn is_persistent(version: Version, options: ConnectionOptions) -> bool {
    !options.close && (version == Version::Http11 || options.keep_alive)
}

/// One line, not empty, that does not lead to HTTP/2: behind such a tunnel requests would pass that nothing
/// here has looked at.
fn upgrade(head: &[u8], headers: &Headers) -> Option<Range> {
    let value = headers.first(Known::Upgrade)?;
    let leads_to_http2 = |protocol: &[u8]| {
        let name = protocol.split(|&byte| byte == b'/').next().unwrap_or_default();
        [&b"h2c"[..], b"h2", b"http"]
            .iter()
            .any(|http| name.eq_ignore_ascii_case(http))
    };
    let mut protocols = list(value.of(head)).peekable();
    let usable = protocols.peek().is_some() && !protocols.any(leads_to_http2);
    (usable && !headers.is_repeated(Known::Upgrade)).then_some(value)
}

fn starts_without_case(bytes: &[u8], prefix: &[u8]) -> bool {
    bytes
        .get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests;
