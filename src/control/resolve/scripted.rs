//! A DNS server on a port of the kernel's choosing that answers as a test says. Enough of RFC 1035 for A and AAAA.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    thread,
};

pub(super) struct Server {
    pub address: SocketAddr,
    /// Questions so far, of any type.
    asked: Arc<AtomicU32>,
}

pub(super) enum Reply {
    /// Those of the family that was asked for.
    Addresses {
        ttl: u32,
        addresses: Vec<IpAddr>,
    },
    Failure(u8),
    Silence,
}

impl Reply {
    pub(super) fn with(ttl: u32, addresses: &[&str]) -> Self {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Self::Addresses { ttl, addresses }
    }
}

impl Server {
    /// `script` gets the name without its last dot, in lower case, and the type.
    pub(super) fn start(mut script: impl FnMut(&str, u16) -> Reply + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(AtomicU32::new(0));
        let count = asked.clone();
        thread::spawn(move || {
            let mut packet = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut packet) {
                count.fetch_add(1, SeqCst);
                if let Some(answer) = answer(&packet[..length], &mut script) {
                    socket.send_to(&answer, from).unwrap();
                }
            }
        });
        Self { address, asked }
    }

    pub(super) fn asked(&self) -> u32 {
        self.asked.load(SeqCst)
    }
}

pub(super) const A: u16 = 1;
pub(super) const AAAA: u16 = 28;
pub(super) const SERVFAIL: u8 = 2;
pub(super) const NXDOMAIN: u8 = 3;

fn answer(query: &[u8], script: &mut impl FnMut(&str, u16) -> Reply) -> Option<Vec<u8>> {
    let (mut at, mut labels) = (HEADER, Vec::new());
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8(query[at + 1..end].to_ascii_lowercase()).unwrap());
        at = end;
    }
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    let question = &query[HEADER..at + 5];

    let (code, ttl, addresses) = match script(&labels.join("."), kind) {
        Reply::Addresses { ttl, addresses } => (0, ttl, addresses),
        Reply::Failure(code) => (code, 0, Vec::new()),
        Reply::Silence => return None,
    };
    let wanted: Vec<_> = addresses
        .into_iter()
        .filter(|ip| ip.is_ipv4() == (kind == A))
        .collect();

    let mut out = query[..2].to_vec();
    out.extend([0x81, 0x80 | code]);
    for count in [1, wanted.len() as u16, 0, 0] {
        out.extend(count.to_be_bytes());
    }
    out.extend(question);
    for address in wanted {
        // A pointer to the question's name.
        out.extend([0xc0, HEADER as u8]);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1]);
        out.extend(ttl.to_be_bytes());
        let data = match address {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        out.extend((data.len() as u16).to_be_bytes());
        out.extend(data);
    }
    Some(out)
}

const HEADER: usize = 12;
