//! The whole content of a request, for policies that must see it before it goes on.

use super::{Connection, exchange::Facts};
use crate::{
    clock::millis,
    fault::{Fault, Kind, Phase},
    http1::{BodyDecoder, Event, Framing, Version},
    net::Buffer,
    reply,
    shard::{Live, Scratch},
};

/// Reads it into the scratch. From then on the request is framed by its length, and can be sent more than once.
///
/// # Errors
/// It is too large, broken, or too slow.
pub(super) async fn read(
    connection: &mut Connection,
    live: &Live,
    scratch: &mut Scratch,
    facts: &Facts,
) -> Result<(), Fault> {
    let limits = &live.snapshot.limits;
    let limit = limits
        .body_bytes
        .map_or(MAX_CONTENT, |limit| limit.min(MAX_CONTENT));
    let request = &mut scratch.request;
    let mut decoder = BodyDecoder::new(request.framing);
    if decoder.remaining().is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    if request.expect_continue && request.version == Version::Http11 && !connection.wire.has_unread() {
        let shard = connection.shard.clone();
        let mut go_on = shard.net.buffers.small();
        go_on.vector().extend_from_slice(reply::CONTINUE);
        if !super::exchange::send(&shard, &mut connection.wire, go_on).await {
            return Err(closed());
        }
    }
    // As much as is promised, or a little: what a client says of its length is not yet worth a megabyte.
    let promised = decoder.remaining().unwrap_or(0).min(FIRST_ROOM);
    let mut content = Buffer::with_capacity(usize::try_from(promised).unwrap_or(0));
    let net = &connection.shard.net;
    let mut from = connection.wire.reader();
    loop {
        let input = from.buffered();
        let event = decoder
            .decode(input)
            .map_err(|error| Fault::client(Kind::Malformed, Phase::Policy, error.detail))?;
        let (used, complete, more) = match event {
            Event::Data { skip, length } => {
                if (content.len() + length) as u64 > limit {
                    return Err(too_large());
                }
                content.vector().extend_from_slice(&input[skip..skip + length]);
                (skip + length, decoder.is_complete(), true)
            }
            Event::NeedMore { skip } => (skip, false, false),
            Event::Complete { skip } => (skip, true, false),
        };
        facts.body_in.set(content.len() as u64);
        from.consume(used, &net.buffers);
        if complete {
            break;
        }
        if more && !from.buffered().is_empty() {
            continue;
        }
        from.deadline.set_read(net.clock.now() + millis(limits.body_idle));
        let read = from.fill(&net.buffers, false).await;
        from.deadline.clear_read();
        net.clock.refresh();
        if !matches!(read, Ok(1..)) {
            from.release(&net.buffers);
            return Err(if from.deadline.expired() {
                Fault::client(Kind::TimedOut, Phase::Policy, "the request body took too long")
            } else {
                closed()
            });
        }
    }
    request.framing = Framing::Length(content.len() as u64);
    scratch.content = Some(content);
    facts.request_read.set(true);
    Ok(())
}

fn too_large() -> Fault {
    Fault::client(
        Kind::BodyTooLarge,
        Phase::Policy,
        "the request body is larger than what policies look at",
    )
}

fn closed() -> Fault {
    Fault::client(
        Kind::Closed,
        Phase::Policy,
        "the client closed within its request body",
    )
}

/// The vendor's limit for what a policy buffers.
const MAX_CONTENT: u64 = 1024 * 1024;

/// Room made before the first byte.
const FIRST_ROOM: u64 = 64 * 1024;
