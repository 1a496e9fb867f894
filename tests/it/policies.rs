//! The chain of policies, and the small policies: through the real binary, good, bad and absent input.

use crate::support::{
    Gateway, Origin, both_drivers, config,
    message::{get_request, ok},
};

/// A binding of `policy` to the API `test`; `config` and `more` are whole lines.
pub(crate) fn binding(name: &str, policy: &str, config: &str, more: &str) -> String {
    let mut spec =
        format!("targetRef: {{ kind: ApiInstance, name: test }}\npolicyRef: {{ name: {policy} }}\n");
    if !config.is_empty() {
        spec += "config:\n";
        spec += &config
            .lines()
            .map(|line| format!("  {line}\n"))
            .collect::<String>();
    }
    config::document("PolicyBinding", name, &(spec + more))
}

pub(crate) fn with(origin: &Origin, policies: &[String]) -> String {
    config::api(&origin.url) + &policies.concat()
}

pub(crate) const USER: &str = "username: ann\npassword: 'pass:word'";

both_drivers! {
    fn basic_authentication_admits_who_knows_both(driver) {
        let origin = Origin::answering(ok("in"));
        let gateway = Gateway::start(driver, with(&origin, &[binding("basic", "http-basic-authentication-flex", USER, "")]));
        let ask = |lines: &str| {
            let answer = gateway.client().send(get_request("/", lines)).response();
            (answer.status, answer.get("www-authenticate").map(str::to_owned))
        };
        // ann:pass:word
        assert_eq!(ask("Authorization: Basic YW5uOnBhc3M6d29yZA==\r\n").0, 200);
        assert_eq!(ask("authorization: basic YW5uOnBhc3M6d29yZA==\r\n").0, 200, "a scheme has no case");
        let challenge = Some("Basic realm=\"mule-realm\", charset=\"UTF-8\"".to_owned());
        for refused in [
            "",
            "Authorization: Basic\r\n",
            "Authorization: Basic \r\n",
            "Authorization: Basic !!!!\r\n",
            "Authorization: Basic YW5uOg==\r\n",
            "Authorization: Basic YW5uOnBhc3M6d29yZHg=\r\n",
            "Authorization: Bearer YW5uOnBhc3M6d29yZA==\r\n",
            "Authorization: Basic YW5uOnBhc3M6d29yZA==\r\nAuthorization: Basic eDp5\r\n",
            &format!("Authorization: Basic {}\r\n", "QUFB".repeat(4000)),
        ] {
            assert_eq!(ask(refused), (401, challenge.clone()), "{refused:.60}");
        }
        assert_eq!(origin.requests().len(), 2, "what is refused reaches nobody");
    }

    fn a_blocked_api_is_403_and_its_neighbour_is_not(driver) {
        let origin = Origin::answering(ok("in"));
        let neighbour = format!("address: http://@listen@/open\nservices:\n  origin:\n    address: {}", origin.url);
        let test = format!("address: http://@listen@/closed\nservices:\n  origin:\n    address: {}", origin.url);
        let yaml = [
            config::document("ApiInstance", "test", &test),
            config::document("ApiInstance", "neighbour", &neighbour),
            binding("closed", "access-block", "", ""),
        ];
        let gateway = Gateway::start(driver, yaml.concat());
        assert_eq!((gateway.get("/closed/x").status, gateway.get("/open/x").status), (403, 200));
        assert_eq!(gateway.get("/elsewhere").status, 404);
    }

    fn rules_say_whom_a_policy_is_for_in_every_spelling(driver) {
        let origin = Origin::answering(ok("in"));
        let rules = "rules:\n- { path: '/admin/.*' }\n- { path: '/reports', methods: 'POST|DELETE' }\n";
        let gateway = Gateway::start(driver, with(&origin, &[binding("closed", "access-block", "", rules)]));
        for (method, path, status) in [
            ("GET", "/admin/x", 403),
            ("GET", "/a/../admin/x", 403),
            ("GET", "/%61dmin/x", 403),
            ("GET", "/admin%2Fx", 403),
            ("GET", "/admin;a=b/x", 403),
            ("GET", "/administration", 200),
            ("GET", "/reports", 200),
            ("DELETE", "/reports", 403),
        ] {
            let request = format!("{method} {path} HTTP/1.1\r\nHost: h\r\n\r\n");
            assert_eq!(gateway.client().send(request).response().status, status, "{method} {path}");
        }
    }

    fn headers_are_removed_on_both_ways(driver) {
        let origin = Origin::answering(
            "HTTP/1.1 200 OK\r\nX-Powered-By: php\r\nx-debug-id: 1\r\nX-Debug-Time: 2\r\nX-Kept: 3\r\nContent-Length: 2\r\n\r\nin",
        );
        let removal = "inboundHeaders: [ cookie, 'x-internal-.*', X-User, content_type ]\noutboundHeaders: [ X-Powered-By, 'x-debug-.+' ]";
        let gateway = Gateway::start(driver, with(&origin, &[binding("strip", "header-removal-flex", removal, "")]));
        let lines = "Cookie: a=b\r\nX-INTERNAL-ID: 7\r\nX-Internal-: 8\r\nX-Other: 9\r\nCookie: c=d\r\nX_User: 10\r\n\
                     X.User: 11\r\nContent-Type: text/plain\r\n";
        let answer = gateway.client().send(get_request("/", lines)).response();
        let seen = origin.request();
        for gone in ["cookie", "x-internal-id", "x-internal-", "x_user", "x.user"] {
            assert_eq!(seen.get(gone), None, "{gone}");
        }
        assert_eq!(seen.get("x-other"), Some("9"));
        assert_eq!(seen.get("content-type"), Some("text/plain"), "it can't be removed");
        for gone in ["x-powered-by", "x-debug-id", "x-debug-time"] {
            assert_eq!(answer.get(gone), None, "{gone}");
        }
        assert_eq!((answer.get("x-kept"), answer.text()), (Some("3"), "in".to_owned()));
    }

    /// A refusal passes back through those before it; no policy behind it is run. CORS is before all, whatever the order
    /// of the files.
    fn a_refusal_carries_what_the_policies_before_it_add(driver) {
        let origin = Origin::answering(ok("in"));
        let cors = "publicResource: false\noriginGroups:\n- origins: [ 'https://app.example' ]\n  exposedHeaders: [ x-id ]";
        let yaml = with(&origin, &[
            binding("basic", "http-basic-authentication-flex", USER, "order: 1\n"),
            binding("cors", "cors-flex", cors, ""),
        ]);
        let gateway = Gateway::start(driver, yaml);
        let answer = gateway.client().send(get_request("/", "Origin: https://app.example\r\n")).response();
        assert_eq!(answer.status, 401);
        assert_eq!(answer.get("access-control-allow-origin"), Some("https://app.example"));
        assert_eq!(answer.get("access-control-expose-headers"), Some("x-id"));
        assert_eq!(answer.get("vary"), Some("Origin"));
        let answer = gateway.client().send(get_request("/", "Origin: https://evil.example\r\n")).response();
        assert_eq!((answer.status, answer.get("access-control-allow-origin")), (401, None));
    }

    fn a_preflight_is_answered_without_asking_anybody(driver) {
        let origin = Origin::answering(ok("in"));
        let cors = "publicResource: false\nsupportCredentials: true\noriginGroups:\n- origins: [ 'https://app.example' ]\n  \
                    accessControlMaxAge: 60\n  allowedMethods:\n  - { methodName: PUT, isAllowed: true }\n  \
                    - { methodName: DELETE, isAllowed: false }\n  headers: [ x-token ]";
        let yaml = with(&origin, &[
            binding("cors", "cors-flex", cors, ""),
            binding("basic", "http-basic-authentication-flex", USER, ""),
        ]);
        let gateway = Gateway::start(driver, yaml);
        let mut client = gateway.client();
        let mut ask = |origin: &str, method: &str| {
            let request = format!(
                "OPTIONS /x HTTP/1.1\r\nHost: h\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: {method}\r\n\r\n"
            );
            client.send(request).response()
        };
        let answer = ask("https://app.example", "PUT");
        assert_eq!(answer.status, 204);
        for (name, value) in [
            ("access-control-allow-origin", "https://app.example"),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-methods", "PUT"),
            ("access-control-allow-headers", "x-token"),
            ("access-control-max-age", "60"),
        ] {
            assert_eq!(answer.get(name), Some(value), "{name}");
        }
        let answer = ask("https://app.example", "DELETE");
        assert_eq!((answer.status, answer.get("access-control-allow-methods")), (204, None));
        let answer = ask("https://evil.example", "PUT");
        assert_eq!((answer.status, answer.get("access-control-allow-origin")), (204, None));
        origin.expect_nothing();
    }

    fn a_public_resource_is_for_every_page(driver) {
        let origin = Origin::answering("HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: https://its.own\r\nContent-Length: 0\r\n\r\n");
        let gateway = Gateway::start(driver, with(&origin, &[binding("cors", "cors-flex", "", "")]));
        let answer = gateway.client().send(get_request("/", "Origin: https://any.example\r\n")).response();
        assert_eq!(answer.get("access-control-allow-origin"), Some("*"), "the origin's own would be a second one");
    }

    /// Where no route matches the policies still run: what is behind an API is nobody's to find out.
    fn policies_run_where_no_route_matches(driver) {
        let origin = Origin::answering(ok("in"));
        let yaml = [
            config::document("ApiInstance", "test", "address: http://@listen@"),
            config::document("Service", "origin", &format!("address: {}", origin.url)),
            config::route("only", "origin", 50, "- { path: '/known' }", ""),
            binding("basic", "http-basic-authentication-flex", USER, ""),
        ];
        let gateway = Gateway::start(driver, yaml.concat());
        assert_eq!(gateway.get("/unknown").status, 401);
        let known = "Authorization: Basic YW5uOnBhc3M6d29yZA==\r\n";
        assert_eq!(gateway.client().send(get_request("/unknown", known)).response().status, 404);
    }

    fn selectors_and_inline_policies_run_together(driver) {
        let origin = Origin::answering(ok("in"));
        let api = |name: &str, labels: &str, policies: &str| {
            format!(
                "---\napiVersion: ringway/v1\nkind: ApiInstance\nmetadata:\n  name: {name}\n  labels: {{ {labels} }}\nspec:\n  \
                 address: http://@listen@/{name}\n  services:\n    origin:\n      address: {}\n{policies}",
                origin.url
            )
        };
        let inline = "  policies:\n  - policyRef: { name: header-removal, namespace: default }\n    config: { inboundHeaders: [ x-a ] }\n";
        let selector = config::document(
            "PolicyBinding",
            "public",
            "order: 1\ntargetRef: { kind: Selector, selector: { kind: ApiInstance, labels: { public: yes } } }\n\
             policyRef: { name: header-removal-flex }\nconfig: { inboundHeaders: [ x-b ] }",
        );
        let yaml = [api("one", "public: yes", inline), api("two", "public: no", ""), selector];
        let gateway = Gateway::start(driver, yaml.concat());
        let mut client = gateway.client();
        for path in ["/one/", "/two/"] {
            client.send(get_request(path, "X-A: 1\r\nX-B: 2\r\n")).response();
        }
        let seen = origin.requests();
        let found: Vec<_> = seen.iter().map(|request| (request.get("x-a"), request.get("x-b"))).collect();
        assert_eq!(found, [(None, None), (Some("1"), Some("2"))]);
    }
}
