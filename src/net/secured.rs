//! A wire's TLS: moves bytes between its socket and its [`Session`], and keeps what was decrypted and not asked for.
//!
//! Records do not end where reads end, so a read of the wire may be none of the socket (there is something left), one,
//! or several (what came was not for us: a ticket, half a record). Ciphertext lies in a buffer of the shard's only while
//! it is read and decrypted; a wire that waits for readiness holds none.

use super::{Buffer, Buffers, LARGE, Net, SMALL, Wire, listen, wire::Inbound};
use crate::{
    clock::Tick,
    net::{Deadline, WriteError},
    runtime::Socket,
    tls::{self, Session},
};
use std::{
    cell::{Cell, RefCell},
    fmt, io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
};

/// Holds nothing of its shard's but the descriptor's number, so that it can be given to another.
pub(super) struct Secured {
    session: RefCell<Session>,
    /// Never empty.
    decrypted: RefCell<Option<Buffer>>,
    /// The last read filled its buffer: the next is a large one.
    full: Cell<bool>,
    /// A read of the socket is under way. Found like this after its future is gone, the wire is lost.
    reading: Cell<bool>,
    /// So far only a part of some record is written: nothing else may be said. Left like this, too, the wire is lost.
    writing: Cell<bool>,
    /// The peer is not told that this is the end: it must see that it was cut.
    silent: Cell<bool>,
    /// The wire's; -1 while it has none.
    descriptor: Cell<RawFd>,
}

/// What a read of the socket brought.
enum Got {
    Plaintext(Buffer),
    /// Nothing of it for us.
    Nothing,
    /// The peer said that nothing more comes.
    End,
}

/// Why a connection is not secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insecure {
    Failed(tls::Failure),
    /// What came is the beginning of a request in plain text.
    NotTls,
    /// It ended within the handshake.
    Closed,
}

/// A wire's TLS without the wire, on its way to another shard.
pub struct Detached(Box<Secured>);

impl fmt::Debug for Detached {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Detached")
    }
}

impl Secured {
    /// The handshake. The wire's deadline is the caller's to set.
    pub(super) async fn establish(
        net: &Net,
        socket: &Socket,
        mut session: Session,
    ) -> Result<Box<Self>, Insecure> {
        let mut plaintext = Vec::new();
        // A client begins; a server has nothing to say to nothing.
        session
            .receive(&mut [], &mut plaintext)
            .map_err(Insecure::Failed)?;
        let mut first = true;
        loop {
            if !session.is_established() || session.is_awaited() {
                say(socket, session.take_outgoing()).await?;
            }
            if session.is_established() {
                break;
            }
            // A peer that takes its time, or never comes back, costs no buffer.
            socket.readable().await.map_err(|_| Insecure::Closed)?;
            let (read, mut heard) = socket.receive_ready(room(&net.buffers, &session, false)).await;
            if matches!(&read, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
                net.buffers.give(heard);
                continue;
            }
            if !matches!(read, Ok(1..)) {
                net.buffers.give(heard);
                return Err(Insecure::Closed);
            }
            // The first byte of TLS is never a letter.
            if std::mem::take(&mut first) && heard.filled().first().is_some_and(u8::is_ascii_uppercase) {
                net.buffers.give(heard);
                return Err(Insecure::NotTls);
            }
            let received = session.receive(heard.filled_mut(), &mut plaintext);
            net.buffers.give(heard);
            if let Err(failure) = received {
                // Why, as far as the peer can be told.
                super::send_now(socket.descriptor(), &session.take_outgoing());
                return Err(Insecure::Failed(failure));
            }
        }
        // Whatever is still to be said goes with the first request, or the first answer.
        Ok(Box::new(Self {
            session: RefCell::new(session),
            decrypted: RefCell::new((!plaintext.is_empty()).then(|| plaintext.into())),
            full: Cell::new(false),
            reading: Cell::new(false),
            writing: Cell::new(false),
            silent: Cell::new(false),
            descriptor: Cell::new(socket.descriptor()),
        }))
    }

    /// As [`Reader::fill`](super::Reader::fill).
    pub(super) async fn fill(
        &self,
        socket: &Socket,
        inbound: &mut Inbound,
        buffers: &Buffers,
    ) -> io::Result<usize> {
        loop {
            if let Some(length) = self.hand_out(inbound, buffers)? {
                return Ok(length);
            }
            match self.read(socket, buffers, false).await? {
                Got::Plaintext(buffer) => self.keep(buffer, buffers),
                Got::Nothing => {}
                Got::End => return Ok(0),
            }
        }
    }

    /// As [`Reader::fill_ready`](super::Reader::fill_ready).
    pub(super) async fn fill_ready(
        &self,
        socket: &Socket,
        inbound: &mut Inbound,
        buffers: &Buffers,
    ) -> io::Result<usize> {
        if let Some(length) = self.hand_out(inbound, buffers)? {
            return Ok(length);
        }
        match self.read(socket, buffers, true).await? {
            Got::Plaintext(buffer) => self.keep(buffer, buffers),
            Got::Nothing => return Err(io::ErrorKind::WouldBlock.into()),
            Got::End => return Ok(0),
        }
        Ok(self.hand_out(inbound, buffers)?.unwrap_or_default())
    }

    /// As [`Reader::read_into`](super::Reader::read_into); the buffer that comes back is another one.
    pub(super) async fn read_into(
        &self,
        socket: &Socket,
        given: Buffer,
        buffers: &Buffers,
    ) -> (io::Result<usize>, Buffer) {
        let limit = given.read_limit();
        // Not held while the peer is waited for.
        buffers.give(given);
        let kept = self.decrypted.take();
        let mut plaintext = match kept {
            Some(buffer) => buffer,
            None => loop {
                match self.read(socket, buffers, false).await {
                    Ok(Got::Plaintext(buffer)) => break buffer,
                    Ok(Got::Nothing) => {}
                    Ok(Got::End) => return (Ok(0), Buffer::default()),
                    Err(error) => return (Err(error), Buffer::default()),
                }
            },
        };
        if plaintext.len() > limit {
            let mut rest = sized(buffers, plaintext.len() - limit);
            rest.vector().extend_from_slice(&plaintext.filled()[limit..]);
            plaintext.truncate(limit);
            self.keep(rest, buffers);
        }
        (Ok(plaintext.len()), plaintext)
    }

    /// A read would find something without asking the socket.
    pub(super) fn is_readable(&self) -> bool {
        let session = self.session.borrow();
        self.has_decrypted() || session.peer_closed() || session.failed().is_some()
    }

    pub(super) fn has_decrypted(&self) -> bool {
        self.decrypted.borrow().is_some()
    }

    /// Both directions are where they should be: the connection can carry another request.
    pub(super) fn is_sound(&self) -> bool {
        let session = self.session.borrow();
        !self.reading.get()
            && !self.writing.get()
            && !self.silent.get()
            && !session.peer_closed()
            && session.failed().is_none()
    }

    /// Nothing is under way to us, as far as it is known here.
    pub(super) fn is_silent(&self) -> bool {
        !self.has_decrypted() && self.session.borrow().pending().is_empty()
    }

    /// Takes what an idle connection has to say, without waiting. True: that was TLS's own (a ticket, a key update), and
    /// the connection goes on. False: it ended, or sent what nobody asked for.
    pub(super) fn settle(&self, socket: &Socket, buffers: &Buffers) -> bool {
        let mut heard = room(buffers, &self.session.borrow(), false);
        let read = socket.receive_now(&mut heard);
        if matches!(&read, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            buffers.give(heard);
            return true;
        }
        matches!(self.digest(read, heard, buffers), Ok(Got::Nothing)) && self.is_sound() && self.is_silent()
    }

    /// As [`Writer::write_all`](super::Writer::write_all).
    pub(super) async fn write_all(
        &self,
        socket: &Socket,
        deadline: &Deadline,
        net: &Net,
        idle: Tick,
        mut buffer: Buffer,
    ) -> (Result<(), WriteError>, Buffer) {
        let mut written = 0;
        while !buffer.is_empty() {
            let length = buffer.len().min(AT_ONCE);
            let plaintext = &buffer.filled()[..length];
            let mut records = sized(
                &net.buffers,
                length + (length.div_ceil(tls::RECORD) + 1) * tls::OVERHEAD,
            );
            let encrypted = self.session.borrow_mut().encrypt(plaintext, records.vector());
            let sent = match encrypted {
                Ok(()) => self.send(socket, deadline, net, idle, records).await,
                Err(_) => {
                    net.buffers.give(records);
                    Err(0)
                }
            };
            if let Err(went) = sent {
                // A part of a record is nothing to the peer, but it is not nothing.
                let written = written + went.min(length);
                return (Err(WriteError { written }), buffer);
            }
            written += length;
            buffer.consume(length);
        }
        (Ok(()), buffer)
    }

    /// Our end, and then the socket's.
    pub(super) async fn shut(&self, socket: &Socket, deadline: &Deadline, net: &Net, idle: Tick) {
        let mut records = net.buffers.small();
        let closed = self.session.borrow_mut().close(records.vector());
        if closed.is_ok() {
            let _ = self.send(socket, deadline, net, idle, records).await;
        }
        self.silent.set(true);
        super::shut_write(socket.descriptor());
    }

    /// The connection ends without an end: the peer can tell that it was cut.
    pub(super) fn cut(&self) {
        self.silent.set(true);
    }

    /// Writes records. An error says how many bytes had gone.
    async fn send(
        &self,
        socket: &Socket,
        deadline: &Deadline,
        net: &Net,
        idle: Tick,
        mut records: Buffer,
    ) -> Result<(), usize> {
        self.writing.set(true);
        let mut written = 0;
        if let Some(length) = socket.send_at_once(records.filled()) {
            written = length;
            records.consume(length);
        }
        let mut result = Ok(());
        if !records.is_empty() {
            deadline.set(net.clock.now() + idle);
            while !records.is_empty() {
                let (sent, returned) = socket.send(records).await;
                records = returned;
                match sent {
                    Ok(length) if length > 0 => {
                        written += length;
                        records.consume(length);
                    }
                    _ => {
                        result = Err(written);
                        break;
                    }
                }
                net.clock.refresh();
                deadline.set(net.clock.now() + idle);
            }
            deadline.clear_both_ends();
        }
        net.buffers.give(records);
        // What failed stays so: nothing may follow a part of a record.
        self.writing.set(result.is_err());
        result
    }

    /// Moves what is decrypted behind what the wire holds. None: nothing is.
    fn hand_out(&self, inbound: &mut Inbound, buffers: &Buffers) -> io::Result<Option<usize>> {
        if matches!(inbound, Inbound::InFlight) || self.reading.get() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if matches!(&*inbound, Inbound::Held(held) if !held.is_empty() && held.spare_len() == 0) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let Some(mut decrypted) = self.decrypted.take() else {
            return Ok(None);
        };
        match inbound {
            Inbound::Held(held) if !held.is_empty() => {
                let length = decrypted.len().min(held.spare_len());
                held.vector().extend_from_slice(&decrypted.filled()[..length]);
                decrypted.consume(length);
                self.keep(decrypted, buffers);
                Ok(Some(length))
            }
            _ => {
                let length = decrypted.len();
                if let Inbound::Held(empty) = std::mem::replace(inbound, Inbound::Held(decrypted)) {
                    buffers.give(empty);
                }
                Ok(Some(length))
            }
        }
    }

    /// For the next one who asks.
    fn keep(&self, buffer: Buffer, buffers: &Buffers) {
        if buffer.is_empty() {
            return buffers.give(buffer);
        }
        let before = self.decrypted.replace(Some(buffer));
        debug_assert!(before.is_none(), "what came first would be lost");
    }

    /// One read of the socket. `ready`: it is known to be readable.
    async fn read(&self, socket: &Socket, buffers: &Buffers, ready: bool) -> io::Result<Got> {
        if let Some(got) = self.known()? {
            return Ok(got);
        }
        let room = room(buffers, &self.session.borrow(), self.full.get());
        self.reading.set(true);
        let (read, heard) = if ready {
            socket.receive_ready(room).await
        } else {
            socket.receive(room).await
        };
        self.reading.set(false);
        self.digest(read, heard, buffers)
    }

    /// What a read would say without making it.
    fn known(&self) -> io::Result<Option<Got>> {
        let session = self.session.borrow();
        if self.reading.get() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if session.failed().is_some() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(session.peer_closed().then_some(Got::End))
    }

    /// Decrypts what was read.
    fn digest(&self, read: io::Result<usize>, mut heard: Buffer, buffers: &Buffers) -> io::Result<Got> {
        match read {
            Ok(1..) => {}
            ended => {
                buffers.give(heard);
                ended?;
                // An end of the stream that the peer did not announce may be anybody's doing (RFC 8446 §6.1).
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.full.set(heard.spare_len() == 0);
        let mut plaintext = sized(buffers, heard.len());
        let mut session = self.session.borrow_mut();
        let received = session.receive(heard.filled_mut(), plaintext.vector());
        buffers.give(heard);
        if received.is_err() && !self.writing.get() {
            super::send_now(self.descriptor.get(), &session.take_outgoing());
        }
        if !plaintext.is_empty() {
            // Also before a failure or an end: the next read says that.
            return Ok(Got::Plaintext(plaintext));
        }
        buffers.give(plaintext);
        match received {
            Err(_) => Err(io::ErrorKind::InvalidData.into()),
            Ok(()) if session.peer_closed() => Ok(Got::End),
            Ok(()) => Ok(Got::Nothing),
        }
    }
}

impl Drop for Secured {
    /// Says our end (RFC 8446 §6.1), if the connection is in a state to say anything: without waiting, since nobody is
    /// there to wait. A peer that has not taken all of what came before may miss it, and then knows no more than that
    /// something is missing.
    fn drop(&mut self) {
        if self.writing.get() || self.silent.get() {
            return;
        }
        let mut records = Vec::new();
        if self.session.get_mut().close(&mut records).is_ok() {
            listen::send_now(self.descriptor.get(), &records);
        }
    }
}

impl Wire {
    /// Secures a connection that has just been made. Its deadline is the caller's to set; afterwards all that is read
    /// and written is plaintext. We must be the first to speak, as HTTP's clients are: the last message of the handshake
    /// goes with the first write, one system call and one packet less.
    ///
    /// # Errors
    /// The wire can only be closed then.
    pub async fn secure(&mut self, net: &Net, session: Session) -> Result<(), Insecure> {
        let secured = Secured::establish(net, &self.socket, session).await?;
        self.secured = Some(secured);
        Ok(())
    }

    /// The server's side of the same, on a connection that has just been accepted.
    ///
    /// # Errors
    /// As [`secure`](Self::secure), but for a client that has to be told in plain text.
    pub async fn accept(&mut self, net: &Net, session: Session) -> Result<tls::Peer, Insecure> {
        let secured = Secured::establish(net, &self.socket, session).await?;
        let peer = secured.session.borrow_mut().peer();
        // Also where its certificate is not good any more: then the end is all that it hears.
        self.secured = Some(secured);
        peer.map_err(Insecure::Failed)
    }

    /// A connection that another shard began; its TLS, if it has any, goes on where it was.
    ///
    /// # Errors
    /// The driver refused the descriptor.
    pub fn adopt(net: &Net, descriptor: OwnedFd, detached: Option<Detached>) -> io::Result<Self> {
        let raw = descriptor.as_raw_fd();
        let mut wire = Self::new(net, descriptor)?;
        if let Some(Detached(secured)) = detached {
            secured.descriptor.set(raw);
            wire.secured = Some(secured);
        }
        Ok(wire)
    }

    /// Its TLS, for the wire of another shard that will go on with the same connection. Nothing may be under way, or
    /// unread; afterwards this wire can only be closed, and says no end.
    pub fn detach(&mut self) -> Option<Detached> {
        debug_assert!(self.is_sound() && !self.has_unread());
        let secured = self.secured.take()?;
        secured.descriptor.set(-1);
        Some(Detached(secured))
    }
}

/// In full, whatever the peer takes at a time. The wire's deadline is the caller's to set.
async fn say(socket: &Socket, words: Vec<u8>) -> Result<(), Insecure> {
    let mut said = Buffer::from(words);
    while !said.is_empty() {
        let (sent, rest) = socket.send(said).await;
        said = rest;
        match sent {
            Ok(length) if length > 0 => said.consume(length),
            _ => return Err(Insecure::Closed),
        }
    }
    Ok(())
}

/// A buffer to read into, with what must stand before it.
fn room(buffers: &Buffers, session: &Session, large: bool) -> Buffer {
    let pending = session.pending();
    // A record is a little larger than a small buffer, so what is left of one needs a large one to be completed.
    let mut buffer = if large || pending.len() > SMALL / 4 {
        buffers.large()
    } else {
        buffers.small()
    };
    buffer.vector().extend_from_slice(pending);
    if buffer.spare_len() == 0 {
        // Handshake messages of up to 64 KiB are put together here; rustls refuses larger ones.
        buffer.grow(buffer.len() + LARGE);
    }
    buffer
}

fn sized(buffers: &Buffers, length: usize) -> Buffer {
    if length > SMALL {
        buffers.large()
    } else {
        buffers.small()
    }
}

/// Plaintext encrypted and written at once: as many whole records as fit a large buffer.
const AT_ONCE: usize = LARGE / (tls::RECORD + tls::OVERHEAD) * tls::RECORD;
