//! What reaches the origin of a plain request, and what comes back.

use crate::support::{
    Gateway, Origin, both_drivers, config,
    message::{get_request, ok, post_request, response},
};

both_drivers! {
    /// The whole of a request and of a response, not a part of either.
    fn a_request_and_its_answer_arrive_whole(driver) {
        let origin = Origin::answering(response("201 Created", "X-Answer: yes\r\nContent-Type: text/plain\r\n", "made"));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let answer =
            gateway.client().send(post_request("/things?color=red&size=%20x", "X-Ask: please\r\n", "a body")).response();
        assert_eq!((answer.status, answer.text().as_str()), (201, "made"));
        assert_eq!((answer.get("x-answer"), answer.get("content-type")), (Some("yes"), Some("text/plain")));
        let seen = origin.request();
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/things?color=red&size=%20x"));
        assert_eq!((seen.get("x-ask"), seen.body.as_slice()), (Some("please"), b"a body".as_slice()));
    }

    fn every_method_passes_with_its_name(driver) {
        let origin = Origin::answering("HTTP/1.1 204 No Content\r\n\r\n");
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "M-SEARCH", "QUERY"];
        let mut client = gateway.client();
        for method in methods {
            client.send(format!("{method} /m HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 0\r\n\r\n"));
            assert_eq!(client.response().status, 204, "{method}");
        }
        let seen: Vec<_> = origin.requests().into_iter().map(|request| request.method).collect();
        assert_eq!(seen, methods);
    }

    fn connect_and_trace_are_refused(driver) {
        let origin = Origin::answering(ok(""));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        for request in
            ["CONNECT origin.test:443 HTTP/1.1\r\nHost: origin.test:443\r\n\r\n", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"]
        {
            let answer = gateway.client().send(request).response();
            assert!(matches!(answer.status, 400 | 405 | 501), "{request:?}: {}", answer.status);
        }
        origin.expect_nothing();
    }

    fn the_origin_learns_who_asked_and_for_what(driver) {
        let origin = Origin::answering(ok(""));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        gateway.get("/");
        let seen = origin.request();
        assert_eq!(seen.get("x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(seen.get("x-forwarded-proto"), Some("http"));
        assert_eq!(seen.get("x-forwarded-host"), Some("gateway.test"));
        assert!(seen.get("x-request-id").is_some_and(|id| id.len() >= 16), "{:?}", seen.get("x-request-id"));
        assert!(seen.get("via").is_some_and(|via| via.starts_with("1.1 ")), "{:?}", seen.get("via"));
    }

    /// Two requests must not look like one in a trace; the client's own id stays.
    fn request_ids_differ_and_a_given_one_is_kept(driver) {
        let origin = Origin::answering(ok(""));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.get("/1");
        client.get("/2");
        client.send(get_request("/3", "X-Request-Id: mine-0123456789\r\n")).response();
        let ids: Vec<_> = origin.requests().iter().map(|r| r.head.all("x-request-id").join("|")).collect();
        assert_ne!(ids[0], ids[1]);
        assert_eq!(ids[2], "mine-0123456789");
    }

    /// The address the gateway saw is the last one listed, so that a client cannot pretend to be another.
    fn the_clients_address_is_appended_to_what_it_claims(driver) {
        let origin = Origin::answering(ok(""));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        gateway.client().send(get_request("/", "X-Forwarded-For: 203.0.113.9\r\n")).response();
        let seen = origin.request();
        let addresses = seen.head.all("x-forwarded-for").join(",");
        assert!(addresses.replace(' ', "").ends_with(",127.0.0.1"), "{addresses:?}");
    }

    fn host_is_the_upstreams_unless_preserved(driver) {
        let origin = Origin::answering(ok(""));
        let rewriting = Gateway::start(driver, config::api(&origin.url));
        rewriting.get("/rewritten");
        let preserving = Gateway::start(driver, config::api_preserving_host(&origin.url));
        preserving.get("/kept");
        let everywhere =
            Gateway::setup(driver, config::api(&origin.url)).environment("FLEX_REWRITE_HOST_HEADER", "false").start();
        everywhere.get("/kept-by-environment");
        let hosts: Vec<_> = origin.requests().iter().map(|r| r.head.all("host").join("|")).collect();
        let own = origin.address.expect("tcp").to_string();
        assert_eq!(hosts, [own.as_str(), "gateway.test", "gateway.test"]);
    }

    /// RFC 9110 §7.6.1: what the connection's ends say to each other goes no further, in either direction.
    fn hop_by_hop_fields_stay_on_their_hop(driver) {
        let origin = Origin::answering(response(
            "200 OK",
            "Connection: x-back\r\nX-Back: secret\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nX-Stay: 1\r\n",
            "",
        ));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let fields = "Connection: keep-alive, X-Hop\r\nX-Hop: secret\r\nKeep-Alive: timeout=9\r\n\
                      Proxy-Connection: keep-alive\r\nTE: trailers\r\nX-Stay: 1\r\n";
        let answer = gateway.client().send(get_request("/", fields)).response();
        let seen = origin.request();
        for gone in ["x-hop", "keep-alive", "proxy-connection"] {
            assert_eq!(seen.get(gone), None, "{gone} reached the origin");
        }
        for gone in ["x-back", "keep-alive"] {
            assert_eq!(answer.get(gone), None, "{gone} reached the client");
        }
        assert_eq!((seen.get("x-stay"), answer.get("x-stay")), (Some("1"), Some("1")));
    }

    /// A client that names `Host`, `Content-Length` or `X-Forwarded-For` in `Connection` must not erase them.
    fn connection_cannot_erase_what_others_rely_on(driver) {
        let origin = Origin::echoing();
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let fields = "Connection: Host, Content-Length, X-Forwarded-For, X-Forwarded-Proto, X-Request-Id, Authorization\r\n\
                      Authorization: Basic YTpi\r\n";
        let answer = gateway.client().send(post_request("/", fields, "four")).try_response("POST");
        match answer.expect("a response").status {
            400 => origin.expect_nothing(),
            _ => {
                let seen = origin.request();
                assert_eq!(seen.body, b"four");
                for kept in ["host", "x-forwarded-for", "x-forwarded-proto", "x-request-id"] {
                    assert!(seen.get(kept).is_some(), "{kept} is gone");
                }
            }
        }
    }

    fn repeated_fields_keep_their_order_and_number(driver) {
        let origin = Origin::answering(response("200 OK", "Set-Cookie: a=1\r\nSet-Cookie: b=2, c\r\n", ""));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let answer = gateway.client().send(get_request("/", "X-Many: 1\r\nX-Other: o\r\nX-Many: 2\r\n")).response();
        assert_eq!(answer.head.all("set-cookie"), ["a=1", "b=2, c"]);
        assert_eq!(origin.request().head.all("x-many"), ["1", "2"]);
    }

    fn a_response_is_dated_and_the_origins_date_kept(driver) {
        let origin = Origin::start(|peer| {
            while let Some(request) = peer.request() {
                let date = "Date: Tue, 15 Nov 1994 08:12:31 GMT\r\n";
                peer.send(response("200 OK", if request.target == "/dated" { date } else { "" }, ""));
            }
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        assert_eq!(client.get("/dated").head.all("date"), ["Tue, 15 Nov 1994 08:12:31 GMT"]);
        let added = client.get("/undated").head.all("date").join("|");
        assert!(added.ends_with(" GMT") && added.len() == 29, "{added:?}");
    }

    /// RFC 9110 §7.6.2: the last hop answers OPTIONS itself.
    fn max_forwards_counts_down_and_stops_at_zero(driver) {
        let origin = Origin::answering(ok("from the origin"));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let options = |hops: u32| format!("OPTIONS /x HTTP/1.1\r\nHost: gateway.test\r\nMax-Forwards: {hops}\r\n\r\n");
        let mut client = gateway.client();
        assert_eq!(client.send(options(0)).response().status / 100, 2);
        origin.expect_nothing();
        assert_eq!(client.send(options(5)).response().text(), "from the origin");
        assert_eq!(origin.request().get("max-forwards"), Some("4"));
    }

    /// A gateway that is its own upstream would forward until every port is used up.
    fn a_loop_ends_at_its_first_turn(driver) {
        let gateway = Gateway::start(driver, config::api("http://@listen@"));
        let answer = gateway.get("/round");
        assert_eq!(answer.status, 508);
    }

    fn keep_alive_serves_many_requests_on_one_connection_each_side(driver) {
        let origin = Origin::answering(ok("x"));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        for n in 0..100 {
            assert_eq!(client.get(&format!("/{n}")).status, 200);
        }
        assert_eq!((origin.requests().len(), origin.connections()), (100, 1));
    }

    /// A pool for each API would keep connections that are too rarely used to be of use.
    fn apis_before_one_origin_share_its_connections(driver) {
        let origin = Origin::answering(ok("x"));
        let names = ["one", "two", "three"];
        let apis = names.map(|name| {
            let spec = format!(
                "address: http://@listen@/{name}\nservices:\n  origin:\n    address: {}",
                origin.url
            );
            config::document("ApiInstance", name, &spec)
        });
        let gateway = Gateway::start(driver, apis.concat());
        let mut client = gateway.client();
        for name in names.iter().cycle().take(30) {
            assert_eq!(client.get(&format!("/{name}/")).status, 200);
        }
        assert_eq!((origin.requests().len(), origin.connections()), (30, 1));
    }

    fn a_unix_socket_is_an_upstream(driver) {
        let folder = crate::support::gateway::Folder::new();
        let origin = Origin::start_unix(&folder.path().join("origin.sock"), |peer| {
            while let Some(request) = peer.request() {
                peer.send(ok(&request.target));
            }
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        assert_eq!(gateway.get("/over-unix").text(), "/over-unix");
        assert!(origin.request().get("host").is_some(), "HTTP/1.1 needs a Host");
    }
}
