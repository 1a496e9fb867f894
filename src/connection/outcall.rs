//! Carries out a policy's own call on the shard that asks. It lives here because it is an exchange like any other
//! (a connection leased, a head, a body, the lease given back), only that both its ends are values.

use crate::{
    clock::{Tick, millis},
    fault::{Fault, Kind, Phase, Retry},
    http1::{BodyDecoder, Event, HeadScanner, Known, Method, ResponseHead, Scan, encode},
    net::{Net, Reader},
    outcall::{CallError, Outcall, Reply},
    shard::{Live, Shard},
    upstream::{Lease, Tried},
};
use std::{io, time::Duration};

/// One call: pooled connections, http or https as the cluster's endpoints say, no redirects. It is tried a second time
/// only where a pooled connection turns out to have ended and nothing can be done twice.
///
/// # Errors
/// No reply within the call's time and size, or the call itself is not one request.
pub async fn call(shard: &Shard, live: &Live, outcall: &Outcall) -> Result<Reply, CallError> {
    outcall
        .check()
        .map_err(|detail| Fault::gateway(Kind::Internal, Phase::RequestSend, detail))?;
    let net = &shard.net;
    net.clock.refresh();
    let end = net.clock.now() + millis(outcall.timeout);
    let Some(cluster) = live.clusters.get(outcall.cluster) else {
        return Err(Fault::gateway(
            Kind::Internal,
            Phase::Connect,
            "a policy's call has no upstream",
        ));
    };
    let connect = cluster.spec.timeouts.connect;
    let repeatable = Method::of(outcall.method.as_bytes()).is_idempotent();
    let mut tried = Tried::default();

    let host = cluster.choose(shard.random(), 0, &tried)?;
    let mut host = match host.reuse(net, !repeatable) {
        Ok(lease) => {
            shard.counters.upstream_reuses.add(1);
            match exchange(shard, live, outcall, lease, end).await {
                Err(fault)
                    if fault.retry == Retry::Always || (repeatable && fault.retry == Retry::IfIdempotent) => {
                }
                ended => return ended,
            }
            shard.counters.upstream_retries.add(1);
            cluster.choose(shard.random(), 0, &tried)?
        }
        Err(host) => host,
    };
    // A host that refuses is nobody's fault but its own: another may have the answer.
    loop {
        let timeout = connect.min(left(net, end));
        match host.connect(net, timeout, &mut tried).await {
            Ok(lease) => {
                shard.counters.upstream_connects.add(1);
                return exchange(shard, live, outcall, lease, end).await;
            }
            Err(fault) => {
                shard.counters.upstream_connect_failures.add(1);
                if left(net, end).is_zero() {
                    return Err(fault);
                }
                // None is left to try: what the last one said is worth more than that.
                host = cluster.choose(shard.random(), 0, &tried).map_err(|_| fault)?;
            }
        }
    }
}

async fn exchange(
    shard: &Shard,
    live: &Live,
    outcall: &Outcall,
    mut lease: Lease,
    end: Tick,
) -> Result<Reply, CallError> {
    let net = &shard.net;
    send(net, outcall, &mut lease, end).await?;
    lease.wire.deadline.set_read(end);
    let mut response = ResponseHead::default();
    let (reply, reusable) = receive(net, live, outcall, &mut lease, &mut response).await?;
    lease.wire.deadline.clear();
    if reusable {
        let bodiless = outcall.method == "HEAD" || matches!(reply.status, 204 | 304);
        lease.give_back(net, bodiless);
    }
    Ok(reply)
}

async fn send(net: &Net, outcall: &Outcall, lease: &mut Lease, end: Tick) -> Result<(), Fault> {
    let mut out = net.buffers.small();
    write_head(out.vector(), outcall, lease.host().key.authority.as_bytes());
    let mut body = outcall.body.as_slice();
    let mut gone = false;
    loop {
        let room = out.spare_len().max(PIECE / 4).min(body.len());
        let (piece, rest) = body.split_at(room);
        out.vector().extend_from_slice(piece);
        body = rest;
        // A receiver that takes a little at a time renews its time with each, so a piece is small.
        let idle = millis(left(net, end)).max(1);
        let (result, returned) = lease.wire.writer().write_all(net, idle, out).await;
        out = returned;
        net.clock.refresh();
        if let Err(failed) = result {
            net.buffers.give(out);
            if lease.wire.deadline.expired() {
                return Err(late(Phase::RequestSend));
            }
            let written = gone || failed.written > 0;
            return Err(super::respond::broken(lease.reused, written, Phase::RequestSend));
        }
        gone = true;
        if body.is_empty() {
            net.buffers.give(out);
            return Ok(());
        }
        if left(net, end).is_zero() {
            net.buffers.give(out);
            return Err(late(Phase::RequestSend));
        }
    }
}

fn write_head(out: &mut Vec<u8>, outcall: &Outcall, authority: &[u8]) {
    for part in [
        outcall.method.as_bytes(),
        b" ",
        outcall.path.as_bytes(),
        b" HTTP/1.1\r\nHost: ",
        authority,
        b"\r\n",
    ] {
        out.extend_from_slice(part);
    }
    for (name, value) in &outcall.headers {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    // Methods for which a body means nothing say nothing of one (RFC 9110 §8.6).
    if !outcall.body.is_empty() || matches!(outcall.method.as_str(), "POST" | "PUT" | "PATCH") {
        out.extend_from_slice(b"Content-Length: ");
        encode::decimal(out, outcall.body.len() as u64);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// The reply, and whether the connection is left in order.
async fn receive(
    net: &Net,
    live: &Live,
    outcall: &Outcall,
    lease: &mut Lease,
    response: &mut ResponseHead,
) -> Result<(Reply, bool), Fault> {
    let limits = &live.snapshot.limits;
    let reused = lease.reused;
    let mut watch = lease.watch.take();
    let mut from = lease.wire.reader();
    let mut interim = 0;
    let mut reply = loop {
        let mut scanner = HeadScanner::response();
        let (start, end) = loop {
            match scanner.scan(from.buffered(), &limits.head) {
                Scan::Complete { start, end } => break (start, end),
                Scan::Refused(error) => return Err(malformed(Phase::ResponseHead, error.detail)),
                Scan::NeedMore => {}
            }
            if !from.make_room(limits.head.head_bytes * 2) {
                return Err(Fault::upstream(
                    Kind::HeadTooLarge,
                    Phase::ResponseHead,
                    "the upstream's response head is too large",
                ));
            }
            let read = match watch.take() {
                Some(watch) => from.fill_from(watch, &net.buffers).await,
                None => from.fill(&net.buffers, false).await,
            };
            net.clock.refresh();
            match read {
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                _ if from.deadline.expired() => return Err(late(Phase::ResponseHead)),
                _ if from.buffered().is_empty() => {
                    return Err(super::respond::broken(
                        reused && interim == 0,
                        true,
                        Phase::ResponseHead,
                    ));
                }
                _ => {
                    return Err(truncated(
                        Phase::ResponseHead,
                        "the upstream closed within its response head",
                    ));
                }
            }
        };
        let head = &from.buffered()[start..end];
        response
            .parse(head, outcall.method == "HEAD", &limits.head)
            .map_err(|error| malformed(Phase::ResponseHead, error.detail))?;
        let status = response.status;
        if status >= 200 {
            let headers = (response.headers.iter())
                .filter(|line| !line.hop_by_hop && line.known != Known::Connection)
                .map(|line| {
                    let name = String::from_utf8_lossy(line.name.of(head)).into_owned();
                    (name, line.value.of(head).to_vec())
                })
                .collect();
            from.consume(end, &net.buffers);
            break Reply {
                status,
                headers,
                body: Vec::new(),
            };
        }
        interim += 1;
        // It was not asked to switch.
        if status == 101 || interim > INTERIM_MAX {
            return Err(malformed(
                Phase::ResponseHead,
                "the upstream's interim responses make no sense",
            ));
        }
        from.consume(end, &net.buffers);
    };
    body(net, outcall, &mut from, response, &mut reply.body).await?;
    Ok((reply, response.keep_alive))
}

async fn body(
    net: &Net,
    outcall: &Outcall,
    from: &mut Reader<'_>,
    response: &ResponseHead,
    body: &mut Vec<u8>,
) -> Result<(), Fault> {
    let mut decoder = BodyDecoder::new(response.framing);
    let too_large = Fault::upstream(
        Kind::BodyTooLarge,
        Phase::ResponseBody,
        "the reply to a policy's call is too large",
    );
    if decoder
        .remaining()
        .is_some_and(|length| length > outcall.max_reply_bytes as u64)
    {
        return Err(too_large);
    }
    loop {
        let input = from.buffered();
        let event = decoder
            .decode(input)
            .map_err(|error| malformed(Phase::ResponseBody, error.detail))?;
        let (used, complete, more) = match event {
            Event::Data { skip, length } => {
                if body.len() + length > outcall.max_reply_bytes {
                    return Err(too_large);
                }
                body.extend_from_slice(&input[skip..skip + length]);
                (skip + length, decoder.is_complete(), true)
            }
            Event::NeedMore { skip } => (skip, false, false),
            Event::Complete { skip } => (skip, true, false),
        };
        from.consume(used, &net.buffers);
        if complete {
            return Ok(());
        }
        if more && !from.buffered().is_empty() {
            continue;
        }
        let read = from.fill(&net.buffers, false).await;
        net.clock.refresh();
        match read {
            Ok(1..) => {}
            _ if from.deadline.expired() => return Err(late(Phase::ResponseBody)),
            Ok(_) if decoder.end_of_stream().is_ok() => {
                from.release(&net.buffers);
                return Ok(());
            }
            _ => {
                from.release(&net.buffers);
                return Err(truncated(
                    Phase::ResponseBody,
                    "the upstream closed within its response body",
                ));
            }
        }
    }
}

fn left(net: &Net, end: Tick) -> Duration {
    Duration::from_millis(end.saturating_sub(net.clock.now()))
}

fn late(phase: Phase) -> Fault {
    Fault::upstream(
        Kind::TimedOut,
        phase,
        "the upstream of a policy did not answer in time",
    )
}

fn malformed(phase: Phase, detail: &'static str) -> Fault {
    Fault::upstream(Kind::Malformed, phase, detail)
}

fn truncated(phase: Phase, detail: &'static str) -> Fault {
    Fault::upstream(Kind::Truncated, phase, detail)
}

/// Bytes of a request written at once.
const PIECE: usize = crate::net::SMALL;

/// As many as of an exchange's origin.
const INTERIM_MAX: u32 = 32;

#[cfg(test)]
mod tests;
