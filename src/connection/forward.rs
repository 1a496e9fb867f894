//! A matched request to an upstream: which endpoint, on which connection, how often tried, and the two
//! directions of the exchange.

use super::{
    After, Connection,
    exchange::{self, Facts, RequestHeaders, socket_address},
    limited,
    policies::{OnResponse, Which},
    respond::{self, Client, Responded},
};
use crate::{
    clock::millis,
    fault::{Fault, Kind, Phase, Retry, Side},
    http1::{BodyDecoder, Framing, Method, RequestHead, ResponseHead, Version, encode},
    net::Buffer,
    relay::{self, Broken, Output, Transfer},
    reply, route,
    runtime::{First, race},
    shard::{
        Live, Scratch, Shard,
        snapshot::{Api, Forward},
    },
    upstream::{
        Cluster, Lease, TRIES, Tried,
        balance::{self, HashOn, weighted_choice},
        cluster::Timeouts,
    },
};
use std::{
    cell::{Cell, RefCell},
    pin::pin,
    time::Duration,
};

pub(super) async fn forward(
    connection: &mut Connection,
    live: &Live,
    scratch: &mut Scratch,
    head: &mut Buffer,
    facts: &Facts,
    matched: &route::Api<Api, Forward>,
    forward: &Forward,
) -> Result<After, Fault> {
    let shard = connection.shard.clone();
    let destination = match forward.destinations.as_slice() {
        [only] => only,
        many => &many[weighted_choice(shard.random(), many.iter().map(|destination| destination.weight))],
    };
    facts.cluster.set(Some(destination.cluster));
    let service = Which::Service(destination.cluster);
    if !service.is_empty(live, &matched.payload)
        && let Some(after) =
            exchange::admitted(connection, live, scratch, head, facts, matched, service).await?
    {
        return Ok(after);
    }
    let cluster = &live.clusters[destination.cluster];
    let (bytes, api) = (head.filled(), &matched.payload);
    write_target(scratch, &destination.destination_path, bytes);
    facts.upstream_started.set(shard.net.clock.micros());
    let timeouts = timeouts(cluster, matched, scratch, bytes, live);

    let hash = hash(cluster, connection, &scratch.request, bytes);
    let mut tried = Tried::default();
    let mut attempt = 0;
    let mut last = None;
    let once = !is_repeatable(&scratch.request, scratch.content.is_some());
    let breaker = cluster.spec.breaker.as_ref();
    let mut retrying = None;
    loop {
        attempt += 1;
        // A second try never takes another pooled connection: that may have died of the same cause.
        let fresh = attempt > 1;
        let host = cluster.choose(shard.random(), hash, &tried);
        // Counts the request for as long as it has its connection.
        let mut active = None;
        let lease = match (host, breaker) {
            (Err(unavailable), _) => Err(unavailable),
            (Ok(host), None) => match if fresh {
                Err(host)
            } else {
                host.reuse(&shard.net, once)
            } {
                Ok(lease) => Ok(lease),
                Err(host) => {
                    let connecting = host.connect(&shard.net, timeouts.upstream.connect, &mut tried);
                    shard.net.futures.hold(connecting).await
                }
            },
            (Ok(host), Some(breaker)) => {
                let wish = limited::Wish {
                    fresh,
                    once,
                    timeouts: &timeouts.upstream,
                };
                let leasing = limited::lease(&shard, cluster, breaker, host, wish, &mut tried);
                let leased = shard.net.futures.hold(leasing).await;
                leased.map(|(lease, permit)| {
                    active = Some(permit);
                    lease
                })
            }
        };
        let fault = match lease {
            Ok(lease) => {
                let counters = &shard.counters;
                if lease.reused {
                    &counters.upstream_reuses
                } else {
                    &counters.upstream_connects
                }
                .add(1);
                facts.endpoint.set(socket_address(&lease.host().key.address));
                match attempt_once(
                    connection,
                    live,
                    destination.cluster,
                    scratch,
                    bytes,
                    facts,
                    api,
                    lease,
                    &timeouts,
                )
                .await
                {
                    Ok(after) => return Ok(after),
                    Err(fault) => fault,
                }
            }
            // Nothing is left to try, but something was tried: say what that came to, refused (502) or late (504).
            Err(fault) if matches!(fault.kind, Kind::Unavailable | Kind::Overflow) => {
                return Err(last.unwrap_or(fault));
            }
            Err(fault) => {
                shard.counters.upstream_connect_failures.add(1);
                fault
            }
        };
        if attempt == TRIES || !may_retry(&fault, scratch, facts) {
            return Err(fault);
        }
        drop(active);
        if let Some(breaker) = breaker {
            // This request's former retry is over.
            drop(retrying.take());
            retrying = Some(breaker.retry().ok_or(fault)?);
        }
        last = Some(fault);
        facts.retries.set(facts.retries.get() + 1);
        shard.counters.upstream_retries.add(1);
    }
}

/// The times of one exchange.
struct Times {
    upstream: Timeouts,
    /// Of a connection that is switched to another protocol.
    tunnel_idle: Duration,
}

/// The cluster's, unless a policy of the API says otherwise for this request: of several the first.
fn timeouts(
    cluster: &Cluster,
    matched: &route::Api<Api, Forward>,
    scratch: &mut Scratch,
    bytes: &[u8],
    live: &Live,
) -> Times {
    let mut times = Times {
        upstream: cluster.spec.timeouts,
        tunnel_idle: live.snapshot.limits.tunnel_idle,
    };
    let (mut response, mut stream_idle) = (None, None);
    for written in &matched.payload.timeouts {
        if written.rules.is_empty() || applies(&written.rules, matched, scratch, bytes) {
            response = response.or(written.response);
            stream_idle = stream_idle.or(written.stream_idle);
        }
    }
    times.upstream.response = response.unwrap_or(times.upstream.response);
    if let Some(stream_idle) = stream_idle {
        times.upstream.stream_idle = stream_idle;
        times.tunnel_idle = stream_idle;
    }
    // An answer that is waited for is a silence too.
    times.upstream.response = times.upstream.response.min(times.upstream.stream_idle);
    times
}

fn applies(
    rules: &[route::Rule],
    matched: &route::Api<Api, Forward>,
    scratch: &mut Scratch,
    bytes: &[u8],
) -> bool {
    let Scratch { request, route, .. } = scratch;
    let lookup = route::Lookup {
        method: request.method.of(bytes),
        path: request.path.of(bytes),
        host: request.host.map_or(&b""[..], |host| host.of(bytes)),
        headers: &RequestHeaders { request, bytes },
    };
    route::any_matches(rules, &matched.base_path, &lookup, route)
}

/// A request is sent again only where that cannot do twice what was asked once.
fn may_retry(fault: &Fault, scratch: &Scratch, facts: &Facts) -> bool {
    let kept = scratch.content.is_some();
    // A body that was read in part, of its framing or its content, is not there to be sent again.
    let whole = kept || (!facts.body_begun.get() && facts.body_in.get() == 0);
    whole
        && !facts.answered.get()
        && match fault.retry {
            Retry::Never => false,
            Retry::Always => true,
            Retry::IfIdempotent => is_repeatable(&scratch.request, kept),
        }
}

/// Sent twice it means no more than once, and nothing of it is gone after the first time: it has no content, or that is
/// kept.
fn is_repeatable(request: &RequestHead, kept: bool) -> bool {
    request.method_kind.is_idempotent()
        && (kept || matches!(request.framing, Framing::None | Framing::Length(0)))
}

#[allow(clippy::too_many_arguments, reason = "all that an attempt is made of")]
async fn attempt_once(
    connection: &mut Connection,
    live: &Live,
    cluster_id: usize,
    scratch: &mut Scratch,
    bytes: &[u8],
    facts: &Facts,
    api: &Api,
    mut lease: Lease,
    times: &Times,
) -> Result<After, Fault> {
    let shard = connection.shard.clone();
    let net = &shard.net;
    let cluster = &live.clusters[cluster_id];
    let Scratch {
        request,
        response,
        target,
        path,
        request_id,
        policies,
        outbound,
        authentication,
        content,
        ..
    } = scratch;
    let content = content.as_ref().map(Buffer::filled);
    let mut out = net.buffers.small();
    write_head(
        &mut out, connection, &shard, cluster, &lease, request, bytes, target, request_id,
    );

    let limits = &live.snapshot.limits;
    let client = Client {
        shard: &shard,
        facts,
        version: request.version,
        keep_alive: request.keep_alive,
        head: request.method_kind == Method::Head,
        upgrade: request.upgrade.map(|range| range.of(bytes)),
        idle: times.upstream.stream_idle,
        policies: OnResponse {
            ends: connection.known_ends(),
            peer: connection.peer.clone(),
            live,
            api,
            cluster: cluster_id,
            request,
            bytes,
            path,
            content,
            authentication,
            request_id,
            progress: RefCell::new((policies, outbound)),
        },
    };
    let timeouts = &times.upstream;

    let outcome = if facts.request_read.get() {
        // One copy of what a policy has looked at, in one write with the head.
        out.vector().extend_from_slice(content.unwrap_or_default());
        let idle = millis(timeouts.stream_idle);
        let written = lease.wire.writer().write_all(net, idle, out).await;
        net.buffers.give(written.1);
        if let Err(failed) = written.0 {
            return Err(send_fault(&lease, failed.written));
        }
        lease
            .wire
            .deadline
            .set_read(net.clock.now() + millis(timeouts.response));
        let (mut from, _) = lease.wire.split();
        let (_, mut to) = connection.wire.split();
        respond::respond(
            &client,
            &mut lease.watch,
            &mut from,
            &mut to,
            response,
            lease.reused,
            limits,
        )
        .await
    } else {
        if request.expect_continue && request.version == Version::Http11 && !connection.wire.has_unread() {
            // Ours to say: whatever could refuse this request on its head alone has had its chance.
            let mut go_on = net.buffers.small();
            go_on.vector().extend_from_slice(reply::CONTINUE);
            let sending = super::exchange::send(&shard, &mut connection.wire, go_on);
            if !net.futures.hold(sending).await {
                return Err(Fault::client(
                    Kind::Closed,
                    Phase::RequestSend,
                    "the client closed",
                ));
            }
        }
        let transfer = both_ways(
            connection,
            &mut lease,
            &client,
            request.framing,
            response,
            out,
            limits,
            timeouts,
        );
        net.futures.hold(transfer).await
    };
    let responded = outcome?;
    if responded.upgraded {
        let tunnel = tunnel(connection, lease, facts, times.tunnel_idle);
        return net.futures.hold(tunnel).await;
    }
    if responded.reusable && facts.request_read.get() {
        let bodiless = client.head || matches!(response.status, 204 | 304);
        lease.give_back(net, bodiless);
    }
    Ok(
        if responded.keep_alive && facts.request_read.get() && connection.wire.is_sound() {
            After::KeepAlive
        } else {
            super::exchange::end(connection, request, facts)
        },
    )
}

/// A request with a body: it goes up while the answer may already come down.
#[allow(
    clippy::too_many_arguments,
    reason = "two connections and the terms between them"
)]
async fn both_ways(
    connection: &mut Connection,
    lease: &mut Lease,
    client: &Client<'_>,
    framing: Framing,
    response: &mut ResponseHead,
    head: Buffer,
    limits: &crate::shard::snapshot::Limits,
    timeouts: &Timeouts,
) -> Result<Responded, Fault> {
    let net = &client.shard.net;
    let facts = client.facts;
    let reused = lease.reused;
    let (mut client_reader, mut client_writer) = connection.wire.split();
    let Lease { watch, wire, .. } = lease;
    let (mut origin_reader, mut origin_writer) = wire.split();
    let origin_deadline = origin_reader.deadline;

    let begun = Cell::new(false);
    let upload = async {
        let transfer = Transfer {
            net,
            output: if framing == Framing::Chunked {
                Output::Chunked
            } else {
                Output::Raw
            },
            source_idle: limits.body_idle,
            sink_idle: timeouts.stream_idle,
            limit: limits.body_bytes,
            content: &facts.body_in,
            begun: &begun,
            consumed: &facts.body_begun,
            filter: None,
        };
        let mut decoder = BodyDecoder::new(framing);
        let result = relay::body(
            &transfer,
            &mut client_reader,
            &mut decoder,
            &mut origin_writer,
            head,
        )
        .await;
        if result.is_ok() {
            facts.request_read.set(true);
            // The answer is due from here on; while it was still being asked for, only silence counted. One that
            // has begun already is no longer waited for: its body may pause for longer than a head may take.
            if !facts.answered.get() {
                origin_deadline.set_read(net.clock.now() + millis(timeouts.response));
            }
        }
        result
    };
    let download = respond::respond(
        client,
        watch,
        &mut origin_reader,
        &mut client_writer,
        response,
        reused,
        limits,
    );
    let mut upload = pin!(upload);
    let mut download = pin!(download);
    match race(upload.as_mut(), download.as_mut()).await {
        // An early answer that is complete: the rest of the body is nobody's any more.
        First::Right(responded) => responded,
        First::Left(Ok(())) => download.await,
        First::Left(Err(Broken::Sink { written, timed_out })) => {
            if timed_out {
                return Err(Fault::upstream(
                    Kind::TimedOut,
                    Phase::RequestSend,
                    "the upstream did not take the request in time",
                ));
            }
            let fault = respond::broken(reused, written > 0, Phase::RequestSend);
            if written == 0 {
                return Err(fault);
            }
            // It stopped reading; it may have said why.
            if !facts.answered.get() {
                origin_deadline.set_read(net.clock.now() + LAST_WORDS_MS);
            }
            download
                .await
                .map_err(|said| if facts.answered.get() { said } else { fault })
        }
        First::Left(Err(broken)) => Err(body_fault(&broken)),
    }
}

/// How long an origin that stopped reading may take to say why.
const LAST_WORDS_MS: u64 = 1_000;

fn body_fault(broken: &Broken) -> Fault {
    let (kind, detail) = match broken {
        Broken::Malformed(detail) => (Kind::Malformed, *detail),
        Broken::TooLarge => (Kind::BodyTooLarge, "the request body is too large"),
        Broken::SourceTimedOut => (Kind::TimedOut, "the request body took too long"),
        Broken::Truncated | Broken::Sink { .. } => {
            (Kind::Closed, "the client closed within its request body")
        }
    };
    Fault {
        side: Side::Client,
        kind,
        phase: Phase::RequestSend,
        retry: Retry::Never,
        detail,
    }
}

fn send_fault(lease: &Lease, written: usize) -> Fault {
    if lease.wire.deadline.expired() {
        return Fault::upstream(
            Kind::TimedOut,
            Phase::RequestSend,
            "the upstream did not take the request in time",
        );
    }
    respond::broken(lease.reused, written > 0, Phase::RequestSend)
}

async fn tunnel(
    connection: &mut Connection,
    mut lease: Lease,
    facts: &Facts,
    idle: Duration,
) -> Result<After, Fault> {
    let shard = connection.shard.clone();
    // Both directions now carry what neither head accounts for.
    let (up, down) = (Cell::new(0), Cell::new(0));
    let ended = relay::tunnel(
        &shard.net,
        &mut connection.wire,
        &mut lease.wire,
        idle,
        &up,
        &down,
    )
    .await;
    facts.body_in.set(facts.body_in.get() + up.get());
    facts.body_out.set(facts.body_out.get() + down.get());
    match ended {
        relay::Ended::Closed => Ok(After::Close),
        relay::Ended::TimedOut => Err(Fault::gateway(
            Kind::TimedOut,
            Phase::Tunnel,
            "the tunnel was idle for too long",
        )),
        relay::Ended::Broken => Err(Fault::client(Kind::Closed, Phase::Tunnel, "the tunnel broke")),
    }
}

#[allow(clippy::too_many_arguments, reason = "all that a forwarded head is made of")]
fn write_head(
    out: &mut Buffer,
    connection: &Connection,
    shard: &Shard,
    cluster: &Cluster,
    lease: &Lease,
    request: &RequestHead,
    bytes: &[u8],
    target: &[u8],
    request_id: &[u8],
) {
    let original_host = request.host.map_or(&b""[..], |host| host.of(bytes));
    let authority = lease.host().key.authority.as_bytes();
    let forwarding = encode::Forwarding {
        method: request.method.of(bytes),
        target,
        // A 1.0 client without Host leaves the endpoint's own name as the only one there is.
        host: if cluster.spec.preserve_host && !original_host.is_empty() {
            original_host
        } else {
            authority
        },
        client_address: connection.client_text.as_bytes(),
        scheme: connection.sender.scheme.as_bytes(),
        client_certificate: (connection.peer.as_deref())
            .and_then(|peer| peer.forwarded.as_deref())
            .unwrap_or_default()
            .as_bytes(),
        original_host,
        request_id,
        via: shard.pseudonym.as_bytes(),
        framing: request.framing,
        max_forwards: request.max_forwards.map(|left| {
            // Only OPTIONS (and TRACE, refused above) counts down (RFC 9110 §7.6.2).
            if request.method_kind == Method::Options {
                left.saturating_sub(1)
            } else {
                left
            }
        }),
        upgrade: request.upgrade.is_some(),
    };
    encode::request(out.vector(), bytes, request, &forwarding);
}

fn write_target(scratch: &mut Scratch, destination_path: &str, bytes: &[u8]) {
    let Scratch {
        request,
        route,
        target,
        ..
    } = scratch;
    target.clear();
    route::join_upstream_path(target, destination_path, route.suffix());
    if let Some(query) = request.query {
        target.push(b'?');
        target.extend_from_slice(query.of(bytes));
    }
}

pub(super) fn write_request_id(shard: &Shard, out: &mut [u8; 32]) {
    for half in out.chunks_exact_mut(16) {
        half.copy_from_slice(&hexadecimal(shard.random()));
    }
}

/// Sixteen digits, eight nibbles at a time: spread to a byte each, then 10 to 15 moved up to the letters.
fn hexadecimal(number: u64) -> [u8; 16] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let digits = |half: u64| {
        let mut nibbles = (half | half << 16) & 0x0000_ffff_0000_ffff;
        nibbles = (nibbles | nibbles << 8) & 0x00ff_00ff_00ff_00ff;
        nibbles = (nibbles | nibbles << 4) & 0x0f0f_0f0f_0f0f_0f0f;
        let letters = ((nibbles + ONES * 6) >> 4) & ONES;
        (nibbles + ONES * u64::from(b'0') + letters * u64::from(b'a' - b'0' - 10)).to_be_bytes()
    };
    let mut text = [0; 16];
    text[..8].copy_from_slice(&digits(number >> 32));
    text[8..].copy_from_slice(&digits(number & 0xffff_ffff));
    text
}

/// What a consistent choice is made by; 0 where the choice does not ask.
fn hash(cluster: &Cluster, connection: &Connection, request: &RequestHead, bytes: &[u8]) -> u64 {
    match cluster.hash_on() {
        None => 0,
        Some(HashOn::ClientAddress) if connection.sender.client == connection.client => {
            balance::hash(connection.client_text.as_bytes())
        }
        Some(HashOn::ClientAddress) => {
            balance::hash(super::AddressText::new(connection.sender.client).as_bytes())
        }
        // A request without the header goes where all such requests go.
        Some(HashOn::Header(name)) => balance::hash(request.headers.get(bytes, name).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_body_of_which_anything_is_gone_is_never_sent_again() {
        let facts = super::Facts::default();
        let mut scratch = super::Scratch::default();
        let fault = super::respond::broken(true, false, super::Phase::RequestSend);
        assert!(super::may_retry(&fault, &scratch, &facts));
        facts.body_begun.set(true);
        facts.body_in.set(1);
        assert!(!super::may_retry(&fault, &scratch, &facts));
        scratch.content = Some(super::Buffer::from(b"x".to_vec()));
        assert!(super::may_retry(&fault, &scratch, &facts), "it is kept");
        facts.answered.set(true);
        assert!(!super::may_retry(&fault, &scratch, &facts));
    }

    #[test]
    fn digits_are_those_of_the_standard_library() {
        for number in [0, 1, 0x0123_4567_89ab_cdef, u64::MAX, 0xf0e1_d2c3_b4a5_9687] {
            assert_eq!(super::hexadecimal(number), format!("{number:016x}").as_bytes());
        }
    }
}
