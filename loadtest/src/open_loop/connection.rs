//! One connection: it connects without blocking, carries one request at a time, and says what came of it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use rustix::event::epoll;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType};

use super::answer::{Answer, Done};

pub struct Connection {
    stream: TcpStream,
    state: State,
    answer: Answer,
    /// Bytes of the request under way that are with the kernel.
    sent: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Connecting,
    Idle,
    Busy,
}

/// What an event on a connection means.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing yet.
    Pending,
    /// It can carry its first request.
    Connected,
    /// The request under way is answered.
    Answered(Done),
    /// It is of no more use; `mid_request` when a request was under way.
    Lost { why: Loss, mid_request: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// It could not be opened.
    Connect,
    /// The other side closed or reset it without a word.
    Closed,
    /// What came is not an answer to what was asked.
    Malformed,
}

impl Connection {
    /// Begins to connect. Failure may show only later, as an event.
    pub fn open(address: SocketAddr, head_only: bool) -> io::Result<Self> {
        let family = if address.is_ipv4() {
            AddressFamily::INET
        } else {
            AddressFamily::INET6
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket: OwnedFd = net::socket_with(family, SocketType::STREAM, flags, None)?;
        match net::connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            state: State::Connecting,
            answer: Answer::new(head_only),
            sent: 0,
        })
    }

    /// What to wait for. Level-triggered: what one read leaves is told again, and a short read needs no second one.
    pub fn interest(&self, request: &[u8]) -> epoll::EventFlags {
        match self.state {
            State::Connecting => epoll::EventFlags::OUT,
            State::Busy if self.sent < request.len() => epoll::EventFlags::IN | epoll::EventFlags::OUT,
            State::Idle | State::Busy => epoll::EventFlags::IN,
        }
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Begins a request on an idle connection. False: the kernel did not take all of it, the rest follows when it is
    /// writable.
    pub fn send(&mut self, request: &[u8]) -> io::Result<bool> {
        debug_assert_eq!(self.state, State::Idle);
        self.state = State::Busy;
        self.sent = 0;
        self.write(request)
    }

    pub fn is_busy(&self) -> bool {
        self.state == State::Busy
    }

    /// Does what `ready` allows. `scratch` is where answers are read to.
    pub fn advance(&mut self, ready: epoll::EventFlags, request: &[u8], scratch: &mut [u8]) -> Event {
        match self.state {
            State::Connecting => match self.stream.take_error() {
                Ok(None) if ready.contains(epoll::EventFlags::OUT) => {
                    self.state = State::Idle;
                    Event::Connected
                }
                Ok(None) => Event::Pending,
                Ok(Some(_)) | Err(_) => self.lost(Loss::Connect),
            },
            State::Busy => {
                if self.sent < request.len()
                    && ready.contains(epoll::EventFlags::OUT)
                    && self.write(request).is_err()
                {
                    return self.lost(Loss::Closed);
                }
                self.read(request, scratch)
            }
            State::Idle => self.read(request, scratch),
        }
    }

    fn read(&mut self, request: &[u8], scratch: &mut [u8]) -> Event {
        let read = match self.stream.read(scratch) {
            Ok(read) => read,
            Err(error) if is_for_later(&error) => return Event::Pending,
            Err(_) => return self.lost(Loss::Closed),
        };
        if self.state == State::Idle {
            // An answer nobody asked for, or the end.
            return self.lost(if read == 0 { Loss::Closed } else { Loss::Malformed });
        }
        let done = if read == 0 {
            match self.answer.ended() {
                Some(done) => done,
                None => return self.lost(Loss::Closed),
            }
        } else {
            match self.answer.feed(&scratch[..read]) {
                Ok(Some(done)) => done,
                Ok(None) => return Event::Pending,
                Err(_) => return self.lost(Loss::Malformed),
            }
        };
        self.state = State::Idle;
        // Answered before it was asked in full: what is left of the request would be taken for the next one.
        let close = done.close || self.sent < request.len();
        Event::Answered(Done { close, ..done })
    }

    fn write(&mut self, request: &[u8]) -> io::Result<bool> {
        while self.sent < request.len() {
            match self.stream.write(&request[self.sent..]) {
                Ok(written) => self.sent += written,
                Err(error) if is_for_later(&error) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn lost(&self, why: Loss) -> Event {
        Event::Lost {
            why,
            mid_request: self.is_busy(),
        }
    }
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
