use super::*;
use crate::{
    listener::Admission,
    net,
    observe::counters::Counters,
    policy::rate_limit::{Bank, HashKey},
    runtime::{self, Driver, DriverChoice, block_on, choose},
    shard::{Parts, snapshot::Snapshot},
    tls::{Target, tests::Authority},
    upstream::{
        balance::Policy,
        cluster::{EndpointAddress, EndpointSpec, Spec, Timeouts},
    },
};
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    num::NonZeroU32,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// An origin that answers each of its connections' requests with the next of `replies`, and then closes.
struct Origin {
    port: u16,
    connections: Arc<AtomicUsize>,
    requests: std::sync::mpsc::Receiver<String>,
    authority: Option<Authority>,
}

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

impl Origin {
    fn start(secure: bool, replies: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        let (seen, requests) = std::sync::mpsc::channel();
        let authority = secure.then(Authority::new);
        let config = authority
            .as_ref()
            .map(|authority| Arc::new(authority.server("127.0.0.1")));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream: TcpStream = stream.expect("a connection");
                count.fetch_add(1, Ordering::SeqCst);
                let mut stream: Box<dyn Stream> = match &config {
                    Some(config) => {
                        let server = rustls::ServerConnection::new(config.clone()).expect("settings");
                        Box::new(rustls::StreamOwned::new(server, stream))
                    }
                    None => Box::new(stream),
                };
                for reply in replies {
                    let Some(request) = read_request(&mut *stream) else {
                        break;
                    };
                    let _ = seen.send(request);
                    if stream.write_all(reply.as_bytes()).is_err() {
                        break;
                    }
                }
                if replies.is_empty() {
                    // Silent until the other side has had enough.
                    let _ = stream.read(&mut [0; 4096]);
                    let _ = stream.read(&mut [0; 4096]);
                }
            }
        });
        Self {
            port,
            connections,
            requests,
            authority,
        }
    }

    fn target(&self) -> Option<Target> {
        let client = self.authority.as_ref()?.client();
        Some(client.target("127.0.0.1").expect("an address"))
    }
}

/// Head and, by its length, body; None: the end.
fn read_request(stream: &mut dyn Stream) -> Option<String> {
    let (mut request, mut byte) = (Vec::new(), [0]);
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => request.push(byte[0]),
            _ => return None,
        }
    }
    let head = String::from_utf8(request).expect("text");
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))
        .map_or(0, |length| length.parse().expect("a number"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8_lossy(&body))
}

/// Runs `test` on a shard whose cluster 0 is the origin; on each driver, plain and secured.
fn with(replies: &'static [&'static str], test: impl AsyncFn(&Rc<Shard>, &Live, &Origin)) {
    for choice in [DriverChoice::Epoll, DriverChoice::Auto] {
        for secure in [false, true] {
            let driver = choose(choice).expect("both choices always give one").driver;
            let origin = Origin::start(secure, replies);
            let shard_and_test = async {
                let shard = shard(driver, &origin);
                runtime::spawn(sweep(shard.clone()));
                test(&shard, &shard.live(), &origin).await;
            };
            block_on(driver, shard_and_test).expect("a runtime");
        }
    }
}

async fn sweep(shard: Rc<Shard>) {
    loop {
        runtime::sleep(net::SWEEP).await;
        shard.net.clock.refresh();
        shard.net.deadlines.sweep(shard.net.clock.now());
    }
}

fn shard(driver: Driver, origin: &Origin) -> Rc<Shard> {
    let endpoint = EndpointSpec {
        address: EndpointAddress::Tcp {
            host: "127.0.0.1".to_owned(),
            port: origin.port,
        },
        tls: origin.target(),
        weight: 1,
    };
    let cluster = Spec {
        name: "default/origin".to_owned(),
        endpoints: vec![endpoint],
        balance: Policy::RoundRobin,
        preserve_host: false,
        breaker: None,
        timeouts: Timeouts::default(),
    };
    let snapshot = Snapshot {
        clusters: vec![cluster],
        ..Snapshot::default()
    };
    Shard::new(Parts {
        driver,
        snapshot: Arc::new(snapshot),
        counters: Arc::new(Counters::default()),
        admission: Arc::new(Admission::new(10, None)),
        records: None,
        pseudonym: "ringway-test".into(),
        peers: None,
        shards: NonZeroU32::MIN,
        bank: Bank::new(1, HashKey::new(&[1; 16])),
        storage: None,
        tickets: crate::tls::Tickets::new(None, std::time::SystemTime::now()).expect("random numbers"),
        seed: 1,
    })
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Y: z\r\nConnection: keep-alive\r\n\r\nok";

#[test]
fn calls_share_a_connection() {
    with(
        &[
            OK,
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            OK,
        ],
        async |shard, live, origin| {
            let get = Outcall::get(0, "/keys?a=b");
            let reply = call(shard, live, &get).await.expect("a reply");
            assert_eq!((reply.status, &*reply.body), (200, &b"ok"[..]));
            assert_eq!(
                reply.headers,
                [
                    ("Content-Length".to_owned(), b"2".to_vec()),
                    ("X-Y".to_owned(), b"z".to_vec())
                ]
            );
            let body = vec![b'x'; 40_000];
            let mut post = Outcall::post(0, "/token", "text/plain", body.clone());
            post.headers
                .push(("Authorization".to_owned(), b"Basic eHg=".to_vec()));
            let reply = call(shard, live, &post).await.expect("a reply");
            assert_eq!((reply.status, &*reply.body), (404, &b"abcde"[..]));
            assert_eq!(call(shard, live, &get).await.expect("a reply").status, 204);
            assert_eq!(call(shard, live, &get).await.expect("a reply").status, 200);
            assert_eq!(origin.connections.load(Ordering::SeqCst), 1);
            assert_eq!(
                origin.requests.recv().expect("the first"),
                format!(
                    "GET /keys?a=b HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n",
                    origin.port
                )
            );
            let posted = origin.requests.recv().expect("the second");
            assert!(
                posted.contains("Content-Type: text/plain\r\nAuthorization: Basic eHg=\r\nContent-Length: 40000\r\n\r\nxxx"),
                "{:?}",
                &posted[..200]
            );
            assert_eq!(posted.split("\r\n\r\n").nth(1).map(str::len), Some(body.len()));
        },
    );
}

#[test]
fn a_connection_that_ended_meanwhile_is_replaced() {
    with(&[OK], async |shard, live, origin| {
        for n in 1..=3 {
            // Whether its end has been seen by now or not.
            for outcall in [Outcall::get(0, "/"), Outcall::post(0, "/", "a/b", Vec::new())] {
                assert_eq!(call(shard, live, &outcall).await.expect("a reply").body, b"ok");
                runtime::sleep(Duration::from_millis(if n == 1 { 0 } else { 20 })).await;
                shard.net.clock.refresh();
            }
        }
        assert_eq!(origin.connections.load(Ordering::SeqCst), 6);
    });
}

#[test]
fn a_reply_has_its_size() {
    with(
        &[
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789",
            "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0123456789a",
        ],
        async |shard, live, _| {
            let limited = Outcall {
                max_reply_bytes: 10,
                ..Outcall::get(0, "/")
            };
            assert_eq!(call(shard, live, &limited).await.expect("a reply").body.len(), 10);
            let fault = call(shard, live, &limited).await.expect_err("too much");
            assert_eq!(fault.kind, Kind::BodyTooLarge);
            // That connection is gone, with what was left in it.
            assert_eq!(call(shard, live, &limited).await.expect("a reply").body.len(), 10);
        },
    );
    with(
        &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n5\r\nabcde\r\n0\r\n\r\n"],
        async |shard, live, _| {
            let limited = Outcall {
                max_reply_bytes: 10,
                ..Outcall::get(0, "/")
            };
            let fault = call(shard, live, &limited).await.expect_err("too much");
            assert_eq!(fault.kind, Kind::BodyTooLarge);
        },
    );
}

#[test]
fn a_reply_has_its_time() {
    with(&[], async |shard, live, origin| {
        let hasty = Outcall {
            timeout: Duration::from_millis(300),
            ..Outcall::get(0, "/")
        };
        let fault = call(shard, live, &hasty).await.expect_err("too late");
        assert_eq!((fault.kind, fault.phase), (Kind::TimedOut, Phase::ResponseHead));
        assert_eq!(origin.connections.load(Ordering::SeqCst), 1, "not tried again");
    });
}

#[test]
fn what_is_cut_is_no_reply() {
    for reply in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        "HTTP/1.1 200 OK\r\nConte",
        "no HTTP\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    ] {
        let replies: &'static [&'static str] = Box::leak(Box::new([reply]));
        with(replies, async |shard, live, _| {
            let fault = call(shard, live, &Outcall::get(0, "/")).await.expect_err(reply);
            assert!(
                matches!(fault.kind, Kind::Truncated | Kind::Malformed),
                "{reply}: {fault:?}"
            );
        });
    }
    // Without a length: as the origin says its end, which these say in the clear only.
    with(&["HTTP/1.1 200 OK\r\n\r\nall"], async |shard, live, origin| {
        let ended = call(shard, live, &Outcall::get(0, "/")).await;
        match &origin.authority {
            None => assert_eq!(ended.expect("a reply").body, b"all"),
            Some(_) => assert_eq!(ended.expect_err("no close_notify").kind, Kind::Truncated),
        }
    });
}

#[test]
fn who_cannot_be_asked_is_a_fault() {
    with(&[OK], async |shard, live, _| {
        let nowhere = call(shard, live, &Outcall::get(1, "/"))
            .await
            .expect_err("no cluster");
        assert_eq!(nowhere.kind, Kind::Internal);
        let smuggled = Outcall::get(0, "/ HTTP/1.1\r\nX: y");
        let fault = call(shard, live, &smuggled).await.expect_err("two lines");
        assert_eq!(fault.kind, Kind::Internal);
        assert_eq!(
            call(shard, live, &Outcall::get(0, "/"))
                .await
                .expect("a reply")
                .status,
            200
        );
    });
    let gone = TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("bound")
        .port();
    let origin = Origin {
        port: gone,
        connections: Arc::default(),
        requests: std::sync::mpsc::channel().1,
        authority: None,
    };
    let refused = async {
        let shard = shard(Driver::Epoll, &origin);
        call(&shard, &shard.live(), &Outcall::get(0, "/"))
            .await
            .expect_err("nobody there")
    };
    let fault = block_on(Driver::Epoll, refused).expect("a runtime");
    assert_eq!(fault.kind, Kind::Refused);
}
