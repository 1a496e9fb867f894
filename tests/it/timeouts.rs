//! What takes too long. Small limits are configured; a test waits for the effect, not for a time.

use crate::support::{
    Broken, Gate, Gateway, Origin, both_drivers, config, eventually,
    message::{get_request, ok},
};

both_drivers! {
    fn a_silent_origin_is_504(driver) {
        let origin = Origin::start(|peer| {
            while let Some(request) = peer.request() {
                match request.target.as_str() {
                    "/silent" => return peer.until_closed(),
                    _ => peer.send(ok("fine")),
                }
            }
        });
        let yaml = config::api(&origin.url) + &config::configuration("timeouts", "upstreamResponseSeconds: 1");
        let gateway = Gateway::start(driver, yaml);
        let mut client = gateway.client();
        assert_eq!(client.get("/silent").status, 504);
        assert_eq!(origin.requests().len(), 1, "a request that timed out is not sent again");
        assert_eq!(gateway.get("/").text(), "fine");
    }

    fn the_environments_timeout_counts(driver) {
        let origin = Origin::start(|peer| {
            peer.request();
            peer.until_closed();
        });
        let gateway = Gateway::setup(driver, config::api(&origin.url))
            .environment("FLEX_UPSTREAM_RESPONSE_TIMEOUT_SECONDS", "1")
            .start();
        assert_eq!(gateway.get("/").status, 504);
    }

    fn a_stream_that_falls_silent_is_aborted(driver) {
        let origin = Origin::start(|peer| {
            peer.request();
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
            peer.until_closed();
        });
        let yaml = config::api(&origin.url) + &config::configuration("timeouts", "streamIdleSeconds: 1");
        let gateway = Gateway::start(driver, yaml);
        let answer = gateway.client().send(get_request("/", "")).try_response("GET");
        assert!(matches!(&answer, Err(Broken::Truncated(body)) if body == b"half"), "{answer:?}");
    }

    fn an_idle_upstream_connection_is_closed(driver) {
        let closed = Gate::new();
        let tell = closed.clone();
        let origin = Origin::start(move |peer| {
            peer.request();
            peer.send(ok("x"));
            peer.until_closed();
            tell.open();
        });
        let yaml = config::api(&origin.url) + &config::configuration("timeouts", "upstreamConnectionIdleSeconds: 1");
        let gateway = Gateway::start(driver, yaml);
        assert_eq!(gateway.get("/").text(), "x");
        closed.wait();
    }

    fn a_slow_head_is_408(driver) {
        let origin = Origin::answering(ok(""));
        let yaml = config::api(&origin.url) + &config::configuration("limits", "headTimeoutSeconds: 1");
        let gateway = Gateway::start(driver, yaml);
        let mut client = gateway.client();
        client.send("GET / HTTP/1.1\r\nHost: h\r\nX-Never");
        let answer = client.response();
        assert_eq!((answer.status, answer.says_close()), (408, true));
        client.expect_close();
        origin.expect_nothing();
    }

    /// The limit is on the whole head: a byte now and then does not renew it.
    fn a_dripping_head_is_408(driver) {
        let origin = Origin::answering(ok(""));
        let yaml = config::api(&origin.url) + &config::configuration("limits", "headTimeoutSeconds: 1");
        let gateway = Gateway::start(driver, yaml);
        let mut client = gateway.client();
        client.send("GET / HTTP/1.1\r\nHost: h\r\nX-Drip: ");
        // Ends when the gateway has closed; a gateway that lets the drip renew its patience fails `eventually`.
        eventually("the gateway hangs up on the drip", || client.wire.try_send(b"x").is_err());
        origin.expect_nothing();
    }

    fn a_body_that_stalls_is_408(driver) {
        let origin = Origin::answering(ok(""));
        let yaml = config::api(&origin.url) + &config::configuration("limits", "bodyIdleSeconds: 1");
        let gateway = Gateway::start(driver, yaml);
        let mut client = gateway.client();
        client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf");
        let answer = client.response();
        assert_eq!((answer.status, answer.says_close()), (408, true));
        client.expect_close();
        origin.expect_nothing();
    }

    fn an_idle_connection_is_closed_silently(driver) {
        let origin = Origin::answering(ok("x"));
        let yaml = config::api(&origin.url) + &config::configuration("limits", "keepAliveIdleSeconds: 1\nheadTimeoutSeconds: 1");
        let gateway = Gateway::start(driver, yaml);
        let mut used = gateway.client();
        assert_eq!(used.get("/").text(), "x");
        used.expect_close();
        gateway.client().expect_close();
    }
}
