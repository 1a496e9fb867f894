//! A stream with its buffer. A wire that waits holds none; one with a read in flight holds none either, because
//! the kernel has it: if that read is abandoned, the buffer is gone for good and the wire can only be closed.

use super::{Buffer, Buffers, Deadline, Net};
use crate::runtime::{Driver, Socket};
use std::{io, os::fd::OwnedFd};

pub struct Wire {
    // Before `socket`: fields drop in order, and the sweeper must forget the descriptor before it is closed.
    pub deadline: Deadline,
    socket: Socket,
    inbound: Inbound,
}

/// What was read and not yet consumed.
enum Inbound {
    Nothing,
    Held(Buffer),
    /// A read has it. Found like this after the read's future is gone, the wire is lost.
    InFlight,
}

impl Wire {
    /// # Errors
    /// The driver refused the descriptor.
    pub fn new(net: &Net, descriptor: OwnedFd) -> io::Result<Self> {
        let socket = Socket::new(descriptor)?;
        let deadline = net.deadlines.register(socket.descriptor());
        Ok(Self {
            deadline,
            socket,
            inbound: Inbound::Nothing,
        })
    }

    /// Both directions, to be used at the same time.
    pub fn split(&mut self) -> (Reader<'_>, Writer<'_>) {
        (
            Reader {
                socket: &self.socket,
                inbound: &mut self.inbound,
                deadline: &self.deadline,
            },
            Writer {
                socket: &self.socket,
                deadline: &self.deadline,
            },
        )
    }

    pub fn reader(&mut self) -> Reader<'_> {
        self.split().0
    }

    pub fn writer(&mut self) -> Writer<'_> {
        self.split().1
    }

    /// Whether a connection that is owed nothing has something to say all the same: it closed, or sent bytes
    /// nobody asked for, which would be taken for the answer to the next request.
    ///
    /// One system call on either driver. On epoll it is the one that also lets the next read wait at once.
    pub async fn is_stale(&self, driver: Driver) -> bool {
        if driver.wants_nonblocking() {
            self.socket.readable_at_once().await
        } else {
            super::listen::has_news(self.socket.descriptor())
        }
    }

    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// No read was abandoned: the next byte read is the next byte sent.
    pub fn is_sound(&self) -> bool {
        !matches!(self.inbound, Inbound::InFlight)
    }

    pub fn has_unread(&self) -> bool {
        matches!(&self.inbound, Inbound::Held(buffer) if !buffer.is_empty())
    }
}

pub struct Reader<'w> {
    socket: &'w Socket,
    inbound: &'w mut Inbound,
    pub deadline: &'w Deadline,
}

impl Reader<'_> {
    /// For system calls of the caller's own, between reads.
    pub fn socket(&self) -> &Socket {
        self.socket
    }

    /// Read and not yet consumed.
    pub fn buffered(&self) -> &[u8] {
        match &*self.inbound {
            Inbound::Held(buffer) => buffer.filled(),
            _ => &[],
        }
    }

    pub fn consume(&mut self, length: usize, buffers: &Buffers) {
        if let Inbound::Held(buffer) = self.inbound {
            buffer.consume(length);
            if buffer.is_empty() {
                self.release(buffers);
            }
        }
    }

    /// Gives the buffer back if nothing is in it.
    pub fn release(&mut self, buffers: &Buffers) {
        if let Some(buffer) = self.take() {
            if buffer.is_empty() {
                buffers.give(buffer);
            } else {
                *self.inbound = Inbound::Held(buffer);
            }
        }
    }

    /// Takes the buffer with all that is in it.
    pub fn take(&mut self) -> Option<Buffer> {
        match std::mem::replace(self.inbound, Inbound::Nothing) {
            Inbound::Held(buffer) => Some(buffer),
            Inbound::InFlight => {
                *self.inbound = Inbound::InFlight;
                None
            }
            Inbound::Nothing => None,
        }
    }

    /// Puts back what is not consumed.
    pub fn put_back(&mut self, buffer: Buffer) {
        debug_assert!(matches!(self.inbound, Inbound::Nothing));
        *self.inbound = Inbound::Held(buffer);
    }

    /// Waits until a read would find bytes or the end of the stream.
    ///
    /// # Errors
    /// The socket's.
    pub async fn readable(&mut self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Waits for bytes, however long, and reads them; holds no buffer while it waits. 0: the end of the stream.
    /// Nothing may be buffered.
    ///
    /// # Errors
    /// The socket's.
    pub async fn fill_when_ready(&mut self, net: &Net) -> io::Result<usize> {
        debug_assert!(self.buffered().is_empty());
        self.socket.readable().await?;
        self.fill(&net.buffers, false).await
    }

    /// Reads once behind what is buffered, into a fresh buffer if there is none: a small one, or, where the last
    /// read filled its buffer, a large one. 0: the peer's end of stream.
    ///
    /// # Errors
    /// The socket's; `OutOfMemory` when the buffer is full, which the callers' limits exclude.
    pub async fn fill(&mut self, buffers: &Buffers, large: bool) -> io::Result<usize> {
        let buffer = match std::mem::replace(self.inbound, Inbound::InFlight) {
            Inbound::Held(buffer) => buffer,
            Inbound::Nothing if large => buffers.large(),
            Inbound::Nothing => buffers.small(),
            Inbound::InFlight => return Err(io::ErrorKind::NotConnected.into()),
        };
        if buffer.spare_len() == 0 {
            *self.inbound = Inbound::Held(buffer);
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let (result, buffer) = self.socket.receive(buffer).await;
        *self.inbound = Inbound::Held(buffer);
        result
    }

    /// Reads once into the caller's buffer, past the wire's own, which must be empty.
    pub async fn read_into(&mut self, buffer: Buffer) -> (io::Result<usize>, Buffer) {
        debug_assert!(self.buffered().is_empty());
        *self.inbound = Inbound::InFlight;
        let (result, buffer) = self.socket.receive(buffer).await;
        *self.inbound = Inbound::Nothing;
        (result, buffer)
    }

    /// Makes room for at least one more byte, up to `limit` bytes in all; false when the limit is reached.
    pub fn make_room(&mut self, limit: usize) -> bool {
        let Inbound::Held(buffer) = self.inbound else {
            return true;
        };
        if buffer.spare_len() > 0 {
            return true;
        }
        buffer.compact();
        if buffer.spare_len() > 0 {
            return true;
        }
        if buffer.len() >= limit {
            return false;
        }
        buffer.grow((buffer.len() * 2).min(limit));
        true
    }
}

pub struct Writer<'w> {
    socket: &'w Socket,
    pub deadline: &'w Deadline,
}

/// A write that failed, and whether any byte of it had gone.
#[derive(Debug)]
pub struct WriteError {
    pub error: io::Error,
    pub written: usize,
}

impl Writer<'_> {
    /// For system calls of the caller's own, between writes.
    pub fn socket(&self) -> &Socket {
        self.socket
    }

    /// Writes all of the buffer and gives it back, empty. The time set for it ends with it: one left behind
    /// would shut a connection on which nothing is being written.
    pub async fn write_all(&mut self, buffer: Buffer) -> (Result<(), WriteError>, Buffer) {
        let outcome = self.write_to_end(None, buffer).await;
        self.deadline.clear_both_ends();
        outcome
    }

    /// The same, where `idle` (ms) is the longest silence of the peer: each part of the buffer that it takes begins
    /// the time anew.
    pub async fn write_all_within(
        &mut self,
        net: &Net,
        idle: u64,
        buffer: Buffer,
    ) -> (Result<(), WriteError>, Buffer) {
        self.deadline.set(net.clock.now() + idle);
        let outcome = self.write_to_end(Some((net, idle)), buffer).await;
        self.deadline.clear_both_ends();
        outcome
    }

    async fn write_to_end(
        &mut self,
        renewal: Option<(&Net, u64)>,
        mut buffer: Buffer,
    ) -> (Result<(), WriteError>, Buffer) {
        let mut written = 0;
        while !buffer.is_empty() {
            let (result, returned) = self.socket.send(buffer).await;
            buffer = returned;
            match result {
                Ok(0) => {
                    let error = io::ErrorKind::WriteZero.into();
                    return (Err(WriteError { error, written }), buffer);
                }
                Ok(length) => {
                    written += length;
                    buffer.consume(length);
                    if let Some((net, idle)) = renewal.filter(|_| !buffer.is_empty()) {
                        net.clock.refresh();
                        self.deadline.set(net.clock.now() + idle);
                    }
                }
                Err(error) => return (Err(WriteError { error, written }), buffer),
            }
        }
        (Ok(()), buffer)
    }

    /// Half-close: the peer reads an end of stream, and may still write.
    pub fn shut(&self) {
        super::shut_write(self.socket.descriptor());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Clock,
        runtime::{DriverChoice, block_on, choose, join, sleep},
    };
    use std::{os::unix::net::UnixStream, time::Duration};

    #[test]
    fn each_part_a_slow_receiver_takes_begins_its_time_anew() {
        const IDLE: u64 = 10_000;
        const LENGTH: usize = 4 << 20;
        for choice in [DriverChoice::Epoll, DriverChoice::Auto] {
            let driver = choose(choice).expect("both choices always give one").driver;
            let test = async {
                let net = Net::new(driver, Clock::new());
                let (a, b) = UnixStream::pair().expect("a socket pair");
                for side in [&a, &b] {
                    side.set_nonblocking(driver.wants_nonblocking()).expect("a flag");
                }
                let mut sender = Wire::new(&net, a.into()).expect("a wire");
                let receiver = Socket::new(b.into()).expect("a socket");
                let begun = net.clock.now();
                let mut writer = sender.writer();
                let writing = writer.write_all_within(&net, IDLE, Buffer::from(vec![7; LENGTH]));
                let taking = async {
                    let mut got = 0;
                    while got < LENGTH {
                        sleep(Duration::from_millis(2)).await;
                        let (taken, _) = receiver.receive(Buffer::with_capacity(LENGTH)).await;
                        got += taken.expect("bytes");
                        if got > LENGTH / 2 {
                            net.deadlines.sweep(begun + IDLE + 1);
                        }
                    }
                };
                let ((result, _), ()) = join(writing, taking).await;
                assert!(result.is_ok(), "{result:?}");
            };
            block_on(driver, test).expect("a runtime");
        }
    }
}
