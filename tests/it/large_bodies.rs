//! Large bodies of known length, which pass without being copied: whole and in order, beside others, cut at either
//! end, with receivers that stall; nothing of one is ever in another, and nothing of them stays behind.

use crate::support::{
    Broken, Client, Framing, Gate, Gateway, Origin, Peer, Wire, both_drivers, config, eventually,
    message::{get_request, ok},
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

const BIG: u64 = 64 << 20;

/// More than all the buffers and the pipe between two ends hold: of Linux, 4 MiB to send and 32 MiB to receive at most.
const STALLING: u64 = 48 << 20;

/// Descriptors of the pipes a shard keeps for reuse.
const KEPT: usize = 16;

both_drivers! {
    fn both_ways_at_once_beside_chunked_ones(driver) {
        let origin = Origin::start(serve);
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let gateway = &gateway;
        std::thread::scope(|all| {
            for seed in 1..=2 {
                all.spawn(move || download(gateway, seed, BIG, "raw"));
                all.spawn(move || download(gateway, seed + 10, BIG / 4, "chunked"));
                all.spawn(move || upload(gateway, BIG));
            }
        });
    }

    /// One shard: while a receiver takes nothing of a large body, in either direction, the others are served.
    fn a_stalled_receiver_stalls_nobody_else(driver) {
        let go_on = Gate::new();
        let wait = go_on.clone();
        let origin = Origin::start(move |peer| {
            while let Some(request) = peer.head() {
                match request.method.as_str() {
                    "POST" => {
                        wait.wait();
                        let mut pattern = Pattern::new(0);
                        let whole = peer.wire.stream_body(request.framing, |piece| pattern.check(piece));
                        whole.expect("a whole body");
                        peer.send(ok(pattern.at.to_string()));
                    }
                    _ => answer(peer, &request.target),
                }
            }
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut idle = Client::from(gateway.address, Some(4096)).expect("connect");
        idle.send(get_request(&format!("/raw/7/{STALLING}"), ""));
        let sent = Arc::new(AtomicU64::new(0));
        std::thread::scope(|all| {
            let uploading = all.spawn(|| {
                let mut client = gateway.client();
                client.send(format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {STALLING}\r\n\r\n"));
                Pattern::new(0).pieces(STALLING, |piece| {
                    client.send(piece);
                    sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
                });
                client.response().text()
            });
            let mut last = (0, 0);
            eventually("the upload is held back", || {
                let now = sent.load(Ordering::Relaxed);
                last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
                now > 0 && last.1 > 20
            });
            assert!(last.0 < STALLING, "{} bytes went where nobody reads", last.0);
            for seed in 20..24 {
                download(&gateway, seed, 4 << 20, "raw");
            }
            go_on.open();
            assert_eq!(uploading.join().expect("an answer"), STALLING.to_string());
        });
        expect_pattern(&mut idle, 7, STALLING);
    }

    /// The sender pauses in the middle: what came before arrives, and others are served meanwhile.
    fn a_sender_that_pauses_holds_nothing_back(driver) {
        let go_on = Gate::new();
        let wait = go_on.clone();
        let origin = Origin::start(move |peer| {
            while let Some(request) = peer.request() {
                if request.target != "/pausing" {
                    answer(peer, &request.target);
                    continue;
                }
                peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {STALLING}\r\n\r\n"));
                let mut pattern = Pattern::new(3);
                pattern.pieces(STALLING / 2 + 1, |piece| peer.send(piece));
                wait.wait();
                pattern.pieces(STALLING / 2 - 1, |piece| peer.send(piece));
            }
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.send(get_request("/pausing", ""));
        assert_eq!(client.response_head("GET").expect("a head").framing, Framing::Length(STALLING));
        let mut pattern = Pattern::new(3);
        let half = usize::try_from(STALLING / 2 + 1).expect("small");
        pattern.check(&client.wire.exact(half).expect("all that was sent"));
        download(&gateway, 4, 4 << 20, "raw");
        go_on.open();
        pattern.check(&client.wire.exact(half - 2).expect("the rest"));
    }

    /// Transfers that break off at either end, with content on the way; whole ones in between are untouched, and in
    /// the end no descriptor is left.
    fn what_breaks_off_leaves_nothing_behind(driver) {
        let origin = Origin::start(|peer| {
            while let Some(request) = peer.head() {
                match request.target.as_str() {
                    "/origin-cuts" => {
                        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {BIG}\r\n\r\n"));
                        Pattern::new(66).pieces(2 << 20, |piece| peer.send(piece));
                        return peer.close();
                    }
                    "/origin-resets" => {
                        let mut read = 0;
                        while read < 1 << 20 {
                            match peer.wire.exact(64 * 1024) {
                                Ok(bytes) => read += bytes.len(),
                                Err(_) => return,
                            }
                        }
                        return peer.reset();
                    }
                    "/upload" => {
                        let mut pattern = Pattern::new(0);
                        if peer.wire.stream_body(request.framing, |piece| pattern.check(piece)).is_err() {
                            return;
                        }
                        peer.send(ok(pattern.at.to_string()));
                    }
                    target => answer(peer, target),
                }
            }
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        download(&gateway, 1, 4 << 20, "raw");
        let before = gateway.descriptors();
        for round in 0..8 {
            let cut = gateway.client().send(get_request("/origin-cuts", "")).try_response("GET");
            match cut {
                Err(Broken::Truncated(body)) => {
                    assert!(body.len() <= 2 << 20);
                    Pattern::new(66).check(&body);
                }
                other => panic!("a cut body looks like {other:?}"),
            }
            let mut leaving = Client::from(gateway.address, Some(4096)).expect("connect");
            leaving.send(get_request(&format!("/raw/77/{STALLING}"), ""));
            leaving.wire.exact(64 * 1024).expect("a beginning");
            if round % 2 == 0 {
                leaving.reset();
            } else {
                drop(leaving);
            }
            for target in ["/origin-resets", "/upload"] {
                let mut client = gateway.client();
                client.send(format!("POST {target} HTTP/1.1\r\nHost: h\r\nContent-Length: {BIG}\r\n\r\n"));
                Pattern::new(0).pieces(3 << 20, |piece| {
                    client.send_what_it_takes(piece);
                });
                client.reset();
            }
            download(&gateway, 100 + round, 2 << 20, "raw");
            let mut client = gateway.client();
            client.send(format!("POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", 2 << 20));
            Pattern::new(0).pieces(2 << 20, |piece| {
                client.send(piece);
            });
            assert_eq!(client.response().text(), (2 << 20).to_string());
        }
        eventually("descriptors come back", || gateway.descriptors() <= before + KEPT);
    }

    /// Urgent data ends a splice without being an end. It is no content; what surrounds it is, and arrives.
    fn urgent_data_does_not_stop_an_upload(driver) {
        let origin = Origin::start(serve);
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.send(format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", 8 << 20));
        let mut pattern = Pattern::new(0);
        pattern.pieces(5 << 20, |piece| {
            client.send(piece);
        });
        // One only: a second would make the first an ordinary byte where it has not been passed yet.
        assert_eq!(client.wire.socket().send_out_of_band(b"!").expect("sent"), 1);
        pattern.pieces(3 << 20, |piece| {
            client.send(piece);
        });
        assert_eq!(client.response().text(), (8 << 20).to_string());
    }

    /// Where descriptors are scarce bodies are copied, and just as whole.
    fn without_pipes_bodies_are_copied(driver) {
        let origin = Origin::start(serve);
        let gateway = Gateway::setup(driver, config::api(&origin.url)).descriptors(60).start();
        let before = gateway.descriptors();
        download(&gateway, 9, BIG / 4, "raw");
        upload(&gateway, BIG / 4);
        eventually("only the pooled upstream connection is left", || gateway.descriptors() <= before + 3);
    }

    /// The answer comes on the heels of the last byte. It is known by then that the upload is whole.
    fn an_upload_that_is_whole_keeps_its_connection(driver) {
        let origin = Origin::start(serve);
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        let whole = Pattern::new(0).next(1 << 20);
        for framing in ["Content-Length: 1048576", "Transfer-Encoding: chunked"].repeat(8) {
            client.send(format!("POST / HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n"));
            match framing.starts_with('C') {
                true => client.send(&whole),
                false => client.send("100000\r\n").send(&whole).send("\r\n0\r\n\r\n"),
            };
            let answer = client.response();
            assert_eq!((answer.text(), answer.says_close()), ("1048576".to_owned(), false), "{framing}");
        }
    }

    fn bulk_goes_through_a_tunnel(driver) {
        let origin = Origin::start(|peer| {
            peer.request();
            peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: bulk\r\n\r\n");
            peer.wire.echo();
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.send(get_request("/", "Connection: Upgrade\r\nUpgrade: bulk\r\n"));
        assert_eq!(client.response_head("GET").expect("an answer").status, 101);
        let mut writer = Client {
            wire: Wire::new(client.wire.socket().try_clone().expect("clone")),
        };
        std::thread::scope(|both| {
            both.spawn(move || {
                Pattern::new(5).pieces(STALLING, |piece| {
                    writer.send(piece);
                });
                writer.half_close();
            });
            let mut pattern = Pattern::new(5);
            pattern.check(&client.wire.exact(STALLING as usize).expect("all of it comes back"));
            assert_eq!(client.wire.rest().expect("the end").len(), 0);
        });
    }

    fn a_body_over_the_limit_is_refused_on_the_way(driver) {
        let origin = Origin::start(serve);
        let yaml = config::api(&origin.url) + &config::configuration("limits", "bodyBytes: 1000000");
        let gateway = Gateway::start(driver, yaml);
        let mut client = gateway.client();
        client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000001\r\n\r\n");
        assert_eq!(client.response().status, 413);
        upload(&gateway, 1_000_000);
    }

    /// From an origin behind a UNIX socket and back to it.
    fn through_unix_sockets_too(driver) {
        let folder = crate::support::gateway::Folder::new();
        let path = folder.path().join("origin");
        let origin = Origin::start_unix(&path, serve);
        let gateway = Gateway::start(driver, config::api(&origin.url));
        download(&gateway, 12, BIG / 4, "raw");
        upload(&gateway, BIG / 4);
    }
}

/// Bytes that tell their transfer and their place in it.
struct Pattern {
    seed: u64,
    at: u64,
}

impl Pattern {
    fn new(seed: u64) -> Self {
        Self { seed, at: 0 }
    }

    fn next(&mut self, length: usize) -> Vec<u8> {
        let (seed, first) = (self.seed << 48, self.at);
        self.at += length as u64;
        let words = (first / 8)..=(self.at / 8);
        let bytes =
            words.flat_map(|word| ((seed | word).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed).to_le_bytes());
        bytes.skip((first % 8) as usize).take(length).collect()
    }

    fn pieces(&mut self, length: u64, mut take: impl FnMut(&[u8])) {
        let mut left = length;
        while left > 0 {
            let piece = left.min(256 * 1024);
            take(&self.next(piece as usize));
            left -= piece;
        }
    }

    fn check(&mut self, bytes: &[u8]) {
        let at = self.at;
        assert!(self.next(bytes.len()) == bytes, "other bytes after {at}");
    }
}

/// `GET /raw/<seed>/<bytes>`, `GET /chunked/…`; what is posted must be pattern 0, and its length is the answer.
fn serve(peer: &mut Peer) {
    while let Some(request) = peer.head() {
        if request.method == "POST" {
            let mut pattern = Pattern::new(0);
            let whole = peer
                .wire
                .stream_body(request.framing, |piece| pattern.check(piece));
            whole.expect("a whole body");
            peer.send(ok(pattern.at.to_string()));
        } else {
            answer(peer, &request.target);
        }
    }
}

fn answer(peer: &mut Peer, target: &str) {
    let mut parts = target.split('/').skip(1);
    let chunked = parts.next() == Some("chunked");
    let mut number = || {
        parts
            .next()
            .and_then(|part| part.parse::<u64>().ok())
            .expect(target)
    };
    let (seed, length) = (number(), number());
    let framing = match chunked {
        true => "Transfer-Encoding: chunked".to_owned(),
        false => format!("Content-Length: {length}"),
    };
    peer.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n"));
    Pattern::new(seed).pieces(length, |piece| {
        if chunked {
            peer.send(format!("{:x}\r\n", piece.len()));
            peer.send(piece);
            peer.send("\r\n");
        } else {
            peer.send(piece);
        }
    });
    if chunked {
        peer.send("0\r\n\r\n");
    }
}

#[track_caller]
fn download(gateway: &Gateway, seed: u64, length: u64, framing: &str) {
    let mut client = gateway.client();
    client.send(get_request(&format!("/{framing}/{seed}/{length}"), ""));
    expect_pattern(&mut client, seed, length);
}

#[track_caller]
fn expect_pattern(client: &mut Client, seed: u64, length: u64) {
    let answer = client.response_head("GET").expect("a head");
    assert_eq!(answer.status, 200);
    let mut pattern = Pattern::new(seed);
    let whole = client
        .wire
        .stream_body(answer.framing, |piece| pattern.check(piece));
    whole.expect("a whole body");
    assert_eq!(pattern.at, length);
}

#[track_caller]
fn upload(gateway: &Gateway, length: u64) {
    let mut client = gateway.client();
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n"
    ));
    Pattern::new(0).pieces(length, |piece| {
        client.send(piece);
    });
    assert_eq!(client.response().text(), length.to_string());
}
