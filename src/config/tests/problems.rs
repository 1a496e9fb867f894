//! The exact lines that tell what is wrong, and where.

use super::{
    super::{Environment, Problems, Source, model_of},
    api, bound_api, document, loaded, problems, problems_with, route_to, service,
};

#[test]
fn bad_variables_are_named() {
    let variables = [
        ("FLEX_REWRITE_HOST_HEADER", "no"),
        ("FLEX_STREAM_IDLE_TIMEOUT_SECONDS", "0"),
        ("FLEX_SERVICE_ENVOY_DRAIN_TIME", "5m"),
    ];
    assert_eq!(
        {
            let mut lines = problems_with(&api("a", "http://127.0.0.1:1"), &variables);
            lines.sort();
            lines
        },
        [
            "$FLEX_REWRITE_HOST_HEADER:1:1: must be true or false, not \"no\"",
            "$FLEX_SERVICE_ENVOY_DRAIN_TIME:1:1: must be an integer (seconds), not \"5m\"",
            "$FLEX_STREAM_IDLE_TIMEOUT_SECONDS:1:1: must be between 1 and 604800 (seconds), not \"0\"",
        ]
    );
}

#[test]
fn the_envelope_is_strict() {
    assert_eq!(
        problems("kind: Service\nmetadata: {name: x}\nspec: {address: \"http://o\"}\n"),
        ["f.yaml:1:1: Service/x: `apiVersion` is required"]
    );
    let text = "apiVersion: ringway/v2\nkind: Servce\nmetadata: {nam: x}\nspecs: {}\n";
    assert_eq!(
        problems(text),
        [
            "f.yaml:1:1: Servce: `spec` is required",
            "f.yaml:1:13: Servce: apiVersion: must be one of ringway/v1, gateway.mulesoft.com/v1alpha1, \
             gateway.mulesoft.com/v1beta1, not `ringway/v2`; did you mean `ringway/v1`?",
            "f.yaml:2:7: Servce: kind: must be one of ApiInstance, Service, PolicyBinding, Configuration, Contract, \
             Secret, not `Servce`; did you mean `Service`?",
            "f.yaml:3:11: Servce: metadata: `name` is required",
            "f.yaml:3:12: Servce: metadata: unknown field `nam`; did you mean `name`?",
            "f.yaml:4:1: Servce: unknown field `specs`; did you mean `spec`?",
        ]
    );
    let text = document("Service", "\"a b\"", "address: \"http://o\"");
    assert_eq!(
        problems(&text),
        [
            "f.yaml:1:58: Service/a b: metadata.name: must be 1 to 253 letters, digits, `-`, `_` or `.`, and start \
          and end with a letter or digit"
        ]
    );
}

#[test]
fn what_is_known_but_not_there_yet_is_refused_by_name() {
    let yet = |text: &str| {
        let lines = problems(text);
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines[0].clone()
    };
    assert_eq!(
        yet(&document("Extension", "x", "")),
        "f.yaml:1:32: Extension/x: kind: Ringway knows the kind `Extension` but does not have it yet"
    );
    for key in ["logging", "forwardProxy", "probe", "resourceLimits", "tracing"] {
        assert_eq!(
            yet(&document("Configuration", "x", &format!("{key}: {{}}"))),
            format!(
                "f.yaml:1:75: Configuration/x: spec.{key}: Ringway knows `{key}` but does not have it yet"
            )
        );
    }
    let inline = "address: \"http://127.0.0.1:1\", services: {s: {address: \"http://o\"}}, policies: [{policyRef: {name: tracing-flex}}]";
    assert_eq!(
        yet(&document("ApiInstance", "x", inline)),
        "f.yaml:1:172: ApiInstance/x: spec.policies[0].policyRef.name: Ringway knows the policy `tracing-flex` but \
         does not have it yet"
    );
    let bound = [
        service("s"),
        document(
            "PolicyBinding",
            "t",
            "targetRef: {kind: Service, name: s}, policyRef: {name: native-aws-lambda}",
        ),
    ];
    assert_eq!(
        yet(&bound.concat()),
        "f.yaml:3:130: PolicyBinding/t: spec.policyRef.name: Ringway knows the policy `native-aws-lambda` but does not \
         have it yet"
    );
    for name in ["sse-logging", "sse-logging-flex", "spec-validation"] {
        let spec = format!(
            "targetRef: {{kind: Selector, selector: {{kind: ApiInstance}}}}, policyRef: {{name: {name}}}"
        );
        assert!(
            yet(&document("PolicyBinding", "t", &spec)).ends_with("but does not have it yet"),
            "{name}"
        );
    }
    let scheme = |address: &str| document("Service", "s", &format!("address: \"{address}\""));
    assert_eq!(
        yet(&scheme("h2://o:1")),
        "f.yaml:1:78: Service/s: spec.address: Ringway knows `h2://` services but does not have them yet; use http:// or \
         https://"
    );
}

#[test]
fn a_misspelt_policy_is_told_the_nearest() {
    let text = document(
        "PolicyBinding",
        "t",
        "targetRef: {kind: Selector, selector: {}}, policyRef: {name: rate-limitting-flex}",
    );
    assert!(
        problems(&text)[0]
            .ends_with("unknown policy `rate-limitting-flex`; did you mean `rate-limiting-flex`?")
    );
}

#[test]
fn orphans_are_told_the_nearest_name() {
    let text = [
        bound_api("payments"),
        service("blue"),
        route_to("one", "paymets", "blue", ""),
        route_to("two", "payments", "blu", ""),
    ]
    .concat();
    assert_eq!(
        problems(&text),
        [
            "f.yaml:5:95: PolicyBinding/one: spec.targetRef.name: there is no ApiInstance `paymets` in namespace \
             `default`; did you mean `payments`?",
            "f.yaml:7:164: PolicyBinding/two: spec.config.destinationRef.name: there is no Service `blu` in namespace \
             `default`; did you mean `blue`?",
        ]
    );
    let text = [bound_api("a"), service("s"), route_to("r", "a", "s", "")].concat();
    let text = text.replace("{name: r}", "{name: r, namespace: shop}");
    let lines = problems(&text);
    assert!(
        lines[0].contains("ApiInstance/a: spec: has no route"),
        "{lines:?}"
    );
    assert!(
        lines[1].ends_with(
            "there is no ApiInstance `a` in namespace `shop`; there is one in namespace `default`"
        )
    );
    assert!(
        lines[2]
            .ends_with("there is no Service `s` in namespace `shop`; there is one in namespace `default`")
    );
}

#[test]
fn an_inline_service_is_nobodys_to_refer_to() {
    let text = [
        api("a", "http://127.0.0.1:1"),
        bound_api("b"),
        route_to("r", "b", "a-s", ""),
    ]
    .concat();
    assert!(problems(&text)[0].contains("there is no Service `a-s`"));
}

#[test]
fn routes_are_inline_or_bound() {
    let text = [
        api("a", "http://127.0.0.1:1"),
        service("s"),
        route_to("r", "a", "s", ""),
    ]
    .concat();
    assert_eq!(
        problems(&text),
        [
            "f.yaml:5:86: PolicyBinding/r: spec.targetRef: ApiInstance/a has inline services (f.yaml:1:114): routes are \
          either inline or bound, not both"
        ]
    );
    let route = "address: \"http://127.0.0.1:1\", services: {s: {address: \"http://o\"}}, policies: [{policyRef: {name: route}}]";
    assert!(problems(&document("ApiInstance", "x", route))[0].contains("`route` is not an inline policy"));
    let service_bound =
        "targetRef: {kind: Service, name: s}, policyRef: {name: route}, config: {destinationRef: {name: s}}";
    let lines = problems(&[service("s"), document("PolicyBinding", "r", service_bound)].concat());
    assert!(
        lines[0].ends_with("`route` binds to one ApiInstance, not to a Service"),
        "{lines:?}"
    );
}

#[test]
fn an_api_without_a_route_is_refused() {
    assert_eq!(
        problems(&bound_api("a")),
        [
            "f.yaml:1:62: ApiInstance/a: spec: has no route: give it `services`, or bind the policy `route` to it"
        ]
    );
    let text = document(
        "ApiInstance",
        "a",
        "address: \"http://127.0.0.1:1\", services: {}",
    );
    assert_eq!(problems(&text).len(), 1);
    // What is wrong with its routes is told, not that it has none.
    let text = document(
        "ApiInstance",
        "a",
        "address: \"http://127.0.0.1:1\", services: {s: {}}",
    );
    assert_eq!(
        problems(&text),
        ["f.yaml:1:118: ApiInstance/a: spec.services.s: `address` or `endpoints` is required"]
    );
}

#[test]
fn the_same_object_twice_names_both_places() {
    let sources = [
        Source::new("one.yaml", service("s")),
        Source::new("two.yaml", format!("\n{}", service("s"))),
    ];
    let found = model_of(&sources, &Environment::fixed([]), Problems::default()).unwrap_err();
    assert_eq!(
        found[0].to_string(),
        "two.yaml:2:58: Service/s: metadata.name: is defined twice in namespace `default`; first at one.yaml:1:58"
    );
    // Kinds and namespaces are apart.
    let apart = [
        bound_api("s"),
        service("s"),
        route_to("s", "s", "s", ""),
        service("{name: s}"),
    ]
    .concat();
    let apart = apart.replace("{name: {name: s}}", "{name: s, namespace: other}");
    assert_eq!(loaded(&apart).services, 2);
    let text = [api("a", "http://127.0.0.1:1"), service("a-s")].concat();
    assert_eq!(
        problems(&text),
        [
            "f.yaml:1:115: ApiInstance/a: spec.services.s: becomes the Service `a-s`, which is also defined at f.yaml:3:58"
        ]
    );
}

#[test]
fn each_subject_is_configured_once() {
    let text = [
        document("Configuration", "a", "limits: {}"),
        document("Configuration", "b", "limits: {headBytes: 4096}"),
        document("Configuration", "c", ""),
        document("Configuration", "d", "timeout: {}"),
    ]
    .concat();
    assert_eq!(
        problems(&text),
        [
            "f.yaml:3:75: Configuration/b: spec.limits: `limits` is configured twice; first at f.yaml:1:75",
            "f.yaml:5:64: Configuration/c: spec: must have one of timeouts, rateLimit, circuitBreaker, sharedStorage, accessLog, runtime, limits, shutdown, defaultTLS, sessionTickets",
            "f.yaml:7:75: Configuration/d: spec: unknown field `timeout`; did you mean `timeouts`?",
        ]
    );
}

#[test]
fn numbers_have_their_ranges() {
    let text = [
        document(
            "Configuration",
            "a",
            "limits: {headBytes: 2048, targetBytes: 4096, headTimeoutSeconds: 0, connections: -1}",
        ),
        document("Configuration", "b", "timeouts: {streamIdleSeconds: 1.5}"),
        document("Configuration", "c", "runtime: {shards: 0, driver: uring}"),
        document("Configuration", "d", "accessLog: {path: log, format: text}"),
    ]
    .concat();
    assert_eq!(
        problems(&text),
        [
            "f.yaml:1:114: Configuration/a: spec.limits.targetBytes: must not be more than headBytes (2048)",
            "f.yaml:1:140: Configuration/a: spec.limits.headTimeoutSeconds: must be between 1 and 604800, not `0`",
            "f.yaml:1:156: Configuration/a: spec.limits.connections: must be between 1 and 10000000, not `-1`",
            "f.yaml:3:105: Configuration/b: spec.timeouts.streamIdleSeconds: must be an integer, not `1.5`",
            "f.yaml:5:93: Configuration/c: spec.runtime.shards: must be between 1 and 1024, not `0`",
            "f.yaml:5:104: Configuration/c: spec.runtime.driver: must be one of auto, io_uring, epoll, not `uring`",
            "f.yaml:7:93: Configuration/d: spec.accessLog.path: must be an absolute path, such as /dev/stdout",
            "f.yaml:7:106: Configuration/d: spec.accessLog.format: must be one of json, not `text`",
        ]
    );
}

#[test]
fn a_wildcard_and_an_address_of_its_port_conflict() {
    let text = [
        api("a", "http://0.0.0.0:8081/a"),
        api("b", "http://localhost:8081/b"),
    ]
    .concat();
    assert_eq!(
        problems(&text),
        [
            "f.yaml:3:82: ApiInstance/b: spec.address: listens on 127.0.0.1:8081, and ApiInstance/a (f.yaml:1:82) on \
          0.0.0.0:8081: one address and all addresses of a port can't be told apart"
        ]
    );
    assert_eq!(
        loaded(&[api("a", "http://127.0.0.1:1"), api("b", "http://127.0.0.2:1")].concat()).apis,
        2
    );
}

#[test]
fn addresses_to_listen_on() {
    let refused = |address: &str| {
        let lines = problems(&api("a", address));
        let message = lines[0].strip_prefix("f.yaml:1:82: ApiInstance/a: spec.address: ");
        message.unwrap_or_else(|| panic!("{lines:?}")).to_owned()
    };
    for (address, part) in [
        ("0.0.0.0:8081", "must be http://host:port"),
        ("tcp://0.0.0.0:8081", "must be http://host:port"),
        ("http://0.0.0.0", "must name the port"),
        ("http://0.0.0.0:0", "port between 1 and 65535, not `0`"),
        ("http://0.0.0.0:65536", "port between 1 and 65535"),
        ("http://0.0.0.0:+80", "port between 1 and 65535"),
        ("http://:8081", "has no host"),
        ("http://::1:8081", "IPv6 address in brackets"),
        (
            "http://example.com:8081",
            "can't listen on the name `example.com`: write an IP address",
        ),
        ("http://u@127.0.0.1:8081", "user name"),
        ("http://[::ffff:127.0.0.1]:8081", "write the IPv4 address itself"),
        ("http://[fe80::1]:8081", "needs a zone"),
        ("http://224.0.0.1:8081", "many machines"),
        ("http://255.255.255.255:8081", "many machines"),
    ] {
        let message = refused(address);
        assert!(message.contains(part), "{address}: {message}");
    }
}

#[test]
fn addresses_of_services() {
    let refused = |address: &str| {
        let lines = problems(&document("Service", "s", &format!("address: \"{address}\"")));
        let message = lines[0].strip_prefix("f.yaml:1:78: Service/s: spec.address: ");
        message.unwrap_or_else(|| panic!("{lines:?}")).to_owned()
    };
    for (address, part) in [
        ("o:1", "must be http://host:port, https://host:port or unix:/path"),
        ("http://o:1/v1", "put it into a route's destinationPath"),
        ("http://o:1?x", "destinationPath"),
        ("http://", "has no host"),
        ("http://o:x", "port between 1 and 65535, not `x`"),
        ("http://a b:1", "neither an IP address nor a host name"),
        ("http://10.0.0:1", "neither an IP address nor a host name"),
        ("http://[::g]:1", "neither an IP address nor a host name"),
        ("http://0.0.0.0:1", "to listen on, not one to connect to"),
        ("unix:relative", "absolute path"),
    ] {
        let message = refused(address);
        assert!(message.contains(part), "{address}: {message}");
    }
}

#[test]
fn services_say_either_and_hash_on_something() {
    let only = |spec: &str| {
        let lines = problems(&document("Service", "s", spec));
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines[0].clone()
    };
    assert_eq!(
        only("address: \"http://o\", endpoints: [{address: \"http://o\"}]"),
        "f.yaml:1:101: Service/s: spec: `address` and `endpoints` are two ways to say one thing: use either"
    );
    assert_eq!(
        only("endpoints: []"),
        "f.yaml:1:80: Service/s: spec.endpoints: must not be empty"
    );
    assert_eq!(
        only("endpoints: [{address: \"http://o\", weight: 101}]"),
        "f.yaml:1:111: Service/s: spec.endpoints[0].weight: must be between 1 and 100, not `101`"
    );
    assert!(
        only("address: \"http://o\", loadBalancing: {policy: consistent-hash}")
            .ends_with("name of a request header")
    );
    assert!(
        only("address: \"http://o\", loadBalancing: {policy: random, hashOn: x}")
            .contains("means nothing for `random`")
    );
    assert!(
        only("address: \"http://o\", loadBalancing: least-requests")
            .ends_with("did you mean `least-request`?")
    );
}

#[test]
fn route_configuration_is_checked() {
    let text = |config: &str| {
        let spec = format!("targetRef: {{name: a}}, policyRef: {{name: route}}, config: {{{config}}}");
        [
            bound_api("a"),
            service("s"),
            document("PolicyBinding", "r", &spec),
        ]
        .concat()
    };
    assert_eq!(
        problems(&text("destinationPath: v1, destinationRef: {nme: s}")),
        [
            "f.yaml:5:149: PolicyBinding/r: spec.config.destinationPath: must start with `/`, not `v1`",
            "f.yaml:5:169: PolicyBinding/r: spec.config.destinationRef: `name` is required",
            "f.yaml:5:170: PolicyBinding/r: spec.config.destinationRef: unknown field `nme`; did you mean `name`?",
        ]
    );
    for path in ["/a b", "/a?b", "/a\\r\\nX: y", "/a/../b", "/ä"] {
        let lines = problems(&text(&format!(
            "destinationPath: \"{path}\", destinationRef: {{name: s}}"
        )));
        assert!(
            lines[0].contains("spec.config.destinationPath: must"),
            "{path}: {lines:?}"
        );
    }
}

#[test]
fn expressions_are_refused_at_their_field() {
    let rules = "rules: [{path: \"/a(\", methods: GET, headers: {x-a: \"b(\"}}]";
    let spec = format!(
        "address: \"http://127.0.0.1:1\", services: {{s: {{address: \"http://o\", routes: [{{{rules}}}]}}}}"
    );
    let lines = problems(&document("ApiInstance", "a", &spec));
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].starts_with("f.yaml:1:165: ApiInstance/a: spec.services.s.routes[0].rules[0].path: "),
        "{lines:?}"
    );
    assert!(
        lines[1].starts_with("f.yaml:1:201: ApiInstance/a: spec.services.s.routes[0].rules[0].headers.x-a: "),
        "{lines:?}"
    );
}

#[test]
fn an_element_that_can_not_be_read_does_not_shift_the_others() {
    let binding = "targetRef: {name: a}, policyRef: {name: route-weighted}, config: {routes: [\
                   {weight: 0, destinationRef: {name: s}}, {weight: 1, destinationRef: {name: nowhere}}]}";
    let inline = "address: \"http://127.0.0.1:2\", services: {t: {address: \"http://o\", routes: [\
                  {rule: []}, {config: {destinationPath: x}}]}}, \
                  policies: [{policyref: {}}, {policyRef: {name: tracing-flex}}]";
    let text = [
        bound_api("a"),
        service("s"),
        document("PolicyBinding", "w", binding),
        document("ApiInstance", "i", inline),
    ];
    let lines = problems(&text.concat());
    for path in [
        "spec.config.routes[1].destinationRef.name: there is no Service `nowhere`",
        "spec.services.t.routes[1].config.destinationPath: must start with",
        "spec.policies[1].policyRef.name: Ringway knows",
    ] {
        assert!(lines.iter().any(|line| line.contains(path)), "{path}: {lines:#?}");
    }
}

#[test]
fn a_binding_that_can_not_be_read_may_be_anybodys() {
    let binding = document(
        "PolicyBinding",
        "b",
        "targetref: {name: a}, policyRef: {name: route}",
    );
    let lines = problems(&[bound_api("a"), binding].concat());
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines.iter().all(|line| line.contains("PolicyBinding/b: spec: ")),
        "{lines:?}"
    );
}

#[test]
fn an_api_twice_is_one_problem() {
    let text = [api("a", "http://127.0.0.1:1"), api("a", "http://127.0.0.1:1")].concat();
    let lines = problems(&text);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("metadata.name: is defined twice"), "{lines:?}");
}

#[test]
fn a_syntax_error_does_not_make_orphans() {
    let text = format!("{}{}a: [", bound_api("a"), route_to("r", "a", "later", ""));
    let lines = problems(&text);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("not valid YAML"));
}

#[test]
fn proxies_are_addresses_and_ranges() {
    let told = |subject: &str| problems(&document("Configuration", "x", subject));
    for (subject, place, message) in [
        (
            "trustedProxies: [10.0.0.0/33]",
            "spec.trustedProxies[0]",
            "`10.0.0.0/33` is no address",
        ),
        (
            "trustedProxies: [10.0.0.1, balancer]",
            "spec.trustedProxies[1]",
            "`balancer` is no address",
        ),
        (
            "trustedProxies: []",
            "spec.trustedProxies",
            "must name an address",
        ),
        (
            "proxyProtocol: {enabled: true, from: [x]}",
            "spec.proxyProtocol.from[0]",
            "`x` is no address",
        ),
        (
            "proxyProtocol: {enabled: true, from: []}",
            "spec.proxyProtocol.from",
            "must name an address",
        ),
        (
            "proxyProtocol: {from: [10.0.0.1]}",
            "spec.proxyProtocol",
            "enabled",
        ),
    ] {
        let told = told(subject);
        assert!(
            told.len() == 1 && told[0].contains(place) && told[0].contains(message),
            "{subject}: {told:?}"
        );
    }
}
