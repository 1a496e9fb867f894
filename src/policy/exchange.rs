//! What a policy sees of an exchange, and what it may do to it.

use crate::{
    fault::{Fault, Kind, Phase},
    http1::{Headers, RequestHead},
};
use std::net::SocketAddr;

/// A request, as sent by the client and as the policies before this one left it.
#[derive(Debug)]
pub struct Request<'e> {
    pub head: &'e mut RequestHead,
    /// What `head` was parsed from.
    pub bytes: &'e [u8],
    pub client: SocketAddr,
    /// Lines for the gateway's own answer, if it comes to that.
    pub reply: &'e mut Headers,
}

/// An answer: the origin's, or the gateway's own.
#[derive(Debug)]
pub struct Response<'e> {
    pub status: u16,
    pub headers: &'e mut Headers,
    /// What `headers` were parsed from; empty for the gateway's own.
    pub bytes: &'e [u8],
}

/// What a policy remembers of a request until the answer; one place for each policy of the chain.
#[derive(Debug, Default)]
pub enum State {
    /// It did not run: its rules say so, or a policy before it refused.
    #[default]
    NotRun,
    Ran,
    /// What is allowed to the request's origin, if anything is.
    Cors(Option<super::cors::Allowed>),
}

/// How it goes on after a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Continue,
    Refuse(Refusal),
    /// Answered with this status and no body; [`Request::reply`] has the lines.
    Answer(u16),
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
}
