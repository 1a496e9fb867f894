//! The origin's answer, to the client.

use super::{exchange::Facts, millis};
use crate::{
    fault::{Fault, Kind, Phase, Retry, Side},
    http1::{BodyDecoder, Framing, HeadScanner, ResponseHead, Scan, Version, encode, upgrade_agrees},
    net::{Reader, Writer},
    relay::{self, Broken, Output, Transfer},
    shard::{Shard, snapshot::Limits},
};
use std::time::Duration;

/// What of the client decides how it is answered.
pub(super) struct Client<'c> {
    pub shard: &'c Shard,
    pub facts: &'c Facts,
    pub version: Version,
    pub keep_alive: bool,
    /// The request was HEAD.
    pub head: bool,
    /// The protocols it offers to switch to.
    pub upgrade: Option<&'c [u8]>,
    /// Longest silence of either side while the body streams.
    pub idle: Duration,
}

/// An answer that went through whole.
pub(super) struct Responded {
    pub keep_alive: bool,
    /// The origin's connection is in order and stays open.
    pub reusable: bool,
    /// 101 has been relayed: both connections are now a tunnel's.
    pub upgraded: bool,
}

/// Interim responses relayed for one request at most; an origin that sends more is broken or hostile.
const INTERIM_MAX: u32 = 32;

/// An origin's head may be as large as a client's.
pub(super) async fn respond(
    client: &Client<'_>,
    from: &mut Reader<'_>,
    to: &mut Writer<'_>,
    response: &mut ResponseHead,
    reused: bool,
    limits: &Limits,
) -> Result<Responded, Fault> {
    let net = &client.shard.net;
    let mut interim = 0;
    let mut large = false;
    let mut out = net.buffers.small();
    loop {
        let (start, end) = read_head(client, from, reused && interim == 0, limits, &mut large).await?;
        let head = &from.buffered()[start..end];
        response
            .parse(head, client.head, &limits.head)
            .map_err(|error| Fault::upstream(Kind::Malformed, Phase::ResponseHead, error.detail))?;
        if response.status == 101 || response.status >= 200 {
            // It has answered in time. What follows has times of its own; until here the first one runs on, so
            // that interim responses do not renew it.
            from.deadline.clear_read();
        }
        if response.status == 101 {
            return switch(client, from, to, response, (start, end), out).await;
        }
        if response.status >= 200 {
            out.clear();
            let framing = outgoing(response.framing, client.version);
            // The rest of an unfinished upload would stand where the next request should.
            let keep_alive = client.keep_alive
                && framing != Framing::UntilClose
                && client.facts.request_read.get()
                && !client.shard.draining();
            encode::response(
                out.vector(),
                head,
                response,
                &answering(client, framing, keep_alive, false, &net.clock.http_date()),
            );
            from.consume(end, &net.buffers);
            return body(client, from, to, response, framing, keep_alive, out).await;
        }
        interim += 1;
        if interim > INTERIM_MAX {
            return Err(Fault::upstream(
                Kind::Malformed,
                Phase::ResponseHead,
                "the upstream sent too many interim responses",
            ));
        }
        // 100 is ours to say (the expectation is not passed on), and 1.0 clients know no interim responses.
        let relayed = response.status != 100 && client.version == Version::Http11;
        if relayed {
            out.clear();
            encode::interim(out.vector(), head, response);
        }
        from.consume(end, &net.buffers);
        if relayed {
            to.deadline.set(net.clock.now() + millis(client.idle));
            let (result, returned) = to.write_all(out).await;
            out = returned;
            result.map_err(|_| client_gone(Phase::ResponseHead))?;
        }
    }
}

async fn read_head(
    client: &Client<'_>,
    from: &mut Reader<'_>,
    reused: bool,
    limits: &Limits,
    large: &mut bool,
) -> Result<(usize, usize), Fault> {
    let net = &client.shard.net;
    let mut scanner = HeadScanner::response();
    loop {
        match scanner.scan(from.buffered(), &limits.head) {
            Scan::Complete { start, end } => {
                let took = net
                    .clock
                    .micros()
                    .saturating_sub(client.facts.upstream_started.get());
                client.facts.upstream_micros.set(took);
                return Ok((start, end));
            }
            Scan::Refused(error) => {
                return Err(Fault::upstream(
                    Kind::Malformed,
                    Phase::ResponseHead,
                    error.detail,
                ));
            }
            Scan::NeedMore => {}
        }
        if !from.make_room(limits.head.head_bytes * 2) {
            return Err(Fault::upstream(
                Kind::HeadTooLarge,
                Phase::ResponseHead,
                "the upstream's response head is too large",
            ));
        }
        let result = from.fill(&net.buffers, *large).await;
        net.clock.refresh();
        if matches!(result, Ok(length) if length > 0) {
            continue;
        }
        let nothing = from.buffered().is_empty();
        from.release(&net.buffers);
        return Err(if from.deadline.expired() {
            Fault::upstream(
                Kind::TimedOut,
                Phase::ResponseHead,
                "the upstream did not answer in time",
            )
        } else if nothing {
            broken(reused, true, Phase::ResponseHead)
        } else {
            Fault::upstream(
                Kind::Truncated,
                Phase::ResponseHead,
                "the upstream closed within its response head",
            )
        });
    }
}

async fn body(
    client: &Client<'_>,
    from: &mut Reader<'_>,
    to: &mut Writer<'_>,
    response: &ResponseHead,
    framing: Framing,
    keep_alive: bool,
    out: crate::net::Buffer,
) -> Result<Responded, Fault> {
    let facts = client.facts;
    facts.status.set(response.status);
    facts.head_out.set(out.len() as u64);
    let transfer = Transfer {
        net: &client.shard.net,
        output: match framing {
            Framing::None => Output::Nothing,
            Framing::Chunked => Output::Chunked,
            Framing::Length(_) | Framing::UntilClose => Output::Raw,
        },
        source_idle: client.idle,
        sink_idle: client.idle,
        limit: None,
        content: &facts.body_out,
        begun: &facts.answered,
    };
    let mut decoder = BodyDecoder::new(response.framing);
    match relay::body(&transfer, from, &mut decoder, to, out).await {
        Ok(()) => Ok(Responded {
            keep_alive,
            reusable: response.keep_alive,
            upgraded: false,
        }),
        Err(broken) => Err(body_fault(&broken)),
    }
}

/// 101 (RFC 9110 §15.2.2): only to a protocol the client offered; then the connection is a tunnel.
async fn switch(
    client: &Client<'_>,
    from: &mut Reader<'_>,
    to: &mut Writer<'_>,
    response: &ResponseHead,
    (start, end): (usize, usize),
    mut out: crate::net::Buffer,
) -> Result<Responded, Fault> {
    let net = &client.shard.net;
    let head = &from.buffered()[start..end];
    let chosen = response.upgrade.map(|range| range.of(head));
    let offered = client
        .upgrade
        .is_some_and(|offer| chosen.is_some_and(|chosen| upgrade_agrees(offer, chosen)));
    if !offered || !client.facts.request_read.get() {
        return Err(Fault::upstream(
            Kind::Malformed,
            Phase::ResponseHead,
            "the upstream switched to a protocol that was not offered",
        ));
    }
    out.clear();
    encode::response(
        out.vector(),
        head,
        response,
        &answering(client, Framing::None, true, true, &net.clock.http_date()),
    );
    from.consume(end, &net.buffers);
    client.facts.status.set(101);
    client.facts.head_out.set(out.len() as u64);
    client.facts.answered.set(true);
    to.deadline.set(net.clock.now() + millis(client.idle));
    let (result, out) = to.write_all(out).await;
    net.buffers.give(out);
    result.map_err(|_| client_gone(Phase::ResponseHead))?;
    Ok(Responded {
        keep_alive: false,
        reusable: false,
        upgraded: true,
    })
}

fn answering<'a>(
    client: &'a Client<'_>,
    framing: Framing,
    keep_alive: bool,
    upgrade: bool,
    date: &'a [u8],
) -> encode::Answering<'a> {
    encode::Answering {
        version_of_client: client.version,
        framing,
        keep_alive,
        date,
        via: client.shard.pseudonym.as_bytes(),
        upgrade,
    }
}

/// Close-delimited bodies become chunked where the client can read that, so that their end is told from a cut.
fn outgoing(framing: Framing, version: Version) -> Framing {
    match (framing, version) {
        (Framing::UntilClose, Version::Http11) => Framing::Chunked,
        (Framing::Chunked, Version::Http10) => Framing::UntilClose,
        (framing, _) => framing,
    }
}

/// A connection that ended without a byte of an answer.
pub(super) fn broken(reused: bool, written: bool, phase: Phase) -> Fault {
    let retry = match (written, reused) {
        (false, _) => Retry::Always,
        (true, true) => Retry::IfIdempotent,
        (true, false) => Retry::Never,
    };
    Fault::upstream(
        Kind::Closed,
        phase,
        "the upstream closed the connection without an answer",
    )
    .retry(retry)
}

fn body_fault(broken: &Broken) -> Fault {
    let upstream = |kind, detail| Fault::upstream(kind, Phase::ResponseBody, detail);
    match broken {
        Broken::Truncated => upstream(Kind::Truncated, "the upstream closed within its response body"),
        Broken::Malformed(detail) => upstream(Kind::Malformed, detail),
        Broken::SourceTimedOut => upstream(Kind::TimedOut, "the upstream's response body stopped"),
        Broken::TooLarge => upstream(Kind::BodyTooLarge, "the response body is too large"),
        Broken::Sink { timed_out, .. } => Fault {
            side: Side::Client,
            kind: if *timed_out { Kind::TimedOut } else { Kind::Closed },
            phase: Phase::ResponseBody,
            retry: Retry::Never,
            detail: "the client did not take the response",
        },
    }
}

fn client_gone(phase: Phase) -> Fault {
    Fault::client(Kind::Closed, phase, "the client closed before the response")
}
