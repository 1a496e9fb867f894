//! `compression`: answers in a coding that the client takes (RFC 9110 §8.4).

mod encoder;
mod negotiate;

pub(super) use encoder::Encoder;

use super::{Filter, Response};
use crate::{
    http1::Method,
    located::{Bounded, Located, Problems},
    object,
};
use encoder::Effort;
use negotiate::{Coding, choose};

object! {
    /// Configuration of `compression`.
    pub(super) struct CompressionSpec {
        /// Codings, the most wanted first, of those a client likes equally. Default zstd, br, gzip.
        optional "encodings" encodings: Vec<Located<Coding>>,
        /// Media types that are compressed; `text/*` stands for all of text, `application/*+json` for all of its kind.
        /// Default texts, JSON, XML, JavaScript, SVG, WebAssembly and fonts that are not compressed already.
        optional "contentTypes" types: Vec<Located<String>>,
        /// Bytes below which an answer goes as it is, where it says how long it is. Default 1024.
        optional "minimumBytes" minimum: Bounded<0, 1_073_741_824>,
        /// `fast`, `balanced` or `small`. Default balanced.
        optional "effort" effort: Effort,
    }
}

/// As without a configuration.
impl Default for CompressionSpec {
    fn default() -> Self {
        Self {
            encodings: None,
            types: None,
            minimum: None,
            effort: None,
        }
    }
}

#[derive(Debug)]
pub struct Compression {
    codings: Vec<Coding>,
    types: Vec<Type>,
    minimum: u64,
    effort: Effort,
}

/// `type/subtype`, in lower case.
#[derive(Debug)]
enum Type {
    Exactly(String),
    /// `text/*`: what stands before the star.
    Prefix(String),
    /// `application/*+json`: what stands before and behind.
    Suffix(String, String),
}

impl Compression {
    pub(super) fn compile(spec: &CompressionSpec, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let mut codings = Vec::new();
        for coding in spec.encodings.as_deref().unwrap_or_default() {
            if codings.contains(&coding.value) {
                problems.within("encodings", |problems| {
                    problems.report(&coding.origin, "stands here twice")
                });
            }
            codings.push(coding.value);
        }
        if spec.encodings.is_none() {
            codings = vec![Coding::Zstd, Coding::Brotli, Coding::Gzip];
        }
        let types = match &spec.types {
            None => TYPES.iter().filter_map(|written| Type::parse(written)).collect(),
            Some(written) => {
                let mut types = Vec::new();
                for one in written {
                    match Type::parse(one) {
                        Some(parsed) => types.push(parsed),
                        None => problems.within("contentTypes", |problems| {
                            let message = "is not a media type: write `application/json`, `text/*` or `application/*+json`";
                            problems.report(&one.origin, message);
                        }),
                    }
                }
                types
            }
        };
        (problems.len() == before).then_some(Self {
            codings,
            types,
            minimum: spec.minimum.map_or(1024, |minimum| minimum.unsigned()),
            effort: spec.effort.unwrap_or(Effort::Balanced),
        })
    }

    pub(super) fn on_response(&self, response: &mut Response<'_>) {
        // The gateway's own are a sentence long; HEAD has nothing to compress, and is answered as for the plain content.
        if response.filters.is_none() || response.request.method_kind == Method::Head {
            return;
        }
        if matches!(response.status, 100..=199 | 204 | 205 | 206 | 304) || !self.is_of_type(response) {
            return;
        }
        let bytes = response.bytes;
        let is_fixed = {
            let first = |name: &'static str| response.headers.values(bytes, name.as_bytes()).next();
            let mut codings = response.headers.values(bytes, b"content-encoding");
            let coded = codings.any(|coding| !coding.eq_ignore_ascii_case(b"identity"));
            let mut directives = response
                .headers
                .values(bytes, b"cache-control")
                .flat_map(|line| line.split(|&byte| byte == b','));
            coded
                || first("content-range").is_some()
                || directives.any(|directive| directive.trim_ascii().eq_ignore_ascii_case(b"no-transform"))
        };
        if is_fixed {
            return;
        }
        // Also where this one goes as it is: another client's would not.
        vary(response);
        let length = {
            let mut lengths = response.headers.values(bytes, b"content-length");
            lengths
                .next()
                .and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u64>().ok())
        };
        if length.is_some_and(|length| length < self.minimum || length == 0) {
            return;
        }
        let accept = response
            .request
            .headers
            .values(response.request_bytes, b"accept-encoding");
        let Some(coding) = choose(accept, &self.codings) else {
            return;
        };
        let Some(encoder) = Encoder::new(coding, self.effort, length.is_none()) else {
            return;
        };
        weaken(response, coding);
        if let Some(filters) = &mut response.filters {
            filters.push(Filter::Compress(Box::new(encoder)));
        }
    }

    fn is_of_type(&self, response: &Response<'_>) -> bool {
        let mut values = response.headers.values(response.bytes, b"content-type");
        let Some(value) = values.next() else {
            return false;
        };
        let end = value.iter().position(|&byte| byte == b';').unwrap_or(value.len());
        let media = value[..end].trim_ascii().to_ascii_lowercase();
        self.types.iter().any(|one| one.matches(&media))
    }
}

/// `Vary: Accept-Encoding`, if it is not there yet.
fn vary(response: &mut Response<'_>) {
    let named = |name: &[u8]| {
        let name = name.trim_ascii();
        name == b"*" || name.eq_ignore_ascii_case(b"accept-encoding")
    };
    let bytes = response.bytes;
    let there = response
        .headers
        .values(bytes, b"vary")
        .any(|line| line.split(|&byte| byte == b',').any(named));
    if !there {
        let _ = response.headers.append(b"Vary", b"Accept-Encoding");
    }
}

/// What is said of the content that is no longer so.
fn weaken(response: &mut Response<'_>, coding: Coding) {
    let bytes = response.bytes;
    let headers = &mut *response.headers;
    // RFC 9110 §8.8.3.3: another coding is another sequence of bytes; a weak tag says no more than that they mean the same.
    let tag = headers.values(bytes, b"etag").next().map(<[u8]>::to_vec);
    if let Some(tag) = tag.filter(|tag| !tag.starts_with(b"W/")) {
        let _ = headers.set(bytes, b"ETag", &[b"W/", tag.as_slice()].concat());
    }
    headers.remove(bytes, |name, _| {
        OF_THE_PLAIN_CONTENT
            .iter()
            .any(|gone| name.eq_ignore_ascii_case(gone.as_bytes()))
    });
    let _ = headers.append(b"Content-Encoding", coding.word().as_bytes());
}

impl Type {
    fn parse(written: &str) -> Option<Self> {
        let lower = written.to_ascii_lowercase();
        let (kind, subtype) = lower.split_once('/')?;
        let token = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
        };
        if !token(kind) {
            return None;
        }
        match subtype.strip_prefix('*') {
            Some("") => Some(Self::Prefix(format!("{kind}/"))),
            Some(suffix) if suffix.starts_with('+') && token(suffix) => {
                Some(Self::Suffix(format!("{kind}/"), suffix.to_owned()))
            }
            Some(_) => None,
            None => token(subtype).then_some(Self::Exactly(lower)),
        }
    }

    fn matches(&self, media: &[u8]) -> bool {
        match self {
            Self::Exactly(exactly) => media == exactly.as_bytes(),
            // Events are to arrive one by one; whoever wants them compressed names them.
            Self::Prefix(prefix) => media.starts_with(prefix.as_bytes()) && media != b"text/event-stream",
            Self::Suffix(prefix, suffix) => {
                media.starts_with(prefix.as_bytes()) && media.ends_with(suffix.as_bytes())
            }
        }
    }
}

const TYPES: [&str; 13] = [
    "text/*",
    "application/json",
    "application/*+json",
    "application/javascript",
    "application/x-javascript",
    "application/xml",
    "application/*+xml",
    "application/graphql",
    "application/wasm",
    "application/vnd.ms-fontobject",
    "font/ttf",
    "font/otf",
    "image/svg+xml",
];

/// Digests of the coded content (RFC 9530), of which there is another now; parts of it can't be had.
const OF_THE_PLAIN_CONTENT: [&str; 6] = [
    "accept-ranges",
    "content-encoding",
    "content-digest",
    "content-md5",
    "digest",
    "repr-digest",
];
