//! `header-injection-flex`: lines added to requests on their way to the upstream and to answers on their way to the client.

use super::{ExchangeView, Refusal, Request, Response, Step, template};
use crate::{
    expr::{Scope, Template},
    fault::Kind,
    http1::{Headers, NotALine, is_field_value, is_token},
    located::{Located, Origin, Problems},
    object,
};
use std::borrow::Cow;

object! {
    /// Configuration of `header-injection-flex`.
    pub(super) struct HeaderInjectionSpec {
        /// Added to requests.
        optional "inboundHeaders" inbound: Vec<HeaderInjectionLineSpec>,
        /// Added to answers.
        optional "outboundHeaders" outbound: Vec<HeaderInjectionLineSpec>,
    }
}

object! {
    /// One line.
    pub(super) struct HeaderInjectionLineSpec {
        /// Its name, or an expression.
        required "key" key: Located<String>,
        /// Its value, or an expression.
        required "value" value: Located<String>,
    }
}

#[derive(Debug)]
pub struct HeaderInjection {
    inbound: Vec<Line>,
    outbound: Vec<Line>,
}

#[derive(Debug)]
enum Line {
    /// What most are: checked when they are read.
    Literal {
        name: Box<[u8]>,
        value: Box<[u8]>,
        replaces: bool,
    },
    Computed {
        name: Template,
        value: Template,
    },
}

impl HeaderInjection {
    pub(super) fn compile(
        spec: &HeaderInjectionSpec,
        origin: &Origin,
        problems: &mut Problems,
    ) -> Option<Self> {
        let before = problems.len();
        let mut list = |key: &str, written: &Option<Vec<HeaderInjectionLineSpec>>, scope: &Scope| {
            let written = written.as_deref().unwrap_or_default().iter();
            let lines = written.enumerate().filter_map(|(index, line)| {
                problems.within(key, |problems| {
                    problems.within_element(index, |problems| Line::compile(line, scope, problems))
                })
            });
            lines.collect::<Vec<_>>()
        };
        let inbound = list("inboundHeaders", &spec.inbound, &Scope::REQUEST);
        let outbound = list("outboundHeaders", &spec.outbound, &ANSWER);
        if problems.len() > before {
            return None;
        }
        if inbound.is_empty() && outbound.is_empty() {
            let message = "adds nothing: write a line in `inboundHeaders` or `outboundHeaders`";
            problems.report(origin, message);
            return None;
        }
        Some(Self { inbound, outbound })
    }

    pub(super) fn on_request(&self, request: &mut Request<'_>) -> Step {
        for line in &self.inbound {
            let mut room = ROOM;
            let (name, value, replaces) = match line {
                Line::Literal {
                    name,
                    value,
                    replaces,
                } => (&**name, &**value, *replaces),
                Line::Computed { name, value } => match computed(name, value, &request.view(), &mut room) {
                    Some((name, value)) => (name, value, replaces(name)),
                    None => return FAILED.into(),
                },
            };
            if add(&mut request.head.headers, request.bytes, name, value, replaces).is_err() {
                // What it was made of is the client's: a line end in a query parameter, say.
                return UNFIT.into();
            }
        }
        Step::Continue
    }

    pub(super) fn on_response(&self, response: &mut Response<'_>) {
        for line in &self.outbound {
            let added = match line {
                Line::Literal {
                    name,
                    value,
                    replaces,
                } => add(response.headers, response.bytes, name, value, *replaces),
                Line::Computed { name, value } => {
                    let mut room = ROOM;
                    match computed(name, value, &response.view(), &mut room) {
                        Some((name, value)) => {
                            add(response.headers, response.bytes, name, value, replaces(name))
                        }
                        None => Err(NotALine),
                    }
                }
            };
            if added.is_err() {
                response.fail(FAILED);
                return;
            }
        }
    }

    pub(super) fn sees_responses(&self) -> bool {
        !self.outbound.is_empty()
    }
}

impl Line {
    fn compile(spec: &HeaderInjectionLineSpec, scope: &Scope, problems: &mut Problems) -> Option<Self> {
        let name = template("key", &spec.key, scope, problems);
        let value = template("value", &spec.value, scope, problems);
        let (name, value) = (name?, value?);
        if let Some(name) = name.literal() {
            let message = if !is_token(name.as_bytes()) {
                Some(format!("`{name}` is not the name of a header"))
            } else if frames(name.as_bytes()) {
                Some(format!(
                    "`{name}` frames the message, which is the gateway's to do"
                ))
            } else {
                None
            };
            if let Some(message) = message {
                problems.within("key", |problems| problems.report(&spec.key.origin, message));
                return None;
            }
        }
        if value
            .literal()
            .is_some_and(|value| !is_field_value(value.as_bytes()))
        {
            problems.within("value", |problems| {
                problems.report(&spec.value.origin, "has a character that no header may hold")
            });
            return None;
        }
        Some(match (name.literal(), value.literal()) {
            (Some(name), Some(value)) => Self::Literal {
                replaces: replaces(name.as_bytes()),
                name: name.as_bytes().into(),
                value: value.as_bytes().into(),
            },
            _ => Self::Computed { name, value },
        })
    }
}

/// Name and value, copied out of the message that they may be parts of and that is about to change. None where an
/// expression has no value, or the name is none that may be added.
fn computed<'r>(
    name: &'r Template,
    value: &Template,
    view: &ExchangeView<'_>,
    room: &'r mut Room,
) -> Option<(&'r [u8], &'r [u8])> {
    let [name_room, value_room] = room;
    let name = match name.literal() {
        Some(name) => name.as_bytes(),
        None => {
            let name = held(name.text(view).ok()?, name_room);
            if frames(name) {
                return None;
            }
            name
        }
    };
    Some((name, held(value.text(view).ok()?, value_room)))
}

/// Most names and values fit into this much of the stack.
type Room = [([u8; 256], Vec<u8>); 2];

const ROOM: Room = [([0; 256], Vec::new()), ([0; 256], Vec::new())];

fn held<'r>(text: Cow<'_, [u8]>, (short, long): &'r mut ([u8; 256], Vec<u8>)) -> &'r [u8] {
    match (short.get_mut(..text.len()), text) {
        (Some(short), text) => {
            short.copy_from_slice(&text);
            short
        }
        (None, text) => {
            *long = text.into_owned();
            long
        }
    }
}

fn add(
    headers: &mut Headers,
    bytes: &[u8],
    name: &[u8],
    value: &[u8],
    replaces: bool,
) -> Result<(), NotALine> {
    if replaces {
        headers.set(bytes, name, value)
    } else {
        headers.append(name, value)
    }
}

/// One line of them is all that a message may have: the vendor's two, and the request's identifier, of which two would be
/// none.
fn replaces(name: &[u8]) -> bool {
    let single: [&[u8]; 3] = [b"access-control-allow-origin", b"content-type", b"x-request-id"];
    single.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// What says where a message ends, how its connection goes on and whom it is for; also in spellings that servers behind
/// take for these (`Content_Length`).
fn frames(name: &[u8]) -> bool {
    let known = |word: &[u8]| {
        let letters = name.iter().filter(|byte| byte.is_ascii_alphanumeric());
        letters.map(u8::to_ascii_lowercase).eq(word.iter().copied())
    };
    FRAMING.iter().any(|word| known(word))
}

const FRAMING: [&[u8]; 11] = [
    b"connection",
    b"contentlength",
    b"expect",
    b"host",
    b"http2settings",
    b"keepalive",
    b"proxyconnection",
    b"te",
    b"trailer",
    b"transferencoding",
    b"upgrade",
];

const UNFIT: Refusal = Refusal::new(
    Kind::Rejected,
    "what would become a header has a character that none may hold",
);
const FAILED: Refusal = Refusal::new(Kind::Internal, "a header could not be made");

/// `attributes.headers` are the answer's, everything else is the request's.
const ANSWER: Scope = Scope {
    response: true,
    ..Scope::REQUEST
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_is_known_in_any_spelling() {
        for name in [
            "Content-Length",
            "content_length",
            "TRANSFER.ENCODING",
            "te",
            "T-e",
            "hOst",
            "Keep-Alive",
        ] {
            assert!(frames(name.as_bytes()), "{name}");
        }
        for name in ["X-Content-Length", "Content-Type", "Team", "X-Host", "Via", ""] {
            assert!(!frames(name.as_bytes()), "{name}");
        }
    }
}
