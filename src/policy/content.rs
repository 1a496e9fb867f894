//! What a request says its content is, for the policies that read it.

use super::{Refusal, Request, Step, Wait};
use crate::{fault::Kind, located::Bounded};

/// What it may be read as by whoever is behind the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    /// Not said, or not in a way that names a type: the origin will guess.
    Unknown,
    Json,
    Xml,
    Other,
}

/// # Errors
/// Two lines say two things: the origin may believe the one that is not looked at here.
pub(super) fn media(request: &Request<'_>) -> Result<Media, Refusal> {
    let mut lines = request.values("content-type");
    let Some(line) = lines.next() else {
        return Ok(Media::Unknown);
    };
    if lines.next().is_some() {
        return Err(Refusal::new(
            Kind::Rejected,
            "the request has more than one content type",
        ));
    }
    Ok(named(line))
}

fn named(line: &[u8]) -> Media {
    let end = line.iter().position(|byte| matches!(byte, b';' | b','));
    let essence = line[..end.unwrap_or(line.len())].trim_ascii();
    let Some(slash) = essence.iter().position(|byte| *byte == b'/') else {
        return Media::Unknown;
    };
    let (kind, subtype) = (&essence[..slash], &essence[slash + 1..]);
    if kind.is_empty() || subtype.is_empty() || kind == b"*" || line.contains(&b',') {
        return Media::Unknown;
    }
    let is = |name: &[u8]| subtype.eq_ignore_ascii_case(name);
    let ends = |suffix: &[u8]| {
        let end = subtype.len().checked_sub(suffix.len());
        end.is_some_and(|start| subtype[start..].eq_ignore_ascii_case(suffix))
    };
    if is(b"json") || is(b"x-json") || ends(b"+json") {
        Media::Json
    } else if is(b"xml") || is(b"x-xml") || ends(b"+xml") || is(b"xml-external-parsed-entity") {
        Media::Xml
    } else {
        Media::Other
    }
}

/// The content, where it is of this type or may be, and can be looked into; with what its type is known to be.
///
/// # Errors
/// How it goes on instead: there is none of it, it is of another type, it is not there yet, or it is refused.
pub(super) fn of<'r>(request: &Request<'r>, wanted: Media) -> Result<(Media, &'r [u8]), Step> {
    if request.body == Some(b"") {
        return Err(Step::Continue);
    }
    let media = media(request)?;
    if media != wanted && media != Media::Unknown {
        return Err(Step::Continue);
    }
    check_plain(request)?;
    let body = request.body.ok_or(Step::Wait(Wait::Body))?;
    Ok((media, body))
}

/// Whether the bytes of the content are what they seem: neither compressed nor in letters that are not ASCII's.
///
/// # Errors
/// They are not, so nobody here can tell what is in it.
pub(super) fn check_plain(request: &Request<'_>) -> Result<(), Refusal> {
    let coded = |value: &[u8]| {
        let mut codings = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        codings.any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
    };
    if request.values("content-encoding").any(coded) {
        let detail = "the body has a content coding, so it can't be looked into";
        return Err(Refusal::new(Kind::Rejected, detail));
    }
    let foreign = |value: &[u8]| {
        let mut parameters = value.split(|byte| *byte == b';').skip(1);
        parameters.any(|parameter| charset(parameter).is_some_and(|charset| !is_like_ascii(charset)))
    };
    if request.values("content-type").any(foreign) {
        let detail = "the body has a charset other than UTF-8";
        return Err(Refusal::new(Kind::Rejected, detail));
    }
    Ok(())
}

fn charset(parameter: &[u8]) -> Option<&[u8]> {
    let parameter = parameter.trim_ascii();
    let equals = parameter.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (&parameter[..equals], &parameter[equals + 1..]);
    let is_charset = name.trim_ascii().eq_ignore_ascii_case(b"charset");
    is_charset.then(|| value.trim_ascii())
}

/// In these ASCII's bytes are ASCII's letters, and no others are.
fn is_like_ascii(charset: &[u8]) -> bool {
    let bare = charset
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    let charset = bare.unwrap_or(charset);
    let known: [&[u8]; 7] = [
        b"",
        b"utf-8",
        b"utf8",
        b"us-ascii",
        b"ascii",
        b"iso-8859-1",
        b"windows-1252",
    ];
    known.iter().any(|known| charset.eq_ignore_ascii_case(known))
}

/// The first byte that is no white space.
pub(super) fn first(body: &[u8]) -> Option<u8> {
    body.iter().copied().find(|byte| !byte.is_ascii_whitespace())
}

/// A limit as written: -1 is none.
pub(super) type Limit = Bounded<-1, 2_147_483_647>;

/// `u32::MAX` for none, which no body reaches.
pub(super) fn limit(written: Option<Limit>) -> u32 {
    written.map_or(u32::MAX, |limit| u32::try_from(limit.get()).unwrap_or(u32::MAX))
}

/// FNV-1a: of names, to find two that are equal.
///
/// It needs no key: whoever makes two names that differ and hash alike gets a body refused that could as well have held
/// the same name twice.
pub(super) struct NameHash(u64);

impl Default for NameHash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl NameHash {
    #[inline]
    pub(super) fn write(&mut self, part: &[u8]) {
        for byte in part {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(super) fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_apart() {
        for (line, media) in [
            ("application/json", Media::Json),
            ("Application/JSON ; charset=utf-8", Media::Json),
            ("text/json", Media::Json),
            ("application/problem+json;a=b", Media::Json),
            ("application/xml", Media::Xml),
            ("text/xml; charset=\"utf-8\"", Media::Xml),
            ("application/soap+xml; action=x", Media::Xml),
            ("image/svg+XML", Media::Xml),
            ("text/plain", Media::Other),
            ("application/jsonp", Media::Other),
            ("multipart/form-data; boundary=json", Media::Other),
            ("", Media::Unknown),
            ("json", Media::Unknown),
            ("*/*", Media::Unknown),
            ("/json", Media::Unknown),
            ("text/plain, application/json", Media::Unknown),
        ] {
            assert_eq!(named(line.as_bytes()), media, "{line}");
        }
    }

    #[test]
    fn charsets_are_like_ascii_or_not() {
        for good in [
            "charset=utf-8",
            " Charset = \"UTF-8\"",
            "charset=us-ascii",
            "charset=",
        ] {
            assert!(charset(good.as_bytes()).is_some_and(is_like_ascii), "{good}");
        }
        for bad in [
            "charset=utf-16",
            "charset=utf-7",
            "charset=ibm037",
            "charset='utf-8'",
        ] {
            assert!(!charset(bad.as_bytes()).is_some_and(is_like_ascii), "{bad}");
        }
        assert_eq!(charset(b"boundary=x"), None);
    }
}
