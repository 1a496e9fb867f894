//! What a client may ask for, and what it is told past that.

use crate::support::{
    Client, Gateway, Origin, both_drivers, config, eventually,
    message::{get_request, ok, post_request},
};

both_drivers! {
    fn a_head_past_its_limit_is_431(driver) {
        let origin = Origin::answering(ok(""));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let most = 60 * 1024;
        let request = |size: usize| {
            let bare = get_request("/", "X-Fill: \r\n").len();
            get_request("/", &format!("X-Fill: {}\r\n", "a".repeat(size - bare)))
        };
        assert_eq!(gateway.client().send(request(most - 100)).response().status, 200);
        let mut client = gateway.client();
        let refused = client.send_what_it_takes(request(most + 1000)).response();
        assert_eq!((refused.status, refused.says_close()), (431, true));
        client.expect_close();
        assert_eq!(origin.requests().len(), 1);
    }

    /// Not even the memory of such a head is held.
    fn an_endless_head_is_refused_at_its_limit(driver) {
        let origin = Origin::answering(ok(""));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let before = gateway.rss();
        let mut client = gateway.client();
        client.send("GET / HTTP/1.1\r\nHost: h\r\n");
        let line = "X-More: and more\r\n".repeat(1000);
        while client.wire.try_send(line.as_bytes()).is_ok() && gateway.rss() < before + (8 << 20) {}
        assert!(gateway.rss() < before + (8 << 20));
        origin.expect_nothing();
    }

    fn too_many_fields_are_431(driver) {
        let origin = Origin::answering(ok(""));
        let yaml = config::api(&origin.url) + &config::configuration("limits", "headerCount: 20");
        let gateway = Gateway::start(driver, yaml);
        let fields = |count: usize| (0..count).map(|n| format!("X-{n}: v\r\n")).collect::<String>();
        assert_eq!(gateway.client().send(get_request("/", &fields(19))).response().status, 200);
        assert_eq!(gateway.client().send(get_request("/", &fields(20))).response().status, 431);
        assert_eq!(origin.requests().len(), 1);
    }

    fn a_long_target_is_414(driver) {
        let origin = Origin::answering(ok(""));
        let yaml = config::api(&origin.url) + &config::configuration("limits", "targetBytes: 100");
        let gateway = Gateway::start(driver, yaml);
        let target = |size: usize| format!("/{}", "a".repeat(size - 1));
        assert_eq!(gateway.get(&target(100)).status, 200);
        let mut client = gateway.client();
        let refused = client.get(&target(101));
        assert_eq!((refused.status, refused.says_close()), (414, true));
        assert_eq!(origin.requests().len(), 1);
    }

    /// A stated length is refused before a byte of the body; chunks when they pass the limit.
    fn a_big_body_is_413(driver) {
        let origin = Origin::echoing();
        let yaml = config::api(&origin.url) + &config::configuration("limits", "bodyBytes: 1000");
        let gateway = Gateway::start(driver, yaml);
        assert_eq!(gateway.client().send(post_request("/", "", vec![b'x'; 1000])).response().status, 200);
        let mut stated = gateway.client();
        stated.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n");
        assert_eq!(stated.response().status, 413);
        let mut chunked = gateway.client();
        chunked.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n").send(vec![b'x'; 1000]);
        chunked.send_what_it_takes("\r\n1\r\nx\r\n0\r\n\r\n");
        assert_eq!(chunked.response().status, 413);
        assert_eq!(origin.requests().len(), 1, "no origin takes a cut body for a whole one");
    }

    /// One past the cap waits or is turned away; room made is used.
    fn connections_are_capped(driver) {
        let origin = Origin::answering(ok("in"));
        let yaml = config::api(&origin.url) + &config::configuration("limits", "connections: 4");
        let gateway = Gateway::start(driver, yaml);
        capped(&gateway, 4);
    }

    fn connections_of_one_client_are_capped(driver) {
        let origin = Origin::answering(ok("in"));
        let yaml = config::api(&origin.url) + &config::configuration("limits", "connectionsPerClient: 3");
        let gateway = Gateway::start(driver, yaml);
        capped(&gateway, 3);
    }

    /// Two shards share one cap: it is the process', not a shard's.
    fn the_cap_holds_across_shards(driver) {
        let origin = Origin::answering(ok("in"));
        let yaml = config::api(&origin.url) + &config::configuration("limits", "connections: 6");
        let gateway = Gateway::setup(driver, yaml).shards(2).start();
        let served = (0..20)
            .map(|_| gateway.client())
            .map(|mut client| {
                client.wire.socket().set_read_timeout(Some(std::time::Duration::from_millis(300))).expect("set");
                let answered = asks(&mut client);
                (client, answered)
            })
            .collect::<Vec<_>>();
        let count = served.iter().filter(|(_, answered)| *answered).count();
        assert!((1..=6).contains(&count), "{count} of 20 connections were served at a time");
    }
}

/// `cap` connections are served; the next is not while they stay, and one is when they have gone.
fn capped(gateway: &Gateway, cap: usize) {
    let mut inside: Vec<Client> = (0..cap).map(|_| gateway.client()).collect();
    for client in &mut inside {
        assert_eq!(client.get("/").text(), "in");
    }
    let mut outside = gateway.client();
    outside
        .wire
        .socket()
        .set_read_timeout(Some(std::time::Duration::from_secs(1)))
        .expect("set");
    assert!(!asks(&mut outside), "connection {} was served", cap + 1);
    for client in &mut inside {
        assert_eq!(client.get("/").text(), "in", "those inside are not disturbed");
    }
    drop((inside, outside));
    eventually("room is used again", || {
        Client::try_connect(gateway.address).is_ok_and(|mut client| asks(&mut client))
    });
}

fn asks(client: &mut Client) -> bool {
    client.wire.try_send(&get_request("/", "")).is_ok()
        && client.try_response("GET").is_ok_and(|r| r.status == 200)
}
