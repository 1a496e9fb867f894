//! One body, from a reader to a writer.

use crate::{
    clock::millis,
    http1::{BodyDecoder, Event, encode},
    net::{Buffer, Net, Reader, Writer},
};
use std::{cell::Cell, time::Duration};

/// How content is written. Length-delimited and close-delimited bodies go as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// The head alone: there is no body.
    Nothing,
    Raw,
    Chunked,
}

/// What ended a body before its end.
#[derive(Debug)]
pub enum Broken {
    /// The sender closed or reset before the end its framing promised.
    Truncated,
    Malformed(&'static str),
    SourceTimedOut,
    TooLarge,
    /// The receiver does not take it; with the bytes written of it so far, head included.
    Sink {
        written: usize,
        timed_out: bool,
    },
}

/// What content passes through on its way. Called in the order of the content, with what goes on appended to `out`.
pub trait Filter {
    fn push(&self, content: &[u8], out: &mut Vec<u8>);
    /// After the last piece; not called of a body that breaks off.
    fn finish(&self, out: &mut Vec<u8>);
}

/// The terms of one body.
pub struct Transfer<'t> {
    pub net: &'t Net,
    pub output: Output,
    /// Longest silence of the sender, and of the receiver.
    pub source_idle: Duration,
    pub sink_idle: Duration,
    /// Content bytes at most.
    pub limit: Option<u64>,
    /// Content bytes that went through; the record reads it also when the body broke.
    pub content: &'t Cell<u64>,
    /// Set when the first byte, the head's, is handed to the kernel: from then on there is no other answer.
    pub begun: &'t Cell<bool>,
    /// Set when anything of the body is consumed, be it framing: from then on it cannot be read from its beginning
    /// again. Content alone does not tell: a decoder that starts after a chunk's size takes content for framing.
    pub consumed: &'t Cell<bool>,
    /// None: the content goes on as it came, and need not be looked at.
    pub filter: Option<&'t dyn Filter>,
}

/// Writes `head` (an encoded head, or an empty buffer) and then the body the decoder finds. The head and what is
/// already buffered of the body leave in one write.
///
/// # Errors
/// See [`Broken`]; what was written before stays written.
pub async fn body(
    transfer: &Transfer<'_>,
    from: &mut Reader<'_>,
    decoder: &mut BodyDecoder,
    to: &mut Writer<'_>,
    head: Buffer,
) -> Result<(), Broken> {
    let mut state = State {
        transfer,
        outgoing: Some(head),
        written: 0,
        full_read: false,
        since_pause: 0,
        filtered: Vec::new(),
    };
    let result = state.run(from, decoder, to).await;
    if let Some(buffer) = state.outgoing.take() {
        transfer.net.buffers.give(buffer);
    }
    result
}

pub(super) struct State<'s, 't> {
    pub(super) transfer: &'s Transfer<'t>,
    /// None only while a write has it.
    pub(super) outgoing: Option<Buffer>,
    pub(super) written: usize,
    /// The last read filled its buffer: more is waiting, larger reads pay.
    pub(super) full_read: bool,
    /// Bytes moved since the other tasks had a turn.
    pub(super) since_pause: usize,
    /// What the filter made of a piece.
    filtered: Vec<u8>,
}

impl State<'_, '_> {
    async fn run(
        &mut self,
        from: &mut Reader<'_>,
        decoder: &mut BodyDecoder,
        to: &mut Writer<'_>,
    ) -> Result<(), Broken> {
        loop {
            let complete = self.gather(from, decoder)?;
            self.flush(to).await?;
            if complete {
                return Ok(());
            }
            self.breathe().await;
            let unseen = self.transfer.filter.is_none();
            if unseen && self.transfer.output == Output::Raw && decoder.is_plain() {
                return self.pass(from, decoder, to).await;
            }
            self.read_more(from, decoder).await?;
        }
    }

    /// Decodes all that is buffered into `outgoing`, framed anew. True when the body is complete.
    fn gather(&mut self, from: &mut Reader<'_>, decoder: &mut BodyDecoder) -> Result<bool, Broken> {
        if self.transfer.output == Output::Nothing {
            return Ok(true);
        }
        let outgoing = self.outgoing.get_or_insert_with(Buffer::default);
        loop {
            let input = from.buffered();
            let event = decoder
                .decode(input)
                .map_err(|error| Broken::Malformed(error.detail))?;
            let (used, complete, more) = match event {
                Event::Data { skip, length } => {
                    let mut content = &input[skip..skip + length];
                    if let Some(filter) = self.transfer.filter {
                        self.filtered.clear();
                        filter.push(content, &mut self.filtered);
                        content = &self.filtered;
                    }
                    count(self.transfer, content.len())?;
                    append(outgoing.vector(), self.transfer.output, content);
                    (skip + length, decoder.is_complete(), true)
                }
                Event::NeedMore { skip } => (skip, false, false),
                Event::Complete { skip } => (skip, true, false),
            };
            if used > 0 {
                self.transfer.consumed.set(true);
            }
            from.consume(used, &self.transfer.net.buffers);
            if complete {
                if let Some(filter) = self.transfer.filter {
                    self.filtered.clear();
                    filter.finish(&mut self.filtered);
                    count(self.transfer, self.filtered.len())?;
                    append(outgoing.vector(), self.transfer.output, &self.filtered);
                }
                self.finish_framing();
                return Ok(true);
            }
            if !more || (from.buffered().is_empty() && decoder.is_plain()) {
                return Ok(false);
            }
        }
    }

    fn finish_framing(&mut self) {
        if self.transfer.output == Output::Chunked {
            let outgoing = self.outgoing.get_or_insert_with(Buffer::default);
            outgoing.vector().extend_from_slice(encode::LAST_CHUNK);
        }
    }

    pub(super) async fn flush(&mut self, to: &mut Writer<'_>) -> Result<(), Broken> {
        let Some(buffer) = self.outgoing.take() else {
            return Ok(());
        };
        if buffer.is_empty() {
            self.outgoing = Some(buffer);
            return Ok(());
        }
        let length = buffer.len();
        self.transfer.begun.set(true);
        let idle = millis(self.transfer.sink_idle);
        let (result, buffer) = to.write_all(self.transfer.net, idle, buffer).await;
        self.outgoing = Some(buffer);
        match result {
            Ok(()) => {
                self.written += length;
                self.since_pause += length;
                Ok(())
            }
            Err(failed) => Err(Broken::Sink {
                written: self.written + failed.written,
                timed_out: to.deadline.expired(),
            }),
        }
    }

    /// Reads into the wire's own buffer, for bodies that must be decoded or framed.
    async fn read_more(&mut self, from: &mut Reader<'_>, decoder: &mut BodyDecoder) -> Result<(), Broken> {
        let net = self.transfer.net;
        from.deadline
            .set_read(net.clock.now() + millis(self.transfer.source_idle));
        let result = from.fill(&net.buffers, self.full_read).await;
        // The sender's time runs only while it is being waited for, not while the receiver takes its time.
        from.deadline.clear_read();
        net.clock.refresh();
        self.full_read = matches!(result, Ok(length) if length >= crate::net::SMALL);
        match result {
            Ok(0) | Err(_) => {
                from.release(&net.buffers);
                let clean = matches!(result, Ok(0));
                ended(from, clean, decoder)
            }
            Ok(_) => Ok(()),
        }
    }

    /// Lets the shard's other tasks have their turn after a while: where sender and receiver are both faster than
    /// we are, nothing else would ever make this one wait (on epoll, and where a ring is not asked: splicing). Not after
    /// the last byte: what waits for the end of this body must know of it before the other side's reply to it.
    pub(super) async fn breathe(&mut self) {
        if self.since_pause >= TURN {
            self.since_pause = 0;
            self.transfer.net.turns.give().await;
        }
    }
}

pub(super) fn count(transfer: &Transfer<'_>, length: usize) -> Result<(), Broken> {
    let content = transfer.content.get() + length as u64;
    transfer.content.set(content);
    match transfer.limit {
        Some(limit) if content > limit => Err(Broken::TooLarge),
        _ => Ok(()),
    }
}

fn append(out: &mut Vec<u8>, output: Output, content: &[u8]) {
    match output {
        Output::Nothing => {}
        Output::Raw => out.extend_from_slice(content),
        Output::Chunked => {
            if content.is_empty() {
                return; // a chunk of nothing would be the last one
            }
            let (prefix, length) = encode::chunk_prefix(content.len());
            out.extend_from_slice(&prefix[..length]);
            out.extend_from_slice(content);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// The source has no more: in order, too early, or because it was late.
pub(super) fn ended(from: &Reader<'_>, clean: bool, decoder: &mut BodyDecoder) -> Result<(), Broken> {
    if from.deadline.expired() {
        return Err(Broken::SourceTimedOut);
    }
    // A reset is never the orderly end of a close-delimited body.
    if !clean {
        return Err(Broken::Truncated);
    }
    decoder.end_of_stream().map_err(|_| Broken::Truncated)
}

/// Bytes of one body after which the others have their turn: some 150 µs of work.
const TURN: usize = 512 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Clock,
        http1::Framing,
        net::Wire,
        runtime::{DriverChoice, block_on, choose},
    };
    use std::{io::Write, os::unix::net::UnixStream};

    /// A request whose body is consumed in part is not sent again; what is consumed without any content counts.
    #[test]
    fn framing_without_content_is_a_part_of_the_body() {
        for choice in [DriverChoice::Epoll, DriverChoice::Auto] {
            let driver = choose(choice).expect("both choices always give one").driver;
            let pair = || {
                let (ours, peer) = UnixStream::pair().expect("a socket pair");
                ours.set_nonblocking(driver.wants_nonblocking()).expect("a flag");
                (ours, peer)
            };
            let test = async {
                let net = Net::new(driver, Clock::new());
                let ((from, mut client), (to, origin)) = (pair(), pair());
                let mut from = Wire::new(&net, from.into()).expect("a wire");
                let mut to = Wire::new(&net, to.into()).expect("a wire");
                client.write_all(b"28\r\n").expect("room");
                from.reader().fill(&net.buffers, false).await.expect("the size");
                // The origin has gone: nothing of the request reaches it.
                drop(origin);
                let (content, begun, consumed) = (Cell::new(0), Cell::new(false), Cell::new(false));
                let transfer = Transfer {
                    net: &net,
                    output: Output::Chunked,
                    source_idle: Duration::from_secs(1),
                    sink_idle: Duration::from_secs(1),
                    limit: None,
                    content: &content,
                    begun: &begun,
                    consumed: &consumed,
                    filter: None,
                };
                let head = Buffer::from(b"POST / HTTP/1.1\r\n\r\n".to_vec());
                let mut decoder = BodyDecoder::new(Framing::Chunked);
                let result = body(
                    &transfer,
                    &mut from.reader(),
                    &mut decoder,
                    &mut to.writer(),
                    head,
                )
                .await;
                assert!(
                    matches!(result, Err(Broken::Sink { written: 0, .. })),
                    "{result:?}"
                );
                assert_eq!((content.get(), consumed.get()), (0, true));
            };
            block_on(driver, test).expect("a runtime");
        }
    }
}
