//! Who the client is, where load balancers and proxies stand in front: the PROXY protocol, and `X-Forwarded-For`.

use crate::support::{
    Client, Gateway, Origin, both_drivers, config, eventually,
    message::{get_request, ok},
    tls::Authority,
    tools::{Server, present},
};

/// The binary form, of a connection from 192.0.2.1:56324, with something attached.
fn binary(command: u8) -> Vec<u8> {
    let attached = [0x04, 0, 3, 1, 2, 3];
    let addresses = [192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb];
    let length = (addresses.len() + attached.len()) as u8;
    let signature = b"\r\n\r\n\0\r\nQUIT\n";
    [&signature[..], &[command, 0x11, 0, length], &addresses, &attached].concat()
}

const TEXT: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n";

fn announced(origin: &Origin, fields: &str) -> String {
    config::api(&origin.url)
        + &config::configuration("proxyProtocol", &format!("enabled: true\n{fields}"))
        + &config::configuration("accessLog", "path: '@folder@/access.log'\nformat: json")
}

fn trusting(origin: &Origin, networks: &str, more: &str) -> String {
    config::api(&origin.url)
        + &config::document(
            "Configuration",
            "proxies",
            &format!("trustedProxies: [ {networks} ]"),
        )
        + &config::configuration("accessLog", "path: '@folder@/access.log'\nformat: json")
        + more
}

fn policy(name: &str, config: &str) -> String {
    let spec = format!(
        "targetRef: {{ kind: ApiInstance, name: test }}\npolicyRef: {{ name: {name} }}\nconfig: {config}\n"
    );
    config::document("PolicyBinding", name, &spec)
}

fn log_says(gateway: &Gateway, text: &str) {
    let log = gateway.folder.path().join("access.log");
    let read = || std::fs::read_to_string(&log).unwrap_or_default();
    eventually(&format!("{text} in the log"), || read().contains(text));
}

fn forwarded_for(origin: &Origin) -> Option<String> {
    let last = origin.requests().pop().expect("a request");
    last.get("x-forwarded-for").map(str::to_owned)
}

both_drivers! {
    fn a_header_says_who_connects(driver) {
        let origin = Origin::answering(ok("in"));
        let gateway = Gateway::start(driver, announced(&origin, ""));
        for header in [TEXT.to_vec(), binary(0x21)] {
            // In one piece with the request, and in as many as there are bytes.
            let mut client = gateway.client();
            assert_eq!(client.send([&header, &get_request("/a", "")[..]].concat()).response().status, 200);
            assert_eq!(forwarded_for(&origin).as_deref(), Some("192.0.2.1"));
            // Once a connection, not once a request.
            assert_eq!(client.get("/b").status, 200);
            assert_eq!(forwarded_for(&origin).as_deref(), Some("192.0.2.1"));
            let mut client = gateway.client();
            assert_eq!(client.drip(&header).get("/c").status, 200);
            assert_eq!(forwarded_for(&origin).as_deref(), Some("192.0.2.1"));
        }
        log_says(&gateway, "\"client\":\"192.0.2.1\",\"client_port\":56324");
        // The balancer's own, and what has no address.
        for header in [binary(0x20), b"PROXY UNKNOWN\r\n".to_vec()] {
            assert_eq!(gateway.client().send(&header).get("/health").status, 200);
            assert_eq!(forwarded_for(&origin).as_deref(), Some("127.0.0.1"));
        }
    }

    fn without_a_header_nothing_is_served(driver) {
        let origin = Origin::answering(ok("in"));
        let yaml = announced(&origin, "") + &config::configuration("limits", "headTimeoutSeconds: 1");
        let gateway = Gateway::start(driver, yaml);
        let wrong_version = binary(0x11);
        let two = [TEXT, TEXT, b"\r\n"].concat();
        for bytes in [
            &b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"[..],
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"PROXY TCP4 1.2.3.4\r\n",
            &wrong_version,
            // Nobody says more of what has not come to its end.
            b"PROXY TCP4 192.0.2.1 198.51.",
            b"",
        ] {
            gateway.client().send(bytes).expect_close();
        }
        // The second is the client's, who has no business to write one.
        let mut client = gateway.client();
        assert_eq!(client.send(&two).response().status, 400);
        origin.expect_nothing();
        assert_eq!(gateway.client().send(TEXT).get("/").status, 200);
    }

    fn others_than_the_balancers_announce_nothing(driver) {
        let origin = Origin::answering(ok("in"));
        let gateway = Gateway::start(driver, announced(&origin, "from: [ 192.0.2.0/24, 2001:db8::/32 ]"));
        assert_eq!(gateway.get("/").status, 200);
        assert_eq!(gateway.client().send([TEXT, b"\r\n"].concat()).response().status, 400);
        let gateway = Gateway::start(driver, announced(&origin, "from: [ 127.0.0.0/8 ]"));
        gateway.client().send(get_request("/", "")).expect_close();
        assert_eq!(gateway.client().send(TEXT).get("/").status, 200);
    }

    /// A balancer has many connections, its clients have few.
    fn connections_are_counted_for_who_is_announced(driver) {
        let origin = Origin::answering(ok("in"));
        let yaml = announced(&origin, "") + &config::configuration("limits", "connectionsPerClient: 2");
        let gateway = Gateway::start(driver, yaml);
        let from = |last: u8| {
            let mut client = gateway.client();
            client.send(format!("PROXY TCP4 192.0.2.{last} 198.51.100.1 1 2\r\n"));
            client
        };
        let mut kept: Vec<Client> = (1..=5).flat_map(|last| [from(last), from(last)]).collect();
        for client in &mut kept {
            assert_eq!(client.get("/").status, 200);
        }
        assert_eq!(from(3).response().status, 503);
        assert_eq!(from(6).get("/").status, 200);
        kept.truncate(2);
        eventually("an ended one is not counted", || from(3).send(get_request("/", "")).response().status == 200);
    }

    fn a_crowd_that_says_nothing_harms_nobody(driver) {
        let origin = Origin::answering(ok("in"));
        let gateway = Gateway::start(driver, announced(&origin, ""));
        let before = gateway.rss();
        let crowd: Vec<Client> = (0..500)
            .map(|number: usize| {
                let mut client = gateway.client();
                client.send(&TEXT[..number % TEXT.len()]);
                client
            })
            .collect();
        assert_eq!(gateway.client().send(TEXT).get("/").status, 200);
        let each = gateway.rss().saturating_sub(before) / 500;
        // One that waits within its header holds a buffer until the header is due.
        assert!(each < 24 * 1024, "{each} bytes each");
        drop(crowd);
        assert_eq!(gateway.client().send(TEXT).get("/").status, 200);
    }

    fn haproxy_announces_its_clients(driver) {
        if !present(&["haproxy"]) {
            return;
        }
        let origin = Origin::answering(ok("in"));
        let gateway = Gateway::start(driver, announced(&origin, ""));
        for how in ["send-proxy", "send-proxy-v2"] {
            let front = Server::haproxy(gateway.address, how);
            for source in ["203.0.113.9", "203.0.113.10"] {
                let request = get_request("/", &format!("X-Source: {source}\r\n"));
                assert_eq!(Client::connect(front.address).send(request).response().text(), "in", "{how}");
                assert_eq!(forwarded_for(&origin).as_deref(), Some(source), "{how}");
            }
        }
    }

    /// The header comes first, then the handshake.
    fn haproxy_announces_its_clients_over_tls(driver) {
        if !present(&["haproxy"]) {
            return;
        }
        let authority = Authority::new();
        let pair = authority.pair(&["127.0.0.1"]);
        let origin = Origin::answering(ok("in"));
        let yaml = config::secured(&origin.url, &config::certificate(&pair))
            + &config::configuration("proxyProtocol", "enabled: true");
        let gateway = Gateway::start(driver, yaml);
        for how in ["send-proxy ssl verify none", "send-proxy-v2 ssl verify none"] {
            let front = Server::haproxy(gateway.address, how);
            let request = get_request("/", "X-Source: 203.0.113.9\r\n");
            assert_eq!(Client::connect(front.address).send(request).response().text(), "in", "{how}");
            let seen = origin.requests().pop().expect("a request");
            assert_eq!((seen.get("x-forwarded-for"), seen.get("x-forwarded-proto")), (Some("203.0.113.9"), Some("https")));
        }
    }

    fn whom_a_trusted_proxy_names_is_the_client(driver) {
        let origin = Origin::answering(ok("in"));
        let blocked = policy("ip-blocklist-flex", "{ ips: [ 203.0.113.66 ], ipExpression: '#[attributes.remoteAddress]' }");
        let elsewhere = policy("redirect", "{ scheme: https, host: gateway.test }");
        let gateway = Gateway::start(driver, trusting(&origin, "127.0.0.0/8, 10.0.0.0/8", &(blocked + &elsewhere)));
        let ask = |lines: &str| gateway.client().send(get_request("/", lines)).response();
        let lines = "X-Forwarded-For: 1.1.1.1, 203.0.113.7, 10.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop\r\n";
        assert_eq!(ask(lines).status, 200);
        let seen = origin.request();
        assert_eq!(seen.get("x-forwarded-for"), Some("1.1.1.1, 203.0.113.7, 10.1.1.1, 127.0.0.1"));
        assert_eq!((seen.get("x-forwarded-proto"), seen.get("x-forwarded-host")), (Some("https"), Some("shop")));
        assert_eq!((seen.head.all("x-forwarded-proto").len(), seen.head.all("x-forwarded-host").len()), (1, 1));
        log_says(&gateway, "\"client\":\"203.0.113.7\",\"protocol\"");
        assert_eq!(ask("X-Forwarded-For: 203.0.113.66\r\nX-Forwarded-Proto: https\r\n").status, 403);
        assert_eq!(ask("X-Forwarded-For: 203.0.113.66, 203.0.113.7\r\nX-Forwarded-Proto: https\r\n").status, 200);
        // It came in plain text to the first proxy.
        assert_eq!(ask("X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: http\r\n").status, 308);
        assert_eq!(ask("").status, 308);
    }

    fn nobody_else_may_name_a_client(driver) {
        let origin = Origin::answering(ok("in"));
        let listed = policy("ip-allowlist-flex", "{ ips: [ 203.0.113.7 ] }");
        let lines = "X-Forwarded-For: 203.0.113.7\r\nX-Real-IP: 203.0.113.7\r\nForwarded: for=203.0.113.7\r\n\
                     X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n";
        let gateway = Gateway::start(driver, trusting(&origin, "192.0.2.1", ""));
        assert_eq!(gateway.client().send(get_request("/", lines)).response().status, 200);
        let seen = origin.request();
        assert_eq!(seen.head.all("x-forwarded-for"), ["127.0.0.1"]);
        assert_eq!(seen.head.all("x-forwarded-proto"), ["http"]);
        for name in ["x-real-ip", "forwarded", "x-forwarded-port"] {
            assert_eq!(seen.get(name), None, "{name}");
        }
        log_says(&gateway, "\"client\":\"127.0.0.1\"");
        // What policies look at, too.
        let gateway = Gateway::start(driver, trusting(&origin, "192.0.2.1", &listed));
        assert_eq!(gateway.client().send(get_request("/", lines)).response().status, 403);
    }

    /// One after the other: who announces the connection, then whom the request names.
    fn an_announced_proxy_can_be_a_trusted_one(driver) {
        let origin = Origin::answering(ok("in"));
        let yaml = trusting(&origin, "192.0.2.1", "") + &config::configuration("proxyProtocol", "enabled: true");
        let gateway = Gateway::start(driver, yaml);
        let mut client = gateway.client();
        client.send(TEXT);
        let request = get_request("/", "X-Forwarded-For: 203.0.113.7\r\n");
        assert_eq!(client.send(&request).response().status, 200);
        log_says(&gateway, "\"client\":\"203.0.113.7\"");
        // The next request of the same connection is somebody else's.
        assert_eq!(client.send(get_request("/", "X-Forwarded-For: 203.0.113.8\r\n")).response().status, 200);
        log_says(&gateway, "\"client\":\"203.0.113.8\"");
        assert_eq!(client.get("/").status, 200);
        log_says(&gateway, "\"client\":\"192.0.2.1\"");
    }
}
