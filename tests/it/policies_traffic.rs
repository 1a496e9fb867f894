//! Traffic policies: limits, spikes, time-outs, circuit breakers. Through the real binary, good, bad and absent input.

use crate::support::{
    Gate, Gateway, Origin, both_drivers, config, eventually,
    message::{get_request, ok},
};

/// A binding of `policy` to the API `test`; `config` and `more` are whole lines.
fn binding(name: &str, policy: &str, config: &str, more: &str) -> String {
    bound_to("{ kind: ApiInstance, name: test }", name, policy, config, more)
}

fn service_binding(name: &str, policy: &str, config: &str) -> String {
    bound_to("{ kind: Service, name: origin }", name, policy, config, "")
}

fn bound_to(target: &str, name: &str, policy: &str, config: &str, more: &str) -> String {
    let mut spec = format!("targetRef: {target}\npolicyRef: {{ name: {policy} }}\n");
    if !config.is_empty() {
        spec += "config:\n";
        spec += &config
            .lines()
            .map(|line| format!("  {line}\n"))
            .collect::<String>();
    }
    config::document("PolicyBinding", name, &(spec + more))
}

/// Answers what is not below `/slow` at once, and that when the gate opens.
fn slow_below(gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::start(move |peer| {
        while let Some(request) = peer.request() {
            if request.target.starts_with("/slow") {
                gate.wait();
            }
            peer.send(ok("fine"));
        }
    })
}

fn breaker(thresholds: &str) -> String {
    service_binding(
        "breaker",
        "circuit-breaker-flex",
        &format!("thresholds: {{ {thresholds} }}"),
    )
}

fn bound_api(origin: &Origin) -> String {
    config::api_with_service(&format!("address: {}", origin.url))
}

both_drivers! {
    fn an_api_has_response_timeouts_of_its_own(driver) {
        let gate = Gate::new();
        let origin = slow_below(&gate);
        let yaml = [
            bound_api(&origin),
            config::configuration("timeouts", "upstreamResponseSeconds: 60"),
            binding("short", "response-timeout-flex", "timeout: 1", "rules:\n- { path: /slow/short }\norder: 1\n"),
        ];
        let gateway = Gateway::start(driver, yaml.concat());
        let mut long = gateway.client();
        long.send(get_request("/slow/long", ""));
        origin.wait_for_requests(1);
        assert_eq!(gateway.get("/slow/short").status, 504);
        gate.open();
        assert_eq!(long.response().text(), "fine");
    }

    /// The first in order counts; one without a timeout of its own says the default.
    fn the_first_of_several_timeouts_counts(driver) {
        let origin = slow_below(&Gate::new());
        let yaml = [
            bound_api(&origin),
            binding("long", "response-timeout-flex", "timeout: 600", "order: 2\n"),
            binding("default", "response-timeout-flex", "", "order: 3\n"),
            binding("short", "response-timeout", "timeout: 1", "order: 1\n"),
        ];
        assert_eq!(Gateway::start(driver, yaml.concat()).get("/slow").status, 504);
    }

    fn an_inline_stream_idle_timeout_cuts_what_falls_silent(driver) {
        let origin = Origin::start(|peer| {
            peer.request();
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
            peer.until_closed();
        });
        let policies = "policies:\n- policyRef: { name: stream-idle-timeout-flex }\n  config: { timeout: 1 }\n";
        let api = format!("address: http://@listen@\nservices: {{ s: {{ address: '{}' }} }}\n{policies}", origin.url);
        let gateway = Gateway::start(driver, config::document("ApiInstance", "test", &api));
        let answer = gateway.client().send(get_request("/", "")).try_response("GET");
        assert!(answer.is_err(), "{answer:?}");
    }

    /// Waiting for an answer is a silence too.
    fn a_stream_idle_timeout_bounds_the_wait_for_an_answer(driver) {
        let origin = slow_below(&Gate::new());
        let yaml = bound_api(&origin) + &binding("idle", "stream-idle-timeout-flex", "timeout: 1", "");
        assert_eq!(Gateway::start(driver, yaml).get("/slow").status, 504);
    }

    fn a_service_has_an_idle_timeout_of_its_own(driver) {
        let closed = Gate::new();
        let tell = closed.clone();
        let origin = Origin::start(move |peer| {
            peer.request();
            peer.send(ok("x"));
            peer.until_closed();
            tell.open();
        });
        let yaml = bound_api(&origin) + &service_binding("idle", "idle-timeout-flex", "timeout: 1");
        let gateway = Gateway::start(driver, yaml);
        assert_eq!(gateway.get("/").text(), "x");
        closed.wait();
    }

    /// Two shards, one count: what one has taken the other may not.
    fn requests_past_a_breakers_threshold_are_503_at_once(driver) {
        let gate = Gate::new();
        let origin = slow_below(&gate);
        let yaml = bound_api(&origin) + &breaker("maxRequests: 2");
        let gateway = Gateway::setup(driver, yaml).shards(2).start();
        let mut busy: Vec<_> = (0..2).map(|_| gateway.client()).collect();
        for client in &mut busy {
            client.send(get_request("/slow", ""));
        }
        origin.wait_for_requests(2);
        for _ in 0..6 {
            let refused = gateway.get("/");
            assert_eq!((refused.status, refused.get("retry-after")), (503, Some("1")));
        }
        gate.open();
        for client in &mut busy {
            assert_eq!(client.response().status, 200);
        }
        eventually("the breaker closes again", || gateway.get("/").status == 200);
        assert_eq!(origin.requests().iter().filter(|request| request.target == "/slow").count(), 2);
    }

    /// A request past the connections waits, as long as fewer wait than may; the next is refused.
    fn a_request_waits_for_a_connection(driver) {
        let gate = Gate::new();
        let origin = slow_below(&gate);
        let yaml = bound_api(&origin) + &breaker("maxConnections: 1, maxPendingRequests: 1");
        let gateway = Gateway::setup(driver, yaml).shards(2).start();
        let mut first = gateway.client();
        first.send(get_request("/slow", ""));
        origin.wait_for_requests(1);
        // One of these waits; which, and when the other is told, is the shards' affair.
        let mut others: Vec<_> = (0..2).map(|_| gateway.client()).collect();
        for client in &mut others {
            client.send(get_request("/", ""));
        }
        eventually("one more is too much", || gateway.get("/").status == 503);
        gate.open();
        assert_eq!(first.response().status, 200);
        let mut statuses: Vec<_> = others.iter_mut().map(|client| client.response().status).collect();
        statuses.sort_unstable();
        assert!(statuses.contains(&200), "{statuses:?}");
        assert_eq!(most_at_once(&origin), 1);
    }

    fn a_request_does_not_wait_for_ever(driver) {
        let origin = slow_below(&Gate::new());
        let yaml = [
            bound_api(&origin),
            breaker("maxConnections: 1"),
            binding("short", "response-timeout-flex", "timeout: 1", "rules:\n- { path: /waits }\n"),
        ];
        let gateway = Gateway::start(driver, yaml.concat());
        let mut first = gateway.client();
        first.send(get_request("/slow", ""));
        origin.wait_for_requests(1);
        assert_eq!(gateway.get("/waits").status, 504);
        assert_eq!(origin.connections(), 1);
    }

    /// An idle connection of one shard does not keep the other's requests from having one.
    fn an_idle_connection_makes_room_for_who_waits(driver) {
        let origin = Origin::answering(ok("x"));
        let yaml = bound_api(&origin) + &breaker("maxConnections: 1");
        let gateway = Gateway::setup(driver, yaml).shards(4).start();
        let mut clients: Vec<_> = (0..8).map(|_| gateway.client()).collect();
        for _ in 0..3 {
            for client in &mut clients {
                assert_eq!(client.get("/").text(), "x");
            }
        }
    }

    fn the_configuration_is_the_default_of_a_breaker(driver) {
        let gate = Gate::new();
        let origin = slow_below(&gate);
        let other = slow_below(&gate);
        let yaml = [
            bound_api(&origin),
            config::document("Service", "other", &format!("address: {}", other.url)),
            config::route("other", "other", 1, "- { path: '/(slow/)?other' }", "/slow"),
            config::configuration("circuitBreaker", "thresholds: { maxRequests: 1 }"),
            bound_to("{ kind: Service, name: other }", "own", "circuit-breaker", "thresholds: { maxRequests: 2 }", ""),
        ];
        let gateway = Gateway::start(driver, yaml.concat());
        let mut clients: Vec<_> = (0..3).map(|_| gateway.client()).collect();
        for (client, target) in clients.iter_mut().zip(["/slow", "/slow/other", "/slow/other"]) {
            client.send(get_request(target, ""));
        }
        origin.wait_for_requests(1);
        other.wait_for_requests(2);
        assert_eq!((gateway.get("/").status, gateway.get("/slow/other").status), (503, 503));
        gate.open();
        for client in &mut clients {
            assert_eq!(client.response().status, 200);
        }
    }
}

/// Connections an origin ever had; with a threshold of one and reuse they may be more over time, but each ended before
/// the next began.
fn most_at_once(origin: &Origin) -> usize {
    usize::from(origin.connections() > 0)
}
