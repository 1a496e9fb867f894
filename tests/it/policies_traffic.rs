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

fn contract(client: &str, secret: &str, more: &str) -> String {
    let spec = format!("apiId: test\nclient: {{ id: {client}, secret: '{secret}', name: {client} }}{more}");
    config::document("Contract", &format!("contract-{client}"), &spec)
}

both_drivers! {
    fn a_limit_admits_so_many_and_says_how_it_stands(driver) {
        let origin = Origin::answering(ok("in"));
        let limit = "rateLimits: [ { maximumRequests: 2, timePeriodInMilliseconds: 600000 } ]\nexposeHeaders: true";
        let gateway = Gateway::start(driver, bound_api(&origin) + &binding("limit", "rate-limiting-flex", limit, ""));
        for left in ["1", "0"] {
            let answer = gateway.get("/");
            let reset: u64 = answer.get("x-ratelimit-reset").expect("exposed").parse().expect("a number");
            assert_eq!((answer.status, answer.get("x-ratelimit-limit")), (200, Some("2")));
            assert_eq!((answer.get("x-ratelimit-remaining"), answer.get("retry-after")), (Some(left), None));
            assert!((500_000..=600_000).contains(&reset), "milliseconds: {reset}");
        }
        let answer = gateway.get("/");
        assert_eq!((answer.status, answer.text()), (429, "{\"error\": \"the rate limit is used up\"}".to_owned()));
        let seconds: u64 = answer.get("retry-after").expect("with 429").parse().expect("a number");
        assert!((500..=600).contains(&seconds), "seconds: {seconds}");
        assert_eq!(answer.get("x-ratelimit-remaining"), Some("0"));
        assert_eq!(answer.get("ratelimit"), None);
        assert_eq!(origin.requests().len(), 2, "what is refused reaches nobody");
    }

    fn a_limit_that_is_not_exposed_says_nothing_but_when(driver) {
        let origin = Origin::answering(ok("in"));
        let limit = "rateLimits: [ { maximumRequests: 1, timePeriodInMilliseconds: 600000 } ]";
        let gateway = Gateway::start(driver, bound_api(&origin) + &binding("limit", "rate-limiting", limit, ""));
        let (first, second) = (gateway.get("/"), gateway.get("/"));
        assert_eq!((first.status, second.status), (200, 429));
        assert!(second.get("retry-after").is_some());
        for answer in [first, second] {
            assert_eq!((answer.get("x-ratelimit-limit"), answer.get("ratelimit-policy")), (None, None));
        }
    }

    /// Each value its own count; those without one share the empty text's, and what is no text becomes one.
    fn each_key_has_its_own_count(driver) {
        let origin = Origin::answering(ok("in"));
        let limit = "rateLimits: [ { maximumRequests: 1, timePeriodInMilliseconds: 600000 } ]\n\
                     keySelector: \"#[attributes.headers['x-user']]\"";
        let sizes = "rateLimits: [ { maximumRequests: 1, timePeriodInMilliseconds: 600000 } ]\n\
                     keySelector: \"#[sizeOf(attributes.headers['x-user'])]\"";
        let yaml = [
            bound_api(&origin),
            binding("user", "rate-limiting-flex", limit, "rules:\n- { path: /user }\n"),
            binding("size", "rate-limiting-flex", sizes, "rules:\n- { path: /size }\n"),
        ];
        let gateway = Gateway::start(driver, yaml.concat());
        let mut client = gateway.client();
        for (path, lines, status) in [
            ("/user", "X-User: ann\r\n", 200),
            ("/user", "X-User: bob\r\n", 200),
            ("/user", "X-User: ann\r\n", 429),
            ("/user", "", 200),
            ("/user", "", 429),
            ("/user", "X-User: \r\n", 429),
            ("/size", "X-User: ann\r\n", 200),
            ("/size", "X-User: bob\r\n", 429),
            ("/size", "X-User: bobby\r\n", 200),
            // The expression has no value for this one: it counts with those that have none.
            ("/size", "", 200),
            ("/size", "", 429),
            ("/other", "", 200),
            ("/other", "", 200),
        ] {
            let answer = client.send(get_request(path, lines)).response();
            assert_eq!(answer.status, status, "{path} {lines:?}");
        }
    }

    fn several_limits_all_count_and_the_nearest_is_told(driver) {
        let origin = Origin::answering(ok("in"));
        let limits = "rateLimits:\n- { maximumRequests: 2, timePeriodInMilliseconds: 600000 }\n\
                      - { maximumRequests: 100, timePeriodInMilliseconds: 900000 }\nexposeHeaders: true\nietfHeaders: true";
        let gateway = Gateway::start(driver, bound_api(&origin) + &binding("limit", "rate-limiting-flex", limits, ""));
        let answer = gateway.get("/");
        assert_eq!(answer.get("x-ratelimit-limit"), Some("2"));
        let policy = "\"2-in-600000ms\";q=2;w=600, \"100-in-900000ms\";q=100;w=900";
        assert_eq!(answer.get("ratelimit-policy"), Some(policy));
        let stands = answer.get("ratelimit").expect("switched on");
        assert!(stands.starts_with("\"2-in-600000ms\";r=1;t="), "{stands}");
        assert_eq!(gateway.get("/").status, 200);
        assert_eq!(gateway.get("/").status, 429);
    }

    /// A later refusal is what the client hears of, not the quota of the policy before it.
    fn of_two_policies_the_nearer_end_is_told(driver) {
        let origin = Origin::answering(ok("in"));
        let limit = |requests| format!(
            "rateLimits: [ {{ maximumRequests: {requests}, timePeriodInMilliseconds: 600000 }} ]\nexposeHeaders: true"
        );
        let yaml = [
            bound_api(&origin),
            binding("wide", "rate-limiting-flex", &limit(9), "order: 1\n"),
            binding("narrow", "rate-limiting-flex", &limit(1), "order: 2\n"),
        ];
        let gateway = Gateway::start(driver, yaml.concat());
        for status in [200, 429] {
            let answer = gateway.get("/");
            assert_eq!((answer.status, answer.get("x-ratelimit-limit")), (status, Some("1")));
            assert_eq!(answer.get("x-ratelimit-remaining"), Some("0"));
        }
    }

    /// Over all shards together, however connections are spread, a limit is what is written.
    fn a_limit_is_one_for_all_shards(driver) {
        let origin = Origin::answering(ok("in"));
        let limit = "rateLimits: [ { maximumRequests: 20, timePeriodInMilliseconds: 600000 } ]";
        let yaml = bound_api(&origin) + &binding("limit", "rate-limiting-flex", limit, "");
        let gateway = Gateway::setup(driver, yaml).shards(4).start();
        let mut clients: Vec<_> = (0..12).map(|_| gateway.client()).collect();
        let mut admitted = 0;
        for _ in 0..5 {
            admitted += clients.iter_mut().map(|client| usize::from(client.get("/").status == 200)).sum::<usize>();
        }
        assert_eq!(admitted, 20);
    }

    fn who_has_a_contract_gets_in(driver) {
        let origin = Origin::answering(ok("in"));
        let enforce = "clientSecretExpression: \"#[attributes.headers['client_secret']]\"";
        let yaml = [
            bound_api(&origin),
            contract("ann", "s3cret", ""),
            binding("id", "client-id-enforcement-flex", enforce, "rules:\n- { path: /both }\n"),
            binding("id-only", "client-id-enforcement", "", "rules:\n- { path: /id }\n"),
        ];
        let gateway = Gateway::start(driver, yaml.concat());
        let mut client = gateway.client();
        let mut ask = |path: &str, lines: &str| {
            let answer = client.send(get_request(path, lines)).response();
            (answer.status, answer.get("www-authenticate").map(str::to_owned))
        };
        assert_eq!(ask("/both", "client_id: ann\r\nclient_secret: s3cret\r\n"), (200, None));
        assert_eq!(ask("/id", "client_id: ann\r\n"), (200, None));
        let challenge = Some("Client-ID-Enforcement".to_owned());
        for (path, lines) in [
            ("/both", "client_id: ann\r\n"),
            ("/both", "client_id: ann\r\nclient_secret: s3cre\r\n"),
            ("/both", "client_id: eve\r\nclient_secret: s3cret\r\n"),
            ("/both", "client_secret: s3cret\r\n"),
            ("/both", ""),
            ("/id", ""),
            ("/id", "client_id: Ann\r\n"),
            ("/id", "client_id: \r\n"),
        ] {
            assert_eq!(ask(path, lines), (401, challenge.clone()), "{path} {lines:?}");
        }
        assert_eq!(origin.requests().len(), 2);
    }

    fn a_contract_is_proved_by_basic_authentication(driver) {
        let origin = Origin::answering(ok("in"));
        let enforce = "credentialsOriginHasHttpBasicAuthenticationHeader: httpBasicAuthenticationHeader";
        let yaml = [
            bound_api(&origin),
            contract("ann", "s3:cret", ""),
            binding("id", "client-id-enforcement-flex", enforce, ""),
        ];
        let gateway = Gateway::start(driver, yaml.concat());
        // ann:s3:cret, ann:s3, eve:s3:cret, no colon
        for (lines, status) in [
            ("Authorization: Basic YW5uOnMzOmNyZXQ=\r\n", 200),
            ("Authorization: Basic YW5uOnMz\r\n", 401),
            ("Authorization: Basic ZXZlOnMzOmNyZXQ=\r\n", 401),
            ("Authorization: Basic YW5u\r\n", 401),
            ("Authorization: Bearer YW5uOnMzOmNyZXQ=\r\n", 401),
            ("client_id: ann\r\nclient_secret: s3:cret\r\n", 401),
            ("", 401),
        ] {
            let answer = gateway.client().send(get_request("/", lines)).response();
            assert_eq!(answer.status, status, "{lines:?}");
            let challenge = (status == 401).then_some("Basic realm=\"mule-realm\", charset=\"UTF-8\"");
            assert_eq!(answer.get("www-authenticate"), challenge);
        }
    }

    fn each_client_has_the_limits_of_its_contract(driver) {
        let origin = Origin::answering(ok("in"));
        let sla = |requests| format!(
            "\nsla: {{ name: tier, rateLimits: [ {{ maximumRequests: {requests}, timePeriodInMilliseconds: 600000 }} ] }}"
        );
        let yaml = [
            bound_api(&origin),
            contract("ann", "one", &sla(1)),
            contract("bob", "two", &sla(3)),
            contract("cid", "six", &sla(1)),
            binding("sla", "rate-limiting-sla-based-flex", "exposeHeaders: true\nietfHeaders: true", ""),
            // The client that was found goes on to the next.
            binding("own", "rate-limiting-flex",
                "rateLimits: [ { maximumRequests: 2, timePeriodInMilliseconds: 600000 } ]\n\
                 keySelector: '#[authentication.clientId]'", "order: 60\n"),
        ];
        let gateway = Gateway::setup(driver, yaml.concat()).shards(2).start();
        let ask = |id: &str| {
            let answer = gateway.client().send(get_request("/", &format!("client_id: {id}\r\n"))).response();
            (answer.status, answer.get("x-ratelimit-limit").map(str::to_owned))
        };
        let told = |limit: &str| Some(limit.to_owned());
        assert_eq!(ask("ann"), (200, told("1")));
        assert_eq!(ask("ann"), (429, told("1")));
        assert_eq!(ask("cid"), (200, told("1")), "of the same tier, and another client");
        assert_eq!(ask("bob"), (200, told("3")));
        assert_eq!(ask("bob"), (200, told("3")));
        assert_eq!(ask("bob").0, 429, "of the limit by authentication.clientId");
        assert_eq!(ask("eve"), (401, None));
        let answer = gateway.get("/");
        assert_eq!((answer.status, answer.get("www-authenticate")), (401, Some("Client-ID-Enforcement")));
    }

    fn a_spike_is_refused_and_passes(driver) {
        let origin = Origin::answering(ok("in"));
        let spike = "maximumRequests: 2\ntimePeriodInMilliseconds: 5000\nexposeHeaders: true";
        let yaml = bound_api(&origin) + &binding("spike", "spike-control-flex", spike, "");
        let gateway = Gateway::setup(driver, yaml).shards(2).start();
        let first = gateway.get("/");
        assert_eq!((first.status, first.get("x-ratelimit-remaining"), first.get("x-ratelimit-reset")), (200, Some("1"), Some("0")));
        assert_eq!(gateway.get("/").status, 200);
        let third = gateway.get("/");
        assert_eq!((third.status, third.get("x-ratelimit-limit")), (429, Some("2")));
        let reset: u64 = third.get("x-ratelimit-reset").expect("exposed").parse().expect("a number");
        assert!((1..=5000).contains(&reset), "{reset}");
        assert!(third.get("retry-after").is_some());
        eventually("the window has passed", || gateway.get("/").status == 200);
    }

    fn without_a_configuration_a_spike_is_two_in_a_second(driver) {
        let origin = Origin::answering(ok("in"));
        let gateway = Gateway::start(driver, bound_api(&origin) + &binding("spike", "spike-control", "", ""));
        let mut client = gateway.client();
        assert_eq!(client.get("/").status, 200);
        eventually("a second request within the second", || client.get("/").status == 429);
    }

    /// What is too much waits, and is served in the window after; only so many wait, and only so often.
    fn a_parked_request_is_served_later(driver) {
        let origin = Origin::answering(ok("in"));
        let spike = "maximumRequests: 1\ntimePeriodInMilliseconds: 1000\ndelayTimeInMillis: 200\ndelayAttempts: 50\n\
                     queuingLimit: 1";
        let gateway = Gateway::start(driver, bound_api(&origin) + &binding("spike", "spike-control-flex", spike, ""));
        let body = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n";
        assert_eq!(gateway.get("/").status, 200);
        let mut parked = gateway.client();
        parked.send(body);
        // Nobody else may wait while it does.
        eventually("the queue is full", || gateway.get("/").status == 429);
        parked.send("text");
        assert_eq!(parked.response().status, 200);
        assert!(origin.requests().iter().any(|request| request.body == b"text"));
    }

    fn a_parked_client_that_leaves_is_let_go(driver) {
        let origin = Origin::answering(ok("in"));
        let spike = "maximumRequests: 1\ntimePeriodInMilliseconds: 5000\ndelayTimeInMillis: 60000\nqueuingLimit: 1";
        let yaml = [
            bound_api(&origin),
            binding("spike", "spike-control-flex", spike, ""),
            config::configuration("accessLog", "path: @folder@/access.log"),
        ];
        let gateway = Gateway::start(driver, yaml.concat());
        assert_eq!(gateway.get("/").status, 200);
        let mut parked = gateway.client();
        parked.send(get_request("/parked", ""));
        // It is not known when it waits; a client that left before that is noticed all the same.
        drop(parked);
        eventually("the gateway has seen it go", || {
            let log = std::fs::read_to_string(gateway.folder.path().join("access.log")).unwrap_or_default();
            log.lines().any(|line| line.contains("/parked") && line.contains("\"status\":499"))
        });
        assert_eq!(origin.requests().len(), 1);
    }

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
        let (say, said) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                let (mut client, say) = (gateway.client(), say.clone());
                scope.spawn(move || say.send(client.get("/").status));
            }
            let next = || said.recv_timeout(crate::support::DEADLINE).expect("an answer");
            // One of them waits; the others are told at once.
            assert_eq!([next(), next()], [503, 503]);
            gate.open();
            assert_eq!(next(), 200);
        });
        assert_eq!(first.response().status, 200);
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
