//! When a request is sent a second time, and when never.

use crate::support::{
    Gate, Gateway, Origin, both_drivers, config,
    message::{get_request, ok, post_request},
    ports,
};
use std::sync::atomic::{AtomicUsize, Ordering};

both_drivers! {
    /// The origin closed a pooled connection that nobody was using: no request may pay for it.
    fn a_connection_closed_while_idle_costs_nothing(driver) {
        let closing = Gate::new();
        let closed = closing.clone();
        let origin = Origin::start(move |peer| {
            peer.request();
            peer.send(ok("x"));
            if peer.connection == 0 {
                peer.close();
                closed.open();
            } else {
                peer.until_closed();
            }
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        assert_eq!(client.get("/1").status, 200);
        closing.wait();
        assert_eq!(client.send(post_request("/2", "", "body")).response().status, 200);
        assert_eq!(origin.requests().len(), 2);
    }

    /// The reused connection dies with the request on it. Nothing of an answer came: GET may go again.
    fn get_is_sent_again_when_a_reused_connection_dies(driver) {
        let origin = dying_on_its_second_request();
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        assert_eq!(client.get("/1").text(), "x");
        let second = client.get("/2");
        assert_eq!((second.status, second.text().as_str()), (200, "x"));
        let seen: Vec<_> = origin.requests().iter().map(|r| (r.connection, r.target.clone())).collect();
        assert_eq!(seen, [(0, "/1".to_owned()), (0, "/2".to_owned()), (1, "/2".to_owned())]);
    }

    /// The origin may have acted on it: a POST is sent once, whatever becomes of it.
    fn post_is_never_sent_twice(driver) {
        let origin = dying_on_its_second_request();
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        assert_eq!(client.get("/1").text(), "x");
        assert_eq!(client.send(post_request("/pay", "", "100")).response().status, 502);
        let paid = origin.requests().iter().filter(|request| request.target == "/pay").count();
        assert_eq!(paid, 1);
    }

    /// On a fresh connection the origin did read it: not even a GET goes again.
    fn nothing_is_sent_again_after_a_fresh_connection_dies(driver) {
        let origin = Origin::start(|peer| {
            peer.request();
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        assert_eq!(gateway.get("/").status, 502);
        assert_eq!(origin.requests().len(), 1);
    }

    /// An answer that began is the answer.
    fn nothing_is_sent_again_after_a_byte_of_the_answer(driver) {
        let count = AtomicUsize::new(0);
        let origin = Origin::start(move |peer| {
            while peer.request().is_some() {
                match count.fetch_add(1, Ordering::Relaxed) {
                    0 => peer.send(ok("x")),
                    _ => {
                        peer.send("HTTP/1.1 2");
                        return;
                    }
                }
            }
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        assert_eq!(client.get("/1").text(), "x");
        assert_eq!(client.get("/2").status, 502);
        assert_eq!(origin.requests().len(), 2);
    }

    /// No byte was written to an endpoint that refuses: any method goes to another.
    fn a_refusing_endpoint_hands_over_to_another(driver) {
        let refusing = ports::Refusing::new();
        let origin = Origin::echoing();
        let endpoints = format!("endpoints:\n  - address: http://{}\n  - address: {}", refusing.address, origin.url);
        let gateway = Gateway::start(driver, config::api_with_service(&endpoints));
        let mut client = gateway.client();
        for n in 0..6 {
            let answer = client.send(post_request(&format!("/{n}"), "", "once")).response();
            assert_eq!((answer.status, answer.text().as_str()), (200, "once"), "{n}");
        }
        assert_eq!(origin.requests().len(), 6);
    }

    fn a_client_that_pipelines_sees_its_retry_in_order(driver) {
        let origin = dying_on_its_second_request();
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.send([get_request("/1", ""), get_request("/2", "")].concat());
        assert_eq!((client.response().status, client.response().status), (200, 200));
    }
}

/// Connection 0 answers once and dies with the next request read; the others serve.
fn dying_on_its_second_request() -> Origin {
    Origin::start(|peer| {
        let mut served = 0;
        while peer.request().is_some() {
            if peer.connection == 0 && served == 1 {
                return;
            }
            peer.send(ok("x"));
            served += 1;
        }
    })
}
