//! One line of JSON for each exchange, good or bad.

use crate::support::{
    Gateway, Origin, both_drivers, config, eventually,
    message::{get_request, ok, post_request},
    pause,
};
use serde_json::Value;

both_drivers! {
    fn an_exchange_is_one_line(driver) {
        let origin = Origin::answering(ok("answer"));
        let gateway = logging(driver, &origin.url);
        gateway.client().send(post_request("/orders?id=1", "X-Request-Id: id-0123456789\r\n", "body")).response();
        let line = &lines(&gateway, 1)[0];
        for (field, expected) in [
            ("method", "POST"),
            ("target", "/orders?id=1"),
            ("host", "gateway.test"),
            ("client", "127.0.0.1"),
            ("protocol", "HTTP/1.1"),
            ("api", "default/test"),
            ("request_id", "id-0123456789"),
        ] {
            assert_eq!(line[field], expected, "{field} in {line}");
        }
        assert_eq!(line["status"], 200);
        assert_eq!(line["upstream"], origin.address.expect("tcp").to_string());
        assert!(line["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
        assert!(line["duration_us"].as_u64() >= line["upstream_us"].as_u64(), "{line}");
    }

    /// The clock is read when a connection's first request comes, not some time before. Half of them, because the line is
    /// written after the client has its answer, on a machine that may have other things to do.
    fn a_first_request_took_no_longer_than_its_client_saw(driver) {
        let origin = Origin::answering(ok("x"));
        let gateway = logging(driver, &origin.url);
        let seen: Vec<u128> = (0..20)
            .map(|n| {
                (0..4).for_each(|_| pause());
                let begun = std::time::Instant::now();
                gateway.get(&format!("/{n}"));
                begun.elapsed().as_micros()
            })
            .collect();
        let lines = lines(&gateway, 20);
        let logged = lines.iter().map(|line| u128::from(line["duration_us"].as_u64().expect("a number")));
        let sound = logged.clone().zip(&seen).filter(|(logged, seen)| logged <= seen).count();
        assert!(sound >= 10, "{:?} logged, {seen:?} seen", logged.collect::<Vec<_>>());
    }

    fn failures_say_who_and_where(driver) {
        let origin = Origin::start(|peer| {
            peer.request();
        });
        let gateway = logging(driver, &origin.url);
        assert_eq!(gateway.client().send(post_request("/", "", "x")).response().status, 502);
        assert_eq!(gateway.client().send("GET / HTTP/1.1\r\nHost : h\r\n\r\n").response().status, 400);
        let lines = lines(&gateway, 2);
        assert_eq!((&lines[0]["status"], &lines[0]["ended_by"]), (&502.into(), &"upstream".into()), "{}", lines[0]);
        assert_eq!((&lines[1]["status"], &lines[1]["ended_by"]), (&400.into(), &"client".into()), "{}", lines[1]);
    }

    fn refusals_say_which_policy_and_who(driver) {
        let origin = Origin::answering(ok("x"));
        let bound = |name: &str, policy: &str, order: u8, more: &str| {
            let target = "targetRef: { kind: ApiInstance, name: test }";
            let spec = format!("{target}\npolicyRef: {{ name: {policy} }}\norder: {order}\n{more}");
            config::document("PolicyBinding", name, &spec)
        };
        let limit = "config:\n  rateLimits: [ { maximumRequests: 1, timePeriodInMilliseconds: 3600000 } ]\n\
                     \x20 keySelector: '#[authentication.clientId]'\n";
        let yaml = config::api(&origin.url)
            + &bound("who", "client-id-enforcement-flex", 1, "")
            + &bound("limit", "rate-limiting-flex", 2, limit)
            + &config::document("Contract", "acme", "apiId: test\nclient: { id: acme, secret: s3cret }\n")
            + &config::configuration("accessLog", "path: '@folder@/access.log'\nformat: json");
        let gateway = Gateway::start(driver, yaml);
        let mut client = gateway.client();
        let mut ask = |lines: &str| client.send(get_request("/", lines)).response().status;
        let acme = "client_id: acme\r\n";
        assert_eq!([ask(acme), ask(acme), ask("client_id: other\r\n"), ask("")], [200, 429, 401, 401]);
        let lines = lines(&gateway, 4);
        let seen = |field: &str| lines.iter().map(|line| line[field].as_str().unwrap_or("-")).collect::<Vec<_>>();
        assert_eq!(seen("policy"), ["-", "default/limit", "default/who", "default/who"]);
        assert_eq!(seen("client_id"), ["acme", "acme", "-", "-"]);
        assert_eq!(seen("fault"), ["-", "rate_limited", "unauthorized", "unauthorized"]);
    }

    fn every_exchange_of_a_connection_has_its_line(driver) {
        let origin = Origin::answering(ok("x"));
        let gateway = logging(driver, &origin.url);
        let mut client = gateway.client();
        for n in 0..50 {
            client.get(&format!("/{n}"));
        }
        let targets: Vec<_> = lines(&gateway, 50).iter().map(|line| line["target"].clone()).collect();
        let expected: Vec<Value> = (0..50).map(|n| format!("/{n}").into()).collect();
        assert_eq!(targets, expected);
    }

    /// A target with quotes and escapes must not write a line of its own.
    fn a_client_cannot_forge_a_line(driver) {
        let origin = Origin::answering(ok("x"));
        let gateway = logging(driver, &origin.url);
        let forged = "/\",\"status\":999,\"x\":\"%0a";
        gateway.client().send(get_request(forged, "User-Agent: \"}\\n{\r\n")).response();
        gateway.get("/last");
        let lines = lines(&gateway, 2);
        assert_eq!(lines.len(), 2);
        assert_ne!(lines[0]["status"], 999);
    }

    /// The lines of the last requests are written before the process ends.
    fn nothing_is_lost_at_the_end(driver) {
        let origin = Origin::answering(ok("x"));
        let mut gateway = logging(driver, &origin.url);
        let mut client = gateway.client();
        for n in 0..200 {
            client.get(&format!("/{n}"));
        }
        gateway.terminate();
        assert_eq!(gateway.wait_exit().code(), Some(0));
        assert_eq!(read(&gateway).len(), 200);
    }
}

fn logging(driver: crate::support::Driver, origin: &str) -> Gateway {
    Gateway::start(
        driver,
        config::api(origin)
            + &config::configuration("accessLog", "path: '@folder@/access.log'\nformat: json"),
    )
}

fn lines(gateway: &Gateway, count: usize) -> Vec<Value> {
    eventually("the lines are written", || read(gateway).len() >= count);
    read(gateway)
}

/// The whole lines written so far.
fn read(gateway: &Gateway) -> Vec<Value> {
    let text = std::fs::read_to_string(gateway.folder.path().join("access.log")).unwrap_or_default();
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line:?}")))
        .collect()
}
