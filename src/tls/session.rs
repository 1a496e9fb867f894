//! One connection's TLS: what was received becomes plaintext, plaintext becomes records.
//!
//! rustls' unbuffered interface: it decrypts within the caller's buffer and keeps none of its own, so a connection that
//! waits holds keys and nothing else. Between two calls only what is not a whole record yet stays here.

use super::{Certificate, Failure, Peer, suites::name_of};
use rustls::{
    CommonState, HandshakeKind, ProtocolVersion,
    client::{ClientConnectionData, UnbufferedClientConnection},
    pki_types::UnixTime,
    server::{ServerConnectionData, UnbufferedServerConnection, danger::ClientCertVerifier},
    unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic},
};
use std::sync::Arc;

/// Plaintext of one record at most (RFC 8446 §5.1).
pub const RECORD: usize = 16 * 1024;

/// Either side's; it may be moved to another thread between two calls.
pub struct Session {
    side: Side,
    flow: Flow,
}

enum Side {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection, Admission),
}

/// What a server looks at when a handshake is over.
#[derive(Clone)]
pub(super) struct Admission {
    pub verifier: Option<Arc<dyn ClientCertVerifier>>,
    pub forward_certificate: bool,
}

/// What both sides keep beside rustls' state.
#[derive(Default)]
struct Flow {
    /// Received, and not yet a record or a message: each read begins with it again.
    pending: Vec<u8>,
    /// Ours to say (the rest of a handshake, tickets, an answer to a key update, an alert), ahead of whatever is written
    /// next.
    outgoing: Vec<u8>,
    peer_closed: bool,
    failed: Option<Failure>,
}

/// rustls' two types of connection, which have no trait in common.
trait Connection {
    type Data;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;

    fn wants_write(&self) -> bool;
}

impl Connection for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }

    fn wants_write(&self) -> bool {
        CommonState::wants_write(self)
    }
}

impl Connection for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }

    fn wants_write(&self) -> bool {
        CommonState::wants_write(self)
    }
}

/// What is to be done after one of rustls' states.
enum Next {
    Again,
    /// Nothing without more from the peer, or from us.
    Rest,
    PeerClosed,
}

impl Session {
    pub(super) fn client(connection: UnbufferedClientConnection) -> Self {
        Self {
            side: Side::Client(connection),
            flow: Flow::default(),
        }
    }

    pub(super) fn server(connection: UnbufferedServerConnection, admission: Admission) -> Self {
        Self {
            side: Side::Server(connection, admission),
            flow: Flow::default(),
        }
    }

    /// What the next received bytes must be put behind.
    pub fn pending(&self) -> &[u8] {
        &self.flow.pending
    }

    /// Takes what was received, which begins with what was [pending](Self::pending); appends the plaintext that is in
    /// it. Nothing received begins a client's handshake.
    ///
    /// # Errors
    /// The connection is lost. What was appended before is genuine all the same.
    pub fn receive(&mut self, received: &mut [u8], plaintext: &mut Vec<u8>) -> Result<(), Failure> {
        match &mut self.side {
            Side::Client(connection) => self.flow.receive(connection, received, plaintext),
            Side::Server(connection, _) => self.flow.receive(connection, received, plaintext),
        }
    }

    /// Appends records of all of `plaintext`, and before them what else is to be said.
    ///
    /// # Errors
    /// The connection is lost, or its handshake is not over.
    pub fn encrypt(&mut self, plaintext: &[u8], records: &mut Vec<u8>) -> Result<(), Failure> {
        match &mut self.side {
            Side::Client(connection) => (self.flow).write(connection, records, |traffic, records| {
                encrypt(traffic, plaintext, records)
            }),
            Side::Server(connection, _) => (self.flow).write(connection, records, |traffic, records| {
                encrypt(traffic, plaintext, records)
            }),
        }
    }

    /// Appends our end, once; nothing can be encrypted after it.
    ///
    /// # Errors
    /// As [`encrypt`](Self::encrypt).
    pub fn close(&mut self, records: &mut Vec<u8>) -> Result<(), Failure> {
        match &mut self.side {
            Side::Client(connection) => self.flow.write(connection, records, end),
            Side::Server(connection, _) => self.flow.write(connection, records, end),
        }
    }

    /// What is to be said now, without anything to go with it.
    pub fn take_outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.flow.outgoing)
    }

    pub fn is_established(&self) -> bool {
        !self.common().is_handshaking()
    }

    /// The handshake is over, and the peer waits for our last words of it before it says anything. What else there is to
    /// say (a client's last message, a server's tickets of TLS 1.3) can go with the next write.
    pub fn is_awaited(&self) -> bool {
        matches!(self.side, Side::Server(..))
            && !self.flow.outgoing.is_empty()
            && self.common().protocol_version() == Some(ProtocolVersion::TLSv1_2)
    }

    /// What the handshake said of the peer; to be asked once it is over.
    ///
    /// # Errors
    /// The session that was resumed began with a client's certificate that is not good any more: each ticket is
    /// followed by another, so without this look one handshake would let somebody in for ever.
    pub fn peer(&mut self) -> Result<Peer, Failure> {
        let common = self.common();
        let resumed = common.handshake_kind() == Some(HandshakeKind::Resumed);
        let (mut certificate, mut forwarded) = (None, None);
        if let Side::Server(connection, admission) = &self.side
            && let Some(verifier) = &admission.verifier
        {
            match connection.peer_certificates().and_then(<[_]>::split_first) {
                None if verifier.client_auth_mandatory() => return Err(self.fail(Failure::NoCertificate)),
                None => {}
                Some((own, others)) => {
                    if resumed && let Err(error) = verifier.verify_client_cert(own, others, UnixTime::now()) {
                        let failure = Failure::from(&error);
                        return Err(self.fail(failure));
                    }
                    let Some(facts) = Certificate::read(own) else {
                        return Err(self.fail(Failure::CertificateUntrusted));
                    };
                    forwarded = (admission.forward_certificate).then(|| facts.forwarded().into());
                    certificate = Some(Box::new(facts));
                }
            }
        }
        let common = self.common();
        Ok(Peer {
            version: match common.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
                _ => "TLSv1.3",
            },
            suite: (common.negotiated_cipher_suite()).map_or("unknown", |suite| name_of(suite.suite())),
            resumed,
            certificate,
            forwarded,
        })
    }

    fn fail(&mut self, failure: Failure) -> Failure {
        self.flow.failed = Some(failure);
        self.flow.outgoing = Vec::new();
        failure
    }

    /// The peer said that nothing more comes. A stream that ends without was cut.
    pub fn peer_closed(&self) -> bool {
        self.flow.peer_closed
    }

    pub fn failed(&self) -> Option<Failure> {
        self.flow.failed
    }

    fn common(&self) -> &CommonState {
        match &self.side {
            Side::Client(connection) => connection,
            Side::Server(connection, _) => connection,
        }
    }
}

impl Flow {
    fn receive<C: Connection>(
        &mut self,
        connection: &mut C,
        received: &mut [u8],
        plaintext: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        if let Some(failure) = self.failed {
            return Err(failure);
        }
        let mut at = 0;
        loop {
            let status = connection.process(&mut received[at..]);
            let (discard, next) = step(status, plaintext, &mut self.outgoing);
            at += discard;
            match next {
                Ok(Next::Again) => {}
                Ok(Next::PeerClosed) => self.peer_closed = true,
                Ok(Next::Rest) => break,
                Err(failure) => {
                    self.failed = Some(failure);
                    // The alert that tells the peer, and nothing else: what failed would fail again.
                    if connection.wants_write() {
                        let status = connection.process(&mut received[at..]);
                        let _ = step(status, plaintext, &mut self.outgoing);
                    }
                    return Err(failure);
                }
            }
        }
        let rest = &received[at..];
        // What comes after the peer's end is nobody's (RFC 8446 §6.1).
        if rest.is_empty() || self.peer_closed {
            // Not kept for later: it may have been a handshake's, and the connection's next minutes are spent waiting.
            self.pending = Vec::new();
        } else {
            self.pending.clear();
            self.pending.extend_from_slice(rest);
        }
        Ok(())
    }

    fn write<C: Connection>(
        &mut self,
        connection: &mut C,
        records: &mut Vec<u8>,
        write: impl FnOnce(&mut WriteTraffic<'_, C::Data>, &mut Vec<u8>) -> Result<(), EncryptError>,
    ) -> Result<(), Failure> {
        if let Some(failure) = self.failed {
            return Err(failure);
        }
        if !self.outgoing.is_empty() {
            records.extend_from_slice(&std::mem::take(&mut self.outgoing));
        }
        loop {
            // With what is pending, whose beginning rustls may have decrypted already. There is no whole record in it, so
            // nothing comes of it, and a read that is under way begins with the same bytes still.
            let UnbufferedStatus { discard, state, .. } = connection.process(&mut self.pending);
            debug_assert_eq!(discard, 0, "what is pending is no whole record");
            match state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    return write(&mut traffic, records).map_err(|_| Failure::Broken);
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, records),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.peer_closed = true,
                Ok(_) => return Err(Failure::Broken),
                Err(error) => {
                    let failure = Failure::from(&error);
                    self.failed = Some(failure);
                    return Err(failure);
                }
            }
        }
    }
}

fn encrypt<Data>(
    traffic: &mut WriteTraffic<'_, Data>,
    plaintext: &[u8],
    records: &mut Vec<u8>,
) -> Result<(), EncryptError> {
    let overhead = plaintext.len().div_ceil(RECORD).max(1) * OVERHEAD;
    append(records, plaintext.len() + overhead, |room| {
        traffic.encrypt(plaintext, room)
    })
}

fn end<Data>(traffic: &mut WriteTraffic<'_, Data>, records: &mut Vec<u8>) -> Result<(), EncryptError> {
    append(records, OVERHEAD, |room| traffic.queue_close_notify(room))
}

/// One of rustls' states. How many bytes of the front are done with, and what is next.
fn step<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    plaintext: &mut Vec<u8>,
    outgoing: &mut Vec<u8>,
) -> (usize, Result<Next, Failure>) {
    let UnbufferedStatus {
        mut discard, state, ..
    } = status;
    let next = match state {
        Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
            match traffic.next_record() {
                Some(Ok(record)) => {
                    plaintext.extend_from_slice(record.payload);
                    discard += record.discard;
                }
                Some(Err(error)) => break Err(Failure::from(&error)),
                None => break Ok(Next::Again),
            }
        },
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            encode(&mut data, outgoing);
            Ok(Next::Again)
        }
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Ok(Next::Again)
        }
        Ok(ConnectionState::PeerClosed) => Ok(Next::PeerClosed),
        Ok(
            ConnectionState::WriteTraffic(_) | ConnectionState::BlockedHandshake | ConnectionState::Closed,
        ) => Ok(Next::Rest),
        // Early data is neither offered nor taken; a state rustls may add some day is not one we know how to leave.
        Ok(_) => Err(Failure::Broken),
        Err(error) => Err(Failure::from(&error)),
    };
    (discard, next)
}

fn encode<Data>(data: &mut EncodeTlsData<'_, Data>, out: &mut Vec<u8>) {
    let start = out.len();
    loop {
        match data.encode(&mut out[start..]) {
            Ok(written) => return out.truncate(start + written),
            Err(EncodeError::InsufficientSize(size)) => out.resize(start + size.required_size, 0),
            Err(EncodeError::AlreadyEncoded) => return out.truncate(start),
        }
    }
}

/// Lets `write` have `room` bytes behind what `out` holds, or more if it says so.
fn append(
    out: &mut Vec<u8>,
    room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> Result<(), EncryptError> {
    let start = out.len();
    out.resize(start + room, 0);
    loop {
        match write(&mut out[start..]) {
            Ok(written) => {
                out.truncate(start + written);
                return Ok(());
            }
            Err(EncryptError::InsufficientSize(size)) => out.resize(start + size.required_size, 0),
            Err(error) => {
                out.truncate(start);
                return Err(error);
            }
        }
    }
}

/// A record's bytes beside its plaintext, with room for an alert or a key update ahead of it: header 5, tag 16, the
/// explicit nonce of TLS 1.2 8 or the content type of TLS 1.3 1.
pub const OVERHEAD: usize = 64;
