//! A minimal fast origin: one thread on epoll, keep-alive, one fixed answer. What it spends is load that every gateway
//! behind which it stands bears alike, so it does only what a correct answer needs: it finds each head's end, skips
//! the body that `Content-Length` announces, honours `Connection: close`, and refuses what it does not do.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

use memchr::{memchr, memmem};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

/// Serves 127.0.0.1:`port` (0: the kernel chooses) for ever, each answer with `body_bytes` of body. `ready` is told the
/// address once connections are accepted.
pub fn serve(
    port: u16,
    body_bytes: usize,
    ready: impl FnOnce(SocketAddr) -> io::Result<()>,
) -> io::Result<()> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    ready(listener.local_addr()?)?;
    Origin::new(listener, body_bytes)?.run()
}

/// The body every answer carries; `hello, world\n` for the usual 13 bytes.
pub fn body(bytes: usize) -> Vec<u8> {
    BODY.iter().copied().cycle().take(bytes).collect()
}

struct Origin {
    poll: Poll,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    answer: Answer,
    scratch: Vec<u8>,
}

/// The one answer, in wire form. `head_bytes` of it answer a HEAD.
struct Answer {
    bytes: Vec<u8>,
    head_bytes: usize,
}

struct Connection {
    stream: TcpStream,
    /// The beginning of a head whose end has not come; empty between requests.
    partial: Vec<u8>,
    /// Bytes of a request body still to be skipped.
    skip: u64,
    owed: Owed,
}

/// What is still to be written: `answers` of them, the first without its first `sent` bytes; then, perhaps, the end.
#[derive(Default)]
struct Owed {
    answers: usize,
    sent: usize,
    head_only: bool,
    close: bool,
}

enum After {
    Keep,
    Close,
}

impl Origin {
    fn new(mut listener: TcpListener, body_bytes: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            listener,
            connections: Vec::new(),
            free: Vec::new(),
            answer: Answer::new(body_bytes),
            scratch: vec![0; SCRATCH_BYTES],
        })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    Token(slot) => self.serve_connection(slot, event.is_read_closed()),
                }
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
            self.connections[slot] = Some(Connection {
                stream,
                partial: Vec::new(),
                skip: 0,
                owed: Owed::default(),
            });
        }
    }

    /// An event may be left over from a slot's former tenant within one batch; it then finds nothing to read.
    fn serve_connection(&mut self, slot: usize, closed: bool) {
        let Some(connection) = self.connections.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        // A broken connection is the client's business: it sees it and counts it.
        let after = connection
            .advance(&self.answer, &mut self.scratch, closed)
            .unwrap_or(After::Close);
        if let After::Close = after {
            // Closing the descriptor takes it out of the epoll set.
            self.connections[slot] = None;
            self.free.push(slot);
        }
    }
}

impl Connection {
    /// Writes what is owed, then reads and answers until the socket has nothing more.
    fn advance(&mut self, answer: &Answer, scratch: &mut [u8], closed: bool) -> io::Result<After> {
        loop {
            // Nothing is read while answers wait for the client to take them: that is the back-pressure.
            if !self.owed.flush(answer, &mut self.stream)? {
                return Ok(After::Keep);
            }
            if self.owed.close {
                return Ok(After::Close);
            }
            let read = match self.stream.read(scratch) {
                Ok(0) => return Ok(After::Close),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(After::Keep),
                Err(error) => return Err(error),
            };
            self.take(&scratch[..read])?;
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
            let bytes = if self.head_only {
                &answer.bytes[..answer.head_bytes]
            } else {
                &answer.bytes[..]
            };
            let result = if self.answers == 1 {
                stream.write(&bytes[self.sent..])
            } else {
                let mut slices = [IoSlice::new(bytes); PIPELINED_MAX];
                slices[0] = IoSlice::new(&bytes[self.sent..]);
                stream.write_vectored(&slices[..self.answers.min(PIPELINED_MAX)])
            };
            match result {
                Ok(written) => {
                    self.sent += written;
                    self.answers -= self.sent / bytes.len();
                    self.sent %= bytes.len();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

impl Answer {
    fn new(body_bytes: usize) -> Self {
        let mut bytes =
            format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {body_bytes}\r\n\r\n")
                .into_bytes();
        let head_bytes = bytes.len();
        bytes.extend(body(body_bytes));
        Self { bytes, head_bytes }
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
const SCRATCH_BYTES: usize = 64 * 1024;
const HEAD_BYTES_MAX: usize = 64 * 1024;
const PIPELINED_MAX: usize = 16;

#[cfg(test)]
#[path = "origin/tests.rs"]
mod tests;
