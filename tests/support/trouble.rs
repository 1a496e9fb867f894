//! Clients that behave badly on purpose.

use super::Client;
use std::net::SocketAddr;

/// Connections that each sent a part of a head and then fell silent. They stay open while this lives.
pub struct HalfOpen(Vec<Client>);

impl HalfOpen {
    #[track_caller]
    pub fn new(address: SocketAddr, count: usize) -> Self {
        let mut clients = Vec::with_capacity(count);
        for _ in 0..count {
            let mut client = Client::connect(address);
            client.send("GET /slow HTTP/1.1\r\nHost: gateway.test\r\nX-Part");
            clients.push(client);
        }
        Self(clients)
    }

    /// Waits until the gateway has closed each, and gives what each was told last.
    pub fn outcomes(self) -> Vec<Option<u16>> {
        self.0
            .into_iter()
            .map(|mut client| client.try_response("GET").ok().map(|r| r.status))
            .collect()
    }
}

/// A client that asks for `target` and never reads: a small receive window, so that the sender soon feels it.
#[track_caller]
pub fn never_reading(address: SocketAddr, target: &str) -> Client {
    let mut client = Client::from(address, Some(4096)).expect("connect");
    client.send(super::message::get_request(target, ""));
    client
}

/// Sends the start of a request and resets the connection.
#[track_caller]
pub fn reset_after(address: SocketAddr, bytes: &[u8]) {
    let mut client = Client::connect(address);
    client.send(bytes);
    client.reset();
}
