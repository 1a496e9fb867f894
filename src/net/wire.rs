//! A stream with its buffer. A wire that waits holds none; one with a read in flight holds none either, because
//! the kernel has it: if that read is abandoned, the buffer is gone for good and the wire can only be closed.
//!
//! A stream is plain or [secured](Wire::secure); what is buffered, read and written here is plaintext either way. A plain
//! one pays for the other kind with a look at a pointer for each operation.

use super::{Buffer, Buffers, Deadline, Net, Slab, Slot, secured::Secured};
use crate::{clock::Tick, runtime::Socket};
use std::{
    future::Future,
    io,
    os::fd::OwnedFd,
    pin::Pin,
    rc::Rc,
    task::{Context, Waker},
};

/// A read of a wire's next bytes that was begun ahead of its use; see [`Wire::watch`].
pub type Watch = Slot<dyn Future<Output = (io::Result<usize>, Option<Buffer>)>>;

pub struct Wire {
    // Before `socket`: fields drop in order, and the sweeper must forget the descriptor before it is closed.
    pub deadline: Deadline,
    /// None: plain. Before `socket` as well: it says the end before that is closed.
    pub(super) secured: Option<Box<Secured>>,
    pub(super) socket: Socket,
    inbound: Inbound,
    /// Where the futures of a secured wire live; a plain one has none that are worth a place.
    futures: Rc<Slab>,
}

/// What was read and not yet consumed.
pub(super) enum Inbound {
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
            secured: None,
            socket,
            inbound: Inbound::Nothing,
            futures: net.futures.clone(),
        })
    }

    /// Both directions, to be used at the same time.
    pub fn split(&mut self) -> (Reader<'_>, Writer<'_>) {
        (
            Reader {
                socket: &self.socket,
                inbound: &mut self.inbound,
                deadline: &self.deadline,
                secured: self.secured.as_deref(),
                futures: &self.futures,
            },
            Writer {
                socket: &self.socket,
                deadline: &self.deadline,
                secured: self.secured.as_deref(),
            },
        )
    }

    pub fn reader(&mut self) -> Reader<'_> {
        self.split().0
    }

    pub fn writer(&mut self) -> Writer<'_> {
        self.split().1
    }

    /// Begins to read what comes next. Of a connection that is owed nothing this tells, without asking the kernel
    /// again, whether it has something to say all the same: it closed, or sent bytes nobody asked for, which would be
    /// taken for the answer to the next request. What it knows is as old as the shard's last turn. None: it has spoken
    /// already. Nobody is woken; it is looked at when the connection is to be used ([`is_quiet`](Self::is_quiet)), and is
    /// then the read of the answer.
    ///
    /// `hold`: into a small buffer, on a ring; that saves an operation and a wake-up for the next request. Abandoned, the
    /// wire can only be closed: what it read is lost. A secured wire is only waited for: what comes may be its session's.
    pub fn watch(&self, net: &Net, hold: bool) -> Option<Watch> {
        let buffer = (hold && self.secured.is_none()).then_some(|| net.buffers.small());
        let mut watch = net.futures.hold(self.socket.read_ahead(buffer)).erase();
        self.is_quiet(net, &mut watch).then_some(watch)
    }

    /// Whether a watched connection has said nothing so far. What a secured one had to say to its session is taken note
    /// of, and the watch begun anew; a watch that says no must not be awaited again.
    pub fn is_quiet(&self, net: &Net, watch: &mut Watch) -> bool {
        let mut settled = 0;
        while has_fired(watch) {
            settled += 1;
            let Some(secured) = &self.secured else {
                return false;
            };
            if settled > SETTLED || !secured.settle(&self.socket, &net.buffers) {
                return false;
            }
            *watch = net
                .futures
                .hold(self.socket.read_ahead(None::<fn() -> Buffer>))
                .erase();
        }
        true
    }

    /// The same asked of the kernel, as of now: one system call. Of a secured connection whatever comes counts.
    pub fn has_news(&self) -> bool {
        super::listen::has_news(self.socket.descriptor())
    }

    /// The peer will send nothing more, or the connection is broken: one system call. What it sent before may still be
    /// unread.
    pub fn is_closed_by_peer(&self) -> bool {
        super::listen::is_closed_by_peer(self.socket.descriptor())
    }

    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Its descriptor is all there is of it: it can be spliced.
    pub fn is_plain(&self) -> bool {
        self.secured.is_none()
    }

    /// No read was abandoned: the next byte read is the next byte sent.
    pub fn is_sound(&self) -> bool {
        !matches!(self.inbound, Inbound::InFlight)
            && self.secured.as_ref().is_none_or(|secured| secured.is_sound())
    }

    pub fn has_unread(&self) -> bool {
        matches!(&self.inbound, Inbound::Held(buffer) if !buffer.is_empty())
            || self.secured.as_ref().is_some_and(|secured| !secured.is_silent())
    }

    /// Closing will be a reset, without any end said: the one sign of a close-delimited body that was cut.
    pub fn reset_on_close(&self) {
        if let Some(secured) = &self.secured {
            secured.cut();
        }
        super::reset_on_close(self.socket.descriptor());
    }
}

/// Whether the wait is over. One that is must not be awaited again.
fn has_fired(watch: &mut Watch) -> bool {
    Pin::new(watch)
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_ready()
}

/// Reads for its session's sake that an idle connection is worth at a time; a server's tickets come in one.
const SETTLED: usize = 4;

pub struct Reader<'w> {
    socket: &'w Socket,
    inbound: &'w mut Inbound,
    pub deadline: &'w Deadline,
    secured: Option<&'w Secured>,
    futures: &'w Rc<Slab>,
}

impl Reader<'_> {
    /// For system calls of the caller's own, between reads; None where they would find ciphertext.
    pub fn plain_socket(&self) -> Option<&Socket> {
        self.secured.is_none().then_some(self.socket)
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

    /// Waits until a read would find bytes or the end of the stream. Of a secured wire it may find nothing all the same.
    ///
    /// # Errors
    /// The socket's.
    pub async fn readable(&mut self) -> io::Result<()> {
        if self.secured.is_some_and(Secured::is_readable) {
            return Ok(());
        }
        self.socket.readable().await
    }

    /// Waits for bytes, however long, and reads them; holds no buffer while it waits. 0: the end of the stream.
    /// Nothing may be buffered.
    ///
    /// # Errors
    /// The socket's.
    pub async fn fill_when_ready(&mut self, net: &Net) -> io::Result<usize> {
        debug_assert!(self.buffered().is_empty());
        if self.secured.is_some() {
            loop {
                self.readable().await?;
                match self.fill_ready(&net.buffers).await {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    filled => return filled,
                }
            }
        }
        self.socket.readable().await?;
        self.fill(&net.buffers, false).await
    }

    /// Reads once behind what is buffered, into a fresh buffer if there is none: a small one, or, where the last
    /// read filled its buffer, a large one. 0: the peer's end of stream.
    ///
    /// # Errors
    /// The socket's; `OutOfMemory` when the buffer is full, which the callers' limits exclude. Of a secured wire also
    /// `InvalidData`, and `UnexpectedEof` where the stream ended and the peer had not said so.
    pub async fn fill(&mut self, buffers: &Buffers, large: bool) -> io::Result<usize> {
        if let Some(secured) = self.secured {
            let filling = secured.fill(self.socket, self.inbound, buffers);
            return self.futures.hold(filling).await;
        }
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

    /// epoll only: reads what is there without waiting; false when nothing is, and nothing is held then. Nothing may be
    /// buffered.
    pub fn fill_at_once(&mut self, buffers: &Buffers) -> bool {
        debug_assert!(matches!(self.inbound, Inbound::Nothing));
        if self.secured.is_some() {
            // What is there may be no request yet: that is waited for.
            return false;
        }
        let mut buffer = buffers.small();
        let read = self.socket.receive_at_once(&mut buffer);
        if read {
            *self.inbound = Inbound::Held(buffer);
        } else {
            buffers.give(buffer);
        }
        read
    }

    /// As [`fill`](Self::fill), where the wire is known to be readable; `WouldBlock` when it is not after all.
    ///
    /// # Errors
    /// As [`fill`](Self::fill).
    pub async fn fill_ready(&mut self, buffers: &Buffers) -> io::Result<usize> {
        if let Some(secured) = self.secured {
            let filling = secured.fill_ready(self.socket, self.inbound, buffers);
            return self.futures.hold(filling).await;
        }
        let buffer = match std::mem::replace(self.inbound, Inbound::InFlight) {
            Inbound::Held(buffer) => buffer,
            Inbound::Nothing => buffers.small(),
            Inbound::InFlight => return Err(io::ErrorKind::NotConnected.into()),
        };
        if buffer.spare_len() == 0 {
            *self.inbound = Inbound::Held(buffer);
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let (result, buffer) = self.socket.receive_ready(buffer).await;
        *self.inbound = Inbound::Held(buffer);
        result
    }

    /// Ends a read begun by [`Wire::watch`], as [`fill`](Self::fill) would.
    ///
    /// # Errors
    /// As [`fill`](Self::fill).
    pub async fn fill_from(&mut self, watch: Watch, buffers: &Buffers) -> io::Result<usize> {
        *self.inbound = Inbound::InFlight;
        match watch.await {
            (result, Some(buffer)) => {
                *self.inbound = Inbound::Held(buffer);
                result
            }
            (result, None) => {
                *self.inbound = Inbound::Nothing;
                result?;
                self.fill_ready(buffers).await
            }
        }
    }

    /// Reads once into the caller's buffer, which must be empty, past the wire's own, which must be empty, too. Another
    /// buffer may come back.
    pub async fn read_into(&mut self, buffer: Buffer, buffers: &Buffers) -> (io::Result<usize>, Buffer) {
        debug_assert!(self.buffered().is_empty() && buffer.is_empty());
        if let Some(secured) = self.secured {
            let reading = secured.read_into(self.socket, buffer, buffers);
            return self.futures.hold(reading).await;
        }
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
    secured: Option<&'w Secured>,
}

/// A write that failed, and how many of its bytes had gone. Why it failed is never told apart: the peer is gone, or
/// its deadline says otherwise.
#[derive(Debug)]
pub struct WriteError {
    pub written: usize,
}

impl Writer<'_> {
    /// For system calls of the caller's own, between writes; None where plaintext must not go past the session.
    pub fn plain_socket(&self) -> Option<&Socket> {
        self.secured.is_none().then_some(self.socket)
    }

    /// Writes all of the buffer and gives it back, empty. `idle` (ms) is the longest silence of the peer: each part of
    /// the buffer that it takes begins the time anew. The time ends with the write: one left behind would shut a
    /// connection on which nothing is being written.
    pub async fn write_all(
        &mut self,
        net: &Net,
        idle: Tick,
        mut buffer: Buffer,
    ) -> (Result<(), WriteError>, Buffer) {
        if let Some(secured) = self.secured {
            let writing = secured.write_all(self.socket, self.deadline, net, idle, buffer);
            return net.futures.hold(writing).await;
        }
        let mut written = 0;
        if let Some(length) = self.socket.send_at_once(buffer.filled()) {
            written = length;
            buffer.consume(length);
        }
        if buffer.is_empty() {
            return (Ok(()), buffer);
        }
        self.deadline.set(net.clock.now() + idle);
        let outcome = loop {
            let (result, returned) = self.socket.send(buffer).await;
            buffer = returned;
            match result {
                Ok(length) if length > 0 => {
                    written += length;
                    buffer.consume(length);
                }
                _ => break Err(WriteError { written }),
            }
            if buffer.is_empty() {
                break Ok(());
            }
            net.clock.refresh();
            self.deadline.set(net.clock.now() + idle);
        };
        self.deadline.clear_both_ends();
        (outcome, buffer)
    }

    /// Half-close: the peer reads an end of stream, and may still write. `idle` as in [`write_all`](Self::write_all).
    pub async fn shut(&self, net: &Net, idle: Tick) {
        if let Some(secured) = self.secured {
            let shutting = secured.shut(self.socket, self.deadline, net, idle);
            return net.futures.hold(shutting).await;
        }
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
                let writing = writer.write_all(&net, IDLE, Buffer::from(vec![7; LENGTH]));
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
