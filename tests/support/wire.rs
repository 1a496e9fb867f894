//! A socket and what was read from it but not used yet; both ends of a test speak through one.

use super::{
    DEADLINE,
    message::{Fields, Framing, Head, field},
};
use rustls::{
    ClientConfig, ClientConnection, Connection, HandshakeKind, ServerConfig, ServerConnection,
    pki_types::ServerName,
};
use socket2::Socket;
use std::{
    io::{ErrorKind, Read, Write},
    net::Shutdown,
    sync::Arc,
    time::Duration,
};

/// Why a message could not be read.
#[derive(Debug)]
pub enum Broken {
    /// The peer closed before a byte of it.
    Closed,
    /// The peer closed in the middle; what of the body had come.
    Truncated(Vec<u8>),
    TimedOut,
    Malformed(String),
}

pub struct Wire {
    socket: Socket,
    buffer: Vec<u8>,
    tls: Option<Box<Connection>>,
}

impl Wire {
    pub fn new(socket: Socket) -> Self {
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.set_write_timeout(Some(DEADLINE)).unwrap();
        Self {
            socket,
            buffer: Vec::new(),
            tls: None,
        }
    }

    /// The server's side of a handshake; from then on everything is encrypted.
    pub fn secure(&mut self, config: Arc<ServerConfig>) -> std::io::Result<HandshakeKind> {
        let tls = ServerConnection::new(config).expect("a configuration");
        self.shake_hands(Connection::Server(tls))
    }

    /// The client's side of a handshake, with a server called `name`. Of TLS 1.3 it is over before the server has looked at
    /// our certificate.
    pub fn secure_to(&mut self, config: Arc<ClientConfig>, name: &str) -> std::io::Result<HandshakeKind> {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let tls = ClientConnection::new(config, name).expect("a configuration");
        self.shake_hands(Connection::Client(tls))
    }

    fn shake_hands(&mut self, tls: Connection) -> std::io::Result<HandshakeKind> {
        let mut tls = Box::new(tls);
        tls.set_buffer_limit(None);
        while tls.is_handshaking() {
            tls.complete_io(&mut self.socket)?;
        }
        while tls.wants_write() {
            tls.write_tls(&mut self.socket)?;
        }
        let kind = tls.handshake_kind().expect("it is over");
        self.tls = Some(tls);
        Ok(kind)
    }

    /// The name the client asked for.
    pub fn server_name(&self) -> Option<String> {
        match self.tls.as_deref()? {
            Connection::Server(tls) => tls.server_name().map(str::to_owned),
            Connection::Client(_) => None,
        }
    }

    /// Says the end of this side as TLS does, and nothing to the socket.
    pub fn close_notify(&mut self) {
        let Some(tls) = &mut self.tls else { return };
        tls.send_close_notify();
        while tls.wants_write() && tls.write_tls(&mut self.socket).is_ok() {}
    }

    /// New keys for this side, and a request for such of the other.
    pub fn update_keys(&mut self) {
        let Some(tls) = &mut self.tls else { return };
        tls.refresh_traffic_keys().expect("TLS 1.3");
        while tls.wants_write() && tls.write_tls(&mut self.socket).is_ok() {}
    }

    /// Waits for the other side's end; whether it said it as TLS does.
    pub fn ends_in_order(&mut self) -> bool {
        loop {
            let Some(tls) = &mut self.tls else { return false };
            let mut chunk = [0; 4096];
            match tls.reader().read(&mut chunk) {
                Ok(0) => return true,
                Ok(_) => continue,
                Err(error) if error.kind() != ErrorKind::WouldBlock => return false,
                Err(_) => {}
            }
            if tls.read_tls(&mut self.socket).is_err() || tls.process_new_packets().is_err() {
                return false;
            }
        }
    }

    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    pub fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let Some(tls) = &mut self.tls else {
            return self.socket.write_all(bytes);
        };
        for piece in bytes.chunks(256 * 1024) {
            tls.writer().write_all(piece)?;
            while tls.wants_write() {
                tls.write_tls(&mut self.socket)?;
            }
        }
        Ok(())
    }

    pub fn half_close(&mut self) {
        self.close_notify();
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Ends the connection with RST instead of FIN.
    pub fn reset(self) {
        let _ = self.socket.set_linger(Some(Duration::ZERO));
    }

    /// Reads once. `Ok(0)`: the peer closed or reset.
    pub fn fill(&mut self) -> Result<usize, Broken> {
        let mut chunk = [0; 64 * 1024];
        loop {
            return match self.read(&mut chunk) {
                Ok(n) => {
                    self.buffer.extend_from_slice(&chunk[..n]);
                    Ok(n)
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    Err(Broken::TimedOut)
                }
                // A reset ends the stream like a close; what came before it was kept.
                Err(_) => Ok(0),
            };
        }
    }

    fn read(&mut self, chunk: &mut [u8]) -> std::io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.socket.read(chunk);
        };
        loop {
            match tls.reader().read(chunk) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
            tls.read_tls(&mut self.socket)?;
            tls.process_new_packets()
                .map_err(|error| std::io::Error::new(ErrorKind::InvalidData, error))?;
            // Answers to the other side's requests, such as for new keys.
            while tls.wants_write() {
                tls.write_tls(&mut self.socket)?;
            }
        }
    }

    /// A head, with the CRLFCRLF that ends it.
    pub fn head(&mut self) -> Result<Head, Broken> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if self.fill()? == 0 {
                return Err(match self.buffer.is_empty() {
                    true => Broken::Closed,
                    false => Broken::Truncated(std::mem::take(&mut self.buffer)),
                });
            }
        };
        let raw: Vec<u8> = self.buffer.drain(..end).collect();
        Head::parse(&raw).map_err(Broken::Malformed)
    }

    pub fn exact(&mut self, count: usize) -> Result<Vec<u8>, Broken> {
        while self.buffer.len() < count {
            if self.fill()? == 0 {
                return Err(Broken::Truncated(std::mem::take(&mut self.buffer)));
            }
        }
        Ok(self.buffer.drain(..count).collect())
    }

    /// Up to and without CRLF.
    pub fn line(&mut self) -> Result<String, Broken> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).take(at).collect();
                return String::from_utf8(line).map_err(|_| Broken::Malformed("line is not UTF-8".into()));
            }
            if self.fill()? == 0 {
                return Err(Broken::Truncated(std::mem::take(&mut self.buffer)));
            }
        }
    }

    /// Everything until the peer closes.
    pub fn rest(&mut self) -> Result<Vec<u8>, Broken> {
        while self.fill()? != 0 {}
        Ok(std::mem::take(&mut self.buffer))
    }

    /// One chunk's data; empty for the last, whose trailers are left unread.
    pub fn chunk(&mut self) -> Result<Vec<u8>, Broken> {
        let line = self.line()?;
        if line.is_empty() || line.len() > 16 || !line.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Broken::Malformed(format!("chunk size {line:?}")));
        }
        let size = usize::from_str_radix(&line, 16).map_err(|e| Broken::Malformed(e.to_string()))?;
        if size == 0 {
            return Ok(Vec::new());
        }
        let mut data = self.exact(size + 2)?;
        match data.split_off(size).as_slice() {
            b"\r\n" => Ok(data),
            end => Err(Broken::Malformed(format!("chunk data ends with {end:?}"))),
        }
    }

    pub fn trailers(&mut self) -> Result<Fields, Broken> {
        let mut trailers = Fields::new();
        loop {
            match self.line()? {
                line if line.is_empty() => return Ok(trailers),
                line => trailers.push(field(&line).map_err(Broken::Malformed)?),
            }
        }
    }

    /// A body fed piece by piece to `take`, so that a big one need not be held.
    pub fn stream_body(&mut self, framing: Framing, mut take: impl FnMut(&[u8])) -> Result<Fields, Broken> {
        match framing {
            Framing::None => {}
            Framing::Length(mut left) => {
                while left > 0 {
                    if self.buffer.is_empty() && self.fill()? == 0 {
                        return Err(Broken::Truncated(Vec::new()));
                    }
                    let now = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    take(&self.buffer[..now]);
                    self.buffer.drain(..now);
                    left -= now as u64;
                }
            }
            Framing::Chunked => {
                loop {
                    match self.chunk()? {
                        data if data.is_empty() => break,
                        data => take(&data),
                    }
                }
                return self.trailers();
            }
            Framing::UntilClose => {
                take(&std::mem::take(&mut self.buffer));
                while self.fill()? != 0 {
                    take(&std::mem::take(&mut self.buffer));
                }
            }
        }
        Ok(Fields::new())
    }

    pub fn body(&mut self, framing: Framing) -> Result<(Vec<u8>, Fields), Broken> {
        let mut body = Vec::new();
        match self.stream_body(framing, |piece| body.extend_from_slice(piece)) {
            Ok(trailers) => Ok((body, trailers)),
            Err(Broken::Truncated(rest)) => {
                body.extend_from_slice(&rest);
                Err(Broken::Truncated(body))
            }
            Err(broken) => Err(broken),
        }
    }

    /// Sends every byte back until the peer closes its side, then closes ours.
    pub fn echo(&mut self) {
        loop {
            let got = std::mem::take(&mut self.buffer);
            if !got.is_empty() && self.try_send(&got).is_err() {
                return;
            }
            if !matches!(self.fill(), Ok(n) if n > 0) {
                return self.half_close();
            }
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
