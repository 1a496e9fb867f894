//! Where messages end: lengths, chunks, trailers, closes, and what stands between requests.

use crate::support::{
    Broken, Framing, Gate, Gateway, Origin, both_drivers, config,
    message::{get_request, ok, post_request, response},
};

both_drivers! {
    fn lengths_pass_both_ways(driver) {
        let origin = Origin::echoing();
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        for size in [0, 1, 4095, 4096, 65_535, 300_000] {
            let body = vec![b'x'; size];
            assert_eq!(client.send(post_request("/", "", &body)).response().body.len(), size);
            assert_eq!(origin.requests().last().expect("a request").body.len(), size);
        }
    }

    fn chunks_pass_up(driver) {
        let origin = Origin::echoing();
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.send("4;ext=\"a;b\"\r\nWiki\r\n").send("5\r\npedia\r\nE\r\n in\r\n\r\nchunks.\r\n0\r\n\r\n");
        assert_eq!(client.response().text(), "Wikipedia in\r\n\r\nchunks.");
        assert_eq!(origin.request().body, b"Wikipedia in\r\n\r\nchunks.");
    }

    fn chunks_sent_byte_by_byte_pass_up(driver) {
        let origin = Origin::echoing();
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.drip("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
        assert_eq!(client.response().text(), "abcde");
        assert_eq!(client.get("/next").status, 200);
    }

    fn chunks_pass_down(driver) {
        let origin = Origin::answering(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n00a;x\r\n0123456789\r\n0\r\n\r\n",
        );
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        for _ in 0..3 {
            let answer = client.get("/");
            assert_eq!((answer.framing, answer.text().as_str()), (Framing::Chunked, "abc0123456789"));
        }
        assert_eq!(origin.connections(), 1, "a chunked response ends: its connection is used again");
    }

    /// Trailers may be passed or dropped, but never become fields of the head or of the next message.
    fn trailers_do_not_leak_into_what_follows(driver) {
        let origin = Origin::start(|peer| {
            while peer.request().is_some() {
                peer.send("HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 7\r\n\r\n");
            }
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.send(
            "POST /1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nContent-Length: 5\r\nX-T: 1\r\n\r\n",
        );
        let first = client.try_response("POST");
        if let Ok(answer) = &first
            && answer.status == 200
        {
            assert_eq!((answer.get("x-sum"), answer.text().as_str()), (None, "a"));
            assert_eq!(client.get("/2").text(), "a");
            let seen = origin.requests();
            assert!(seen.iter().all(|r| r.get("x-t").is_none()), "{seen:?}");
            assert_eq!(seen[0].framing, Framing::Chunked);
        } else {
            assert_eq!(first.expect("a response").status, 400);
        }
    }

    /// Nothing says where such a body ends but the close; a keep-alive client must be told otherwise.
    fn a_body_that_ends_with_the_close_is_framed_anew(driver) {
        let origin = Origin::start(|peer| {
            peer.request();
            peer.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        let answer = client.get("/1");
        assert_eq!(answer.text(), "until the end");
        if answer.framing == Framing::Chunked {
            assert_eq!(client.get("/2").text(), "until the end");
        } else {
            assert!(answer.says_close());
        }
    }

    fn head_204_and_304_have_no_body(driver) {
        let origin = Origin::start(|peer| {
            while let Some(request) = peer.request() {
                peer.send(match request.path() {
                    "/204" => "HTTP/1.1 204 No Content\r\n\r\n",
                    "/304" => "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 10\r\n\r\n",
                    _ => "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
                });
            }
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
        let head = client.response_to_head();
        assert_eq!((head.status, head.get("content-length")), (200, Some("10")));
        assert_eq!(client.get("/204").status, 204);
        let unchanged = client.get("/304");
        assert_eq!((unchanged.status, unchanged.get("etag")), (304, Some("\"a\"")));
        client.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(client.response_to_head().status, 200, "the connection is still in step");
    }

    fn a_chunked_answer_to_head_has_no_body(driver) {
        let origin = Origin::answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        for _ in 0..2 {
            client.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
            assert_eq!(client.response_to_head().status, 200);
        }
    }

    fn http_10_clients_get_what_they_understand(driver) {
        let origin = Origin::answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.send("GET / HTTP/1.0\r\n\r\n");
        let answer = client.response();
        assert_eq!(answer.text(), "abc");
        assert_ne!(answer.framing, Framing::Chunked, "HTTP/1.0 knows no chunks");
        client.expect_close();
        assert!(origin.request().get("host").is_some());
    }

    fn an_http_10_client_may_keep_the_connection(driver) {
        let origin = Origin::answering(ok("x"));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.send("GET /1 HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n");
        let answer = client.response();
        if answer.head.lists("connection", "keep-alive") {
            client.send("GET /2 HTTP/1.0\r\nHost: h\r\n\r\n");
            assert_eq!(client.response().text(), "x");
        }
        client.expect_close();
    }

    fn http_10_origins_are_understood(driver) {
        let origin = Origin::start(|peer| {
            peer.request();
            peer.send("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold");
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        assert_eq!(gateway.get("/1").text(), "old");
        assert_eq!(gateway.get("/2").text(), "old");
        assert_eq!(origin.connections(), 2, "an HTTP/1.0 connection is not used again unless it says so");
    }

    fn pipelined_requests_are_answered_in_order(driver) {
        let origin = Origin::start(|peer| {
            while let Some(request) = peer.request() {
                peer.send(ok(format!("{}+{}", request.target, String::from_utf8_lossy(&request.body))));
            }
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        let mut all = Vec::new();
        for n in 0..10 {
            all.extend(match n % 2 {
                0 => get_request(&format!("/{n}"), ""),
                _ => post_request(&format!("/{n}"), "", format!("body{n}")),
            });
        }
        client.send(all);
        for n in 0..10 {
            let body = if n % 2 == 0 { String::new() } else { format!("body{n}") };
            assert_eq!(client.response().text(), format!("/{n}+{body}"));
        }
    }

    fn pipelining_behind_a_close_is_not_answered(driver) {
        let origin = Origin::answering(ok("x"));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.send([get_request("/1", "Connection: close\r\n"), get_request("/2", "")].concat());
        assert!(client.response().says_close());
        client.expect_close();
        assert_eq!(origin.request().target, "/1");
    }

    fn a_half_closed_client_is_still_answered(driver) {
        let origin = Origin::answering(ok("late"));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.send(get_request("/", "")).half_close();
        assert_eq!(client.response().text(), "late");
        client.expect_close();
    }

    /// The body comes after 100, whoever said it, and the final answer after the body.
    fn expect_continue_invites_the_body(driver) {
        let origin = Origin::start(|peer| {
            while let Some(request) = peer.head() {
                if request.get("expect").is_some() {
                    peer.send("HTTP/1.1 100 Continue\r\n\r\n");
                }
                let Some(body) = peer.body(&request) else { return };
                peer.send(ok(body));
            }
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
        let invitation = client.wire.head().expect("100");
        assert_eq!(invitation.status(), Ok(100));
        client.send("body");
        assert_eq!(client.response().text(), "body");
        assert_eq!(client.get("/next").status, 200);
    }

    /// The body was never sent; what follows on the connection must not be taken for it.
    fn expect_continue_may_be_answered_finally(driver) {
        let origin = Origin::start(|peer| {
            while let Some(request) = peer.head() {
                if request.get("expect").is_some() || request.framing != Framing::None {
                    peer.send(response("413 Content Too Large", "Connection: close\r\n", "no"));
                    return peer.close();
                }
                peer.send(ok("next"));
            }
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
        let mut answer = client.response_head("PUT").expect("a head");
        (answer.body, _) = client.wire.body(answer.framing).expect("a body");
        assert_eq!((answer.status, answer.text().as_str()), (413, "no"));
        if answer.interim.is_empty() && !answer.says_close() {
            client.send("body");
            assert_eq!(client.get("/next").text(), "next");
        }
    }

    fn an_unknown_expectation_is_417(driver) {
        let origin = Origin::answering(ok(""));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        assert_eq!(gateway.client().send(get_request("/", "Expect: miracles\r\n")).response().status, 417);
        origin.expect_nothing();
    }

    fn interim_responses_do_not_end_the_exchange(driver) {
        let origin = Origin::answering(
            "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
             HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfinal",
        );
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        for _ in 0..2 {
            let answer = client.get("/");
            assert_eq!((answer.status, answer.text().as_str()), (200, "final"));
        }
        client.send("GET / HTTP/1.0\r\n\r\n");
        assert!(client.response().interim.is_empty(), "HTTP/1.0 knows no interim responses");
    }

    /// The origin has heard enough: its answer arrives although the upload never ends.
    fn an_early_response_arrives_while_the_upload_runs(driver) {
        let done = Gate::new();
        let wait = done.clone();
        let origin = Origin::start(move |peer| {
            if peer.head().is_some() {
                peer.send_and_wait(response("403 Forbidden", "Connection: close\r\n", "enough"), &wait);
            }
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nthe beginning");
        let answer = client.response();
        assert_eq!((answer.status, answer.text().as_str()), (403, "enough"));
        done.open();
    }

    /// What was left of the first upload must not be read as a request.
    fn an_early_response_does_not_put_the_connection_out_of_step(driver) {
        let origin = Origin::start(|peer| {
            if peer.head().is_some() {
                peer.send(ok("early"));
                peer.until_closed();
            }
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.send("POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 60\r\n\r\n");
        let first = client.response();
        assert_eq!(first.text(), "early");
        client.send_what_it_takes("GET /smuggled HTTP/1.1\r\nHost: h\r\nX-Fill: 012345678901234\r\n\r\n");
        client.half_close();
        match client.try_response("GET") {
            Err(Broken::Closed) => {}
            other => panic!("an answer to bytes of a body: {other:?}"),
        }
        assert!(origin.requests().iter().all(|r| r.target == "/1"), "{:?}", origin.requests());
    }

    fn empty_lines_before_a_request_are_skipped(driver) {
        let origin = Origin::answering(ok("x"));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.send("\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(client.response().text(), "x");
    }

    fn a_head_byte_by_byte_is_a_head(driver) {
        let origin = Origin::answering(ok("x"));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.drip(get_request("/slowly", "X-A: b\r\n"));
        assert_eq!(client.response().text(), "x");
        assert_eq!(origin.request().target, "/slowly");
    }

    fn an_answer_byte_by_byte_is_an_answer(driver) {
        let origin = Origin::start(|peer| {
            while peer.request().is_some() {
                for byte in b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n" {
                    peer.send([*byte]);
                }
            }
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        assert_eq!((client.get("/1").text(), client.get("/2").text()), ("abc".into(), "abc".into()));
    }
}
