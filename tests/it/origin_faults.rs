//! Origins that fail: the client learns it, and the next request does not.

use crate::support::{
    Broken, Gateway, Origin, both_drivers, config,
    message::{get_request, ok, post_request},
    ports,
};

both_drivers! {
    fn a_refused_connection_is_502(driver) {
        let refusing = ports::Refusing::new();
        let gateway = Gateway::start(driver, config::api(&format!("http://{}", refusing.address)));
        let mut client = gateway.client();
        for _ in 0..3 {
            let answer = client.get("/");
            assert_eq!(answer.status, 502);
            assert!(answer.text().contains("\"error\""), "{:?}", answer.text());
            assert!(!answer.says_close(), "the client's connection is sound");
        }
    }

    fn a_missing_unix_socket_is_502(driver) {
        let gateway = Gateway::start(driver, config::api("unix:@folder@/nobody.sock"));
        assert_eq!(gateway.get("/").status, 502);
    }

    fn a_reset_before_the_answer_is_502(driver) {
        let origin = Origin::start(|peer| {
            peer.request();
            peer.reset();
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        assert_eq!(gateway.client().send(post_request("/", "", "body")).response().status, 502);
        assert_eq!(origin.requests().len(), 1, "what the origin may have acted upon is not sent again");
    }

    fn a_close_before_the_answer_is_502(driver) {
        let origin = Origin::start(|peer| {
            peer.request();
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        assert_eq!(client.send(post_request("/", "", "body")).response().status, 502);
        assert_eq!(client.send(post_request("/", "", "body")).response().status, 502);
    }

    fn a_close_in_the_head_is_502(driver) {
        let origin = Origin::start(|peer| {
            peer.request();
            peer.send("HTTP/1.1 200 OK\r\nContent-Le");
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        assert_eq!(gateway.get("/").status, 502);
    }

    fn malformed_heads_are_502(driver) {
        for head in [
            "ICY 200 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
            "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX-A: 1\0\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            "hello\r\n\r\n",
        ] {
            let origin = Origin::start(move |peer| {
                while peer.request().is_some() {
                    peer.send(head);
                }
            });
            let gateway = Gateway::start(driver, config::api(&origin.url));
            let answer = gateway.get("/");
            assert_eq!(answer.status, 502, "{head:?}: {:?}", answer.head);
            assert_eq!(answer.get("x-a"), None, "{head:?}");
        }
    }

    /// The status is out already; only the connection's end can tell the client that the body is not whole.
    fn a_truncated_body_is_aborted(driver) {
        let origin = Origin::start(|peer| {
            let Some(request) = peer.request() else { return };
            peer.send(match request.path() {
                "/length" => "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
                "/chunk" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhalf",
                "/chunks" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
                _ => "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood",
            });
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        for path in ["/length", "/chunk", "/chunks"] {
            let mut client = gateway.client();
            match client.send(get_request(path, "")).try_response("GET") {
                Err(Broken::Truncated(body)) => assert!(b"half".starts_with(&body), "{path}: {body:?}"),
                Ok(answer) if answer.status == 502 => {}
                other => panic!("{path}: a body cut short looks whole: {other:?}"),
            }
            assert_eq!(gateway.get("/good").text(), "good", "after {path}");
        }
    }

    fn malformed_chunks_abort_the_body(driver) {
        let origin = Origin::start(|peer| {
            peer.request();
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\nevil\r\n0\r\n\r\n");
            peer.until_closed();
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let answer = gateway.client().send(get_request("/", "")).try_response("GET");
        match answer {
            Err(Broken::Truncated(body)) => assert!(b"half".starts_with(&body), "{body:?}"),
            Ok(answer) => assert_eq!(answer.status, 502),
            other => panic!("{other:?}"),
        }
    }

    /// A pooled connection with bytes nobody asked for would give one client another's answer.
    fn bytes_after_a_response_reach_nobody(driver) {
        let origin = Origin::start(|peer| {
            while let Some(request) = peer.request() {
                let mut bytes = ok(&request.target);
                if request.target == "/first" {
                    bytes.extend(ok("poison"));
                }
                peer.send(bytes);
            }
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        assert_eq!(client.get("/first").text(), "/first");
        for n in 0..5 {
            let target = format!("/{n}");
            assert_eq!(client.get(&target).text(), target);
        }
        assert!(origin.connections() > 1, "the spoiled connection was used again");
    }

    fn a_body_where_none_belongs_reaches_nobody(driver) {
        let origin = Origin::start(|peer| {
            while let Some(request) = peer.request() {
                match request.method.as_str() {
                    "HEAD" => peer.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"),
                    _ => peer.send(ok(&request.target)),
                }
            }
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(client.response_to_head().status, 200);
        assert_eq!(client.get("/next").text(), "/next");
    }

    /// `.invalid` never resolves (RFC 6761 §6.4).
    fn a_name_without_an_address_is_503(driver) {
        let gateway = Gateway::start(driver, config::api("http://nobody.invalid:80"));
        assert_eq!(gateway.get("/").status, 503);
    }

    fn an_answer_too_large_a_head_is_502(driver) {
        let origin = Origin::start(|peer| {
            peer.request();
            peer.send("HTTP/1.1 200 OK\r\nX-Big: ");
            peer.send(vec![b'a'; 2 << 20]);
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        assert_eq!(gateway.get("/").status, 502);
    }

    fn endless_interim_responses_are_502(driver) {
        let origin = Origin::start(|peer| {
            peer.request();
            while peer.wire.try_send(&b"HTTP/1.1 102 Processing\r\n\r\n".repeat(100)).is_ok() {}
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        assert_eq!(gateway.get("/").status, 502);
    }

    /// The client went away: the origin's work is called off, and nobody else notices.
    fn a_client_that_leaves_ends_its_exchange_only(driver) {
        let origin = Origin::start(|peer| {
            while let Some(request) = peer.request() {
                match request.target.as_str() {
                    "/endless" => {
                        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                        while peer.wire.try_send(b"4\r\nmore\r\n").is_ok() {}
                    }
                    _ => peer.send(ok("fine")),
                }
            }
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut leaving = gateway.client();
        leaving.send(get_request("/endless", ""));
        leaving.response_head("GET").expect("a head");
        leaving.reset();
        assert_eq!(gateway.get("/other").text(), "fine");
    }
}
