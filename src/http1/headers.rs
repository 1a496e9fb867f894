//! Header lines as ranges into the head's bytes, in a vector that is recycled: parsing allocates nothing.

use super::parse::HeadError;
use super::{Added, is_token};

/// A range of bytes in a head. u32: a head is at most a few MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    pub start: u32,
    pub end: u32,
}

impl Range {
    /// `head` must be the bytes that were parsed.
    #[inline]
    pub fn of<'h>(&self, head: &'h [u8]) -> &'h [u8] {
        &head[self.start as usize..self.end as usize]
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Where `part` lies in `head`, of which it must be a subslice.
    #[inline]
    pub(super) fn within(head: &[u8], part: &[u8]) -> Self {
        let start = (part.as_ptr() as usize).wrapping_sub(head.as_ptr() as usize);
        debug_assert!(start + part.len() <= head.len());
        Self {
            start: start as u32,
            end: (start + part.len()) as u32,
        }
    }
}

/// Names the gateway itself must know, told apart once while parsing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Known {
    Other,
    Connection,
    ContentLength,
    Date,
    Expect,
    Host,
    Http2Settings,
    KeepAlive,
    MaxForwards,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyConnection,
    RetryAfter,
    Server,
    Te,
    Trailer,
    TransferEncoding,
    Upgrade,
    Via,
    XForwardedClientCert,
    XForwardedFor,
    XForwardedHost,
    XForwardedProto,
    XRequestId,
}

impl Known {
    /// `name` must be a token. Length and first letter leave one candidate, so an unknown name costs one jump
    /// and no comparison.
    #[inline]
    pub(super) fn of(name: &[u8]) -> Self {
        let Some(&first) = name.first() else {
            return Self::Other;
        };
        match (name.len(), first | 0x20) {
            (2, b't') => Self::Te.if_named(name, b"te"),
            (3, b'v') => Self::Via.if_named(name, b"via"),
            (4, b'd') => Self::Date.if_named(name, b"date"),
            (4, b'h') => Self::Host.if_named(name, b"host"),
            (6, b'e') => Self::Expect.if_named(name, b"expect"),
            (6, b's') => Self::Server.if_named(name, b"server"),
            (7, b't') => Self::Trailer.if_named(name, b"trailer"),
            (7, b'u') => Self::Upgrade.if_named(name, b"upgrade"),
            (10, b'c') => Self::Connection.if_named(name, b"connection"),
            (10, b'k') => Self::KeepAlive.if_named(name, b"keep-alive"),
            (11, b'r') => Self::RetryAfter.if_named(name, b"retry-after"),
            (12, b'm') => Self::MaxForwards.if_named(name, b"max-forwards"),
            (12, b'x') => Self::XRequestId.if_named(name, b"x-request-id"),
            (14, b'c') => Self::ContentLength.if_named(name, b"content-length"),
            (14, b'h') => Self::Http2Settings.if_named(name, b"http2-settings"),
            (15, b'x') => Self::XForwardedFor.if_named(name, b"x-forwarded-for"),
            (16, b'p') => Self::ProxyConnection.if_named(name, b"proxy-connection"),
            (16, b'x') => Self::XForwardedHost.if_named(name, b"x-forwarded-host"),
            (17, b't') => Self::TransferEncoding.if_named(name, b"transfer-encoding"),
            (17, b'x') => Self::XForwardedProto.if_named(name, b"x-forwarded-proto"),
            (18, b'p') => Self::ProxyAuthenticate.if_named(name, b"proxy-authenticate"),
            (19, b'p') => Self::ProxyAuthorization.if_named(name, b"proxy-authorization"),
            (23, b'x') => Self::XForwardedClientCert.if_any_spelling(name, b"x-forwarded-client-cert"),
            _ => Self::Other,
        }
    }

    /// Also with underscores, which many an origin takes for hyphens.
    #[inline(never)]
    fn if_any_spelling<const N: usize>(self, name: &[u8], lower_case: &[u8; N]) -> Self {
        let mut plain = [0; N];
        for (to, from) in plain.iter_mut().zip(name) {
            *to = if *from == b'_' { b'-' } else { *from };
        }
        self.if_named(&plain, lower_case)
    }

    #[inline]
    fn if_named<const N: usize>(self, name: &[u8], lower_case: &[u8; N]) -> Self {
        if is_named(name, lower_case) {
            self
        } else {
            Self::Other
        }
    }

    pub(super) const fn bit(self) -> u32 {
        1 << self as u8
    }
}

/// With the length a constant this is two or three wide compares; `eq_ignore_ascii_case` goes byte by byte.
/// Setting the bit folds the case of letters; the only other bytes it would make equal are control characters
/// (CR to a hyphen, DC2 to a 2), which no token and no field value holds.
#[inline]
fn is_named<const N: usize>(name: &[u8], lower_case: &[u8; N]) -> bool {
    let Ok(name) = <&[u8; N]>::try_from(name) else {
        return false;
    };
    let mut difference = 0;
    for n in 0..N {
        difference |= (name[n] | 0x20) ^ lower_case[n];
    }
    difference == 0
}

#[derive(Debug, Clone, Copy)]
pub struct Line {
    pub name: Range,
    /// Without the white space around it.
    pub value: Range,
    pub known: Known,
    /// Named by the sender's own `Connection` header (RFC 9110 §7.6.1): not forwarded.
    pub hop_by_hop: bool,
    /// One colon and one space before the value, nothing but CRLF after it: as this gateway would write it.
    pub(super) canonical: bool,
}

#[derive(Debug, Default)]
pub struct Headers {
    /// In the order sent.
    pub lines: Vec<Line>,
    /// A bit for each [`Known`] name that occurs, and one for each that occurs again: most questions about a
    /// head are answered "not there" and need no walk along the lines.
    seen: u32,
    repeated: u32,
    /// See [`is_lookalike`].
    lookalike: bool,
    pub(super) added: Added,
}

impl Headers {
    pub fn iter(&self) -> std::slice::Iter<'_, Line> {
        self.lines.iter()
    }

    /// Every line of that name, in order. Not for [`Known::Other`], which is no name.
    pub fn find(&self, known: Known) -> impl Iterator<Item = &Line> {
        let lines = if self.has(known) {
            self.lines.as_slice()
        } else {
            &[]
        };
        lines.iter().filter(move |line| line.known == known)
    }

    /// The value of the first line of that name, which is compared without case.
    pub fn get<'h>(&self, head: &'h [u8], name: &str) -> Option<&'h [u8]> {
        self.all(head, name).next()
    }

    /// The values of all lines of that name, in order.
    pub fn all<'s, 'h: 's>(&'s self, head: &'h [u8], name: &'s str) -> impl Iterator<Item = &'h [u8]> + 's {
        let same = move |line: &&Line| line.name.of(head).eq_ignore_ascii_case(name.as_bytes());
        self.lines.iter().filter(same).map(|line| line.value.of(head))
    }

    #[inline]
    pub fn has(&self, known: Known) -> bool {
        self.seen & known.bit() != 0
    }

    #[inline]
    pub(super) fn is_repeated(&self, known: Known) -> bool {
        self.repeated & known.bit() != 0
    }

    /// The value of the first line.
    #[inline]
    pub(super) fn first(&self, known: Known) -> Option<Range> {
        self.find(known).next().map(|line| line.value)
    }

    pub fn clear(&mut self) {
        self.lines.clear();
        self.seen = 0;
        self.repeated = 0;
        self.lookalike = false;
        self.added.clear();
    }

    /// After lines were taken out.
    pub(super) fn recount(&mut self) {
        (self.seen, self.repeated) = (0, 0);
        for line in &self.lines {
            if line.known != Known::Other {
                self.repeated |= self.seen & line.known.bit();
                self.seen |= line.known.bit();
            }
        }
    }

    #[inline]
    pub(super) fn push(&mut self, head: &[u8], name: Range, value: Range, canonical: bool) {
        let written = name.of(head);
        let known = Known::of(written);
        if known == Known::Other {
            self.lookalike |= is_lookalike(written);
        } else {
            self.repeated |= self.seen & known.bit();
            self.seen |= known.bit();
        }
        self.lines.push(Line {
            name,
            value,
            known,
            hop_by_hop: false,
            canonical,
        });
    }

    pub(super) fn refuse_lookalikes(&self) -> Result<(), HeadError> {
        if self.lookalike {
            return Err(HeadError::malformed("header name that looks like another one"));
        }
        Ok(())
    }

    /// Reads every `Connection` line and marks the lines they name.
    pub(super) fn connection_options(&mut self, head: &[u8]) -> Result<ConnectionOptions, &'static str> {
        let mut options = ConnectionOptions::default();
        if !self.has(Known::Connection) {
            return Ok(options);
        }
        let mut named = 0;
        for n in 0..self.lines.len() {
            if self.lines[n].known != Known::Connection {
                continue;
            }
            let value = self.lines[n].value.of(head);
            if options.take(value) {
                continue;
            }
            for option in list(value) {
                if options.take(option) {
                    continue;
                }
                if is_token(option) {
                    named += 1;
                    if named > MAX_NAMED_LINES {
                        return Err("too many connection options");
                    }
                    self.mark(head, option);
                }
                // What is no token names no line, and Connection itself is never forwarded: nobody behind us
                // could read it otherwise.
            }
        }
        Ok(options)
    }

    fn mark(&mut self, head: &[u8], name: &[u8]) {
        if is_end_to_end(name) {
            return;
        }
        for line in &mut self.lines {
            let written = line.name.of(head);
            line.hop_by_hop |= written.len() == name.len() && written.eq_ignore_ascii_case(name);
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ConnectionOptions {
    pub close: bool,
    pub keep_alive: bool,
    pub upgrade: bool,
}

impl ConnectionOptions {
    /// False when it is none of them.
    #[inline]
    fn take(&mut self, option: &[u8]) -> bool {
        let flag = match option.len() {
            5 if is_named(option, b"close") => &mut self.close,
            7 if is_named(option, b"upgrade") => &mut self.upgrade,
            10 if is_named(option, b"keep-alive") => &mut self.keep_alive,
            _ => return false,
        };
        *flag = true;
        true
    }
}

/// The elements of a comma-separated value without the white space around them; empty ones are left out
/// (RFC 9110 §5.6.1.2). Not for values that hold quoted strings.
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&byte| byte == b',')
        .map(trim)
        .filter(|element| !element.is_empty())
}

/// Without SP and HTAB at both ends.
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Whether every protocol that `answered` (the Upgrade value of a 101) switches to was among those `asked`
/// for. RFC 9110 §15.2.2: an origin cannot switch to what the client did not offer.
pub fn upgrade_agrees(asked: &[u8], answered: &[u8]) -> bool {
    let mut protocols = list(answered).peekable();
    protocols.peek().is_some()
        && protocols.all(|protocol| list(asked).any(|offer| offer.eq_ignore_ascii_case(protocol)))
}

/// Names that are not one of ours, but that somebody behind us may read as one.
///
/// CGI and its heirs turn every mark of a name into `_`, others drop it; `Content_Length` then frames the
/// message there although it was an unknown header here. No honest client sends such a name, so it is refused
/// instead of dropped. Beside what frames a message, that goes for the three names by which an origin learns
/// who asked: these are refused only where a mark stands in for the hyphen.
#[inline]
fn is_lookalike(name: &[u8]) -> bool {
    // Nearly every honest name is told apart by its first letter and its last.
    let (Some(first), Some(&last)) = (name.first(), name.last()) else {
        return false;
    };
    let lasts: &[u8] = match first | 0x20 {
        b'c' => b"hn",
        b't' => b"g",
        b'h' | b'e' => b"t",
        b'u' => b"e",
        b'x' => b"rto",
        b'a'..=b'z' => return false,
        _ => b"hngte",
    };
    let ends_so = !last.is_ascii_alphanumeric() || lasts.contains(&(last | 0x20));
    ends_so && looks_alike(name)
}

#[cold]
fn looks_alike(name: &[u8]) -> bool {
    let squeezes = |words: &[&[u8]]| words.iter().any(|word| squeezes_to(name, word));
    match name.first().map(|first| first | 0x20) {
        Some(b'c') => squeezes(&[b"contentlength", b"connection"]),
        Some(b't') => squeezes(&[b"transferencoding"]),
        Some(b'h') => squeezes(&[b"host"]),
        Some(b'e') => squeezes(&[b"expect"]),
        Some(b'u') => squeezes(&[b"upgrade"]),
        Some(b'x') => FORWARDED.iter().any(|known| folds_to(name, known)),
        Some(b'a'..=b'z') => false,
        _ => squeezes(&FRAMING),
    }
}

/// The letters and digits of `name` are those of `word`.
fn squeezes_to(name: &[u8], word: &[u8]) -> bool {
    let mut rest = word.iter();
    for byte in name.iter().filter(|byte| byte.is_ascii_alphanumeric()) {
        if rest.next() != Some(&byte.to_ascii_lowercase()) {
            return false;
        }
    }
    rest.next().is_none()
}

/// The same, each hyphen of `known` standing for any mark.
fn folds_to(name: &[u8], known: &[u8]) -> bool {
    name.len() == known.len()
        && name.iter().zip(known).all(|(byte, wanted)| {
            byte.to_ascii_lowercase() == *wanted || *wanted == b'-' && !byte.is_ascii_alphanumeric()
        })
}

/// Names that `Connection` does not get dropped. A field that means something end to end is not the sender's to
/// declare a matter of one hop (RFC 9110 §7.6.1); where proxies obey, listing one is a way to strip what a
/// gateway in front added or checked: who the client is, what it may do, how long the body is.
fn is_end_to_end(name: &[u8]) -> bool {
    const PREFIXES: [&[u8]; 5] = [
        b"accept",
        b"content-",
        b"if-",
        b"x-forwarded-",
        b"access-control-",
    ];
    const NAMES: [&[u8]; 36] = [
        b"age",
        b"allow",
        b"authorization",
        b"cache-control",
        b"client_id",
        b"client_secret",
        b"cookie",
        b"date",
        b"etag",
        b"expect",
        b"expires",
        b"forwarded",
        b"host",
        b"last-modified",
        b"location",
        b"max-forwards",
        b"origin",
        b"pragma",
        b"range",
        b"referer",
        b"retry-after",
        b"server",
        b"set-cookie",
        b"strict-transport-security",
        b"traceparent",
        b"tracestate",
        b"transfer-encoding",
        b"user-agent",
        b"vary",
        b"via",
        b"www-authenticate",
        b"x-api-key",
        b"x-correlation-id",
        b"x-real-ip",
        b"x-request-id",
        b"x-client-ip",
    ];
    let begins = |prefix: &&[u8]| {
        name.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    NAMES.iter().any(|known| known.eq_ignore_ascii_case(name)) || PREFIXES.iter().any(begins)
}

const FRAMING: [&[u8]; 6] = [
    b"connection",
    b"contentlength",
    b"expect",
    b"host",
    b"transferencoding",
    b"upgrade",
];
const FORWARDED: [&[u8]; 3] = [b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"];

/// Each name costs a walk along the lines; without a bound 60 KiB of names times 200 lines would be several
/// milliseconds of one core for one request.
const MAX_NAMED_LINES: usize = 32;

#[cfg(test)]
mod tests;
