//! One connection's TLS: what was received becomes plaintext, plaintext becomes records.
//!
//! rustls' unbuffered interface: it decrypts within the caller's buffer and keeps none of its own, so a connection that
//! waits holds keys and nothing else. Between two calls only what is not a whole record yet stays here.

use super::Failure;
use rustls::{
    client::UnbufferedClientConnection,
    unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic},
};

/// Plaintext of one record at most (RFC 8446 §5.1).
pub const RECORD: usize = 16 * 1024;

pub struct Session {
    connection: UnbufferedClientConnection,
    /// Received, and not yet a record or a message: each read begins with it again.
    pending: Vec<u8>,
    /// Ours to say (the rest of a handshake, an answer to a key update, an alert), ahead of whatever is written next.
    outgoing: Vec<u8>,
    peer_closed: bool,
    failed: Option<Failure>,
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
            connection,
            pending: Vec::new(),
            outgoing: Vec::new(),
            peer_closed: false,
            failed: None,
        }
    }

    /// What the next received bytes must be put behind.
    pub fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// Takes what was received, which begins with what was [pending](Self::pending); appends the plaintext that is in
    /// it. Nothing received begins the handshake.
    ///
    /// # Errors
    /// The connection is lost. What was appended before is genuine all the same.
    pub fn receive(&mut self, received: &mut [u8], plaintext: &mut Vec<u8>) -> Result<(), Failure> {
        if let Some(failure) = self.failed {
            return Err(failure);
        }
        let mut at = 0;
        loop {
            let status = self.connection.process_tls_records(&mut received[at..]);
            let (discard, next) = step(status, plaintext, &mut self.outgoing);
            at += discard;
            match next {
                Ok(Next::Again) => {}
                Ok(Next::PeerClosed) => self.peer_closed = true,
                Ok(Next::Rest) => break,
                Err(failure) => {
                    self.failed = Some(failure);
                    // The alert that tells the peer, and nothing else: what failed would fail again.
                    if self.connection.wants_write() {
                        let status = self.connection.process_tls_records(&mut received[at..]);
                        let _ = step(status, plaintext, &mut self.outgoing);
                    }
                    return Err(failure);
                }
            }
        }
        self.pending.clear();
        // What comes after the peer's end is nobody's (RFC 8446 §6.1).
        if !self.peer_closed {
            self.pending.extend_from_slice(&received[at..]);
        }
        Ok(())
    }

    /// Appends records of all of `plaintext`, and before them what else is to be said.
    ///
    /// # Errors
    /// The connection is lost, or its handshake is not over.
    pub fn encrypt(&mut self, plaintext: &[u8], records: &mut Vec<u8>) -> Result<(), Failure> {
        self.write(records, |traffic, records| {
            let overhead = plaintext.len().div_ceil(RECORD).max(1) * OVERHEAD;
            append(records, plaintext.len() + overhead, |room| {
                traffic.encrypt(plaintext, room)
            })
        })
    }

    /// Appends our end, once; nothing can be encrypted after it.
    ///
    /// # Errors
    /// As [`encrypt`](Self::encrypt).
    pub fn close(&mut self, records: &mut Vec<u8>) -> Result<(), Failure> {
        self.write(records, |traffic, records| {
            append(records, OVERHEAD, |room| traffic.queue_close_notify(room))
        })
    }

    fn write(
        &mut self,
        records: &mut Vec<u8>,
        write: impl FnOnce(
            &mut WriteTraffic<'_, rustls::client::ClientConnectionData>,
            &mut Vec<u8>,
        ) -> Result<(), EncryptError>,
    ) -> Result<(), Failure> {
        if let Some(failure) = self.failed {
            return Err(failure);
        }
        records.append(&mut self.outgoing);
        loop {
            // With what is pending, whose beginning rustls may have decrypted already. There is no whole record in it, so
            // nothing comes of it, and a read that is under way begins with the same bytes still.
            let UnbufferedStatus { discard, state, .. } =
                self.connection.process_tls_records(&mut self.pending);
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

    /// What is to be said now, without anything to go with it.
    pub fn take_outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outgoing)
    }

    pub fn is_established(&self) -> bool {
        !self.connection.is_handshaking()
    }

    /// The peer said that nothing more comes. A stream that ends without was cut.
    pub fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    pub fn failed(&self) -> Option<Failure> {
        self.failed
    }
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
