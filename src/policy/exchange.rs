//! What a policy sees of an exchange, and what it may do to it.
//!
//! Policies never wait: a hook that cannot go on says what it needs ([`Wait`]) and is called again when that is there.
//! So all of them are replayed in tests without a socket, and those that never wait pay nothing for those that do.

use super::{Authentication, Context, Filter, Signal, view::ExchangeView};
use crate::{
    fault::{Fault, Kind, Phase},
    http1::{Headers, Known, RequestHead},
    observe::message::{Level, Message},
    outcall::{CallError, Outcall, Reply},
};
use std::sync::Arc;

/// A request, as sent by the client and as the policies before this one left it.
pub struct Request<'e> {
    pub head: &'e mut RequestHead,
    /// What `head` was parsed from.
    pub bytes: &'e [u8],
    /// Its content: None until a policy has asked for it with [`Wait::Body`], unless there is none.
    pub body: Option<&'e [u8]>,
    /// What the policies before this one found out of who sends it.
    pub authentication: &'e mut Authentication,
    /// Lines for the gateway's own answer, if it comes to that.
    pub reply: &'e mut Headers,
    pub context: &'e Context<'e>,
}

/// An answer: the origin's, or the gateway's own.
pub struct Response<'e> {
    pub status: u16,
    pub headers: &'e mut Headers,
    /// What `headers` were parsed from; empty for the gateway's own.
    pub bytes: &'e [u8],
    /// The request it answers, as the policies left it.
    pub request: &'e RequestHead,
    pub request_bytes: &'e [u8],
    /// The request's content, where a policy asked for it.
    pub request_body: Option<&'e [u8]>,
    pub authentication: &'e Authentication,
    /// What the content passes through on its way, first to last. None: the gateway's own, or none at all.
    pub filters: Option<&'e mut Vec<Filter>>,
    /// Set where it is a policy's refusal.
    pub violation: Option<Violation<'e>>,
    /// See [`fail`](Self::fail).
    pub failed: Option<Refusal>,
    pub context: &'e Context<'e>,
}

/// A refusal, as those before the policy that refused see it.
#[derive(Debug, Clone, Copy)]
pub struct Violation<'e> {
    /// `namespace/name` of the policy's binding.
    pub policy: &'e str,
    pub kind: Kind,
}

/// What a policy remembers of a request until the answer; one place for each policy of the chain. What has to be undone
/// when the exchange ends, however it ends, is undone where the value is dropped.
#[derive(Debug, Default)]
pub enum State {
    /// It did not run: its rules say so, or a policy before it ended the exchange.
    #[default]
    NotRun,
    Ran,
    /// What is allowed to the request's origin, if anything is.
    Cors(Option<super::cors::Allowed>),
    /// Its head has been looked at; the body is waited for, or has been looked at too.
    HeadSeen,
    /// When the request was met, milliseconds since 1970 UTC.
    Received(u64),
    /// What a service's yes tells the client: names and values of lines.
    ExternalAuthorization(Vec<(String, Vec<u8>)>),
    /// The SHA-256 of the token that is asked about.
    Introspection(Box<[u8; 32]>),
    /// How a limit stood for it.
    RateLimited(super::rate_limit::Decision),
    /// It waits for a spike to pass.
    Parked(super::spike_control::Parked),
    Caching(super::http_caching::Caching),
}

/// How it goes on after a policy.
#[derive(Debug)]
pub enum Step {
    Continue,
    Refuse(Refusal),
    /// Answered; the policies after this one are not asked. [`Request::reply`] has the lines.
    Answer(Answer),
    /// The hook is called again when this is there.
    Wait(Wait),
}

/// An answer of a policy's own, which goes back through the policies before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// 200..=599
    pub status: u16,
    /// Its content; its length is written by whoever sends it. None for an answer without any.
    pub body: Option<Arc<[u8]>>,
    /// Set where it is a refusal in other words than ours: what the record calls it.
    pub refusal: Option<Refusal>,
}

impl Answer {
    pub const fn empty(status: u16) -> Self {
        Self {
            status,
            body: None,
            refusal: None,
        }
    }
}

/// What a policy waits for.
#[derive(Debug, PartialEq, Eq)]
pub enum Wait {
    /// The request's content, whole: 1 MiB at most, else 413 (the vendor's limit). `on_request` is called again.
    Body,
    /// A call of the policy's own. `on_resume` is called with [`Event::Replied`].
    Call(Box<Outcall>),
    /// Milliseconds. `on_resume` is called with [`Event::Slept`].
    Sleep(u64),
    /// What another part of the shard will tell; at most so many milliseconds, which are to be few. `on_resume` is called
    /// with [`Event::Slept`] either way.
    Signal { signal: Signal, at_most: u64 },
}

/// What a policy waited for.
#[derive(Debug)]
pub enum Event {
    Replied(Result<Reply, CallError>),
    Slept,
}

/// Why a policy refuses. A closed set, as [`Kind`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    pub kind: Kind,
    /// A fixed sentence for the answer's body and the log.
    pub detail: &'static str,
}

impl Refusal {
    pub const fn new(kind: Kind, detail: &'static str) -> Self {
        Self { kind, detail }
    }

    pub fn fault(self) -> Fault {
        Fault::gateway(self.kind, Phase::Policy, self.detail)
    }
}

impl From<Refusal> for Step {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal)
    }
}

impl Request<'_> {
    /// The values of all lines of that name, in any case.
    pub fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s [u8]> + 's {
        self.head.headers.values(self.bytes, name.as_bytes())
    }

    /// A line of the gateway's own answer. Names and values are the gateway's or were checked when they were compiled;
    /// one that is no line all the same is left out rather than sent.
    pub fn reply(&mut self, name: &str, value: &[u8]) {
        let _ = self.reply.append(name.as_bytes(), value);
    }

    /// The request's identifier, as far as the policies before this one have left it.
    pub fn id(&self) -> &[u8] {
        id(self.head, self.bytes, self.context)
    }

    /// A line in the log, at level WARN.
    pub fn warn(&self, category: &str, parts: &[&str]) {
        self.context.log.write(&Message {
            unix_millis: self.context.unix_millis,
            level: Level::Warn,
            api: self.context.api,
            request_id: self.id(),
            category,
            text: parts.concat().as_bytes(),
            truncated: false,
        });
    }

    /// For expressions.
    pub fn view(&self) -> ExchangeView<'_> {
        ExchangeView::new(
            self.head,
            self.bytes,
            self.body,
            self.authentication,
            None,
            self.context,
        )
    }
}

/// The identifier of an exchange: the one that goes to the origin and into the record.
fn id<'e>(head: &'e RequestHead, bytes: &'e [u8], context: &'e Context<'_>) -> &'e [u8] {
    let known = head.headers.value_of(bytes, Known::XRequestId);
    known.unwrap_or(context.request_id)
}

impl Response<'_> {
    /// The request's identifier.
    pub fn id(&self) -> &[u8] {
        id(self.request, self.request_bytes, self.context)
    }

    /// What the policy has to do to the origin's answer can't be done: the client gets a refusal instead. Of no effect on
    /// a reply of the gateway's own, which is one already.
    pub fn fail(&mut self, refusal: Refusal) {
        self.failed.get_or_insert(refusal);
    }

    /// For expressions; `attributes.headers` are the response's.
    pub fn view(&self) -> ExchangeView<'_> {
        ExchangeView::new(
            self.request,
            self.request_bytes,
            self.request_body,
            self.authentication,
            Some((self.status, self.headers, self.bytes)),
            self.context,
        )
    }
}
