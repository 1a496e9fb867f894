//! Bodies pass through, whole and at once, without being held.

use crate::support::{
    Gate, Gateway, Origin, both_drivers, config, eventually,
    message::{get_request, ok},
    trouble,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Big enough that holding a part of it shows, small enough for every run; the 1 GiB run is the load test's.
const BIG: u64 = 64 << 20;

/// What a gateway may grow by while one big body passes.
const GROWTH: u64 = 16 << 20;

both_drivers! {
    /// The origin sends its second event only after the client has the first.
    fn an_event_arrives_before_the_next_is_sent(driver) {
        let gates: Vec<Gate> = (0..3).map(|_| Gate::new()).collect();
        let received = gates.clone();
        let origin = Origin::start(move |peer| {
            peer.request();
            peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
            for gate in &gates {
                peer.send_and_wait("d\r\ndata: event\n\n\r\n", gate);
            }
            peer.send("0\r\n\r\n");
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.send(get_request("/events", ""));
        let answer = client.response_head("GET").expect("the head before any event");
        assert_eq!(answer.get("content-type"), Some("text/event-stream"));
        for gate in &received {
            assert_eq!(client.wire.chunk().expect("an event"), b"data: event\n\n");
            gate.open();
        }
        assert_eq!(client.wire.chunk().expect("the end"), b"");
    }

    fn a_stream_that_ends_with_the_close_arrives_at_once_too(driver) {
        let gate = Gate::new();
        let wait = gate.clone();
        let origin = Origin::start(move |peer| {
            peer.request();
            peer.send_and_wait("HTTP/1.1 200 OK\r\n\r\nfirst", &wait);
            peer.send("second");
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.send(get_request("/", ""));
        let answer = client.response_head("GET").expect("a head");
        let mut got = Vec::new();
        client
            .wire
            .stream_body(answer.framing, |piece| {
                got.extend_from_slice(piece);
                if got.starts_with(b"first") {
                    gate.open();
                }
            })
            .expect("a body");
        assert_eq!(got, b"firstsecond");
    }

    fn an_upload_arrives_before_it_is_whole(driver) {
        let first = Gate::new();
        let got_first = first.clone();
        let origin = Origin::start(move |peer| {
            let Some(request) = peer.head() else { return };
            assert_eq!(request.head.all("transfer-encoding"), ["chunked"]);
            assert_eq!(peer.wire.chunk().expect("the first chunk"), b"first");
            got_first.open();
            let mut rest = Vec::new();
            while let Ok(data) = peer.wire.chunk() {
                if data.is_empty() {
                    break;
                }
                rest.extend(data);
            }
            peer.send(ok(rest));
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
        first.wait();
        client.send("6\r\nsecond\r\n0\r\n\r\n");
        assert_eq!(client.response().text(), "second");
    }

    fn a_big_download_is_whole_and_memory_flat(driver) {
        for chunked in [false, true] {
            let origin = Origin::start(move |peer| {
                while let Some(request) = peer.request() {
                    match request.target.as_str() {
                        "/big" => send_big(peer, chunked),
                        _ => peer.send(ok("")),
                    }
                }
            });
            let gateway = Gateway::start(driver, config::api(&origin.url));
            assert_eq!(gateway.get("/warm").status, 200);
            let before = gateway.rss();
            let mut client = gateway.client();
            client.send(get_request("/big", ""));
            let answer = client.response_head("GET").expect("a head");
            let (mut sum, mut most) = (Checksum::default(), 0);
            let mut until_look = 0u64;
            client
                .wire
                .stream_body(answer.framing, |piece| {
                    sum.add(piece);
                    if sum.length >= until_look {
                        until_look += BIG / 16;
                        most = most.max(gateway.rss());
                    }
                })
                .expect("a whole body");
            assert_eq!(sum, Checksum::of_big(), "chunked: {chunked}");
            assert!(most < before + GROWTH, "grew from {before} to {most} bytes");
        }
    }

    fn a_big_upload_is_whole_and_memory_flat(driver) {
        for chunked in [false, true] {
            let seen = Arc::new(Mutex::new(Checksum::default()));
            let sum = seen.clone();
            let origin = Origin::start(move |peer| {
                let Some(request) = peer.head() else { return };
                let mut here = Checksum::default();
                peer.wire.stream_body(request.framing, |piece| here.add(piece)).expect("a whole body");
                *sum.lock().unwrap() = here;
                peer.send(ok("thanks"));
            });
            let gateway = Gateway::start(driver, config::api(&origin.url));
            let before = gateway.rss();
            let mut client = gateway.client();
            let framing = match chunked {
                true => "Transfer-Encoding: chunked".to_owned(),
                false => format!("Content-Length: {BIG}"),
            };
            client.send(format!("POST / HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n"));
            let mut most = 0;
            for (n, piece) in big_pieces().enumerate() {
                match chunked {
                    true => client.send(as_chunk(&piece)),
                    false => client.send(&piece),
                };
                if n % 16 == 0 {
                    most = most.max(gateway.rss());
                }
            }
            if chunked {
                client.send("0\r\n\r\n");
            }
            assert_eq!(client.response().text(), "thanks");
            assert_eq!(*seen.lock().unwrap(), Checksum::of_big(), "chunked: {chunked}");
            assert!(most < before + GROWTH, "grew from {before} to {most} bytes");
        }
    }

    /// The origin is held back by a client that does not read: what is in between stays in the sockets.
    fn a_client_that_never_reads_holds_its_origin_back(driver) {
        let sent = Arc::new(AtomicU64::new(0));
        let count = sent.clone();
        let origin = Origin::start(move |peer| {
            peer.request();
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            let chunk = as_chunk(&[b'x'; 32 * 1024]);
            while peer.wire.try_send(&chunk).is_ok() {
                count.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            }
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let before = gateway.rss();
        let client = trouble::never_reading(gateway.address, "/flood");
        let mut last = (u64::MAX, 0);
        eventually("the origin is held back", || {
            let now = sent.load(Ordering::Relaxed);
            last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
            // Some looks in a row without progress; a gateway that buffers without bound never shows them.
            now > 0 && last.1 > 50
        });
        assert!(last.0 < BIG, "{} bytes left the origin for a client that reads none", last.0);
        let after = gateway.rss();
        assert!(after < before + GROWTH, "grew from {before} to {after} bytes");
        drop(client);
    }

    /// The other direction: an origin that never reads holds the upload back.
    fn an_origin_that_never_reads_holds_its_client_back(driver) {
        let done = Gate::new();
        let wait = done.clone();
        let origin = Origin::start(move |peer| {
            if peer.head().is_some() {
                wait.wait();
            }
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let before = gateway.rss();
        let mut client = gateway.client();
        client.send(format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", 1u64 << 30));
        client.wire.socket().set_write_timeout(Some(std::time::Duration::from_secs(1))).expect("set");
        let (piece, mut taken) = (vec![b'x'; 64 * 1024], 0u64);
        while taken < BIG && client.wire.try_send(&piece).is_ok() {
            taken += piece.len() as u64;
        }
        assert!(taken < BIG, "the gateway took {taken} bytes that nobody read");
        let after = gateway.rss();
        assert!(after < before + GROWTH, "grew from {before} to {after} bytes");
        done.open();
    }
}

/// FNV-1a over the bytes, and their number.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Checksum {
    length: u64,
    hash: u64,
}

impl Default for Checksum {
    fn default() -> Self {
        Self {
            length: 0,
            hash: 0xcbf2_9ce4_8422_2325,
        }
    }
}

impl Checksum {
    fn add(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    fn of_big() -> Self {
        let mut sum = Self::default();
        big_pieces().for_each(|piece| sum.add(&piece));
        sum
    }
}

/// `BIG` bytes that differ from place to place, so that a swapped or repeated piece is found.
fn big_pieces() -> impl Iterator<Item = Vec<u8>> {
    const PIECE: u64 = 64 * 1024;
    (0..BIG / PIECE).map(|n| {
        let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        std::iter::repeat_with(next)
            .take(PIECE as usize / 8)
            .flatten()
            .collect()
    })
}

fn as_chunk(data: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", data.len()).into_bytes();
    chunk.extend_from_slice(data);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

fn send_big(peer: &mut crate::support::Peer, chunked: bool) {
    if chunked {
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        big_pieces().for_each(|piece| peer.send(as_chunk(&piece)));
        peer.send("0\r\n\r\n");
    } else {
        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {BIG}\r\n\r\n"));
        big_pieces().for_each(|piece| peer.send(piece));
    }
}
