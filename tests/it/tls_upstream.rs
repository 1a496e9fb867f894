//! `https://` services: who is believed, what is kept, and that nothing which was cut looks whole.

use crate::support::{
    Broken, Driver, Framing, Gate, Gateway, Origin, Peer, both_drivers, config, eventually,
    message::{get_request, ok, post_request, response},
    tls::Authority,
};
use rustls::{HandshakeKind, version};

const HERE: &[&str] = &["127.0.0.1", "localhost"];

both_drivers! {
    fn many_requests_on_one_handshake(driver) {
        let authority = Authority::new();
        let origin = Origin::start_tls(&authority.server(HERE), echo);
        let gateway = trusting(driver, &authority, config::api(&origin.url));
        let mut client = gateway.client();
        for n in 0..20 {
            let body = format!("body {n}");
            assert_eq!(client.send(post_request("/", "", &body)).response().text(), body);
            assert_eq!(client.get("/empty").status, 200);
        }
        assert_eq!(origin.handshakes(), [Some(HandshakeKind::Full)]);
        let authority = origin.address.expect("tcp").to_string();
        assert!(origin.requests().iter().all(|request| request.get("host") == Some(&authority)));
    }

    /// TLS 1.2 has other records, other tickets and another end of the handshake.
    fn both_versions(driver) {
        let authority = Authority::new();
        for version in [&version::TLS12, &version::TLS13] {
            let origin = Origin::start_tls(&authority.server_speaking(HERE, version), |peer| {
                if let Some(request) = peer.request() {
                    peer.send(response("200 OK", "Connection: close\r\n", &request.body));
                    peer.wire.close_notify();
                    // The gateway's close after ours.
                    peer.until_closed();
                }
            });
            let gateway = trusting(driver, &authority, config::api(&origin.url));
            for _ in 0..3 {
                let answer = gateway.client().send(post_request("/", "", "x")).response();
                assert_eq!((answer.status, answer.text().as_str()), (200, "x"), "{version:?}");
            }
            let handshakes = origin.handshakes();
            assert_eq!(handshakes[0], Some(HandshakeKind::Full), "{version:?}");
            assert!(handshakes[1..].iter().all(|kind| *kind == Some(HandshakeKind::Resumed)), "{handshakes:?} {version:?}");
        }
    }

    fn bodies_of_all_sizes_both_ways(driver) {
        let authority = Authority::new();
        let origin = Origin::start_tls(&authority.server(HERE), echo);
        let gateway = trusting(driver, &authority, config::api(&origin.url));
        let mut client = gateway.client();
        for size in [0, 1, 16_383, 16_384, 16_385, 100_000, 131_072, 5 << 20] {
            let body = pattern(size);
            let answer = client.send(post_request("/", "", &body)).response();
            assert!(answer.body == body, "{size} bytes");
        }
        assert_eq!(origin.handshakes().len(), 1);
    }

    fn chunked_bodies_both_ways(driver) {
        let authority = Authority::new();
        let origin = Origin::start_tls(&authority.server(HERE), |peer| {
            while let Some(request) = peer.request() {
                assert_eq!(request.framing, Framing::Chunked);
                peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                for piece in request.body.chunks(40_000) {
                    peer.send(format!("{:x}\r\n", piece.len()));
                    peer.send(piece);
                    peer.send("\r\n");
                }
                peer.send("0\r\n\r\n");
            }
        });
        let gateway = trusting(driver, &authority, config::api(&origin.url));
        let mut client = gateway.client();
        for size in [1, 70_000, 2 << 20] {
            let body = pattern(size);
            client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
            for piece in body.chunks(30_000) {
                client.send(format!("{:x}\r\n", piece.len())).send(piece).send("\r\n");
            }
            assert!(client.send("0\r\n\r\n").response().body == body, "{size} bytes");
        }
        assert_eq!(origin.handshakes().len(), 1);
    }

    /// Records end anywhere: within a head, a chunk's size, a body.
    fn records_of_any_size(driver) {
        let authority = Authority::new();
        for size in [32, 33, 41, 100, 1_000] {
            let origin = Origin::start_tls(&authority.server(HERE).records_of(size), echo);
            let gateway = trusting(driver, &authority, config::api(&origin.url));
            let mut client = gateway.client();
            for length in [0, 1, 5_000, 40_000] {
                let body = pattern(length);
                let answer = client.send(post_request("/", "", &body)).response();
                assert!(answer.body == body, "{length} bytes in records of {size}");
            }
            assert_eq!(origin.handshakes().len(), 1, "{size}");
        }
    }

    /// 64 MiB beside others: nothing is spliced past the session, nobody waits for it.
    fn a_large_download_is_whole(driver) {
        const PIECES: usize = 64;
        let authority = Authority::new();
        let origin = Origin::start_tls(&authority.server(HERE), |peer| {
            let piece = pattern(1 << 20);
            while let Some(request) = peer.request() {
                let pieces = if request.target == "/large" { PIECES } else { 0 };
                peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", pieces << 20));
                (0..pieces).for_each(|_| peer.send(&piece));
            }
        });
        let gateway = trusting(driver, &authority, config::api(&origin.url));
        let mut client = gateway.client();
        client.send(get_request("/large", ""));
        let head = client.response_head("GET").expect("a head");
        let (piece, mut at) = (pattern(1 << 20), 0);
        let whole = client.wire.stream_body(head.framing, |bytes| {
            for part in bytes.chunk_by(|_, _| true) {
                for byte in part {
                    assert_eq!(*byte, piece[at % piece.len()], "at {at}");
                    at += 1;
                }
            }
        });
        whole.expect("a whole body");
        assert_eq!(at, PIECES << 20);
        assert_eq!(client.get("/small").status, 200);
    }

    fn who_is_not_trusted_is_not_asked(driver) {
        let authority = Authority::new();
        for (server, fault, said) in [
            (Authority::new().server(HERE), "certificate_untrusted", "trusted"),
            (authority.server(&["other.test"]), "certificate_name", "another name"),
            (authority.expired_server(HERE), "certificate_expired", "expired"),
        ] {
            let origin = Origin::start_tls(&server, echo);
            let gateway = trusting(driver, &authority, config::api(&origin.url) + &logged());
            let mut client = gateway.client();
            let answer = client.send(post_request("/", "", "secret")).response();
            assert_eq!(answer.status, 502, "{fault}");
            assert!(answer.text().contains(said), "{}", answer.text());
            eventually("the record is written", || log(&gateway).contains(fault));
            eventually("the origin has heard why", || origin.handshakes() == [None]);
            origin.expect_nothing();
        }
    }

    /// What answers in plain text, hangs up, or says nothing is not talked to in plain text either.
    fn an_origin_without_tls_is_no_origin(driver) {
        let authority = Authority::new();
        for (script, status, fault) in [
            (plain as fn(&mut Peer), 502, "tls_failed"),
            (hang_up, 502, "tls_failed"),
            (stall, 504, "timed_out"),
        ] {
            let origin = Origin::start(script);
            let url = origin.url.replace("http://", "https://");
            let gateway = trusting(driver, &authority, config::api(&url) + &logged());
            assert_eq!(gateway.get("/").status, status, "{fault}");
            eventually("the record is written", || log(&gateway).contains(fault));
            origin.expect_nothing();
        }
    }

    /// Without a length the end of the stream is the body's, and anybody can end a stream.
    fn a_stream_that_was_cut_is_a_body_that_was_cut(driver) {
        let authority = Authority::new();
        let origin = Origin::start_tls(&authority.server(HERE), |peer| {
            let cut = peer.request().is_some_and(|request| request.target == "/cut");
            peer.send("HTTP/1.1 200 OK\r\n\r\nall of it, or not");
            if !cut {
                peer.wire.close_notify();
            }
            peer.close();
        });
        let gateway = trusting(driver, &authority, config::api(&origin.url));
        assert_eq!(gateway.get("/whole").text(), "all of it, or not");
        let cut = gateway.client().send(get_request("/cut", "")).try_response("GET");
        assert!(matches!(cut, Err(Broken::Truncated(_) | Broken::Closed)), "{cut:?}");
        // Nor can a client of 1.0 take it for whole: it sees a reset where the other sees an end.
        let mut old = gateway.client();
        old.send("GET /whole HTTP/1.0\r\nHost: h\r\n\r\n");
        assert!(old.wire.rest().expect("an end").ends_with(b"or not"));
    }

    /// A session has something to say between two answers; that is not an answer.
    fn new_keys_on_an_idle_connection(driver) {
        let authority = Authority::new();
        let origin = Origin::start_tls(&authority.server_speaking(HERE, &version::TLS13), |peer| {
            while let Some(request) = peer.request() {
                peer.wire.update_keys();
                peer.send(ok(&request.body));
                peer.wire.update_keys();
            }
        });
        let gateway = trusting(driver, &authority, config::api(&origin.url));
        let mut client = gateway.client();
        for n in 0..10 {
            let body = pattern(n * 5_000);
            assert!(client.send(post_request("/", "", &body)).response().body == body, "{n}");
            assert_eq!(client.get("/").status, 200);
        }
        assert_eq!(origin.handshakes().len(), 1, "kept all the time");
    }

    /// What nobody asked for, in the clear or not, is never the next request's answer.
    fn an_unasked_answer_is_nobodys(driver) {
        let authority = Authority::new();
        let sent = Gate::new();
        let open = sent.clone();
        let origin = Origin::start_tls(&authority.server(HERE), move |peer| {
            let first = peer.connection == 0;
            while peer.request().is_some() {
                peer.send(ok("asked for"));
                if first {
                    peer.send(ok("unasked"));
                    open.open();
                }
            }
        });
        let gateway = trusting(driver, &authority, config::api(&origin.url));
        assert_eq!(gateway.get("/").text(), "asked for");
        sent.wait();
        for _ in 0..3 {
            assert_eq!(gateway.get("/").text(), "asked for");
        }
    }

    fn an_idle_connection_that_ended_is_not_used(driver) {
        let authority = Authority::new();
        let origin = Origin::start_tls(&authority.server(HERE), |peer| {
            peer.request();
            peer.send(ok("one"));
            if peer.connection.is_multiple_of(2) {
                peer.wire.close_notify();
            }
        });
        let gateway = trusting(driver, &authority, config::api(&origin.url));
        for n in 1..=6 {
            assert_eq!(gateway.client().send(post_request("/", "", "x")).response().text(), "one");
            eventually("the connection ends", || origin.handshakes().len() == n);
            crate::support::pause();
        }
    }

    /// A request that nothing came of is sent again, in full, on a connection that is secured anew.
    fn an_origin_that_is_killed(driver) {
        let authority = Authority::new();
        let origin = Origin::start_tls(&authority.server(HERE), |peer| {
            let mut served = 0;
            while peer.request().is_some() {
                served += 1;
                if served == 2 && peer.connection == 0 {
                    return peer.reset();
                }
                peer.send(ok("alive"));
            }
        });
        let gateway = trusting(driver, &authority, config::api(&origin.url));
        assert_eq!(gateway.get("/1").text(), "alive");
        assert_eq!(gateway.get("/2").text(), "alive", "tried again");
        assert_eq!(origin.handshakes().len(), 2);
        // In the middle of a body there is nothing to be tried again.
        let dying = Origin::start_tls(&authority.server(HERE), |peer| {
            peer.request();
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
            peer.reset();
        });
        let gateway = trusting(driver, &authority, config::api(&dying.url));
        let cut = gateway.client().send(get_request("/", "")).try_response("GET");
        assert!(matches!(cut, Err(Broken::Truncated(_) | Broken::Closed)), "{cut:?}");
    }

    fn a_websocket_passes(driver) {
        let authority = Authority::new();
        let origin = Origin::start_tls(&authority.server(HERE), |peer| {
            peer.request();
            peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nwelcome");
            peer.wire.echo();
        });
        let gateway = trusting(driver, &authority, config::api(&origin.url));
        let mut client = gateway.client();
        client.send(get_request("/", "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
        assert_eq!(client.response_head("GET").expect("a head").status, 101);
        assert_eq!(client.wire.exact(7).expect("what came with it"), b"welcome");
        for size in [1, 200, 70_000, 300_000] {
            let message = pattern(size);
            assert!(client.send(&message).wire.exact(size).expect("an echo") == message, "{size} bytes");
        }
        // Either end ends by itself, and says so in TLS.
        client.half_close();
        assert_eq!(client.wire.rest().expect("the origin's end"), b"");
    }

    /// The gateway's own end is said before it is made.
    fn the_origin_is_told_of_the_end(driver) {
        let authority = Authority::new();
        let (told, tell) = std::sync::mpsc::channel();
        let origin = Origin::start_tls(&authority.server(HERE), move |peer| {
            peer.request();
            peer.send(response("200 OK", "Connection: close\r\n", ""));
            let _ = told.send(peer.wire.ends_in_order());
        });
        let gateway = trusting(driver, &authority, config::api(&origin.url));
        assert_eq!(gateway.get("/").status, 200);
        assert_eq!(tell.recv_timeout(crate::support::DEADLINE), Ok(true));
    }

    /// Keys and a session's state; nothing of what it last read or wrote. Against a plain one, since a burst of requests
    /// leaves something of its own behind.
    fn an_idle_connection_is_small(driver) {
        let authority = Authority::new();
        let secured = bytes_each(driver, &authority, |script| Origin::start_tls(&authority.server(HERE), script));
        let plain = bytes_each(driver, &authority, |script| Origin::start(script));
        crate::support::say(&format!("{driver:?}: {secured} bytes a connection, {plain} in plain text"));
        // Some 7 KiB more: a held buffer would be another 16 KiB.
        assert!(secured < plain + 14 * 1024, "{secured} bytes, {plain} in plain text");
    }

    /// Names go into SNI, and into the check.
    fn a_name_is_sent_and_checked(driver) {
        let authority = Authority::new();
        let (told, tell) = std::sync::mpsc::channel();
        let origin = Origin::start_tls(&authority.server(&["localhost"]), move |peer| {
            let _ = told.send(peer.wire.server_name());
            echo(peer);
        });
        let gateway = trusting(driver, &authority, config::api(&origin.url.replace("127.0.0.1", "localhost")));
        assert_eq!(gateway.get("/").status, 200);
        assert_eq!(tell.recv_timeout(crate::support::DEADLINE), Ok(Some("localhost".to_owned())));
        let address = trusting(driver, &authority, config::api(&origin.url));
        assert_eq!(address.get("/").status, 502, "the certificate is not for the address");
    }
}

#[test]
fn nobody_to_trust_is_a_problem_at_load() {
    let folder = crate::support::gateway::Folder::new();
    let file = folder.write(
        "gateway.yaml",
        &config::api("https://origin.test").replace("@listen@", "127.0.0.1:8081"),
    );
    let empty = folder.write("empty.pem", "");
    let mut check = crate::support::gateway::ringway();
    check
        .args(["check", "--config"])
        .arg(&file)
        .env("SSL_CERT_FILE", &empty)
        .env("SSL_CERT_DIR", folder.path());
    let outcome = crate::support::gateway::run_to_end(&mut check, crate::support::DEADLINE);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        (outcome.stdout + &outcome.stderr).contains("root certificates"),
        "it says what is missing"
    );
}

fn trusting(driver: Driver, authority: &Authority, yaml: String) -> Gateway {
    Gateway::setup(driver, yaml)
        .environment("SSL_CERT_FILE", &authority.file.display().to_string())
        .start()
}

/// Resident memory of each of some hundred idle upstream connections.
fn bytes_each(driver: Driver, authority: &Authority, start: impl Fn(Script) -> Origin) -> u64 {
    const FEW: usize = 100;
    const MANY: usize = 600;
    // Nobody is answered before everybody has asked: so many connections are needed.
    let rounds = [std::sync::Barrier::new(FEW), std::sync::Barrier::new(MANY)];
    let origin = start(Box::new(move |peer| {
        while let Some(request) = peer.request() {
            rounds[usize::from(request.target == "/many")].wait();
            peer.send(ok("x"));
        }
    }));
    // The allocator keeps what a burst has freed for some time, and of 600 handshakes that is more than what is looked for
    // here: it gives back at once.
    let gateway = Gateway::setup(driver, config::api(&origin.url))
        .environment("SSL_CERT_FILE", &authority.file.display().to_string())
        .environment("MIMALLOC_PURGE_DELAY", "0")
        .start();
    let resident = |target: &str, count: usize| {
        let mut clients: Vec<_> = (0..count).map(|_| gateway.client()).collect();
        for client in &mut clients {
            client.send(get_request(target, ""));
        }
        for client in &mut clients {
            assert_eq!(client.response().status, 200);
        }
        // Its last connections may still be at it.
        let looks = (0..100).map(|_| {
            crate::support::pause();
            gateway.rss()
        });
        looks.min().unwrap_or_default()
    };
    let few = resident("/few", FEW);
    resident("/many", MANY);
    assert_eq!(origin.connections(), MANY);
    // Once more on the same connections: what their handshakes needed is free, and used again.
    let many = resident("/many", MANY);
    many.saturating_sub(few) / (MANY - FEW) as u64
}

type Script = Box<dyn Fn(&mut Peer) + Send + Sync>;

fn echo(peer: &mut Peer) {
    while let Some(request) = peer.request() {
        peer.send(ok(&request.body));
    }
}

fn plain(peer: &mut Peer) {
    peer.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    peer.until_closed();
}

fn hang_up(_: &mut Peer) {}

fn stall(peer: &mut Peer) {
    peer.until_closed();
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 % 251) as u8).collect()
}

fn logged() -> String {
    config::configuration("accessLog", "path: @folder@/access.log")
}

fn log(gateway: &Gateway) -> String {
    std::fs::read_to_string(gateway.folder.path().join("access.log")).unwrap_or_default()
}
