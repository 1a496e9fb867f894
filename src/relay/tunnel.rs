//! Two-way traffic after an upgrade: bytes as they are, each direction ends on its own.

use super::splice::{self, Taken};
use crate::{
    clock::millis,
    net::{Buffer, Deadline, Net, Reader, Wire, Writer},
    runtime::{First, race},
};
use std::{cell::Cell, pin::pin, time::Duration};

/// How a tunnel ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Both sides said their end.
    Closed,
    /// A side reset, or went silent for longer than the limit.
    Broken,
    TimedOut,
}

/// Relays until both directions have ended. An end of stream is passed on as a half-close, so a side may go on
/// sending after the other has finished. Bytes are counted up (client to origin) and down.
pub async fn tunnel(
    net: &Net,
    client: &mut Wire,
    origin: &mut Wire,
    idle: Duration,
    up: &Cell<u64>,
    down: &Cell<u64>,
) -> Ended {
    let (client_reader, client_writer) = client.split();
    let (origin_reader, origin_writer) = origin.split();
    let mut upward = pin!(one_way(net, client_reader, origin_writer, idle, up));
    let mut downward = pin!(one_way(net, origin_reader, client_writer, idle, down));
    // A direction that breaks takes the other with it: nobody would read what it still carries.
    match race(upward.as_mut(), downward.as_mut()).await {
        First::Left(Ended::Closed) => downward.await,
        First::Right(Ended::Closed) => upward.await,
        First::Left(ended) | First::Right(ended) => ended,
    }
}

async fn one_way(
    net: &Net,
    mut from: Reader<'_>,
    mut to: Writer<'_>,
    idle: Duration,
    count: &Cell<u64>,
) -> Ended {
    let idle = millis(idle);
    let touch = |from: &Reader<'_>, to: &Writer<'_>| {
        // Either direction's traffic keeps both wires alive: silence is of the tunnel, not of one side.
        let at = net.clock.now() + idle;
        from.deadline.put_off(at);
        to.deadline.put_off(at);
    };
    touch(&from, &to);
    let mut held: Option<Buffer> = from.take().filter(|buffer| !buffer.is_empty());
    let mut may_splice = true;
    let mut splicing = false;
    loop {
        if splicing && may_splice {
            match splice::take(net, &from, &to, usize::MAX, false).await {
                Taken::Pipe(mut pipe) => {
                    net.clock.refresh();
                    let length = pipe.held();
                    count.set(count.get() + length as u64);
                    touch(&from, &to);
                    let put = splice::put(net, &mut pipe, &to, idle).await;
                    if put.is_err() {
                        return late_or_broken(to.deadline);
                    }
                    splicing = length >= splice::WORTH;
                    // Peers that are both faster than we are would keep the shard to themselves.
                    net.turns.give().await;
                    continue;
                }
                Taken::Read => {}
                Taken::Never => may_splice = false,
                Taken::Failed => return late_or_broken(from.deadline),
            }
        }
        let buffer = match held.take() {
            Some(buffer) => buffer,
            None => {
                let result = from.fill_when_ready(net).await;
                net.clock.refresh();
                match (&result, from.take()) {
                    (Ok(length), Some(buffer)) if *length > 0 => buffer,
                    (_, unused) => {
                        unused.into_iter().for_each(|buffer| net.buffers.give(buffer));
                        if from.deadline.expired() {
                            return Ended::TimedOut;
                        }
                        if result.is_err() {
                            return Ended::Broken;
                        }
                        to.shut(net, idle).await;
                        return Ended::Closed;
                    }
                }
            }
        };
        splicing = buffer.spare_len() == 0;
        count.set(count.get() + buffer.len() as u64);
        touch(&from, &to);
        let (result, buffer) = to.write_all(net, idle, buffer).await;
        net.clock.refresh();
        net.buffers.give(buffer);
        if result.is_err() {
            return late_or_broken(to.deadline);
        }
    }
}

fn late_or_broken(deadline: &Deadline) -> Ended {
    if deadline.expired() {
        Ended::TimedOut
    } else {
        Ended::Broken
    }
}
