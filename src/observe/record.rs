//! The facts of one exchange. Borrowed from the buffers the exchange has anyway; nothing is allocated or
//! formatted to make one.

use crate::fault::{Fault, Kind, Phase, Side};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Written once, where every exchange ends. The same type comes out of the queue on the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// When the request's first byte was seen, milliseconds since 1970 UTC.
    pub unix_millis: u64,
    /// The peer of the connection.
    pub client: SocketAddr,
    /// `namespace/name`; "" when no API matched.
    pub api: &'a str,
    /// `namespace/name` of the Service the request went to; "" when none was chosen.
    pub cluster: &'a str,
    /// The address that was tried last; None when none was, or for a Unix socket.
    pub endpoint: Option<SocketAddr>,
    /// As sent by the client; empty when the head could not be read. So `target`, `host`, `request_id`.
    pub method: &'a [u8],
    pub target: &'a [u8],
    pub host: &'a [u8],
    /// The one forwarded to the origin, whoever made it.
    pub request_id: &'a [u8],
    pub protocol: Protocol,
    /// The final status sent to the client; 0 when the exchange ended without one.
    pub status: u16,
    /// From the client: head and body as read.
    pub bytes_in: u64,
    /// To the client: head and body as written.
    pub bytes_out: u64,
    /// From the request's first byte to the response's last.
    pub duration_micros: u64,
    /// From taking or opening the upstream connection to the last byte of the response head;
    /// 0 when there was no upstream.
    pub upstream_micros: u64,
    /// Tries after the first.
    pub retries: u8,
    /// Whether the client's connection stays open for another request.
    pub keep_alive: bool,
    /// None: the exchange came to its proper end.
    pub ended: Option<Ended>,
    /// `namespace/name` of the policy that ended it; "" where none did.
    pub policy: &'a str,
    /// The client application, as the access policies found it; empty where none did. As sent: any bytes.
    pub client_id: &'a [u8],
    /// The version of the client's TLS; "" in plain text.
    pub tls: &'a str,
    /// Whose certificate the client has shown; "" where none.
    pub client_certificate: &'a str,
    /// Whether a string was cut on its way through the queue; false when a shard makes the record.
    pub truncated: bool,
}

/// Who ended an exchange before its end, how, and where in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    pub side: Side,
    pub kind: Kind,
    pub phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Http10,
    Http11,
}

impl Protocol {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        }
    }
}

impl From<&Fault> for Ended {
    fn from(fault: &Fault) -> Self {
        Self {
            side: fault.side,
            kind: fault.kind,
            phase: fault.phase,
        }
    }
}

impl Default for Record<'_> {
    fn default() -> Self {
        Self {
            unix_millis: 0,
            client: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            api: "",
            cluster: "",
            endpoint: None,
            method: b"",
            target: b"",
            host: b"",
            request_id: b"",
            protocol: Protocol::Http11,
            status: 0,
            bytes_in: 0,
            bytes_out: 0,
            duration_micros: 0,
            upstream_micros: 0,
            retries: 0,
            keep_alive: false,
            ended: None,
            policy: "",
            client_id: b"",
            tls: "",
            client_certificate: "",
            truncated: false,
        }
    }
}
