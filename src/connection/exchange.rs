//! One request and its answer. Reads like the line in the crate's head; every exchange, good or bad, leaves
//! through `finish`, which answers what still needs an answer and writes the record.

use super::{
    After, Connection, forward,
    policies::{self, Which},
    sender::Sender,
};
use crate::{
    clock::millis,
    fault::{Fault, Kind, Phase, Side},
    http1::{self, Framing, HeadError, HeadErrorKind, Method, RequestHead, Scan, Version},
    net::{Buffer, Wire},
    observe::record::{Ended, Protocol, Record},
    policy::{Refusal, Step},
    reply,
    route::{self, Found, HeaderSource, Lookup},
    shard::{
        Live, Scratch, Shard,
        snapshot::{Api, Forward},
    },
    upstream::HostAddress,
};
use std::{cell::Cell, io, net::SocketAddr, rc::Rc};

/// What the record will say, gathered on the way. Cells, because the two directions of a body run at once.
#[derive(Default)]
pub(super) struct Facts {
    pub unix_millis: u64,
    pub started_micros: u64,
    pub status: Cell<u16>,
    /// Some byte of a final response head has been handed to the kernel: no other reply is possible.
    pub answered: Cell<bool>,
    pub head_in: u64,
    pub body_in: Cell<u64>,
    /// Something of the request's body, be it framing, is consumed: it cannot be sent again.
    pub body_begun: Cell<bool>,
    pub head_out: Cell<u64>,
    pub body_out: Cell<u64>,
    pub upstream_started: Cell<u64>,
    pub upstream_micros: Cell<u64>,
    pub endpoint: Cell<Option<SocketAddr>>,
    pub cluster: Cell<Option<usize>>,
    pub retries: Cell<u8>,
    /// A policy refused with an answer of its own.
    pub refusal: Cell<Option<Refusal>>,
    /// The policy that ended it: index of the chain, position in it.
    pub policy: Cell<Option<(u32, u32)>>,
    /// The request's body has been read to its end (or there is none): the next byte is the next request's.
    pub request_read: Cell<bool>,
    /// A request has begun, so there is something to record.
    pub begun: bool,
    pub parsed: bool,
}

pub(super) async fn run(connection: &mut Connection) -> After {
    let shard = connection.shard.clone();
    let live = shard.live();
    let mut scratch = shard.take_scratch();
    let mut facts = Facts::default();
    // The head's bytes stay here, whole, to the end: a retry encodes them anew and the record cites them.
    let mut head = Buffer::default();
    let mut api = None;
    connection.sender = Sender::new(connection.client, connection.peer.is_some());
    let outcome = serve(connection, &live, &mut scratch, &mut head, &mut facts, &mut api).await;
    let after = finish(connection, &live, &mut scratch, &head, &facts, api, outcome).await;
    shard.net.buffers.give(head);
    shard.give_scratch(scratch);
    after
}

async fn serve<'l>(
    connection: &mut Connection,
    live: &'l Live,
    scratch: &mut Scratch,
    head: &mut Buffer,
    facts: &mut Facts,
    api: &mut Option<&'l Api>,
) -> Result<After, Fault> {
    if !read_head(connection, live, scratch, head, facts).await? {
        return Ok(After::Close);
    }
    forward::write_request_id(&connection.shard, &mut scratch.request_id);
    let request = &mut scratch.request;
    let bytes = head.filled();
    if let Some(trusted) = &live.snapshot.proxies.trusted {
        connection.sender.identify(trusted, request, bytes);
    }
    if request.method_kind == Method::Options && (request.asterisk_form || request.max_forwards == Some(0)) {
        let futures = connection.shard.net.futures.clone();
        return futures.hold(options(connection, request, facts)).await;
    }
    #[cfg(test)]
    assert_ne!(request.target.of(bytes), super::tests::PANICS, "on purpose");
    admit(request, bytes, live, &connection.shard)?;
    let (matched, forward) = route(connection, live, scratch, bytes)?;
    *api = Some(&matched.payload);
    if !Which::Api.is_empty(live, &matched.payload)
        && let Some(after) = admitted(connection, live, scratch, head, facts, matched, Which::Api).await?
    {
        return Ok(after);
    }
    // The policies of an API run even where none of its routes matches: what is behind it is nobody's to find out.
    let forward = forward.ok_or(NO_ROUTE)?;
    forward::forward(connection, live, scratch, head, facts, matched, forward).await
}

/// Takes the request through a chain of policies. Some: one of them has answered.
pub(super) async fn admitted(
    connection: &mut Connection,
    live: &Live,
    scratch: &mut Scratch,
    head: &mut Buffer,
    facts: &Facts,
    api: &route::Api<Api, Forward>,
    which: Which,
) -> Result<Option<After>, Fault> {
    match policies::on_request(connection, live, scratch, head.filled(), api, which, None) {
        Step::Continue => Ok(None),
        Step::Refuse(refusal) => Err(refusal.fault()),
        step => {
            let futures = connection.shard.net.futures.clone();
            let settled = policies::settle(connection, live, scratch, head, facts, api, which, step);
            futures.hold(settled).await
        }
    }
}

const NO_ROUTE: Fault = Fault::gateway(Kind::NoRoute, Phase::Route, "no route matches this request");

/// Reads until the head is whole. False: the client closed, or said nothing, between requests.
async fn read_head(
    connection: &mut Connection,
    live: &Live,
    scratch: &mut Scratch,
    head: &mut Buffer,
    facts: &mut Facts,
) -> Result<bool, Fault> {
    let shard = &connection.shard;
    let net = &shard.net;
    let limits = &live.snapshot.limits;
    let mut reader = connection.wire.reader();
    reader
        .deadline
        .set_read(net.clock.now() + millis(limits.head_timeout));
    connection.scanner.reset();
    let (start, end) = loop {
        match connection.scanner.scan(reader.buffered(), &limits.head) {
            Scan::Complete { start, end } => break (start, end),
            Scan::Refused(error) => {
                begin(facts, shard);
                return Err(refused(error));
            }
            Scan::NeedMore => {}
        }
        // The scanner refuses heads past the limit, so room below twice the limit is always enough.
        if !reader.make_room(limits.head.head_bytes * 2) {
            begin(facts, shard);
            return Err(Fault::client(
                Kind::HeadTooLarge,
                Phase::RequestHead,
                "the request head is too large",
            ));
        }
        // The first bytes are why we are here; only a head that comes in pieces is waited for.
        let result = if reader.buffered().is_empty() {
            reader.fill_ready(&net.buffers).await
        } else {
            reader.fill(&net.buffers, false).await
        };
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if reader.readable().await.is_err() {
                    return Ok(false);
                }
            }
            Ok(0) | Err(_) => {
                let partial = !reader.buffered().is_empty();
                reader.release(&net.buffers);
                net.clock.refresh();
                if !partial {
                    return Ok(false);
                }
                begin(facts, shard);
                return Err(if reader.deadline.expired() {
                    Fault::client(
                        Kind::TimedOut,
                        Phase::RequestHead,
                        "the request head took too long",
                    )
                } else {
                    Fault::client(
                        Kind::Closed,
                        Phase::RequestHead,
                        "the client closed within a request head",
                    )
                });
            }
            Ok(_) => {}
        }
    };
    // From here on it is the upstream's time that runs: the client has said what it had to say.
    reader.deadline.clear_read();
    begin(facts, shard);
    facts.head_in = (end - start) as u64;
    if let Some(mut buffer) = reader.take() {
        // What follows the head (a body's beginning, pipelined requests) moves to a buffer of its own; most
        // requests have nothing there.
        let rest = &buffer.filled()[end..];
        if !rest.is_empty() {
            let mut following = net.buffers.small();
            following.vector().extend_from_slice(rest);
            reader.put_back(following);
        }
        buffer.truncate(end);
        buffer.consume(start);
        *head = buffer;
    }
    scratch
        .request
        .parse(head.filled(), &limits.head)
        .map_err(refused)?;
    facts.parsed = true;
    facts.request_read.set(matches!(
        scratch.request.framing,
        Framing::None | Framing::Length(0)
    ));
    Ok(true)
}

fn begin(facts: &mut Facts, shard: &Shard) {
    facts.begun = true;
    facts.unix_millis = shard.net.clock.unix_millis();
    facts.started_micros = shard.net.clock.micros();
}

fn refused(error: HeadError) -> Fault {
    let kind = match error.kind {
        HeadErrorKind::Malformed => Kind::Malformed,
        HeadErrorKind::TargetTooLong => Kind::TargetTooLong,
        HeadErrorKind::TooLarge => Kind::HeadTooLarge,
        HeadErrorKind::NotImplemented => Kind::NotImplemented,
        HeadErrorKind::VersionNotSupported => Kind::VersionNotSupported,
    };
    Fault::client(kind, Phase::RequestHead, error.detail)
}

/// What is refused whatever its route.
fn admit(request: &RequestHead, bytes: &[u8], live: &Live, shard: &Shard) -> Result<(), Fault> {
    let refuse = |kind, detail| Err(Fault::client(kind, Phase::RequestHead, detail));
    if matches!(request.method_kind, Method::Connect | Method::Trace) {
        return refuse(Kind::MethodNotAllowed, "this method is not allowed here");
    }
    if request.unknown_expect {
        return refuse(
            Kind::ExpectationFailed,
            "only the expectation 100-continue is known",
        );
    }
    if let (Framing::Length(length), Some(limit)) = (request.framing, live.snapshot.limits.body_bytes)
        && length > limit
    {
        return refuse(Kind::BodyTooLarge, "the request body is too large");
    }
    // RFC 9110 §7.6.3: a request that carries our own mark in Via has been here before.
    let own = shard.pseudonym.as_bytes();
    let looped = request.headers.find(http1::Known::Via).any(|line| {
        let value = line.value.of(bytes);
        value.windows(own.len()).any(|window| window == own)
    });
    if looped {
        return refuse(Kind::Loop, "the request has passed this gateway before");
    }
    Ok(())
}

fn route<'l>(
    connection: &Connection,
    live: &'l Live,
    scratch: &mut Scratch,
    bytes: &[u8],
) -> Result<(&'l route::Api<Api, Forward>, Option<&'l Forward>), Fault> {
    let request = &scratch.request;
    let headers = RequestHeaders { request, bytes };
    let lookup = Lookup {
        method: request.method.of(bytes),
        path: request.path.of(bytes),
        host: request.host.map_or(&b""[..], |host| host.of(bytes)),
        headers: &headers,
    };
    let routes = &live.snapshot.listeners[connection.listener].routes;
    let found = routes.find(&lookup, &mut scratch.route);
    scratch.path.clear();
    scratch.path.extend_from_slice(scratch.route.normalised_path());
    match found {
        Found::Route { api, route } => Ok((api, Some(&route.payload))),
        Found::NoRoute { api } => Ok((api, None)),
        Found::NoApi => Err(NO_ROUTE),
        Found::Refused(detail) => Err(Fault::client(Kind::Malformed, Phase::Route, detail)),
    }
}

pub(super) struct RequestHeaders<'r> {
    pub request: &'r RequestHead,
    pub bytes: &'r [u8],
}

impl HeaderSource for RequestHeaders<'_> {
    fn any_value(&self, name: &str, matches: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.request
            .headers
            .values(self.bytes, name.as_bytes())
            .any(matches)
    }
}

async fn options(connection: &mut Connection, request: &RequestHead, facts: &Facts) -> Result<After, Fault> {
    let shard = connection.shard.clone();
    let keep_alive = request.keep_alive && facts.request_read.get() && !shard.draining();
    let mut out = shard.net.buffers.small();
    let date = shard.net.clock.http_date();
    let http10 = request.version == Version::Http10;
    reply::options(
        out.vector(),
        reply::Terms {
            date: &date,
            keep_alive,
            http10,
            head: false,
            added: &http1::Headers::default(),
        },
    );
    facts.status.set(204);
    facts.head_out.set(out.len() as u64);
    Ok(if send(&shard, &mut connection.wire, out).await && keep_alive {
        After::KeepAlive
    } else {
        end(connection, request, facts)
    })
}

/// How a connection ends that is not kept after its last answer. A client that asked for the end in a request without a
/// body may send nothing more (RFC 9112 §9.6): where nothing is unread, here or in the kernel, there is nothing to wait
/// for, and lingering would cost each short connection two system calls and a wait. One that breaks the rule later than
/// this look may lose what it has not read yet to a reset. After a body old clients send a line end that counts for
/// nothing, so those are lingered for.
pub(super) fn end(connection: &Connection, request: &RequestHead, facts: &Facts) -> After {
    let wire = &connection.wire;
    let over = !request.keep_alive && request.framing == Framing::None && facts.request_read.get();
    if over && wire.is_sound() && !wire.has_unread() && !wire.has_news() {
        After::Close
    } else {
        After::Linger
    }
}

/// The single exit.
async fn finish(
    connection: &mut Connection,
    live: &Rc<Live>,
    scratch: &mut Scratch,
    head: &Buffer,
    facts: &Facts,
    api: Option<&Api>,
    outcome: Result<After, Fault>,
) -> After {
    let shard = connection.shard.clone();
    let (after, fault) = match outcome {
        Ok(after) => (after, None),
        Err(fault) => (
            shard
                .net
                .futures
                .hold(answer(connection, live, scratch, head, facts, api, &fault))
                .await,
            Some(fault),
        ),
    };
    if facts.begun {
        shard.net.clock.refresh();
        record(
            connection,
            &shard,
            live,
            scratch,
            head,
            facts,
            api,
            fault.as_ref(),
            after,
        );
    }
    after
}

/// Answers a fault, where an answer is still possible and of use.
async fn answer(
    connection: &mut Connection,
    live: &Live,
    scratch: &mut Scratch,
    head: &Buffer,
    facts: &Facts,
    api: Option<&Api>,
    fault: &Fault,
) -> After {
    let shard = &connection.shard.clone();
    if fault.phase == Phase::Policy
        && let Some(api) = api
    {
        facts.policy.set(policies::last(live, scratch, facts, api));
    }
    if facts.answered.get() {
        // The head is out and its body cannot be completed: the client must see that it is cut.
        return After::Reset;
    }
    facts.status.set(reply::status(fault));
    // Of an answer that broke before its first byte left, nothing was sent.
    facts.body_out.set(0);
    if facts.status.get() == 499 {
        return After::Close;
    }
    if let Some(api) = api {
        let status = facts.status.get();
        let refused = (fault.phase == Phase::Policy && fault.side == Side::Gateway).then_some(fault.kind);
        policies::on_reply(
            connection,
            live,
            scratch,
            head.filled(),
            facts,
            api,
            status,
            refused,
        );
    }
    let request = facts.parsed.then_some(&scratch.request);
    let unharmed = !matches!(fault.kind, Kind::Malformed | Kind::TimedOut if fault.side == Side::Client);
    let keep_alive = unharmed
        && facts.request_read.get()
        && connection.wire.is_sound()
        && !shard.draining()
        && request.is_some_and(|request| request.keep_alive && request.method_kind != Method::Connect);
    // A late client's socket is shut for reading only; the reply to it can still go out.
    connection.wire.deadline.rearm();
    let mut out = shard.net.buffers.small();
    let date = shard.net.clock.http_date();
    let terms = reply::Terms {
        date: &date,
        keep_alive,
        http10: request.is_some_and(|request| request.version == Version::Http10),
        head: request.is_some_and(|request| request.method_kind == Method::Head),
        added: &scratch.reply,
    };
    reply::fault(out.vector(), fault, terms);
    facts.head_out.set(out.len() as u64);
    let sent = send(shard, &mut connection.wire, out).await;
    match (sent, keep_alive, request) {
        (true, true, _) => After::KeepAlive,
        (true, false, Some(request)) => end(connection, request, facts),
        (true, false, None) => After::Linger,
        (false, ..) => After::Close,
    }
}

/// Longest a client may take to accept a reply of our own.
const REPLY_MS: u64 = 10_000;

pub(super) async fn send(shard: &Shard, wire: &mut Wire, out: Buffer) -> bool {
    let (result, out) = wire.writer().write_all(&shard.net, REPLY_MS, out).await;
    shard.net.buffers.give(out);
    result.is_ok()
}

#[allow(
    clippy::too_many_arguments,
    reason = "the one place where everything known of an exchange meets"
)]
fn record(
    connection: &Connection,
    shard: &Shard,
    live: &Live,
    scratch: &Scratch,
    head: &Buffer,
    facts: &Facts,
    api: Option<&Api>,
    fault: Option<&Fault>,
    after: After,
) {
    let bytes_in = facts.head_in + facts.body_in.get();
    let bytes_out = facts.head_out.get() + facts.body_out.get();
    let counters = &shard.counters;
    counters.requests.add(1);
    counters.bytes_in.add(bytes_in);
    counters.bytes_out.add(bytes_out);
    counters.count_response(facts.status.get());
    if let Some(kind) = fault
        .map(|fault| fault.kind)
        .or_else(|| facts.refusal.get().map(|refusal| refusal.kind))
    {
        counters.count_fault(kind);
    }
    let Some(records) = &shard.records else { return };
    let log = live.snapshot.access_log.as_ref();
    if !log.is_some_and(|log| log.format.has_records()) {
        return;
    }
    let bytes = head.filled();
    let request = facts.parsed.then_some(&scratch.request);
    let of = |range: Option<http1::Range>| range.map_or(&b""[..], |range| range.of(bytes));
    let record = Record {
        unix_millis: facts.unix_millis,
        client: connection.sender.client,
        api: api.map_or("", |api| &api.name),
        cluster: facts
            .cluster
            .get()
            .map_or("", |index| &live.clusters[index].spec.name),
        endpoint: facts.endpoint.get(),
        method: of(request.map(|request| request.method)),
        target: of(request.map(|request| request.target)),
        host: of(request.and_then(|request| request.host)),
        request_id: request.map_or(&b""[..], |request| {
            let known = request.headers.value_of(bytes, http1::Known::XRequestId);
            known.unwrap_or(&scratch.request_id)
        }),
        protocol: if request.is_some_and(|request| request.version == Version::Http10) {
            Protocol::Http10
        } else {
            Protocol::Http11
        },
        status: facts.status.get(),
        bytes_in,
        bytes_out,
        duration_micros: shard.net.clock.micros().saturating_sub(facts.started_micros),
        upstream_micros: facts.upstream_micros.get(),
        retries: facts.retries.get(),
        keep_alive: after == After::KeepAlive,
        ended: fault
            .map(Ended::from)
            .or_else(|| facts.refusal.get().map(|refusal| Ended::from(&refusal.fault()))),
        policy: facts
            .policy
            .get()
            .map_or("", |policy| policies::name(live, policy)),
        client_id: scratch.authentication.client_id.as_deref().unwrap_or_default(),
        tls: connection.peer.as_deref().map_or("", |peer| peer.version),
        client_certificate: (connection.peer.as_deref())
            .and_then(|peer| peer.certificate.as_deref())
            .map_or("", |certificate| &certificate.subject),
        truncated: false,
    };
    if !records.push(&record) {
        counters.records_dropped.add(1);
    }
}

/// What the record calls an address.
pub(super) fn socket_address(address: &HostAddress) -> Option<SocketAddr> {
    match address {
        HostAddress::Tcp(address) => Some(*address),
        HostAddress::Unix(_) => None,
    }
}
