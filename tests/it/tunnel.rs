//! `Upgrade`: two byte streams, each of which may end by itself.

use crate::support::{
    Client, Gateway, Origin, both_drivers, config,
    message::{get_request, ok, response},
};

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

both_drivers! {
    fn an_upgrade_becomes_a_tunnel(driver) {
        let origin = echo();
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = upgraded(&gateway);
        let seen = origin.request();
        assert!(seen.head.lists("connection", "upgrade") && seen.get("upgrade") == Some("websocket"), "{:?}", seen.head);
        assert_eq!(seen.get("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
        for size in [1, 125, 70_000, 500_000] {
            let message = vec![0x82; size];
            let mut writer = Client { wire: crate::support::Wire::new(client.wire.socket().try_clone().expect("clone")) };
            let copy = message.clone();
            let writing = std::thread::spawn(move || {
                writer.send(copy);
            });
            assert_eq!(client.wire.exact(size).expect("an echo"), message, "{size} bytes");
            writing.join().expect("written");
        }
    }

    /// The client has said all; what the origin still has to say arrives.
    fn the_clients_end_leaves_the_origins_voice(driver) {
        let origin = Origin::start(|peer| {
            peer.request();
            peer.send(SWITCHING);
            let heard = peer.wire.rest().expect("the client's end");
            peer.send(format!("heard {}", String::from_utf8_lossy(&heard)));
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = upgraded(&gateway);
        client.send("all of it").half_close();
        assert_eq!(client.wire.rest().expect("the origin's end"), b"heard all of it");
    }

    fn the_origins_end_leaves_the_clients_voice(driver) {
        let (told, tell) = std::sync::mpsc::channel();
        let origin = Origin::start(move |peer| {
            peer.request();
            peer.send(SWITCHING);
            peer.send("bye");
            peer.wire.half_close();
            let _ = told.send(peer.wire.rest().expect("the client's end"));
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = upgraded(&gateway);
        assert_eq!(client.wire.rest().expect("the origin's end"), b"bye");
        client.send("one more thing").half_close();
        assert_eq!(tell.recv_timeout(crate::support::DEADLINE).expect("told"), b"one more thing");
    }

    /// Bytes that came with the origin's 101 belong to the tunnel, and so do those sent with the request.
    fn bytes_on_the_heels_of_the_heads_are_not_lost(driver) {
        let origin = Origin::start(|peer| {
            peer.request();
            peer.send(format!("{SWITCHING}welcome"));
            peer.wire.echo();
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.send([get_request("/chat", UPGRADE), b"hasty".to_vec()].concat());
        assert_eq!(client.response_head("GET").expect("a head").status, 101);
        assert_eq!(client.wire.exact(12).expect("both"), b"welcomehasty");
    }

    fn a_refused_upgrade_is_a_plain_answer(driver) {
        let origin = Origin::answering(response("426 Upgrade Required", "", "no"));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        for _ in 0..2 {
            let answer = client.send(get_request("/chat", UPGRADE)).response();
            assert_eq!((answer.status, answer.text().as_str()), (426, "no"));
        }
    }

    /// `Upgrade` without `Connection: upgrade` asks for nothing, nor does it in HTTP/1.0.
    fn a_stray_upgrade_field_is_not_forwarded(driver) {
        let origin = Origin::answering(ok(""));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        gateway.client().send(get_request("/1", "Upgrade: websocket\r\n")).response();
        gateway.client().send(format!("GET /2 HTTP/1.0\r\nHost: h\r\n{UPGRADE}\r\n")).response();
        assert!(origin.requests().iter().all(|r| r.get("upgrade").is_none()), "{:?}", origin.requests());
    }

    fn a_silent_tunnel_is_closed(driver) {
        let origin = echo();
        let yaml = config::api(&origin.url) + &config::configuration("limits", "tunnelIdleSeconds: 1");
        let gateway = Gateway::start(driver, yaml);
        let mut client = upgraded(&gateway);
        client.expect_close();
    }

    /// A reset of one end must not leave the other waiting.
    fn a_reset_on_one_side_ends_the_other(driver) {
        let (told, tell) = std::sync::mpsc::channel();
        let origin = Origin::start(move |peer| {
            peer.request();
            peer.send(SWITCHING);
            let _ = told.send(peer.wire.rest().is_ok());
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        upgraded(&gateway).reset();
        assert_eq!(tell.recv_timeout(crate::support::DEADLINE), Ok(true));
    }
}

fn echo() -> Origin {
    Origin::start(|peer| {
        peer.request();
        peer.send(SWITCHING);
        peer.wire.echo();
    })
}

fn upgraded(gateway: &Gateway) -> Client {
    let mut client = gateway.client();
    client.send(get_request("/chat", UPGRADE));
    let answer = client.response_head("GET").expect("a head");
    assert_eq!(answer.status, 101, "{:?}", answer.head);
    assert!(
        answer.head.lists("connection", "upgrade") && answer.get("upgrade") == Some("websocket"),
        "{:?}",
        answer.head
    );
    client
}
