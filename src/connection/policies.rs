//! A chain's policies, where a request meets them and where its answer does: hands them what they see, and waits for what
//! they ask for.

use super::{
    After, Connection, content,
    exchange::{self, Facts, RequestHeaders},
    outcall,
};
use crate::{
    fault::{Fault, Kind, Phase},
    http1::{Framing, Method, RequestHead, ResponseHead, Version},
    net::Buffer,
    observe::message::MessageLog,
    policy::{
        Answer, Authentication, Context, Event, Filter, Progress, Request, Response, Signal, Step, Violation,
        Wait,
    },
    reply,
    route::{self, Lookup},
    runtime,
    shard::{
        Live, Scratch, Shard,
        snapshot::{Api, Forward, NO_POLICIES},
    },
    tls,
};
use std::{cell::RefCell, net::SocketAddr, pin::pin, rc::Rc, time::Duration};

/// Which of the two chains a request goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// Of the API, before it is known whether a route matches.
    Api,
    /// Of the service: index of its cluster.
    Service(usize),
}

impl Which {
    /// Index of the chain.
    fn chain(self, live: &Live, api: &Api) -> usize {
        match self {
            Self::Api => api.chain,
            Self::Service(cluster) => live.snapshot.outbound[cluster],
        }
    }

    pub(super) fn is_empty(self, live: &Live, api: &Api) -> bool {
        self.chain(live, api) == NO_POLICIES
    }
}

/// Runs the request's hooks, in order, until one ends the exchange or waits; then it is to be called again with what it
/// waited for.
pub(super) fn on_request(
    connection: &Connection,
    live: &Live,
    scratch: &mut Scratch,
    bytes: &[u8],
    api: &route::Api<Api, Forward>,
    which: Which,
    event: Option<Event>,
) -> Step {
    let chain = which.chain(live, &api.payload);
    let shard = &connection.shard;
    let Scratch {
        request,
        route,
        path,
        policies,
        outbound,
        authentication,
        reply,
        content,
        request_id,
        ..
    } = scratch;
    let progress = match which {
        Which::Api => policies,
        Which::Service(_) => outbound,
    };
    let random = || shard.random();
    let context = context(
        connection.ends(live),
        connection.peer.as_deref(),
        shard,
        &api.payload,
        path,
        request_id,
        &random,
    );
    let content = content.as_ref().map(Buffer::filled);
    let mut request = Request {
        body: content.or_else(|| nothing(request)),
        head: request,
        bytes,
        authentication,
        reply,
        context: &context,
    };
    let applies = |rules: &[route::Rule], request: &Request<'_>| {
        let head = &*request.head;
        let lookup = Lookup {
            method: head.method.of(bytes),
            path: head.path.of(bytes),
            host: head.host.map_or(&b""[..], |host| host.of(bytes)),
            headers: &RequestHeaders { request: head, bytes },
        };
        route::any_matches(rules, &api.base_path, &lookup, route)
    };
    let policies = &live.snapshot.chains[chain].policies;
    let step = policies.on_request(&mut request, &live.locals[chain], progress, event, applies);
    shard.tend_leases();
    step
}

/// The content of a request that has none.
fn nothing(request: &RequestHead) -> Option<&'static [u8]> {
    matches!(request.framing, Framing::None | Framing::Length(0)).then_some(b"")
}

/// Where a policy did not just let the request through: waits, refuses, answers. None: the request goes on.
///
/// # Errors
/// A policy refused, or the client did not send what it waited for.
#[allow(
    clippy::too_many_arguments,
    reason = "all that a hook sees, and what it may change"
)]
pub(super) async fn settle(
    connection: &mut Connection,
    live: &Live,
    scratch: &mut Scratch,
    head: &mut Buffer,
    facts: &Facts,
    api: &route::Api<Api, Forward>,
    which: Which,
    mut step: Step,
) -> Result<Option<After>, Fault> {
    loop {
        let event = match step {
            Step::Continue => return Ok(None),
            Step::Refuse(refusal) => return Err(refusal.fault()),
            Step::Answer(answer) => {
                let sent = send(
                    connection,
                    live,
                    scratch,
                    head.filled(),
                    facts,
                    &api.payload,
                    answer,
                );
                return Ok(Some(sent.await));
            }
            Step::Wait(Wait::Body) => {
                content::read(connection, live, scratch, facts).await?;
                None
            }
            Step::Wait(Wait::Call(call)) => {
                let shard = connection.shard.clone();
                // Apart, because this future is that of every request that waits for anything.
                let replied = Box::pin(outcall::call(&shard, live, &call)).await;
                Some(Event::Replied(replied))
            }
            Step::Wait(Wait::Sleep(millis)) => {
                park(&connection.shard, head);
                if !Box::pin(asleep(connection, millis)).await {
                    return Err(GONE);
                }
                Some(Event::Slept)
            }
            Step::Wait(Wait::Signal { signal, at_most }) => {
                Box::pin(signalled(signal, at_most)).await;
                Some(Event::Slept)
            }
        };
        connection.shard.net.clock.refresh();
        step = on_request(connection, live, scratch, head.filled(), api, which, event);
    }
}

/// Whichever is first.
async fn signalled(signal: Signal, millis: u64) {
    let given = pin!(signal.given());
    let over = pin!(runtime::sleep(Duration::from_millis(millis)));
    runtime::race(given, over).await;
}

/// False: the client closed meanwhile, so what it waits for is nobody's. One that has only said that it will send nothing
/// more can't be told from one that is gone, and counts as such; it is a rare client, and a place in a queue is rare too.
async fn asleep(connection: &Connection, millis: u64) -> bool {
    let mut left = millis;
    while left > 0 {
        let step = left.min(LOOK_MS);
        runtime::sleep(Duration::from_millis(step)).await;
        left -= step;
        if connection.wire.is_closed_by_peer() {
            return false;
        }
    }
    true
}

/// How long a client that left may hold its place.
const LOOK_MS: u64 = 100;

const GONE: Fault = Fault::client(
    Kind::Closed,
    Phase::Policy,
    "the client closed while its request was waiting",
);

/// A request that sleeps holds its head's bytes and no more: a pool's buffer is sixteen times the size of most.
fn park(shard: &Shard, head: &mut Buffer) {
    if head.capacity() > 2 * head.len() {
        let copy = Buffer::from(head.filled().to_vec());
        shard.net.buffers.give(std::mem::replace(head, copy));
    }
}

/// What the origin's answer meets on its way back.
pub(super) struct OnResponse<'e> {
    pub ends: Ends,
    pub peer: Option<Rc<tls::Peer>>,
    pub live: &'e Live,
    pub api: &'e Api,
    /// Index of the cluster that answers.
    pub cluster: usize,
    pub request: &'e RequestHead,
    pub bytes: &'e [u8],
    /// Its path's normal form.
    pub path: &'e [u8],
    pub content: Option<&'e [u8]>,
    pub authentication: &'e Authentication,
    /// Given to the request, if it brought none.
    pub request_id: &'e [u8],
    /// Of the API's chain and of the service's.
    pub progress: RefCell<(&'e mut Progress, &'e mut Progress)>,
}

impl OnResponse<'_> {
    /// What the content is to pass through, first to last.
    ///
    /// # Errors
    /// What a policy has to do to the answer can't be done.
    pub(super) fn run(
        &self,
        shard: &Shard,
        response: &mut ResponseHead,
        bytes: &[u8],
    ) -> Result<Vec<Filter>, Fault> {
        let mut filters = Vec::new();
        let outbound = Which::Service(self.cluster).chain(self.live, self.api);
        if self.api.chain == NO_POLICIES && outbound == NO_POLICIES {
            return Ok(filters);
        }
        let random = || shard.random();
        let peer = self.peer.as_deref();
        let context = context(
            self.ends,
            peer,
            shard,
            self.api,
            self.path,
            self.request_id,
            &random,
        );
        let mut response = Response {
            status: response.status,
            headers: &mut response.headers,
            bytes,
            request: self.request,
            request_bytes: self.bytes,
            request_body: self.content,
            authentication: self.authentication,
            filters: Some(&mut filters),
            violation: None,
            failed: None,
            context: &context,
        };
        let (inner, outer) = &mut *self.progress.borrow_mut();
        let mut meet = |chain: usize, progress: &mut Progress| {
            let policies = &self.live.snapshot.chains[chain].policies;
            policies.on_response(&mut response, &self.live.locals[chain], progress);
            response.failed.is_none()
        };
        if meet(outbound, outer) && !meet(self.api.chain, inner) {
            // The service's chain was met to its end: the refusal that comes instead is none of its business.
            outer.clear();
        }
        match response.failed {
            None => Ok(filters),
            Some(refusal) => Err(refusal.fault()),
        }
    }
}

/// What a reply of the gateway's own meets: the hooks of the policies that the request has met. `refused` is what a policy
/// calls its refusal.
#[allow(clippy::too_many_arguments, reason = "all that a hook sees")]
pub(super) fn on_reply(
    connection: &Connection,
    live: &Live,
    scratch: &mut Scratch,
    bytes: &[u8],
    facts: &Facts,
    api: &Api,
    status: u16,
    refused: Option<Kind>,
) {
    let outbound = facts
        .cluster
        .get()
        .map_or(NO_POLICIES, |cluster| live.snapshot.outbound[cluster]);
    let Scratch {
        request,
        path,
        policies,
        outbound: progress,
        authentication,
        reply,
        content,
        request_id,
        ..
    } = scratch;
    let shard = &connection.shard;
    let random = || shard.random();
    let (ends, peer) = (connection.ends(live), connection.peer.as_deref());
    let context = context(ends, peer, shard, api, path, request_id, &random);
    let violation = refused.zip(facts.policy.get()).map(|(kind, policy)| Violation {
        policy: name(live, policy),
        kind,
    });
    let mut response = Response {
        violation,
        failed: None,
        status,
        headers: reply,
        bytes: b"",
        request,
        request_bytes: bytes,
        request_body: content.as_ref().map(Buffer::filled),
        authentication,
        filters: None,
        context: &context,
    };
    for (chain, progress) in [(outbound, progress), (api.chain, policies)] {
        let policies = &live.snapshot.chains[chain].policies;
        policies.on_response(&mut response, &live.locals[chain], progress);
        // What can't be done to an answer of our own is left undone; those before it are met all the same.
        while response.failed.take().is_some() {
            policies.on_response(&mut response, &live.locals[chain], progress);
        }
    }
}

/// The policy that was run last: index of its chain, position in it. To be asked before the answer's hooks are run.
pub(super) fn last(live: &Live, scratch: &Scratch, facts: &Facts, api: &Api) -> Option<(u32, u32)> {
    // A service's chain is met after all of the API's.
    let outbound = facts.cluster.get().zip(scratch.outbound.last());
    let outbound = outbound.map(|(cluster, position)| (live.snapshot.outbound[cluster], position));
    let last = outbound.or_else(|| scratch.policies.last().map(|position| (api.chain, position)));
    last.map(|(chain, position)| (chain as u32, position as u32))
}

/// `namespace/name` of its binding.
pub(super) fn name(live: &Live, (chain, position): (u32, u32)) -> &str {
    live.snapshot.chains[chain as usize]
        .policies
        .name(position as usize)
}

/// A policy's own answer.
async fn send(
    connection: &mut Connection,
    live: &Live,
    scratch: &mut Scratch,
    bytes: &[u8],
    facts: &Facts,
    api: &Api,
    answer: Answer,
) -> After {
    let shard = connection.shard.clone();
    let refused = answer.refusal.map(|refusal| refusal.kind);
    if refused.is_some() {
        facts.policy.set(last(live, scratch, facts, api));
    }
    on_reply(
        connection,
        live,
        scratch,
        bytes,
        facts,
        api,
        answer.status,
        refused,
    );
    facts.refusal.set(answer.refusal);
    let request = &scratch.request;
    let keep_alive = request.keep_alive && facts.request_read.get() && !shard.draining();
    let date = shard.net.clock.http_date();
    let mut out = shard.net.buffers.small();
    let terms = reply::Terms {
        date: &date,
        keep_alive,
        http10: request.version == Version::Http10,
        head: request.method_kind == Method::Head,
        added: &scratch.reply,
    };
    let content = answer.body.as_deref();
    reply::answer(out.vector(), answer.status, content.map(<[u8]>::len), terms);
    facts.status.set(answer.status);
    facts.head_out.set(out.len() as u64);
    let mut content = content.filter(|_| !terms.head).unwrap_or_default();
    facts.body_out.set(content.len() as u64);
    // In pieces, so that a slow reader of a large one holds a buffer and not another copy of all of it.
    let sent = loop {
        let (piece, rest) = content.split_at(content.len().min(out.spare_len()));
        out.vector().extend_from_slice(piece);
        content = rest;
        if !exchange::send(&shard, &mut connection.wire, out).await {
            break false;
        }
        facts.answered.set(true);
        if content.is_empty() {
            break true;
        }
        out = shard.net.buffers.large();
    };
    match (sent, keep_alive) {
        (true, true) => After::KeepAlive,
        (true, false) => exchange::end(connection, &scratch.request, facts),
        (false, _) => After::Close,
    }
}

/// The two ends of a client's connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub client: SocketAddr,
    pub local: SocketAddr,
    /// How the request came to us, or to a proxy in front whose word counts.
    pub scheme: &'static str,
}

fn context<'e>(
    ends: Ends,
    peer: Option<&'e tls::Peer>,
    shard: &'e Shard,
    api: &'e Api,
    path: &'e [u8],
    request_id: &'e [u8],
    random: &'e dyn Fn() -> u64,
) -> Context<'e> {
    Context {
        now: shard.net.clock.now(),
        unix_millis: shard.net.clock.unix_millis(),
        random,
        client: ends.client,
        local: ends.local,
        path,
        scheme: ends.scheme,
        peer,
        api: &api.name,
        request_id,
        log: MessageLog::new(shard.records.as_ref(), &shard.counters.records_dropped),
        leases: &shard.leases,
    }
}
