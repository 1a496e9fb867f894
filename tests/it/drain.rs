//! The end: what is under way is finished, nobody new is lost, and then the process exits.

use crate::support::{
    Broken, Client, Gate, Gateway, Origin, both_drivers, config,
    message::{get_request, ok},
};
use std::time::Duration;

both_drivers! {
    fn an_idle_gateway_exits_with_0(driver) {
        for signal in [libc::SIGTERM, libc::SIGINT] {
            let origin = Origin::answering(ok(""));
            let mut gateway = Gateway::start(driver, config::api(&origin.url));
            gateway.signal(signal);
            assert_eq!(gateway.wait_exit().code(), Some(0), "signal {signal}:\n{}", gateway.stderr());
        }
    }

    /// A load balancer sees it first; a supervisor must not restart what is still working.
    fn readiness_fails_first_and_liveness_stays(driver) {
        let release = Gate::new();
        let origin = held(&release);
        let mut gateway = Gateway::start(driver, config::api(&origin.url));
        assert_eq!((gateway.admin_status("/livez"), gateway.admin_status("/readyz")), (Some(200), Some(200)));
        let mut client = gateway.client();
        client.send(get_request("/held", ""));
        origin.wait_for_requests(1);
        gateway.begin_drain();
        assert_eq!((gateway.admin_status("/livez"), gateway.admin_status("/readyz")), (Some(200), Some(503)));
        release.open();
        assert_eq!(client.response().text(), "done");
        assert_eq!(gateway.wait_exit().code(), Some(0));
    }

    fn what_is_in_flight_finishes_and_is_told_to_close(driver) {
        let release = Gate::new();
        let origin = held(&release);
        let mut gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.send(get_request("/held", ""));
        origin.wait_for_requests(1);
        gateway.begin_drain_everywhere();
        release.open();
        let answer = client.response();
        assert_eq!((answer.text().as_str(), answer.says_close()), ("done", true));
        client.expect_close();
        assert_eq!(gateway.wait_exit().code(), Some(0));
    }

    /// A client may be sending as the signal comes: its idle connection serves one more request.
    fn an_idle_connections_next_request_is_answered(driver) {
        let release = Gate::new();
        let origin = held(&release);
        let mut gateway = Gateway::start(driver, config::api(&origin.url));
        let mut idle: Vec<Client> = (0..8).map(|_| gateway.client()).collect();
        for client in &mut idle {
            assert!(!client.get("/quick").says_close());
        }
        let mut busy = gateway.client();
        busy.send(get_request("/held", ""));
        origin.wait_for_requests(9);
        gateway.begin_drain_everywhere();
        for client in &mut idle {
            let answer = client.get("/quick");
            assert_eq!((answer.status, answer.says_close()), (200, true));
            client.expect_close();
        }
        release.open();
        busy.response();
        assert_eq!(gateway.wait_exit().code(), Some(0));
    }

    fn a_stream_in_flight_is_not_cut(driver) {
        let end = Gate::new();
        let wait = end.clone();
        let origin = Origin::start(move |peer| {
            peer.request();
            peer.send_and_wait("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n", &wait);
            peer.send("6\r\nsecond\r\n0\r\n\r\n");
        });
        let mut gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.send(get_request("/", ""));
        client.response_head("GET").expect("a head");
        assert_eq!(client.wire.chunk().expect("the first"), b"first");
        gateway.begin_drain();
        end.open();
        assert_eq!(client.wire.chunk().expect("the second"), b"second");
        assert_eq!(client.wire.chunk().expect("the end"), b"");
        assert_eq!(gateway.wait_exit().code(), Some(0));
    }

    fn what_outlasts_the_drain_is_cut_and_the_exit_is_0(driver) {
        let never = Gate::new();
        let origin = held(&never);
        let yaml = config::api(&origin.url) + &config::configuration("shutdown", "drainSeconds: 1");
        let mut gateway = Gateway::start(driver, yaml);
        let mut client = gateway.client();
        client.send(get_request("/held", ""));
        origin.wait_for_requests(1);
        gateway.terminate();
        assert_eq!(gateway.wait_exit().code(), Some(0));
        match client.try_response("GET") {
            Err(Broken::Closed | Broken::Truncated(_)) => {}
            Ok(answer) => assert!(answer.status >= 500, "{}", answer.status),
            other => panic!("{other:?}"),
        }
        never.open();
    }

    fn a_second_signal_ends_it_now(driver) {
        let never = Gate::new();
        let origin = held(&never);
        let yaml = config::api(&origin.url) + &config::configuration("shutdown", "drainSeconds: 3600");
        let mut gateway = Gateway::start(driver, yaml);
        let mut client = gateway.client();
        client.send(get_request("/held", ""));
        origin.wait_for_requests(1);
        gateway.begin_drain();
        assert!(!gateway.has_exited());
        gateway.terminate();
        gateway.wait_exit();
        never.open();
    }

    /// `delaySeconds`: out of the load balancer first, still accepting meanwhile.
    fn during_the_delay_newcomers_are_served(driver) {
        let origin = Origin::answering(ok("served"));
        let yaml = config::api(&origin.url) + &config::configuration("shutdown", "delaySeconds: 3600");
        let mut gateway = Gateway::start(driver, yaml);
        gateway.begin_drain();
        for _ in 0..10 {
            assert_eq!(gateway.get("/").text(), "served");
        }
        gateway.terminate();
        gateway.wait_exit();
    }

    /// Connections that the kernel has queued belong to clients that believe they are connected.
    fn no_queued_connection_is_lost(driver) {
        let origin = Origin::answering(ok("served"));
        let mut gateway = Gateway::setup(driver, config::api(&origin.url)).shards(2).start();
        let address = gateway.address;
        let started = Gate::new();
        let start = started.clone();
        let knocking = std::thread::spawn(move || {
            let mut lost = Vec::new();
            for n in 0.. {
                // Refused: the listener is gone, and the client knows it may try elsewhere.
                let Ok(mut client) = Client::try_connect(address) else { return (n, lost) };
                let sent = client.wire.try_send(&get_request("/", "Connection: close\r\n"));
                match (sent, client.try_response("GET")) {
                    (Ok(()), Ok(answer)) if answer.status == 200 => {}
                    (sent, answer) => lost.push(format!("{n}: {sent:?} {:?}", answer.map(|r| r.status))),
                }
                if n == 50 {
                    start.open();
                }
            }
            unreachable!("the loop ends with a refusal")
        });
        started.wait();
        gateway.terminate();
        assert_eq!(gateway.wait_exit().code(), Some(0));
        let (tried, lost) = knocking.join().expect("the client's thread");
        assert!(lost.is_empty(), "{} of {tried} were accepted and then dropped: {lost:?}", lost.len());
    }

    /// Keep-alive clients under load through a shutdown: each request that was accepted is answered.
    fn no_request_of_a_polite_client_fails(driver) {
        let origin = Origin::answering(ok("served"));
        let mut gateway = Gateway::setup(driver, config::api(&origin.url)).shards(2).start();
        let address = gateway.address;
        let running = Gate::new();
        let clients: Vec<_> = (0..8)
            .map(|_| {
                let running = running.clone();
                std::thread::spawn(move || polite(address, &running))
            })
            .collect();
        running.wait();
        gateway.terminate();
        assert_eq!(gateway.wait_exit().code(), Some(0));
        for client in clients {
            let (served, failed) = client.join().expect("a client's thread");
            assert!(served > 0 && failed.is_none(), "after {served} served: {failed:?}");
        }
    }

    fn a_tunnel_is_cut_at_the_drain_limit(driver) {
        let origin = Origin::start(|peer| {
            peer.request();
            peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
            peer.wire.echo();
        });
        let yaml = config::api(&origin.url) + &config::configuration("shutdown", "drainSeconds: 1");
        let mut gateway = Gateway::start(driver, yaml);
        let mut client = gateway.client();
        client.send(get_request("/", "Connection: upgrade\r\nUpgrade: x\r\n"));
        assert_eq!(client.response_head("GET").expect("a head").status, 101);
        gateway.terminate();
        assert_eq!(gateway.wait_exit_within(Duration::from_secs(20)).code(), Some(0));
    }

    fn the_listener_is_gone_while_the_rest_drains(driver) {
        let release = Gate::new();
        let origin = held(&release);
        let mut gateway = Gateway::start(driver, config::api(&origin.url));
        let mut client = gateway.client();
        client.send(get_request("/held", ""));
        origin.wait_for_requests(1);
        gateway.begin_drain_everywhere();
        release.open();
        assert_eq!(client.response().text(), "done");
        assert_eq!(gateway.wait_exit().code(), Some(0));
    }
}

/// Answers `/held` when told, anything else at once.
fn held(release: &Gate) -> Origin {
    let release = release.clone();
    Origin::start(move |peer| {
        while let Some(request) = peer.request() {
            if request.target == "/held" {
                release.wait();
            }
            peer.send(ok("done"));
        }
    })
}

/// Requests on kept connections, reconnecting when told to close, until connecting is refused. How many were
/// served, and the first failure.
fn polite(address: std::net::SocketAddr, running: &Gate) -> (usize, Option<String>) {
    let mut served = 0;
    while let Ok(mut client) = Client::try_connect(address) {
        loop {
            if let Err(error) = client.wire.try_send(&get_request("/", "")) {
                return (served, Some(error.to_string()));
            }
            match client.try_response("GET") {
                Ok(answer) if answer.status == 200 => {
                    served += 1;
                    if served == 200 {
                        running.open();
                    }
                    if answer.says_close() {
                        break;
                    }
                }
                other => return (served, Some(format!("{:?}", other.map(|r| r.status)))),
            }
        }
    }
    (served, None)
}
