//! Which API and route a request meets, and the path its origin sees.

use crate::support::{
    Gateway, Origin, both_drivers, config,
    message::{get_request, ok},
};

/// Base path, rule, destination path, request, and what the origin is asked for (`None`: 404).
const ARITHMETIC: &[(&str, &str, &str, &str, Option<&str>)] = &[
    ("", "/api/.*", "", "/api/foo/bar", Some("/api/foo/bar")),
    ("", "/api(/.*)", "", "/api/foo/bar", Some("/foo/bar")),
    (
        "",
        "/api(/.*)",
        "/orders",
        "/api/foo/bar",
        Some("/orders/foo/bar"),
    ),
    (
        "/api",
        "/foo/.*",
        "/orders",
        "/api/foo/bar",
        Some("/orders/foo/bar"),
    ),
    (
        "/api",
        "/foo(/.*)",
        "/orders",
        "/api/foo/bar",
        Some("/orders/bar"),
    ),
    ("/api", "/api/foo/.*", "/orders", "/api/foo/bar", None),
    (
        "/api",
        "/foo(/[^/]+)/bar(/.*)",
        "/orders",
        "/api/foo/abc/bar/def",
        Some("/orders/abc/def"),
    ),
    (
        "",
        "/api(/.*)",
        "/orders",
        "/api/foo?x=/y&z",
        Some("/orders/foo?x=/y&z"),
    ),
    ("", "/api", "", "/api/foo", None),
    ("", "/api/.*", "", "/before/api/foo", None),
];

both_drivers! {
    fn path_arithmetic(driver) {
        let origin = Origin::start(|peer| {
            while let Some(request) = peer.request() {
                peer.send(ok(&request.target));
            }
        });
        for (base, rule, destination, target, expected) in ARITHMETIC {
            let yaml = [
                config::document("ApiInstance", "test", &format!("address: http://@listen@{base}")),
                config::document("Service", "origin", &format!("address: {}", origin.url)),
                config::route("r", "origin", 50, &format!("  - path: {rule}"), destination),
            ];
            let gateway = Gateway::start(driver, yaml.concat());
            let answer = gateway.get(target);
            let seen = (answer.status == 200).then(|| answer.text());
            assert_eq!(seen.as_deref(), *expected, "base {base:?}, rule {rule:?}, to {destination:?}: {target}");
            assert!(seen.is_some() || answer.status == 404, "{target}: {}", answer.status);
        }
    }

    fn no_route_is_404_in_json_and_the_connection_stays(driver) {
        let origin = Origin::answering(ok("found"));
        let gateway = Gateway::start(driver, ruled(&origin, "  - path: /here"));
        let mut client = gateway.client();
        let missing = client.get("/nowhere");
        assert_eq!((missing.status, missing.says_close()), (404, false));
        assert!(missing.get("content-type").is_some_and(|t| t.starts_with("application/json")), "{:?}", missing.head);
        let text = missing.text();
        assert!(text.trim().starts_with("{\"error\"") && text.trim().ends_with('}'), "{text:?}");
        assert_eq!(client.get("/here").text(), "found");
    }

    fn methods_hosts_and_headers_take_part(driver) {
        let origin = Origin::answering(ok("in"));
        let rule = "  - { path: '/a', methods: 'GET|PUT', host: 'api\\.example\\.com', headers: { x-kind: 'web|app' } }";
        let gateway = Gateway::start(driver, ruled(&origin, rule));
        let ask = |method: &str, host: &str, kind: &str| {
            let request = format!("{method} /a HTTP/1.1\r\nHost: {host}\r\n{kind}Content-Length: 0\r\n\r\n");
            gateway.client().send(request).response().status
        };
        assert_eq!(ask("GET", "api.example.com", "X-Kind: web\r\n"), 200);
        assert_eq!(ask("PUT", "api.example.com", "X-Kind: app\r\n"), 200);
        assert_eq!(ask("POST", "api.example.com", "X-Kind: web\r\n"), 404);
        assert_eq!(ask("GET", "apiXexample.com", "X-Kind: web\r\n"), 404);
        assert_eq!(ask("GET", "api.example.com", "X-Kind: webb\r\n"), 404);
        assert_eq!(ask("GET", "api.example.com", ""), 404);
    }

    fn entries_of_a_rule_are_alternatives(driver) {
        let origin = Origin::answering(ok(""));
        let gateway = Gateway::start(driver, ruled(&origin, "  - path: /a\n  - path: /b\n    methods: DELETE"));
        assert_eq!(gateway.get("/a").status, 200);
        assert_eq!(gateway.get("/b").status, 404);
        assert_eq!(gateway.client().send("DELETE /b HTTP/1.1\r\nHost: h\r\n\r\n").response().status, 200);
    }

    fn negative_look_ahead_excludes(driver) {
        let origin = Origin::answering(ok(""));
        let gateway = Gateway::start(driver, ruled(&origin, "  - path: '/(?!private/).*'"));
        assert_eq!(gateway.get("/public/a").status, 200);
        assert_eq!(gateway.get("/private/a").status, 404);
    }

    fn lower_order_is_tried_first(driver) {
        let (first, second) = (Origin::named("first"), Origin::named("second"));
        let yaml = [
            config::document("ApiInstance", "test", "address: http://@listen@"),
            config::document("Service", "a", &format!("address: {}", second.url)),
            config::document("Service", "b", &format!("address: {}", first.url)),
            config::route("late", "a", 60, "  - path: /.*", ""),
            config::route("early", "b", 40, "  - path: /x.*", ""),
        ];
        let gateway = Gateway::start(driver, yaml.concat());
        assert_eq!((gateway.get("/xy").text(), gateway.get("/y").text()), ("first".into(), "second".into()));
    }

    /// A map in YAML has no order by itself; the file's is the one people mean.
    fn inline_services_keep_the_files_order(driver) {
        let origins: Vec<_> = ["z", "a", "m"].into_iter().map(|name| (name, Origin::named(name))).collect();
        let mut spec = "address: http://@listen@\nservices:\n".to_owned();
        for (name, origin) in &origins {
            spec.push_str(&format!("  {name}:\n    address: {}\n    routes:\n      - rules:\n          - path: /.*\n", origin.url));
        }
        let gateway = Gateway::start(driver, config::document("ApiInstance", "test", &spec));
        assert_eq!(gateway.get("/").text(), "z");
    }

    fn apis_share_a_port_by_base_path(driver) {
        let (cats, dogs) = (Origin::named("cats"), Origin::named("dogs"));
        let yaml = [inline("cats", "http://@listen@/cats", &cats), inline("dogs", "http://@listen@/dogs", &dogs)];
        let gateway = Gateway::start(driver, yaml.concat());
        let mut client = gateway.client();
        assert_eq!(client.get("/cats/tom").text(), "cats");
        assert_eq!(client.get("/dogs").text(), "dogs");
        assert_eq!(client.get("/dogs?x").text(), "dogs");
        assert_eq!(client.get("/dogsled").status, 404);
        assert_eq!(client.get("/").status, 404);
        assert_eq!(cats.request().target, "/tom");
        assert!(dogs.requests().iter().all(|r| r.path() == "/"), "{:?}", dogs.requests());
    }

    fn apis_on_two_ports_are_apart(driver) {
        let (one, two) = (Origin::named("one"), Origin::named("two"));
        let yaml = [inline("one", "http://@listen@", &one), inline("two", "http://@listen2@", &two)];
        let gateway = Gateway::start(driver, yaml.concat());
        assert_eq!(gateway.get("/").text(), "one");
        assert_eq!(crate::support::Client::connect(gateway.second).get("/").text(), "two");
    }

    /// A rule guards a path however it is written: dot segments, doubled slashes, encoded letters.
    fn disguised_paths_meet_the_rule_of_the_plain_one(driver) {
        let (open, guarded) = (Origin::named("open"), Origin::named("guarded"));
        let gateway = Gateway::start(driver, guarding(&open, &guarded));
        for target in [
            "/admin/x",
            "/a/../admin/x",
            "/./admin/x",
            "/a/%2e%2e/admin/x",
            "/a/.%2E/admin/x",
            "//admin/x",
            "/%61dmin/x",
            "/a/..//admin//x",
        ] {
            assert_eq!(gateway.get(target).text(), "guarded", "{target}");
        }
        assert_eq!(gateway.get("/adminx").text(), "open");
    }

    /// Encoded separators may be refused or treated as separators, never used to slip past the rule.
    fn encoded_separators_never_pass_a_guarding_rule(driver) {
        let (open, guarded) = (Origin::named("open"), Origin::named("guarded"));
        let gateway = Gateway::start(driver, guarding(&open, &guarded));
        for target in ["/admin%2fx", "/a/..%2fadmin/x", "/a%2f..%2fadmin%2fx", "/admin%5cx", "/a/..%5cadmin/x", "/%2fadmin/x"] {
            let answer = gateway.get(target);
            assert!(answer.text() == "guarded" || answer.status == 400, "{target}: {} {}", answer.status, answer.text());
        }
        assert!(open.requests().is_empty(), "{:?}", open.requests());
    }

    /// What stands above the root is nobody's path.
    fn dot_segments_above_the_root_do_not_leave_the_base_path(driver) {
        let (cats, dogs) = (Origin::named("cats"), Origin::named("dogs"));
        let yaml = [inline("cats", "http://@listen@/cats", &cats), inline("dogs", "http://@listen@/dogs", &dogs)];
        let gateway = Gateway::start(driver, yaml.concat());
        assert_eq!(gateway.get("/cats/../dogs/x").text(), "dogs");
        let above = gateway.get("/cats/../../../dogs/x");
        assert!(above.text() == "dogs" || above.status == 400, "{} {}", above.status, above.text());
        cats.expect_nothing();
    }

    fn asterisk_form_is_for_options(driver) {
        let origin = Origin::answering(ok(""));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let options = gateway.client().send("OPTIONS * HTTP/1.1\r\nHost: gateway.test\r\n\r\n").response();
        assert!(options.status < 400, "{}", options.status);
        assert_eq!(gateway.client().send("GET * HTTP/1.1\r\nHost: gateway.test\r\n\r\n").response().status, 400);
    }

    /// RFC 9112 §3.2.2: the target's authority is the host.
    fn absolute_form_is_taken_apart(driver) {
        let origin = Origin::answering(ok(""));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let request = "GET http://gateway.test/deep?q HTTP/1.1\r\nHost: gateway.test\r\n\r\n";
        assert_eq!(gateway.client().send(request).response().status, 200);
        assert_eq!(origin.request().target, "/deep?q");
    }

    /// The two API versions and ours mean the same schema.
    fn every_api_version_is_the_same_schema(driver) {
        let origin = Origin::answering(ok("served"));
        for version in ["ringway/v1", "gateway.mulesoft.com/v1alpha1", "gateway.mulesoft.com/v1beta1"] {
            let gateway = Gateway::start(driver, config::api(&origin.url).replace("ringway/v1", version));
            assert_eq!(gateway.client().send(get_request("/", "")).response().text(), "served", "{version}");
        }
    }
}

fn ruled(origin: &Origin, rules: &str) -> String {
    [
        config::document("ApiInstance", "test", "address: http://@listen@"),
        config::document("Service", "origin", &format!("address: {}", origin.url)),
        config::route("ruled", "origin", 50, rules, ""),
    ]
    .concat()
}

fn guarding(open: &Origin, guarded: &Origin) -> String {
    [
        config::document("ApiInstance", "test", "address: http://@listen@"),
        config::document("Service", "open", &format!("address: {}", open.url)),
        config::document("Service", "guarded", &format!("address: {}", guarded.url)),
        config::route("guard", "guarded", 10, "  - path: /admin/.*", ""),
        config::route("rest", "open", 20, "", ""),
    ]
    .concat()
}

fn inline(name: &str, address: &str, origin: &Origin) -> String {
    config::document(
        "ApiInstance",
        name,
        &format!("address: {address}\nservices:\n  s:\n    address: {}", origin.url),
    )
}
