//! What was once broken where two things met: a time set for one and found by another, an error that came before
//! its answer had begun.

use crate::support::{
    Gate, Gateway, Origin, both_drivers, config, eventually,
    message::{get_request, ok},
    pause,
};
use socket2::{Domain, Socket, Type};
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

/// Lets a limit of one second go by, with the sweep that looks for it: what must not happen then has had its time.
fn past_one_second() {
    let end = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < end {
        pause();
    }
}

/// Sends an endless body until the gateway takes no more and closes.
fn pour(peer: &mut crate::support::Peer) {
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n");
    while peer.wire.try_send(&[b'x'; 64 * 1024]).is_ok() {}
}

both_drivers! {
    /// The time of the head ran on while the origin worked, and ended the connection behind the answer.
    fn an_answer_later_than_the_head_timeout_keeps_the_connection(driver) {
        let origin = Origin::start(|peer| {
            while let Some(request) = peer.request() {
                if request.target == "/late" {
                    past_one_second();
                }
                peer.send(ok(&request.target));
            }
        });
        let yaml = config::api(&origin.url) + &config::configuration("limits", "headTimeoutSeconds: 1");
        let gateway = Gateway::start(driver, yaml);
        let mut client = gateway.client();
        assert_eq!(client.get("/late").text(), "/late");
        assert_eq!(client.get("/next").text(), "/next");
    }

    /// And once it had expired no other time on that connection did: it was held for good.
    fn a_client_that_takes_nothing_is_cut_after_a_late_answer_too(driver) {
        let cut = Gate::new();
        let tell = cut.clone();
        let origin = Origin::start(move |peer| {
            peer.request();
            past_one_second();
            pour(peer);
            tell.open();
        });
        let yaml = config::api(&origin.url)
            + &config::configuration("limits", "headTimeoutSeconds: 1")
            + &config::configuration("timeouts", "streamIdleSeconds: 1");
        let gateway = Gateway::start(driver, yaml);
        let mut client = gateway.client();
        client.send(get_request("/", ""));
        cut.wait();
    }

    /// A body read while the answer waited to be written turned the time for writing into one for reading.
    fn a_client_that_sends_and_takes_nothing_is_cut(driver) {
        let cut = Gate::new();
        let tell = cut.clone();
        let origin = Origin::start(move |peer| {
            peer.head();
            pour(peer);
            tell.open();
        });
        let yaml = config::api(&origin.url)
            + &config::configuration("limits", "bodyIdleSeconds: 2")
            + &config::configuration("timeouts", "streamIdleSeconds: 2");
        let gateway = Gateway::start(driver, yaml);
        let mut client = gateway.client();
        client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na");
        past_one_second();
        client.send_what_it_takes("b");
        pause();
        client.send_what_it_takes("c");
        cut.wait();
    }

    /// The end of the upload put an answer under way on the time for its head.
    fn an_answer_may_pause_after_the_upload_that_it_outran(driver) {
        let begun = Gate::new();
        let sent = begun.clone();
        let origin = Origin::start(move |peer| {
            let Some(request) = peer.head() else { return };
            peer.send_and_wait("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf", &sent);
            peer.body(&request);
            past_one_second();
            peer.send("half");
            peer.until_closed();
        });
        let yaml = config::api(&origin.url) + &config::configuration("timeouts", "upstreamResponseSeconds: 1");
        let gateway = Gateway::start(driver, yaml);
        let mut client = gateway.client();
        client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\na");
        let head = client.response_head("POST").expect("a head");
        client.send("b");
        begun.open();
        let (body, _) = client.wire.body(head.framing).expect("all of it");
        assert_eq!(body, b"halfhalf");
    }

    /// On epoll a connection between two requests was under the time of a head, and held a buffer.
    fn a_kept_alive_connection_may_idle_for_longer_than_a_head_may_take(driver) {
        let origin = Origin::echoing();
        let yaml = config::api(&origin.url) + &config::configuration("limits", "headTimeoutSeconds: 1");
        let gateway = Gateway::start(driver, yaml);
        let mut client = gateway.client();
        assert_eq!(client.get("/").status, 200);
        past_one_second();
        assert_eq!(client.get("/").status, 200);
    }

    /// With the head in one read, as origins send it; the head has not gone out, so there is something to say.
    fn a_body_malformed_from_its_first_byte_is_502(driver) {
        let origin = Origin::start(|peer| {
            peer.request();
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
            peer.until_closed();
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        assert_eq!(client.get("/").status, 502);
    }

    /// Old clients send a line end after a body that counts for nothing (RFC 9112 §2.2). Closing while it is unread would
    /// discard the rest of the answer.
    fn what_comes_after_the_last_request_costs_nothing_of_its_answer(driver) {
        let body = "x".repeat(1 << 20);
        let origin = Origin::answering(ok(&body));
        let yaml = config::api(&origin.url)
            + &config::configuration("accessLog", "path: '@folder@/access.log'\nformat: json");
        let gateway = Gateway::start(driver, yaml);
        let log = gateway.folder.path().join("access.log");
        let requests = [
            "POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\nx\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /more HTTP/1.1\r\nHost: h\r\n\r\n",
        ];
        for (n, request) in requests.iter().enumerate() {
            let mut client = gateway.client();
            let (last, rest) = (request.rfind("\r\n\r\n").expect("a head") + 4, request.len());
            let split = if rest > last { last + 1 } else { request.find("GET /more").expect("two requests") };
            // What comes after is in a packet of its own, which nobody reads.
            client.send(&request[..split]).send(&request[split..]);
            eventually("the exchange is over", || {
                std::fs::read_to_string(&log).unwrap_or_default().lines().count() > n
            });
            assert_eq!(client.response().body.len(), body.len());
        }
    }

    /// The one endpoint had been tried, so the second try found none, and the reply said refused.
    fn a_connection_attempt_that_is_late_is_504(driver) {
        let full = FullQueue::new();
        let yaml = config::api(&format!("http://{}", full.address))
            + &config::configuration("limits", "connectTimeoutSeconds: 1");
        let gateway = Gateway::start(driver, yaml);
        assert_eq!(gateway.get("/").status, 504);
    }
}

/// A listener that accepts nobody and whose queue is full: the kernel leaves further attempts unanswered.
struct FullQueue {
    address: SocketAddr,
    _sockets: Vec<Socket>,
}

impl FullQueue {
    fn new() -> Self {
        let socket = || Socket::new(Domain::IPV4, Type::STREAM.cloexec(), None).expect("a socket");
        let listener = socket();
        listener
            .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
            .expect("a port from the kernel");
        listener.listen(0).expect("listening");
        let local = listener.local_addr().expect("bound");
        let mut sockets = vec![listener];
        for _ in 0..4 {
            let filler = socket();
            filler.set_nonblocking(true).expect("a flag");
            // Begun is enough: it takes a place in the queue, or shows that there is none.
            let _ = filler.connect(&local);
            sockets.push(filler);
        }
        Self {
            address: local.as_socket().expect("an IP address"),
            _sockets: sockets,
        }
    }
}
