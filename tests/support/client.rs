//! A raw HTTP/1.1 client: sends exactly the bytes it is given, reads answers strictly.

use super::{
    message::{Framing, Response, get_request},
    wire::{Broken, Wire},
};
use rustls::ClientConfig;
use socket2::{Domain, Socket, Type};
use std::{net::SocketAddr, sync::Arc};

pub struct Client {
    pub wire: Wire,
}

impl Client {
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).unwrap_or_else(|e| panic!("connect to {address}: {e}"))
    }

    pub fn try_connect(address: SocketAddr) -> std::io::Result<Self> {
        Self::from(address, None)
    }

    /// Secured, with a server called `localhost`.
    #[track_caller]
    pub fn connect_tls(address: SocketAddr, config: &Arc<ClientConfig>) -> Self {
        let mut client = Self::connect(address);
        let shaken = client.wire.secure_to(config.clone(), "localhost");
        shaken.unwrap_or_else(|e| panic!("a handshake with {address}: {e}"));
        client
    }

    /// `receive`: the size of the kernel's receive buffer, for clients that do not read.
    pub fn from(address: SocketAddr, receive: Option<usize>) -> std::io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM.cloexec(), None)?;
        if let Some(bytes) = receive {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.connect_timeout(&address.into(), super::DEADLINE)?;
        socket.set_tcp_nodelay(true)?;
        Ok(Self {
            wire: Wire::new(socket),
        })
    }

    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.wire
            .try_send(bytes.as_ref())
            .unwrap_or_else(|e| panic!("send: {e}"));
        self
    }

    /// As many bytes as the gateway takes; a refusal may close the connection under a sender.
    pub fn send_what_it_takes(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = self.wire.try_send(bytes.as_ref());
        self
    }

    /// Each byte in a segment of its own, so that every state of the reader is entered.
    #[track_caller]
    pub fn drip(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        for byte in bytes.as_ref() {
            self.send([*byte]);
        }
        self
    }

    pub fn half_close(&mut self) -> &mut Self {
        self.wire.half_close();
        self
    }

    pub fn reset(self) {
        self.wire.reset();
    }

    /// The answer to a request that was not HEAD.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.try_response("GET")
            .unwrap_or_else(|broken| panic!("no response: {broken:?}"))
    }

    #[track_caller]
    pub fn response_to_head(&mut self) -> Response {
        self.try_response("HEAD")
            .unwrap_or_else(|broken| panic!("no response: {broken:?}"))
    }

    pub fn try_response(&mut self, method: &str) -> Result<Response, Broken> {
        let mut response = self.response_head(method)?;
        (response.body, response.trailers) = self.wire.body(response.framing)?;
        Ok(response)
    }

    /// The final head alone; its body is read with `self.wire`.
    pub fn response_head(&mut self, method: &str) -> Result<Response, Broken> {
        let mut interim = Vec::new();
        loop {
            let head = self.wire.head()?;
            let status = head.status().map_err(Broken::Malformed)?;
            let stated = head.stated_framing().map_err(Broken::Malformed)?;
            if (100..200).contains(&status) && status != 101 {
                match stated {
                    None => interim.push(head),
                    Some(framing) => return Err(Broken::Malformed(format!("{status} with {framing:?}"))),
                }
                continue;
            }
            let framing = match status {
                101 | 204 if stated.is_some() => {
                    return Err(Broken::Malformed(format!("{status} with {stated:?}")));
                }
                101 | 204 | 304 => Framing::None,
                _ if method == "HEAD" => Framing::None,
                _ => stated.unwrap_or(Framing::UntilClose),
            };
            return Ok(Response {
                status,
                head,
                framing,
                body: Vec::new(),
                trailers: Vec::new(),
                interim,
            });
        }
    }

    /// A GET with the usual fields and its answer.
    #[track_caller]
    pub fn get(&mut self, target: &str) -> Response {
        self.send(get_request(target, "")).response()
    }

    /// Nothing more comes and the gateway closes.
    #[track_caller]
    pub fn expect_close(&mut self) {
        match self.wire.rest() {
            Ok(rest) => assert!(
                rest.is_empty(),
                "bytes after the last response: {:?}",
                String::from_utf8_lossy(&rest)
            ),
            Err(broken) => panic!("the gateway did not close: {broken:?}"),
        }
    }
}
