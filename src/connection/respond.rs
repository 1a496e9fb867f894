//! The origin's answer, to the client.

use super::{exchange::Facts, policies::OnResponse};
use crate::{
    clock::millis,
    fault::{Fault, Kind, Phase, Retry, Side},
    http1::{BodyDecoder, Framing, HeadScanner, ResponseHead, Scan, Version, encode, upgrade_agrees},
    net::{Buffer, Reader, Watch, Writer},
    policy::Filter,
    relay::{self, Broken, Output, Transfer},
    shard::{Shard, snapshot::Limits},
};
use std::{cell::RefCell, io, time::Duration};

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
    pub policies: OnResponse<'c>,
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
    watch: &mut Option<Watch>,
    from: &mut Reader<'_>,
    to: &mut Writer<'_>,
    response: &mut ResponseHead,
    reused: bool,
    limits: &Limits,
) -> Result<Responded, Fault> {
    let net = &client.shard.net;
    let mut interim = 0;
    loop {
        let (start, end) = read_head(client, watch, from, reused && interim == 0, limits).await?;
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
            let switching = switch(client, from, to, response, (start, end));
            return net.futures.hold(switching).await;
        }
        if response.status >= 200 {
            let mut out = net.buffers.small();
            let filters = client.policies.run(client.shard, response, head)?;
            let mut framing = outgoing(response.framing, client.version);
            if framing != Framing::None && filters.iter().any(Filter::changes_length) {
                framing = outgoing(Framing::Chunked, client.version);
            }
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
            client.facts.status.set(response.status);
            client.facts.head_out.set(out.len() as u64);
            let responded = Responded {
                keep_alive,
                reusable: response.keep_alive,
                upgraded: false,
            };
            let whole = (filters.is_empty() || framing == Framing::None)
                .then(|| whole_body(response.framing, framing, from.buffered().len()))
                .flatten();
            return match whole {
                Some(length) => {
                    // What has no content is complete.
                    filters
                        .into_iter()
                        .for_each(|filter| filter.finish(&mut Vec::new()));
                    send(client, from, to, length, out).await
                }
                None => {
                    net.futures
                        .hold(body(client, from, to, response, framing, filters, out))
                        .await
                }
            }
            .map(|()| responded);
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
        let out = relayed.then(|| {
            let mut out = net.buffers.small();
            encode::interim(out.vector(), head, response);
            out
        });
        from.consume(end, &net.buffers);
        if let Some(out) = out {
            net.futures.hold(interim_head(client, to, out)).await?;
        }
    }
}

async fn interim_head(client: &Client<'_>, to: &mut Writer<'_>, out: Buffer) -> Result<(), Fault> {
    let net = &client.shard.net;
    let (result, out) = to.write_all(net, millis(client.idle), out).await;
    net.buffers.give(out);
    result.map_err(|_| client_gone(Phase::ResponseHead))
}

async fn read_head(
    client: &Client<'_>,
    watch: &mut Option<Watch>,
    from: &mut Reader<'_>,
    reused: bool,
    limits: &Limits,
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
        // The read of a pooled connection's answer began before the request was sent.
        let result = match watch.take() {
            Some(watch) => from.fill_from(watch, &net.buffers).await,
            None => from.fill(&net.buffers, false).await,
        };
        net.clock.refresh();
        if matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            continue;
        }
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

/// The length of a body that is here whole and needs no framing of ours: nearly every answer of an API.
fn whole_body(incoming: Framing, outgoing: Framing, buffered: usize) -> Option<usize> {
    match (incoming, outgoing) {
        (_, Framing::None) => Some(0),
        (Framing::Length(length), Framing::Length(_)) => {
            usize::try_from(length).ok().filter(|&length| length <= buffered)
        }
        _ => None,
    }
}

/// Head and body in one write. What is left behind in the reader afterwards nobody asked for.
async fn send(
    client: &Client<'_>,
    from: &mut Reader<'_>,
    to: &mut Writer<'_>,
    length: usize,
    mut out: Buffer,
) -> Result<(), Fault> {
    let net = &client.shard.net;
    out.vector().extend_from_slice(&from.buffered()[..length]);
    from.consume(length, &net.buffers);
    client.facts.body_out.set(length as u64);
    client.facts.answered.set(true);
    let (result, out) = to.write_all(net, millis(client.idle), out).await;
    net.buffers.give(out);
    result.map_err(|failed| {
        body_fault(&Broken::Sink {
            written: failed.written,
            timed_out: to.deadline.expired(),
        })
    })
}

async fn body(
    client: &Client<'_>,
    from: &mut Reader<'_>,
    to: &mut Writer<'_>,
    response: &ResponseHead,
    framing: Framing,
    filters: Vec<Filter>,
    out: Buffer,
) -> Result<(), Fault> {
    let facts = client.facts;
    let filters = Filters(RefCell::new(filters));
    // A response is never read again.
    let consumed = std::cell::Cell::new(false);
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
        consumed: &consumed,
        filter: (!filters.0.borrow().is_empty()).then_some(&filters),
    };
    let mut decoder = BodyDecoder::new(response.framing);
    relay::body(&transfer, from, &mut decoder, to, out)
        .await
        .map_err(|broken| body_fault(&broken))
}

/// Policies' filters, one after another.
struct Filters(RefCell<Vec<Filter>>);

impl relay::Filter for Filters {
    fn push(&self, content: &[u8], out: &mut Vec<u8>) {
        let mut filters = self.0.borrow_mut();
        let Some((last, before)) = filters.split_last_mut() else {
            return;
        };
        let mut piece = std::borrow::Cow::Borrowed(content);
        for filter in before {
            let mut next = Vec::new();
            filter.push(&piece, &mut next);
            piece = next.into();
        }
        last.push(&piece, out);
    }

    fn finish(&self, out: &mut Vec<u8>) {
        // What one still had goes through those behind it, before they are told of the end.
        let mut rest = Vec::new();
        for mut filter in self.0.take() {
            let mut next = Vec::new();
            if !rest.is_empty() {
                filter.push(&rest, &mut next);
            }
            filter.finish(&mut next);
            rest = next;
        }
        out.append(&mut rest);
    }
}

/// 101 (RFC 9110 §15.2.2): only to a protocol the client offered; then the connection is a tunnel.
async fn switch(
    client: &Client<'_>,
    from: &mut Reader<'_>,
    to: &mut Writer<'_>,
    response: &ResponseHead,
    (start, end): (usize, usize),
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
    let mut out = net.buffers.small();
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
    let (result, out) = to.write_all(net, millis(client.idle), out).await;
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
