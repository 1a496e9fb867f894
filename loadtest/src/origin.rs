//! A minimal fast origin: one thread on epoll, keep-alive, one fixed answer. What it spends is load that every gateway
//! behind which it stands bears alike, so it does only what a correct answer needs: it finds each head's end, skips
//! the body that `Content-Length` announces, waits if it was told to, honours `Connection: close`, and refuses what it
//! does not do.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use memchr::{memchr, memmem};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Bytes of each answer's body.
    pub body_bytes: u64,
    /// From a request's end to its answer.
    pub delay: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            body_bytes: BODY.len() as u64,
            delay: Duration::ZERO,
        }
    }
}

/// Serves 127.0.0.1:`port` (0: the kernel chooses) for ever. `ready` is told the address once connections are accepted.
pub fn serve(
    port: u16,
    options: Options,
    ready: impl FnOnce(SocketAddr) -> io::Result<()>,
) -> io::Result<()> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    ready(listener.local_addr()?)?;
    Origin::new(listener, options)?.run()
}

/// The body every answer carries; `hello, world\n` for the usual 13 bytes.
pub fn body(bytes: u64) -> Vec<u8> {
    BODY.iter().copied().cycle().take(bytes as usize).collect()
}

/// Whether these are the first bytes of that body.
pub fn is_body(bytes: &[u8]) -> bool {
    let block = body(bytes.len().min(BLOCK_BYTES as usize) as u64);
    bytes
        .chunks(BLOCK_BYTES as usize)
        .all(|chunk| block.starts_with(chunk))
}

struct Origin {
    poll: Poll,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    answer: Answer,
    scratch: Vec<u8>,
    delay: Duration,
    /// Answers whose time has not come. All wait equally long, so the first is always the next.
    due: VecDeque<Due>,
    /// Distinguishes a slot's tenants, for answers that outlive one.
    tenants: u64,
}

struct Due {
    at: Instant,
    slot: usize,
    tenant: u64,
    answers: usize,
}

/// The one answer, in wire form: a head, and a body that repeats itself, so that one of 100 MiB neither fills the
/// caches nor memory.
struct Answer {
    /// The head, then the body or as much of it as a block holds.
    bytes: Vec<u8>,
    head_bytes: usize,
    /// Of the whole answer.
    length: u64,
}

struct Connection {
    stream: TcpStream,
    tenant: u64,
    /// The beginning of a head whose end has not come; empty between requests.
    partial: Vec<u8>,
    /// Bytes of a request body still to be skipped.
    skip: u64,
    owed: Owed,
    /// Answers that wait for their time.
    delayed: usize,
}

/// What is still to be written: `answers` of them, the first without its first `sent` bytes; then, perhaps, the end.
#[derive(Default)]
struct Owed {
    answers: usize,
    sent: u64,
    head_only: bool,
    close: bool,
}

enum After {
    Keep,
    Close,
}

impl Origin {
    fn new(mut listener: TcpListener, options: Options) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            listener,
            connections: Vec::new(),
            free: Vec::new(),
            answer: Answer::new(options.body_bytes),
            scratch: vec![0; SCRATCH_BYTES],
            delay: options.delay,
            due: VecDeque::new(),
            tenants: 0,
        })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            // epoll counts in milliseconds and mio rounds up: an answer is late by up to one, never early.
            let wait = self
                .due
                .front()
                .map(|next| next.at.saturating_duration_since(Instant::now()));
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    Token(slot) => self.serve_connection(slot, event.is_read_closed()),
                }
            }
            if !self.due.is_empty() {
                self.answer_due();
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // A client that was gone before it was accepted concerns nobody.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            stream.set_nodelay(true)?;
            let slot = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            // Both interests from the start: edge-triggered, so an idle writable socket costs nothing.
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll
                .registry()
                .register(&mut stream, Token(slot), interest)?;
            self.tenants += 1;
            self.connections[slot] = Some(Connection {
                stream,
                tenant: self.tenants,
                partial: Vec::new(),
                skip: 0,
                owed: Owed::default(),
                delayed: 0,
            });
        }
    }

    /// Gives the answers whose time has come, then goes on reading where that was held up by them.
    fn answer_due(&mut self) {
        let now = Instant::now();
        while self.due.front().is_some_and(|due| due.at <= now) {
            let Some(due) = self.due.pop_front() else { break };
            let tenant = self.connections[due.slot].as_mut();
            if let Some(connection) = tenant.filter(|connection| connection.tenant == due.tenant) {
                connection.delayed -= due.answers;
                connection.owed.answers += due.answers;
                self.serve_connection(due.slot, false);
            }
        }
    }

    /// An event may be left over from a slot's former tenant within one batch; it then finds nothing to read.
    fn serve_connection(&mut self, slot: usize, closed: bool) {
        let Some(connection) = self.connections.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        // A broken connection is the client's business: it sees it and counts it.
        let already = connection.delayed;
        let after = connection
            .advance(&self.answer, &mut self.scratch, closed, !self.delay.is_zero())
            .unwrap_or(After::Close);
        let answers = connection.delayed - already;
        if answers > 0 {
            self.due.push_back(Due {
                at: Instant::now() + self.delay,
                slot,
                tenant: connection.tenant,
                answers,
            });
        }
        if let After::Close = after {
            // Closing the descriptor takes it out of the epoll set.
            self.connections[slot] = None;
            self.free.push(slot);
        }
    }
}

impl Connection {
    /// Writes what is owed, then reads and answers until the socket has nothing more. With `later`, what is answered
    /// is counted as delayed instead.
    fn advance(
        &mut self,
        answer: &Answer,
        scratch: &mut [u8],
        closed: bool,
        later: bool,
    ) -> io::Result<After> {
        loop {
            // Nothing is read while answers wait for the client to take them: that is the back-pressure.
            if !self.owed.flush(answer, &mut self.stream)? {
                return Ok(After::Keep);
            }
            if self.owed.close {
                return Ok(if self.delayed > 0 {
                    After::Keep
                } else {
                    After::Close
                });
            }
            let read = match self.stream.read(scratch) {
                Ok(0) => return Ok(After::Close),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(After::Keep),
                Err(error) => return Err(error),
            };
            self.take(&scratch[..read])?;
            if later {
                self.delayed += std::mem::take(&mut self.owed.answers);
            }
            let drained = read < scratch.len() && !closed;
            if drained && !self.owed.close {
                // A short read emptied the socket (epoll(7)), so the read that would say EAGAIN is saved; what comes
                // later is a new edge.
                self.owed.flush(answer, &mut self.stream)?;
                return Ok(After::Keep);
            }
        }
    }

    /// Counts the requests that end in `input` and keeps an unfinished head.
    fn take(&mut self, input: &[u8]) -> io::Result<()> {
        if self.partial.is_empty() {
            let used = self.requests(input)?;
            self.partial.extend_from_slice(&input[used..]);
        } else {
            let mut joined = std::mem::take(&mut self.partial);
            joined.extend_from_slice(input);
            let used = self.requests(&joined)?;
            joined.drain(..used);
            self.partial = joined;
        }
        if self.partial.len() > HEAD_BYTES_MAX {
            Err(refused("a head that large"))
        } else {
            Ok(())
        }
    }

    /// Takes whole heads and body bytes off the front; returns how many bytes it used.
    fn requests(&mut self, input: &[u8]) -> io::Result<usize> {
        let mut at = 0;
        while at < input.len() && !self.owed.close {
            if self.skip > 0 {
                let here = self.skip.min((input.len() - at) as u64);
                self.skip -= here;
                at += here as usize;
                if self.skip == 0 {
                    self.owed.answers += 1;
                }
                continue;
            }
            let Some(end) = memmem::find(&input[at..], b"\r\n\r\n") else {
                break;
            };
            let head = Head::read(&input[at..at + end + 2])?;
            at += end + 4;
            self.owed.head_only = head.head_only;
            self.owed.close = head.close;
            self.skip = head.content_length;
            if self.skip == 0 {
                self.owed.answers += 1;
            }
        }
        Ok(at)
    }
}

/// What matters of a request head.
struct Head {
    head_only: bool,
    close: bool,
    content_length: u64,
}

impl Head {
    /// `head` ends with the last line's CRLF.
    fn read(head: &[u8]) -> io::Result<Self> {
        let first = memchr(b'\n', head).unwrap_or(0);
        let mut result = Self {
            head_only: head.starts_with(b"HEAD "),
            close: head[..first].ends_with(b" HTTP/1.0\r"),
            content_length: 0,
        };
        let mut at = first + 1;
        while let Some(length) = head.get(at..).and_then(|rest| memchr(b'\n', rest)) {
            let line = &head[at..at + length];
            at += length + 1;
            let Some(colon) = memchr(b':', line) else { continue };
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            // The length first: it rejects nearly every line with one comparison.
            match name.len() {
                10 if name.eq_ignore_ascii_case(b"connection") => {
                    result.close |= value.eq_ignore_ascii_case(b"close");
                }
                14 if name.eq_ignore_ascii_case(b"content-length") => {
                    let digits = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                    result.content_length = digits.ok_or_else(|| refused("that Content-Length"))?;
                }
                17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                    return Err(refused("a coded body"));
                }
                _ => {}
            }
        }
        Ok(result)
    }
}

impl Owed {
    /// Writes as much as the socket takes; true when nothing is owed any more.
    fn flush(&mut self, answer: &Answer, stream: &mut TcpStream) -> io::Result<bool> {
        while self.answers > 0 {
            // Pipelined HEADs do not come from gateways; the last head decides for all that came with it.
            let length = if self.head_only {
                answer.head_bytes as u64
            } else {
                answer.length
            };
            let result = if self.answers == 1 || length > answer.bytes.len() as u64 {
                stream.write(answer.piece(self.sent, length))
            } else {
                let bytes = &answer.bytes[..length as usize];
                let mut slices = [IoSlice::new(bytes); PIPELINED_MAX];
                slices[0] = IoSlice::new(&bytes[self.sent as usize..]);
                stream.write_vectored(&slices[..self.answers.min(PIPELINED_MAX)])
            };
            match result {
                Ok(written) => {
                    self.sent += written as u64;
                    self.answers -= (self.sent / length) as usize;
                    self.sent %= length;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

impl Answer {
    fn new(body_bytes: u64) -> Self {
        let mut bytes =
            format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {body_bytes}\r\n\r\n")
                .into_bytes();
        let head_bytes = bytes.len();
        bytes.extend(body(body_bytes.min(BLOCK_BYTES)));
        Self {
            bytes,
            head_bytes,
            length: head_bytes as u64 + body_bytes,
        }
    }

    /// What follows the first `sent` of `length` bytes, as far as it lies in one piece.
    fn piece(&self, sent: u64, length: u64) -> &[u8] {
        let start = match sent.checked_sub(self.bytes.len() as u64) {
            None => sent as usize,
            Some(past) => self.head_bytes + (past % BLOCK_BYTES) as usize,
        };
        let piece = &self.bytes[start..];
        let left = (length - sent).min(piece.len() as u64);
        &piece[..left as usize]
    }
}

/// The connection is dropped on it, which the load generator counts as an error: nothing is measured by mistake.
fn refused(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the origin does not do {what}"),
    )
}

const LISTENER: Token = Token(usize::MAX);
const BODY: &[u8] = b"hello, world\n";

/// A whole number of `BODY`s, so that blocks follow each other without a seam; large enough for a full socket buffer,
/// small enough for the second-level cache.
const BLOCK_BYTES: u64 = 16_384 * BODY.len() as u64;

/// Uploads are read in pieces of this size.
const SCRATCH_BYTES: usize = 128 * 1024;
const HEAD_BYTES_MAX: usize = 64 * 1024;
const PIPELINED_MAX: usize = 16;

#[cfg(test)]
#[path = "origin/tests.rs"]
mod tests;
