//! Policies that change messages, send clients elsewhere, log and add credentials: good, bad and absent input.

use crate::{
    policies::{binding, with},
    policies_outbound::{service_binding, with_service},
    policies_protection::{refused, stdout},
    support::{
        Gateway, Origin, both_drivers, config, eventually,
        message::{get_request, ok, post_request, response},
    },
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

both_drivers! {
    fn headers_are_added_on_both_ways(driver) {
        let origin = Origin::answering(response("200 OK", "X-Tag: origin\r\nContent-Type: text/plain\r\n", "in"));
        let config = "inboundHeaders:\n- { key: X-Tag, value: gateway }\n\
                      - { key: X-Who, value: \"#[attributes.headers['x-user'] default 'nobody']\" }\n\
                      - { key: \"#['X-' ++ attributes.method]\", value: yes }\n\
                      - { key: X-Request-Id, value: \"#[attributes.queryParams.id default 'none']\" }\n\
                      - { key: Content-Type, value: application/json }\n\
                      outboundHeaders:\n- { key: X-Tag, value: gateway }\n\
                      - { key: X-Status, value: '#[attributes.statusCode]' }\n\
                      - { key: content-type, value: application/json }\n\
                      - { key: Access-Control-Allow-Origin, value: 'https://a.example' }\n";
        let yaml = with(&origin, &[binding("inject", "header-injection-flex", config, "")])
            + &config::configuration("accessLog", "path: '@folder@/access.log'\nformat: json");
        let gateway = Gateway::start(driver, yaml);
        let request = get_request("/?id=mine", "X-Tag: client\r\nX-User: ann\r\nX-Request-Id: client\r\nContent-Type: a/b\r\n");
        let answer = gateway.client().send(request).response();
        let seen = origin.request();
        assert_eq!(seen.head.all("x-tag").len(), 2, "appended");
        for (name, value) in [("x-who", "ann"), ("x-get", "yes"), ("x-request-id", "mine"), ("content-type", "application/json")] {
            assert_eq!(seen.head.all(name), [value], "{name}");
        }
        assert_eq!(answer.head.all("x-tag"), ["origin", "gateway"]);
        for (name, value) in [
            ("x-status", "200"),
            ("content-type", "application/json"),
            ("access-control-allow-origin", "https://a.example"),
        ] {
            assert_eq!(answer.head.all(name), [value], "{name}");
        }
        assert_eq!(gateway.client().send(get_request("/", "")).response().status, 200);
        let last = origin.requests().pop().expect("a request");
        assert_eq!((last.get("x-who"), last.get("x-request-id")), (Some("nobody"), Some("none")));
        let log = gateway.folder.path().join("access.log");
        let read = || std::fs::read_to_string(&log).unwrap_or_default();
        eventually("the lines are written", || read().lines().count() == 2);
        assert!(read().contains("\"request_id\":\"mine\""), "{}", read());
    }

    fn a_header_that_can_not_be_made_is_refused(driver) {
        let origin = Origin::answering(ok("in"));
        let yaml = |config: &str| with(&origin, &[binding("inject", "header-injection-flex", config, "")]);
        let inbound = "inboundHeaders:\n- { key: X-Value, value: '#[attributes.queryParams.v ++ attributes.queryParams.w]' }\n\
                       - { key: \"#[attributes.queryParams.k default 'X-Key']\", value: x }\n";
        let gateway = Gateway::start(driver, yaml(inbound));
        for (target, status) in [
            ("/?v=a&w=b", 200),
            ("/?v=a", 500),
            ("/?v=a&w=%0d%0aSet-Cookie:%20x", 400),
            ("/?v=a&w=%00", 400),
            ("/?v=a&w=b&k=X-Other", 200),
            ("/?v=a&w=b&k=Content-Length", 500),
            ("/?v=a&w=b&k=transfer_encoding", 500),
            ("/?v=a&w=b&k=a%20b", 400),
            ("/?v=a&w=b&k=a:%20b", 400),
        ] {
            assert_eq!(gateway.get(target).status, status, "{target}");
        }
        assert_eq!(origin.requests().len(), 2, "what could not be made reaches nobody");

        let outbound = "outboundHeaders:\n- { key: X-Value, value: '#[attributes.queryParams.v ++ attributes.queryParams.w]' }\n";
        let gateway = Gateway::start(driver, yaml(outbound));
        let answer = gateway.get("/?v=a&w=b");
        assert_eq!((answer.status, answer.get("x-value")), (200, Some("ab")));
        for target in ["/?v=a", "/?v=a&w=%0d%0ab"] {
            assert_eq!(gateway.get(target).status, 500, "{target}");
        }
        assert_eq!(gateway.get("/?v=a&w=b").status, 200);
    }

    /// CORS first of all, then three that log or fail on the way back, and one that refuses.
    fn an_answer_that_fails_on_its_way_meets_the_rest_of_the_way_once(driver) {
        let origin = Origin::answering(ok("in"));
        let log = |name: &str, order: u8| {
            let message = format!("#['{name} ' ++ attributes.statusCode ++ ' ' ++ (vars.violation.policyName default 'none')]");
            let config = format!(
                "loggingConfiguration:\n- itemName: {name}\n  itemData: {{ message: \"{message}\", secondSection: true, level: INFO }}\n"
            );
            binding(name, "message-logging-flex", &config, &format!("order: {order}\n"))
        };
        let failing = "outboundHeaders:\n- { key: X-Value, value: '#[attributes.queryParams.v ++ attributes.queryParams.w]' }\n";
        let yaml = with(&origin, &[
            binding("cors", "cors-flex", "publicResource: true\n", ""),
            log("outer", 1),
            binding("failing", "header-injection-flex", failing, "order: 2\n"),
            log("inner", 3),
            binding("closed", "access-block", "{}", "order: 4\nrules: [ { path: /closed } ]\n"),
        ]) + &config::configuration("accessLog", "path: '@folder@/access.log'\nformat: json");
        let gateway = Gateway::start(driver, yaml);
        let mut client = gateway.client();
        for (target, status) in [("/open", 500), ("/closed", 403)] {
            let answer = client.send(get_request(target, "Origin: https://app.example\r\n")).response();
            assert_eq!((answer.status, answer.get("access-control-allow-origin")), (status, Some("*")), "{target}");
        }
        let log = gateway.folder.path().join("access.log");
        let read = || std::fs::read_to_string(&log).unwrap_or_default();
        eventually("the lines are written", || read().matches("\"keep_alive\"").count() == 2);
        let lines: Vec<serde_json::Value> = read().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let messages: Vec<_> = lines.iter().filter_map(|line| line["message"].as_str()).collect();
        assert_eq!(messages, [
            "inner 200 none",
            "outer 500 default/failing",
            "inner 403 default/closed",
            "outer 403 default/closed",
        ]);
        let policies: Vec<_> = lines.iter().filter_map(|line| line["policy"].as_str()).collect();
        assert_eq!(policies, ["default/failing", "default/closed"]);
    }

    fn clients_are_sent_elsewhere(driver) {
        let origin = Origin::answering(ok("in"));
        let start = |config: &str, more: &str| {
            Gateway::start(driver, with(&origin, &[binding("redirect", "redirect", config, more)]))
        };
        let location = |gateway: &Gateway, request: Vec<u8>| {
            let answer = gateway.client().send(request).response();
            (answer.status, answer.get("location").map(str::to_owned))
        };
        let to = |status: u16, target: &str| (status, Some(target.to_owned()));

        let secure = start("scheme: https\nhost: www.example.com\n", "");
        assert_eq!(location(&secure, get_request("/a/b?c=d", "")), to(308, "https://www.example.com/a/b?c=d"));
        assert_eq!(location(&secure, post_request("/", "", "body")), to(308, "https://www.example.com/"));
        let evil = b"GET //evil.example/x HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_vec();
        assert_eq!(location(&secure, evil), to(308, "https://www.example.com/evil.example/x"));

        let moved = start("path: \"#['/new' ++ attributes.requestPath]\"\nstatus: 301\nkeepQuery: false\n", "rules: [ { path: '/old.*' } ]\n");
        assert_eq!(location(&moved, get_request("/old/x?y=z", "")), to(301, "/new/old/x"));
        assert_eq!(location(&moved, get_request("/other", "")), (200, None), "the rules say for what");

        let open = start("path: '#[attributes.queryParams.to]'\nstatus: 302\nkeepQuery: false\n", "");
        for (given, sent) in [
            ("/a", "/a"),
            ("//evil.example", "/evil.example"),
            ("https://evil.example", "/https://evil.example"),
            ("/%5C/evil.example", "/%5C/evil.example"),
            ("%0d%0aSet-Cookie:%20a=b", "/%0D%0ASet-Cookie:%20a=b"),
            ("", "/"),
        ] {
            assert_eq!(location(&open, get_request(&format!("/x?to={given}"), "")), to(302, sent), "{given}");
        }

        let same = start("scheme: https\nport: 8443\nhost: '#[attributes.headers.host]'\nstatus: 307\n", "");
        let host = |host: &str| format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes();
        assert_eq!(location(&same, host("a.example:8080")), to(307, "https://a.example:8443/x"));

        let there = start("host: www.example.com\n", "");
        assert_eq!(location(&there, host("WWW.example.com:80")), (200, None), "no redirect to itself");
        assert_eq!(location(&there, host("example.com")), to(308, "http://www.example.com/x"));
        assert_eq!(location(&there, b"GET /x HTTP/1.0\r\n\r\n".to_vec()), to(308, "http://www.example.com/x"));
    }

    fn messages_are_lines_whatever_is_in_them(driver) {
        let origin = Origin::answering(ok("in"));
        let config = "loggingConfiguration:\n\
            - itemName: before\n  itemData:\n    message: \"#['q=' ++ attributes.queryParams.q]\"\n    level: INFO\n    category: audit\n\
            - itemName: after\n  itemData:\n    message: \"#[vars.method ++ ' ' ++ vars.requestPath ++ ' ' ++ attributes.statusCode ++ ' ' ++ vars.requestDisposition]\"\n    \
              conditional: \"#[attributes.statusCode != 404]\"\n    level: WARN\n    secondSection: true\n\
            - itemName: never\n  itemData: { message: never, conditional: 'false', level: ERROR }\n";
        let gateway = Gateway::start(driver, with(&origin, &[binding("log", "message-logging-flex", config, "")]));
        gateway.client().send(get_request("/a?q=%0d%0a1999-01-01T00:00:00.000Z%20%1b[31m%22%5C", "X-Request-Id: id-1\r\n")).response();
        gateway.client().send(get_request("/b", "X-Request-Id: id-2\r\n")).response();
        let long = format!("/c?q={}", "x".repeat(6000));
        gateway.client().send(get_request(&long, "X-Request-Id: id-3\r\n")).response();
        let lines = || stdout(&gateway).lines().map(|line| line[line.find(' ').unwrap_or(0)..].to_owned()).collect::<Vec<_>>();
        eventually("the lines are written", || lines().len() == 6);
        let expected = [
            " [ringway][INFO] [req: id-1] [audit] q=\\r\\n1999-01-01T00:00:00.000Z \\u001b[31m\"\\",
            " [ringway][WARN] [req: id-1] [accessLog] GET /a 200 PROCESSED",
            " [ringway][WARN] [req: id-2] [audit] before: the expression has no value",
            " [ringway][WARN] [req: id-2] [accessLog] GET /b 200 PROCESSED",
            &format!(" [ringway][INFO] [req: id-3] [audit] q={}", "x".repeat(6000)),
            " [ringway][WARN] [req: id-3] [accessLog] GET /c 200 PROCESSED",
        ];
        assert_eq!(lines(), expected);
    }

    fn messages_tell_of_refusals_in_the_access_log(driver) {
        let origin = Origin::answering(ok("in"));
        let config = "loggingConfiguration:\n\
            - itemName: body\n  itemData: { message: '#[payload]', level: INFO }\n\
            - itemName: after\n  itemData:\n    message: \"#[vars.requestDisposition ++ ' ' ++ vars.violation.policyName ++ ' ' ++ vars.violation.violationType]\"\n    \
              conditional: \"#[vars.requestDisposition == 'VIOLATION']\"\n    level: ERROR\n    secondSection: true\n";
        let yaml = with(&origin, &[
            binding("log", "message-logging-flex", config, "order: 1\n"),
            binding("basic", "http-basic-authentication-flex", "username: ann\npassword: x", ""),
        ]) + &config::configuration("accessLog", "path: '@folder@/access.log'\nformat: json");
        let gateway = Gateway::start(driver, yaml);
        let body = "y".repeat(20_000);
        assert_eq!(gateway.client().send(post_request("/", "X-Request-Id: id-1\r\n", &body)).response().status, 401);
        let log = gateway.folder.path().join("access.log");
        let read = || std::fs::read_to_string(&log).unwrap_or_default();
        eventually("the lines are written", || read().lines().count() == 3);
        let lines: Vec<serde_json::Value> = read().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines[0]["message"].as_str().map(str::len), Some(16 * 1024));
        assert_eq!((&lines[0]["truncated"], &lines[0]["level"]), (&true.into(), &"INFO".into()));
        assert_eq!(lines[1]["message"], "VIOLATION default/basic AUTHENTICATION");
        assert_eq!((&lines[1]["category"], &lines[1]["request_id"]), (&"accessLog".into(), &"id-1".into()));
        assert_eq!(lines[2]["status"], 401);
        assert_eq!(stdout(&gateway), "");
    }

    fn messages_of_what_leaves_for_a_service(driver) {
        let origin = Origin::answering(ok("in"));
        let config = "loggingConfiguration:\n- itemName: out\n  itemData: [ { message: \"#[attributes.headers['authorization']]\", level: DEBUG } ]\n";
        let yaml = with_service(&origin, &[
            service_binding("key", "credential-injection-api-key-flex", "authType: apiKey\napiKey: s3cret\n", "order: 1\n"),
            service_binding("log", "message-logging-outbound-flex", config, "order: 2\n"),
        ]);
        let gateway = Gateway::start(driver, yaml);
        assert_eq!(gateway.get("/").status, 200);
        eventually("the line is written", || stdout(&gateway).ends_with("[accessLog] s3cret\n"));
    }

    fn keys_and_clients_are_added_for_the_upstream(driver) {
        let origin = Origin::answering(ok("in"));
        let ask = |config: &str, lines: &str, names: [&str; 2]| {
            let key = service_binding("key", "credential-injection-api-key-flex", config, "");
            let gateway = Gateway::start(driver, with_service(&origin, &[key]));
            assert_eq!(gateway.client().send(get_request("/", lines)).response().status, 200);
            let seen = origin.requests().pop().expect("a request");
            names.map(|name| seen.head.all(name).join("|"))
        };
        let key = "authType: apiKey\napiKey: k1\n";
        assert_eq!(ask(key, "Authorization: x\r\n", ["authorization", "x-key"]), ["k1", ""]);
        let custom = format!("{key}customHeader: X-Key\noverwrite: false\n");
        assert_eq!(ask(&custom, "", ["authorization", "x-key"]), ["", "k1"]);
        assert_eq!(ask(&custom, "x-key: mine\r\n", ["authorization", "x-key"]), ["", "mine"]);
        let ours = format!("{key}customHeader: X-Key\n");
        let lines = "x-key: mine\r\nX_Key: mine\r\n";
        assert_eq!(ask(&ours, lines, ["x-key", "x_key"]), ["k1", ""], "some origins take the one for the other");
        let client = "authType: clientCredentials\nclientId: id1\nclientSecret: s1\n";
        assert_eq!(ask(client, "client_id: x\r\n", ["client_id", "client_secret"]), ["id1", "s1"]);
        let kept = format!("{client}overwrite: false\ncustomClientIdHeader: X-Id\ncustomClientSecretHeader: X-Secret\n");
        assert_eq!(ask(&kept, "X-Id: mine\r\n", ["x-id", "x-secret"]), ["mine", ""], "no half of a pair is added");
    }

    fn a_token_is_fetched_once_and_kept(driver) {
        let fetched = Arc::new(AtomicUsize::new(0));
        let count = fetched.clone();
        let server = Origin::start(move |peer| {
            while peer.request().is_some() {
                let n = count.fetch_add(1, SeqCst);
                let body = format!("{{\"access_token\":\"t{n}\",\"token_type\":\"Bearer\",\"expires_in\":3600}}");
                peer.send(response("200 OK", "Content-Type: application/json\r\n", body));
            }
        });
        let origin = Origin::answering(ok("in"));
        let config = format!("oauthService: {}/token?x=y\nclientId: 'a b'\nclientSecret: 's/1'\nscope: [ read, write ]\n", server.url);
        let yaml = with_service(&origin, &[service_binding("token", "credential-injection-oauth2", &config, "")]);
        let gateway = Gateway::start(driver, yaml);
        let mut clients: Vec<_> = (0..8).map(|_| gateway.client()).collect();
        clients.iter_mut().for_each(|client| {
            client.send(get_request("/", "Authorization: Bearer mine\r\n"));
        });
        clients.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
        assert_eq!(gateway.get("/").status, 200);
        let requests = origin.requests();
        assert_eq!(requests.len(), 9);
        for request in requests {
            assert_eq!(request.head.all("authorization"), ["Bearer t0"]);
        }
        assert_eq!(fetched.load(SeqCst), 1);
        let asked = server.request();
        assert_eq!(asked.target, "/token?x=y");
        assert_eq!(asked.get("authorization"), Some("Basic YStiOnMlMkYx"), "form-encoded first (RFC 6749 §2.3.1)");
        assert_eq!(asked.get("content-type"), Some("application/x-www-form-urlencoded"));
        assert_eq!(String::from_utf8_lossy(&asked.body), "grant_type=client_credentials&scope=read+write");
    }

    fn without_a_token_nothing_goes_on_unless_it_may(driver) {
        for reply in [
            response("401 Unauthorized", "", "{\"error\":\"invalid_client\"}"),
            response("200 OK", "", "not json"),
            response("200 OK", "", "{\"access_token\":\"a\\r\\nX: y\"}"),
            response("200 OK", "", "{\"access_token\":\"t\",\"token_type\":\"mac\"}"),
            response("200 OK", "", "{}"),
        ] {
            let server = Origin::answering(reply);
            let origin = Origin::answering(ok("in"));
            let config = format!("oauthService: {}/token\nclientId: a\nclientSecret: b\ncredentialLocation: body\n", server.url);
            let strict = service_binding("token", "credential-injection-oauth2", &config, "");
            let gateway = Gateway::start(driver, with_service(&origin, &[strict]));
            assert_eq!((gateway.get("/").status, gateway.get("/").status), (503, 503));
            origin.expect_nothing();
            assert_eq!(server.requests().len(), 1, "a failure is remembered for a while");
            let asked = String::from_utf8_lossy(&server.request().body).into_owned();
            assert_eq!(asked, "grant_type=client_credentials&client_id=a&client_secret=b");

            let lenient = service_binding("token", "credential-injection-oauth2", &(config + "allowRequestWithoutCredential: true\n"), "");
            let gateway = Gateway::start(driver, with_service(&origin, &[lenient]));
            let answer = gateway.client().send(get_request("/", "Authorization: Bearer mine\r\n")).response();
            assert_eq!(answer.status, 200);
            assert_eq!(origin.request().get("authorization"), None, "what the client sent is not the upstream's to see");
        }
    }
}

#[test]
fn what_can_not_be_made_is_said() {
    let origin = Origin::answering(ok("in"));
    for (policy, config, says) in [
        ("header-injection-flex", "{}", "adds nothing"),
        (
            "header-injection-flex",
            "inboundHeaders: [ { key: Content-Length, value: '1' } ]",
            "frames the message",
        ),
        (
            "header-injection-flex",
            "outboundHeaders: [ { key: a b, value: x } ]",
            "is not the name of a header",
        ),
        (
            "header-injection-flex",
            "inboundHeaders: [ { key: X, value: \"a\\nb\" } ]",
            "no header may hold",
        ),
        (
            "header-injection-flex",
            "inboundHeaders: [ { key: X, value: '#[attributes.statusCode]' } ]",
            "statusCode",
        ),
        ("redirect", "{}", "redirects nowhere"),
        ("redirect", "scheme: https", "needs `host`"),
        ("redirect", "host: 'a.example:80'", "a port goes into `port`"),
        ("redirect", "path: //evil.example", "must begin with one `/`"),
        (
            "redirect",
            "path: /x\nstatus: 304",
            "must be 301, 302, 303, 307 or 308",
        ),
        ("message-logging-flex", "loggingConfiguration: []", "logs nothing"),
        (
            "message-logging-flex",
            "loggingConfiguration: [ { itemName: a, itemData: { message: '#[vars.orgId]', level: INFO } } ]",
            "orgId",
        ),
        (
            "message-logging-flex",
            "loggingConfiguration: [ { itemName: a, itemData: { message: a, conditional: maybe } } ]",
            "neither true, false nor an expression",
        ),
    ] {
        refused(&with(&origin, &[binding("bad", policy, config, "")]), says);
    }
    for (policy, config, says) in [
        (
            "credential-injection-api-key",
            "authType: apiKey",
            "`apiKey` is required",
        ),
        (
            "credential-injection-api-key",
            "authType: apiKey\napiKey: a\nclientId: b",
            "does not belong to `authType: apiKey`",
        ),
        (
            "credential-injection-api-key",
            "authType: apiKey\napiKey: \"a\\nb\"",
            "no header may hold",
        ),
        (
            "credential-injection-oauth2-flex",
            "oauthService: 'token'\nclientId: a\nclientSecret: b",
            "must be http",
        ),
        (
            "credential-injection-oauth2",
            "oauthService: 'http://127.0.0.1:1/t'\nclientId: a\nclientSecret: b\ngrantType: password",
            "`username` is required",
        ),
    ] {
        refused(
            &with_service(&origin, &[service_binding("bad", policy, config, "")]),
            says,
        );
    }
    let key = service_binding(
        "key",
        "credential-injection-api-key-flex",
        "authType: apiKey\napiKey: a",
        "",
    );
    let inbound = key.replace("kind: Service, name: origin", "kind: ApiInstance, name: test");
    refused(&with_service(&origin, &[inbound]), "bind it to a Service");
}
