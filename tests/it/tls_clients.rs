//! TLS on the way in: who is let in, what is told of them, and that nothing of HTTP changes by it.

use crate::support::{
    Broken, Client, Driver, Gateway, Origin, both_drivers, config, eventually,
    message::{get_request, ok, post_request},
    tls::{Authority, Pair},
};
use rustls::{ClientConfig, HandshakeKind, version};
use std::{net::SocketAddr, sync::Arc};

const HERE: &[&str] = &["localhost"];

both_drivers! {
    fn bodies_of_all_sizes_both_ways_in_both_versions(driver) {
        let authority = Authority::new();
        let origin = Origin::echoing();
        let gateway = start(driver, &authority, &origin);
        for version in [&version::TLS12, &version::TLS13] {
            let mut client = Client::connect_tls(gateway.address, &authority.client_speaking(&[version], None));
            for size in [0, 1, 16_383, 16_384, 16_385, 100_000, 131_072, 5 << 20] {
                let body = pattern(size);
                let answer = client.send(post_request("/", "", &body)).response();
                assert!(answer.body == body, "{size} bytes, {version:?}");
            }
            for size in [1, 70_000, 2 << 20] {
                let body = pattern(size);
                client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
                for piece in body.chunks(30_000) {
                    client.send(format!("{:x}\r\n", piece.len())).send(piece).send("\r\n");
                }
                assert!(client.send("0\r\n\r\n").response().body == body, "{size} bytes, {version:?}");
            }
        }
        assert!(origin.requests().iter().all(|request| request.get("x-forwarded-proto") == Some("https")));
    }

    /// Each byte in a record of its own, several requests in one.
    fn records_end_anywhere(driver) {
        let authority = Authority::new();
        let origin = Origin::echoing();
        let gateway = start(driver, &authority, &origin);
        let mut small = (*authority.client(None)).clone();
        small.max_fragment_size = Some(64);
        let mut client = Client::connect_tls(gateway.address, &Arc::new(small));
        client.drip(post_request("/", "", "one byte a record"));
        assert_eq!(client.response().text(), "one byte a record");
        let many: Vec<u8> = (0..50).flat_map(|n| post_request("/", "", format!("{n}"))).collect();
        client.send(many);
        for n in 0..50 {
            assert_eq!(client.response().text(), n.to_string());
        }
    }

    /// 256 MiB down, 64 MiB up, each byte compared.
    fn large_bodies_are_whole(driver) {
        const DOWN: usize = 256;
        const UP: usize = 64;
        let authority = Authority::new();
        let origin = Origin::start(|peer| {
            let piece = pattern(1 << 20);
            while let Some(request) = peer.head() {
                if request.target == "/up" {
                    let body = peer.body(&request).expect("a body");
                    assert!(body.chunks(1 << 20).all(|part| part == piece) && body.len() == UP << 20);
                    peer.send(ok("whole"));
                    continue;
                }
                peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", DOWN << 20));
                (0..DOWN).for_each(|_| peer.send(&piece));
            }
        });
        let gateway = start(driver, &authority, &origin);
        let mut client = Client::connect_tls(gateway.address, &authority.client(None));
        let piece = pattern(1 << 20);
        client.send(format!("PUT /up HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", UP << 20));
        for _ in 0..UP {
            client.send(&piece);
        }
        assert_eq!(client.response().text(), "whole");
        client.send(get_request("/down", ""));
        let head = client.response_head("GET").expect("a head");
        let mut at = 0;
        let whole = client.wire.stream_body(head.framing, |bytes| {
            let mut rest = bytes;
            while !rest.is_empty() {
                let from = at % piece.len();
                let length = rest.len().min(piece.len() - from);
                assert!(rest[..length] == piece[from..from + length], "at {at}");
                at += length;
                rest = &rest[length..];
            }
        });
        whole.expect("a whole body");
        assert_eq!(at, DOWN << 20);
    }

    /// What one shard began any other goes on with: the keys are the process's.
    fn sessions_are_resumed_on_every_shard(driver) {
        let authority = Authority::new();
        let origin = Origin::answering(ok("x"));
        let gateway = Gateway::setup(driver, secured(&authority, &origin)).shards(2).start();
        for version in [&version::TLS12, &version::TLS13] {
            let config = authority.client_speaking(&[version], None);
            let mut clients = Vec::new();
            let mut kinds = Vec::new();
            for _ in 0..12 {
                let mut client = gateway.client();
                kinds.push(client.wire.secure_to(config.clone(), "localhost").expect("a handshake"));
                assert_eq!(client.get("/").text(), "x");
                // Kept open: few connections are spread evenly.
                clients.push(client);
            }
            assert_eq!(kinds[0], HandshakeKind::Full);
            assert!(kinds[1..].iter().all(|kind| *kind == HandshakeKind::Resumed), "{kinds:?} {version:?}");
        }
        let served = shards(&gateway, "requests");
        assert!(served.iter().all(|requests| *requests > 5), "both served: {served:?}");
    }

    /// Replicas that share a secret; a restart is one after the other.
    fn sessions_outlive_the_process_where_a_secret_is_shared(driver) {
        let authority = Authority::new();
        let origin = Origin::answering(ok("x"));
        let pair = authority.pair(HERE);
        let yaml = |secret: &str| {
            let tickets = config::configuration("sessionTickets", &format!("secret: {secret}"));
            config::secured(&origin.url, &config::certificate(&pair)) + &tickets
        };
        let config = authority.client(None);
        let secret = "0123456789abcdef0123456789abcdef";
        for (secret, kind) in [
            (secret, HandshakeKind::Full),
            (secret, HandshakeKind::Resumed),
            ("another-one-that-is-long-enough-too", HandshakeKind::Full),
        ] {
            let gateway = Gateway::start(driver, yaml(secret));
            let mut client = gateway.client();
            assert_eq!(client.wire.secure_to(config.clone(), "localhost").expect("a handshake"), kind);
            assert_eq!(client.get("/").text(), "x");
        }
    }

    fn plain_text_is_told_so(driver) {
        let authority = Authority::new();
        let origin = Origin::answering(ok(""));
        let gateway = start(driver, &authority, &origin);
        for request in [get_request("/", ""), post_request("/", "", "x".repeat(100_000)), b"HELLO".to_vec()] {
            let mut client = gateway.client();
            client.send_what_it_takes(request);
            let answer = client.response();
            assert_eq!((answer.status, answer.says_close()), (400, true));
            assert!(answer.text().contains("https://"), "{}", answer.text());
            client.expect_close();
        }
        origin.expect_nothing();
    }

    /// Whoever ends, says so; and is told so.
    fn the_end_is_said(driver) {
        let authority = Authority::new();
        let origin = Origin::answering(ok("x"));
        let gateway = start(driver, &authority, &origin);
        let config = authority.client(None);
        let mut client = Client::connect_tls(gateway.address, &config);
        client.send(get_request("/", "Connection: close\r\n"));
        assert_eq!(client.response().text(), "x");
        assert!(client.wire.ends_in_order());
        let mut client = Client::connect_tls(gateway.address, &config);
        assert_eq!(client.get("/").text(), "x");
        client.wire.close_notify();
        assert!(client.wire.ends_in_order(), "to one that ends between requests");
        // An error, and what is unread then, does not destroy its answer.
        let mut client = Client::connect_tls(gateway.address, &config);
        client.send_what_it_takes(["nonsense\r\n\r\n".as_bytes(), &pattern(50_000)].concat());
        assert_eq!(client.response().status, 400);
        assert!(client.wire.ends_in_order());
    }

    /// Anybody can end a stream; only the client can end its TLS.
    fn a_request_that_was_cut_is_not_whole(driver) {
        let authority = Authority::new();
        let origin = Origin::start(|peer| {
            // Its length is not said in advance: only an end makes it whole.
            let Some(request) = peer.head() else { return };
            assert!(peer.body(&request).is_none(), "it never ends");
        });
        let gateway = start(driver, &authority, &origin);
        let mut client = Client::connect_tls(gateway.address, &authority.client(None));
        client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        origin.wait_for_requests(1);
        client.reset();
        eventually("the connection is gone", || shards(&gateway, "connections") == [0]);
    }

    fn a_websocket_passes(driver) {
        let authority = Authority::new();
        let origin = Origin::start(|peer| {
            peer.request();
            peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nwelcome");
            peer.wire.echo();
        });
        let gateway = start(driver, &authority, &origin);
        let mut client = Client::connect_tls(gateway.address, &authority.client(None));
        client.send(get_request("/", "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
        assert_eq!(client.response_head("GET").expect("a head").status, 101);
        assert_eq!(client.wire.exact(7).expect("what came with it"), b"welcome");
        for size in [1, 200, 70_000, 300_000] {
            let message = pattern(size);
            assert!(client.send(&message).wire.exact(size).expect("an echo") == message, "{size} bytes");
        }
        client.half_close();
        assert_eq!(client.wire.rest().expect("the origin's end"), b"");
    }

    /// Keys change when a client says so, also between two requests.
    fn new_keys_in_between(driver) {
        let authority = Authority::new();
        let origin = Origin::echoing();
        let gateway = start(driver, &authority, &origin);
        let mut client = Client::connect_tls(gateway.address, &authority.client(None));
        for n in 0..10 {
            client.wire.update_keys();
            let body = pattern(n * 5_000);
            assert!(client.send(post_request("/", "", &body)).response().body == body, "{n}");
        }
    }

    fn client_certificates(driver) {
        let authority = Authority::new();
        let origin = Origin::answering(ok("x"));
        let own = authority.pair(HERE);
        let (good, expired) = (authority.pair(&["client.test"]), authority.expired_pair(&["client.test"]));
        let others = Authority::new();
        let strange = others.pair(&["client.test"]);
        let trust = config::certificate(&own) + &format!("trustedCA: \"$file:{}\"\n", authority.file.display());
        let asked = Gateway::start(driver, config::secured(&origin.url, &trust));
        let required = trust + "requireClientCertificate: true\nforwardClientCertificate: true\n";
        let required = Gateway::start(driver, config::secured(&origin.url, &required));
        for version in [&version::TLS12, &version::TLS13] {
            for (pair, let_in, by_both) in
                [(None, true, false), (Some(&good), true, true), (Some(&expired), false, false), (Some(&strange), false, false)]
            {
                let config = authority.client_speaking(&[version], pair);
                assert_eq!(is_let_in(&asked, &config), let_in, "{version:?}");
                assert_eq!(is_let_in(&required, &config), by_both, "{version:?}");
            }
        }
    }

    /// What a client says of its own certificate is nothing that an origin should hear.
    fn origins_are_told_of_certificates_by_the_gateway_alone(driver) {
        let authority = Authority::new();
        let origin = Origin::answering(ok("x"));
        let own = authority.pair(HERE);
        let pair = authority.pair_with(&["client.test"], |params| {
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(rcgen::DnType::CommonName, "the client");
        });
        let trust = config::certificate(&own) + &format!("trustedCA: \"$file:{}\"\n", authority.file.display());
        let forged = "X-Forwarded-Client-Cert: Subject=\"CN=root\"\r\nx_forwarded_client_cert: forged\r\n";
        let told = |yaml: String, config: &Arc<ClientConfig>| {
            let gateway = Gateway::start(driver, yaml);
            let mut client = Client::connect_tls(gateway.address, config);
            assert_eq!(client.send(get_request("/", forged)).response().status, 200);
            let request = origin.requests().pop().expect("it");
            assert!(request.get("x_forwarded_client_cert").is_none());
            request.get("x-forwarded-client-cert").map(str::to_owned)
        };
        let forward = trust.clone() + "forwardClientCertificate: true\n";
        let line = told(config::secured(&origin.url, &forward), &authority.client(Some(&pair))).expect("it is told");
        assert!(line.starts_with("Hash=") && line.contains(";Subject=\"CN=the client\";DNS=client.test"), "{line}");
        assert_eq!(told(config::secured(&origin.url, &forward), &authority.client(None)), None);
        assert_eq!(told(config::secured(&origin.url, &trust), &authority.client(Some(&pair))), None);
        // Nor the one that is asked whether it may pass.
        let judge = Origin::answering(ok("{}"));
        let asks = config::document("PolicyBinding", "asks", &format!(
            "targetRef: {{ name: test }}\npolicyRef: {{ name: native-ext-authz-flex }}\nconfig:\n  uri: {}\n  serverType: http\n  \
             allowedHeaders: [ x-forwarded-client-cert, x_forwarded_client_cert ]\n", judge.url));
        let line = told(config::secured(&origin.url, &forward) + &asks, &authority.client(Some(&pair)));
        let judged = judge.requests().pop().expect("it was asked");
        assert_eq!(judged.get("x-forwarded-client-cert").map(str::to_owned), line);
        assert!(line.is_some() && judged.get("x_forwarded_client_cert").is_none());
        // Nor where there is no TLS at all.
        let plain = Gateway::start(driver, config::api(&origin.url));
        assert_eq!(plain.client().send(get_request("/", forged)).response().status, 200);
        let request = origin.requests().pop().expect("it");
        assert!(request.get("x-forwarded-client-cert").is_none() && request.get("x-forwarded-proto") == Some("http"));
    }

    fn policies_see_the_certificate(driver) {
        let authority = Authority::new();
        let origin = Origin::answering(ok("x"));
        let own = authority.pair(HERE);
        let pair = authority.pair_with(&["one.test", "two.test"], |params| {
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(rcgen::DnType::CommonName, "the client");
        });
        let inject = config::document(
            "PolicyBinding",
            "inject",
            "targetRef: { name: test }\npolicyRef: { name: header-injection-flex }\nconfig:\n  inboundHeaders:\n  \
             - { key: x-who, value: \"#[attributes.clientCertificate.commonName default 'nobody']\" }\n  \
             - { key: x-names, value: \"#[sizeOf(attributes.clientCertificate.dnsNames default [])]\" }\n  \
             - { key: x-how, value: \"#[attributes.tls.version ++ ' ' ++ attributes.scheme]\" }\n",
        );
        let trust = config::certificate(&own) + &format!("trustedCA: \"$file:{}\"\n", authority.file.display());
        let gateway = Gateway::start(driver, config::secured(&origin.url, &trust) + &inject);
        for (pair, who, names) in [(Some(&pair), "the client", "2"), (None, "nobody", "0")] {
            assert_eq!(Client::connect_tls(gateway.address, &authority.client(pair)).get("/").status, 200);
            let request = origin.requests().pop().expect("it");
            let seen = ["x-who", "x-names", "x-how"].map(|name| request.get(name).unwrap_or_default().to_owned());
            assert_eq!(seen, [who, names, "TLSv1.3 https"]);
        }
    }

    fn the_name_chooses_among_certificates_and_apis_share_a_port(driver) {
        let authority = Authority::new();
        let (one, other) = (Origin::named("one"), Origin::named("other"));
        let (first, second) = (authority.pair(&["one.test"]), authority.pair(&["*.other.test"]));
        let api = |name: &str, origin: &Origin, pair: &Pair| {
            config::document("ApiInstance", name, &format!(
                "address: https://@listen@/{name}\nservices:\n  origin:\n    address: {}\npolicies:\n\
                 - policyRef: {{ name: tls }}\n  config:\n    {}", origin.url, config::certificate(pair)))
        };
        let gateway = Gateway::start(driver, api("one", &one, &first) + &api("other", &other, &second));
        let config = authority.client(None);
        for (name, path, text) in [("one.test", "/one/x", "one"), ("a.other.test", "/other/x", "other"), ("one.test", "/other/x", "other")] {
            let mut client = gateway.client();
            client.wire.secure_to(config.clone(), name).expect("its certificate");
            assert_eq!(client.get(path).text(), text);
        }
        assert!(gateway.client().wire.secure_to(config, "unknown.test").is_err(), "the first one is not its");
        let page = Client::connect(gateway.admin).get("/certificates").text();
        let page: serde_json::Value = serde_json::from_str(&page).expect("JSON");
        let shown = page["certificates"].as_array().expect("a list");
        assert_eq!((shown.len(), &shown[1]["dnsNames"][0]), (2, &"*.other.test".into()), "{page}");
        assert!(shown.iter().all(|one| one["daysLeft"].as_i64() > Some(300)), "{page}");
    }

    /// Between two requests a connection goes to another shard, and its keys with it.
    fn busy_connections_move(driver) {
        let authority = Authority::new();
        let origin = Origin::answering(ok("served"));
        let gateway = Gateway::setup(driver, secured(&authority, &origin)).shards(2).start();
        let config = authority.client(None);
        let mut clients = Vec::new();
        for n in 1..=8_u64 {
            let mut client = Client::connect_tls(gateway.address, &config);
            assert_eq!(client.get("/").text(), "served");
            eventually("it is counted", || shards(&gateway, "requests").iter().sum::<u64>() == n);
            clients.push(client);
        }
        assert_eq!(shards(&gateway, "connections"), [4, 4]);
        let homes: Vec<usize> = clients.iter_mut().map(|client| home(&gateway, client)).collect();
        let stop = std::sync::atomic::AtomicBool::new(false);
        let (busy, quiet): (Vec<_>, Vec<_>) = clients.into_iter().zip(homes).partition(|(_, home)| *home == 0);
        std::thread::scope(|scope| {
            for (mut client, _) in busy {
                let stop = &stop;
                scope.spawn(move || {
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        assert_eq!(client.get("/").text(), "served");
                    }
                    client.wire.close_notify();
                    assert!(client.wire.ends_in_order(), "wherever it is now");
                });
            }
            eventually("two of the busy ones have moved", || shards(&gateway, "connections") == [2, 6]);
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        for (mut client, _) in quiet {
            assert_eq!(client.get("/").text(), "served");
        }
        assert!(shards(&gateway, "moved")[0] >= 2);
    }

    /// A thousand that say nothing, half of a greeting, or nonsense, at the same time: whoever speaks is served, and when
    /// they are gone nothing is left of them.
    fn crowds_that_never_finish_harm_nobody(driver) {
        const CROWD: usize = 1_000;
        let authority = Authority::new();
        let origin = Origin::answering(ok("x"));
        let yaml = secured(&authority, &origin)
            + &config::configuration("limits", "handshakeTimeoutSeconds: 3");
        let gateway = Gateway::setup(driver, yaml).environment("MIMALLOC_PURGE_DELAY", "0").start();
        let config = authority.client(None);
        let hello = hello(&gateway, &config);
        let mut resident = Vec::new();
        for _ in 0..3 {
            let crowd: Vec<Client> = (0..CROWD)
                .map(|n| {
                    let mut client = gateway.client();
                    match n % 4 {
                        0 => {}
                        1 => {
                            client.send_what_it_takes(&hello[..hello.len() / 2]);
                        }
                        // What comes after a greeting is the gateway's; this one never answers it.
                        2 => {
                            client.send_what_it_takes(&hello);
                        }
                        _ => {
                            client.send_what_it_takes(pattern(3_000));
                        }
                    }
                    client
                })
                .collect();
            for _ in 0..20 {
                assert_eq!(Client::connect_tls(gateway.address, &config).get("/").text(), "x");
            }
            drop(crowd);
            eventually("they are gone", || shards(&gateway, "connections") == [0]);
            resident.push(gateway.rss());
        }
        assert!(resident[2] < resident[0] + (4 << 20), "{resident:?}");
    }

    /// Without leaving: the deadline ends them.
    fn a_handshake_has_its_time(driver) {
        let authority = Authority::new();
        let origin = Origin::answering(ok("x"));
        let yaml = secured(&authority, &origin)
            + &config::configuration("limits", "handshakeTimeoutSeconds: 1");
        let gateway = Gateway::start(driver, yaml);
        let hello = hello(&gateway, &authority.client(None));
        for said in [&b""[..], &hello[..100], &hello] {
            let mut client = gateway.client();
            client.send(said);
            client.wire.rest().expect("it is closed in time");
        }
        eventually("nothing is left", || shards(&gateway, "connections") == [0]);
    }

    fn of_too_many_handshakes_the_oldest_ends(driver) {
        let authority = Authority::new();
        let origin = Origin::answering(ok("x"));
        let yaml = secured(&authority, &origin) + &config::configuration("limits", "handshakes: 4");
        let gateway = Gateway::start(driver, yaml);
        let mut silent: Vec<Client> = (0..4).map(|_| gateway.client()).collect();
        eventually("they are in", || shards(&gateway, "connections") == [4]);
        let config = authority.client(None);
        assert_eq!(Client::connect_tls(gateway.address, &config).get("/").text(), "x");
        silent[0].expect_close();
        silent[3].wire.secure_to(config, "localhost").expect("there was room for the others");
    }

    /// Against one in plain text: keys and a session's state, and nothing of what was last read or written.
    fn an_idle_connection_is_small(driver) {
        let authority = Authority::new();
        let origin = Origin::answering(ok("x"));
        let config = authority.client(None);
        let secured = bytes_each(driver, secured(&authority, &origin), &|address| Client::connect_tls(address, &config));
        let plain = bytes_each(driver, config::api(&origin.url), &Client::connect);
        crate::support::say(&format!("{driver:?}: {secured} bytes an idle connection, {plain} in plain text"));
        assert!(secured < 12 * 1024, "{secured} bytes, {plain} in plain text");
    }

    fn certificates_of_secrets_and_of_the_whole_gateway(driver) {
        let authority = Authority::new();
        let origin = Origin::answering(ok("x"));
        let pair = authority.pair(HERE);
        let secret = config::document("Secret", "edge-cert", &format!(
            "tls:\n{}{}", indent(&config::block("crt", &pair.crt_text)), indent(&config::block("key", &pair.key_text))));
        let yaml = config::secured(&origin.url, "certificate: { secretRef: { name: edge-cert } }\nalpn: [ h2, http/1.1 ]\n");
        let gateway = Gateway::start(driver, yaml + &secret);
        let mut config = (*authority.client(None)).clone();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        assert_eq!(Client::connect_tls(gateway.address, &Arc::new(config)).get("/").text(), "x");
        gateway.wait_for_log("`h2` is not offered yet");
    }
}

fn secured(authority: &Authority, origin: &Origin) -> String {
    config::secured(&origin.url, &config::certificate(&authority.pair(HERE)))
}

fn start(driver: Driver, authority: &Authority, origin: &Origin) -> Gateway {
    Gateway::start(driver, secured(authority, origin))
}

/// Of TLS 1.3 a client hears only after its own part whether it is.
fn is_let_in(gateway: &Gateway, config: &Arc<ClientConfig>) -> bool {
    let mut client = gateway.client();
    if client.wire.secure_to(config.clone(), "localhost").is_err() {
        return false;
    }
    if client.wire.try_send(&get_request("/", "")).is_err() {
        return false;
    }
    match client.try_response("GET") {
        Ok(answer) => {
            assert_eq!(answer.text(), "x");
            true
        }
        Err(broken) => {
            assert!(matches!(broken, Broken::Closed), "{broken:?}");
            false
        }
    }
}

/// The first bytes of a client's.
fn hello(gateway: &Gateway, config: &Arc<ClientConfig>) -> Vec<u8> {
    let name = "localhost".to_owned().try_into().expect("a name");
    let mut client = rustls::ClientConnection::new(config.clone(), name).expect("settings");
    let mut hello = Vec::new();
    client.write_tls(&mut hello).expect("room");
    assert!(hello.len() > 1_000, "with a post-quantum key share");
    let _ = gateway;
    hello
}

/// The shard that serves this client. Nobody else may be asking.
fn home(gateway: &Gateway, client: &mut Client) -> usize {
    let before = shards(gateway, "requests");
    assert_eq!(client.get("/").text(), "served");
    let mut after = Vec::new();
    eventually("it is counted", || {
        after = shards(gateway, "requests");
        after != before
    });
    (0..after.len())
        .find(|shard| after[*shard] != before[*shard])
        .expect("one")
}

fn shards(gateway: &Gateway, name: &str) -> Vec<u64> {
    let page = Client::connect(gateway.admin).get("/shards").text();
    let page: serde_json::Value = serde_json::from_str(&page).expect("JSON");
    let shards = page["shards"].as_array().expect("a list");
    shards
        .iter()
        .map(|shard| shard[name].as_u64().expect("a number"))
        .collect()
}

/// Resident memory of each of some thousand idle connections.
fn bytes_each(driver: Driver, yaml: String, connect: &dyn Fn(SocketAddr) -> Client) -> u64 {
    const FEW: usize = 100;
    const MANY: usize = 1_100;
    let gateway = Gateway::setup(driver, yaml)
        .environment("MIMALLOC_PURGE_DELAY", "0")
        .start();
    let resident = |count: usize, clients: &mut Vec<Client>| {
        while clients.len() < count {
            let mut client = connect(gateway.address);
            assert_eq!(client.get("/").status, 200);
            clients.push(client);
        }
        let looks = (0..100).map(|_| {
            crate::support::pause();
            gateway.rss()
        });
        looks.min().unwrap_or_default()
    };
    // What a crowd leaves behind once is there before it is measured.
    let mut first = Vec::new();
    resident(MANY, &mut first);
    drop(first);
    eventually("they are gone", || shards(&gateway, "connections") == [0]);
    let mut clients = Vec::new();
    let few = resident(FEW, &mut clients);
    let many = resident(MANY, &mut clients);
    many.saturating_sub(few) / (MANY - FEW) as u64
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 % 251) as u8).collect()
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
