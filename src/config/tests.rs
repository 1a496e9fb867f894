//! Whole configurations: what they compile to, and the exact lines that tell what is wrong with them.

use super::{DumpFormat, Environment, Loaded, Options, Problems, Source, load, load_text, model_of};
use crate::{
    shard::snapshot::{Destination, DriverChoice, Snapshot},
    upstream::{
        balance::{HashOn, Policy},
        cluster::EndpointAddress,
    },
};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

fn loaded_with(text: &str, variables: &[(&str, &str)]) -> Loaded {
    match load_text("f.yaml", text, &Environment::fixed(variables.iter().copied())) {
        Ok(loaded) => loaded,
        Err(problems) => panic!(
            "{}",
            problems
                .iter()
                .map(|problem| format!("{problem}\n"))
                .collect::<String>()
        ),
    }
}

fn loaded(text: &str) -> Loaded {
    loaded_with(text, &[])
}

fn problems_with(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let loaded = load_text("f.yaml", text, &Environment::fixed(variables.iter().copied()));
    loaded
        .expect_err("there are problems")
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn problems(text: &str) -> Vec<String> {
    problems_with(text, &[])
}

/// A document on one line, so that places are easy to see.
fn document(kind: &str, name: &str, spec: &str) -> String {
    format!("{{apiVersion: ringway/v1, kind: {kind}, metadata: {{name: {name}}}, spec: {{{spec}}}}}\n---\n")
}

fn api(name: &str, address: &str) -> String {
    document(
        "ApiInstance",
        name,
        &format!("address: \"{address}\", services: {{s: {{address: \"http://o:1\"}}}}"),
    )
}

fn bound_api(name: &str) -> String {
    document("ApiInstance", name, "address: \"http://127.0.0.1:8081\"")
}

fn service(name: &str) -> String {
    document("Service", name, "address: \"http://o:1\"")
}

fn route_to(name: &str, target: &str, destination: &str, more: &str) -> String {
    document(
        "PolicyBinding",
        name,
        &format!(
            "targetRef: {{name: {target}}}, policyRef: {{name: route}}, \
             config: {{destinationRef: {{name: {destination}}}}}{more}"
        ),
    )
}

fn routes(snapshot: &Snapshot) -> Vec<Vec<Destination>> {
    let apis = snapshot
        .listeners
        .iter()
        .flat_map(|listener| listener.routes.apis());
    apis.flat_map(|api| &api.routes)
        .map(|route| route.payload.destinations.clone())
        .collect()
}

fn cluster_names(snapshot: &Snapshot) -> Vec<&str> {
    snapshot
        .clusters
        .iter()
        .map(|cluster| cluster.name.as_str())
        .collect()
}

#[test]
fn an_inline_api_becomes_services_and_routes_in_its_order() {
    let text = "
apiVersion: gateway.mulesoft.com/v1alpha1
kind: ApiInstance
metadata: {name: shop, namespace: web, labels: {tier: yes}}
spec:
  address: http://[::1]:8081/shop/
  services:
    zebra:
      address: http://z:8080/
      routes:
        - rules: [{path: /z(/.*)}, {methods: GET, host: a, headers: {X-A: b}}]
          config: {destinationPath: /v1}
        - rules: [{path: /y}]
    ant:
      address: unix:/run/ant.sock
";
    let Loaded {
        snapshot,
        apis,
        services,
        notes,
    } = loaded(text);
    assert_eq!((apis, services, notes.len()), (1, 2, 0));
    assert_eq!(
        snapshot.listeners[0].address,
        "[::1]:8081".parse::<SocketAddr>().unwrap()
    );
    let api = &snapshot.listeners[0].routes.apis()[0];
    assert_eq!(
        (api.base_path.as_str(), api.payload.name.as_str()),
        ("/shop", "web/shop")
    );
    assert_eq!(cluster_names(&snapshot), ["web/shop-zebra", "web/shop-ant"]);
    let to = |cluster, path: &str| {
        vec![Destination {
            cluster,
            weight: 1,
            destination_path: path.to_owned(),
        }]
    };
    assert_eq!(routes(&snapshot), [to(0, "/v1"), to(0, ""), to(1, "")]);
    assert_eq!(api.routes[0].rules.len(), 2);
    assert!(
        api.routes[2].rules.is_empty(),
        "a service without routes takes everything"
    );
    let address = |cluster: usize| snapshot.clusters[cluster].endpoints[0].address.clone();
    assert_eq!(
        address(0),
        EndpointAddress::Tcp {
            host: "z".into(),
            port: 8080
        }
    );
    assert_eq!(
        address(1),
        EndpointAddress::Unix {
            path: "/run/ant.sock".into()
        }
    );
}

#[test]
fn bound_routes_are_tried_by_order_then_as_written() {
    let text = [
        route_to("last", "a", "s1", ", order: 60"),
        route_to("second", "a", "s2", ""),
        route_to("third", "a", "s3", ", order: 50"),
        route_to("first", "a", "s4", ", order: -1"),
        bound_api("a"),
        service("s1"),
        service("s2"),
        service("s3"),
        service("s4"),
        service("unused"),
    ]
    .concat();
    let Loaded {
        snapshot,
        services,
        notes,
        ..
    } = loaded(&text);
    assert_eq!(
        cluster_names(&snapshot),
        ["default/s1", "default/s2", "default/s3", "default/s4"]
    );
    assert_eq!(services, 5);
    let order: Vec<_> = routes(&snapshot).iter().map(|route| route[0].cluster).collect();
    assert_eq!(order, [3, 1, 2, 0]);
    assert_eq!(
        notes,
        ["f.yaml:9:82: ApiInstance/a: the route first takes every request; 3 after it never get one"]
    );
}

#[test]
fn a_weighted_route_has_several_destinations() {
    let config = "routes: [{weight: 90, destinationRef: {name: s1}}, \
                  {weight: 10, destinationPath: /next, destinationRef: {name: s2, kind: Service, namespace: default}}]";
    let binding = format!(
        "targetRef: {{name: a}}, policyRef: {{name: route-weighted, namespace: default}}, config: {{{config}}}"
    );
    let text = [
        bound_api("a"),
        service("s1"),
        service("s2"),
        document("PolicyBinding", "w", &binding),
    ]
    .concat();
    let snapshot = loaded(&text).snapshot;
    let expected = |cluster, weight, path: &str| Destination {
        cluster,
        weight,
        destination_path: path.to_owned(),
    };
    assert_eq!(
        routes(&snapshot),
        [vec![expected(0, 90, ""), expected(1, 10, "/next")]]
    );
}

#[test]
fn endpoints_and_load_balancing() {
    let with = |balancing: &str| {
        let service = format!(
            "endpoints: [{{address: \"http://10.0.0.1:1\", weight: 3}}, {{address: \"http://[::1]\"}}], \
             loadBalancing: {balancing}, preserveHost: true"
        );
        let text = document(
            "ApiInstance",
            "a",
            &format!("address: \"http://localhost:1\", services: {{s: {{{service}}}}}"),
        );
        loaded(&text).snapshot.clusters.remove(0)
    };
    let cluster = with("{policy: consistent-hash, hashOn: X-User}");
    assert_eq!(
        cluster.balance,
        Policy::ConsistentHash(HashOn::Header("x-user".into()))
    );
    assert!(cluster.preserve_host);
    assert_eq!(cluster.endpoints[0].weight, 3);
    assert_eq!(cluster.endpoints[1].weight, 1);
    assert_eq!(
        cluster.endpoints[1].address,
        EndpointAddress::Tcp {
            host: "::1".into(),
            port: 80
        }
    );
    assert_eq!(
        with("{policy: consistent-hash, hashOn: client-address}").balance,
        Policy::ConsistentHash(HashOn::ClientAddress)
    );
    assert_eq!(with("{policy: least-request}").balance, Policy::LeastRequest);
    assert_eq!(with("random").balance, Policy::Random);
    assert_eq!(with("~").balance, Policy::RoundRobin);
}

#[test]
fn configuration_comes_before_the_environment_and_that_before_defaults() {
    let variables = [
        ("FLEX_REWRITE_HOST_HEADER", "false"),
        ("FLEX_CONNECTION_IDLE_TIMEOUT_SECONDS", "61"),
        ("FLEX_UPSTREAM_CONNECTION_IDLE_TIMEOUT_SECONDS", "62"),
        ("FLEX_UPSTREAM_RESPONSE_TIMEOUT_SECONDS", "63"),
        ("FLEX_STREAM_IDLE_TIMEOUT_SECONDS", "64"),
        ("FLEX_SERVICE_ENVOY_DRAIN_TIME", "65s"),
    ];
    let text = [
        api("a", "http://127.0.0.1:1"),
        document("Configuration", "t", "timeouts: {upstreamResponseSeconds: 20}"),
        document(
            "Configuration",
            "l",
            "limits: {headBytes: 8192, bodyBytes: 0, connectionsPerClient: 9, connectTimeoutSeconds: 3}",
        ),
        document(
            "Configuration",
            "r",
            "runtime: {shards: 3, driver: epoll, pinning: false}",
        ),
        document("Configuration", "s", "shutdown: {delaySeconds: 7}"),
        document("Configuration", "log", "accessLog: {path: /dev/stdout}"),
    ]
    .concat();
    let seconds = Duration::from_secs;
    let snapshot = loaded_with(&text, &variables).snapshot;
    let timeouts = snapshot.clusters[0].timeouts;
    assert_eq!(timeouts.response, seconds(20));
    assert_eq!(timeouts.idle, seconds(62));
    assert_eq!(timeouts.stream_idle, seconds(64));
    assert_eq!(timeouts.connect, seconds(3));
    assert!(snapshot.clusters[0].preserve_host);
    assert_eq!(snapshot.limits.keep_alive_idle, seconds(61));
    assert_eq!(snapshot.limits.head.head_bytes, 8192);
    assert_eq!(
        snapshot.limits.head.target_bytes, 8192,
        "a target is part of its head"
    );
    assert_eq!(snapshot.limits.body_bytes, Some(0));
    assert_eq!(snapshot.limits.connections_per_client, Some(9));
    assert_eq!(snapshot.runtime.shards, Some(3));
    assert_eq!(snapshot.runtime.driver, DriverChoice::Epoll);
    assert!(!snapshot.runtime.pin);
    assert_eq!(
        (snapshot.shutdown.drain, snapshot.shutdown.delay),
        (seconds(65), seconds(7))
    );
    assert_eq!(snapshot.access_log.unwrap().path, PathBuf::from("/dev/stdout"));

    let snapshot = loaded(&api("a", "http://127.0.0.1:1")).snapshot;
    assert_eq!(snapshot.limits, crate::shard::snapshot::Limits::default());
    assert_eq!(
        snapshot.clusters[0].timeouts,
        crate::upstream::cluster::Timeouts::default()
    );
    assert_eq!(snapshot.shutdown, crate::shard::snapshot::Shutdown::default());
    assert!(snapshot.access_log.is_none());
}

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
            "f.yaml:2:7: Servce: kind: must be one of ApiInstance, Service, PolicyBinding, Configuration, \
             not `Servce`; did you mean `Service`?",
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
    for kind in ["Extension", "Secret", "Contract"] {
        assert_eq!(
            yet(&document(kind, "x", "")),
            format!("f.yaml:1:32: {kind}/x: kind: Ringway knows the kind `{kind}` but does not have it yet")
        );
    }
    for key in [
        "logging",
        "sharedStorage",
        "forwardProxy",
        "proxyProtocol",
        "probe",
        "defaultTLS",
        "resourceLimits",
        "circuitBreaker",
        "tracing",
    ] {
        assert_eq!(
            yet(&document("Configuration", "x", &format!("{key}: {{}}"))),
            format!(
                "f.yaml:1:75: Configuration/x: spec.{key}: Ringway knows `{key}` but does not have it yet"
            )
        );
    }
    let inline = "address: \"http://127.0.0.1:1\", services: {s: {address: \"http://o\"}}, policies: [{policyRef: {name: cors-flex}}]";
    assert_eq!(
        yet(&document("ApiInstance", "x", inline)),
        "f.yaml:1:172: ApiInstance/x: spec.policies[0].policyRef.name: Ringway knows the policy `cors-flex` but \
         does not have it yet"
    );
    let bound = [
        service("s"),
        document(
            "PolicyBinding",
            "t",
            "targetRef: {kind: Service, name: s}, policyRef: {name: tls-outbound}",
        ),
    ];
    assert_eq!(
        yet(&bound.concat()),
        "f.yaml:3:130: PolicyBinding/t: spec.policyRef.name: Ringway knows the policy `tls-outbound` but does not \
         have it yet"
    );
    for name in [
        "rate-limiting",
        "rate-limiting-flex",
        "client-id-enforcement",
        "tls",
    ] {
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
        yet(&scheme("https://o:1")),
        "f.yaml:1:78: Service/s: spec.address: Ringway knows `https://` services but does not have them yet; use http://"
    );
    assert!(yet(&scheme("h2://o:1")).contains("`h2://`"));
    assert_eq!(
        yet(&api("a", "https://0.0.0.0:8443")),
        "f.yaml:1:82: ApiInstance/a: spec.address: Ringway knows `https://` addresses but does not have TLS yet; use http://"
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
fn registration_is_ignored_with_one_note() {
    let connection = "apiVersion: gateway.mulesoft.com/v1alpha1\nkind: Configuration\nmetadata: {name: platform, x: y}\n\
                      spec:\n  platformConnection: {mode: offline, anything: [1]}\n---\n";
    let text = format!("{connection}{connection}{}", api("a", "http://127.0.0.1:1"));
    assert_eq!(
        loaded(&text).notes,
        ["f.yaml:1:1: 2 document(s) of a registration ignored: Ringway connects to no control plane"]
    );
    let both = document("Configuration", "x", "platformConnection: {}, limits: {}");
    assert_eq!(
        problems(&both),
        [
            "f.yaml:1:99: Configuration/x: spec: must have one subject a document, not 2: platformConnection, limits"
        ]
    );
}

#[test]
fn a_registration_file_may_hold_anything_but_hides_nothing() {
    let sources = [
        Source::new(
            "conf.d/registration.yaml",
            format!("agentId: 1\n---\nkind: Secret\n---\n{}", service("s")),
        ),
        Source::new(
            "conf.d/x.yaml",
            format!("{}{}", bound_api("a"), route_to("r", "a", "s", "")),
        ),
    ];
    let (model, notes) = model_of(&sources, &Environment::fixed([]), Problems::default()).unwrap();
    assert_eq!(model.services.len(), 1);
    assert_eq!(
        notes,
        [
            "conf.d/registration.yaml:1:1: 2 document(s) of a registration ignored: Ringway connects to no control plane"
        ]
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
            "f.yaml:5:64: Configuration/c: spec: must have one of timeouts, accessLog, runtime, limits, shutdown",
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
fn apis_share_an_address_when_their_base_paths_do_not_overlap() {
    let shared = [
        api("a", "http://0.0.0.0:1/cats"),
        api("b", "http://0.0.0.0:1/catsanddogs"),
        api("c", "http://[::]:1"),
    ];
    let snapshot = loaded(&shared.concat()).snapshot;
    assert_eq!(snapshot.listeners.len(), 2);
    assert_eq!(snapshot.listeners[0].routes.apis().len(), 2);

    let nested = [
        api("a", "http://0.0.0.0:1/cats"),
        api("b", "http://0.0.0.0:1/cats/dogs"),
    ]
    .concat();
    assert_eq!(
        problems(&nested),
        [
            "f.yaml:3:82: ApiInstance/b: spec.address: has the base path `/cats/dogs`, which overlaps `/cats` of \
          ApiInstance/a (f.yaml:1:82) on the same address"
        ]
    );
    let equal = [api("a", "http://0.0.0.0:1"), api("b", "http://0.0.0.0:1/")].concat();
    assert_eq!(
        problems(&equal),
        [
            "f.yaml:3:82: ApiInstance/b: spec.address: has the address and base path `/` of ApiInstance/a (f.yaml:1:82)"
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
        ("o:1", "must be http://host:port or unix:/path"),
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
fn variables_are_put_into_policies_only() {
    let variables = [("DEST", "/v9"), ("WEIGHT", "7"), ("ADDRESS", "http://o:1")];
    let spec = "targetRef: {name: a}, policyRef: {name: route-weighted}, \
                config: {routes: [{weight: $WEIGHT, destinationPath: $DEST, destinationRef: {name: s}}]}";
    let text = [bound_api("a"), service("s"), document("PolicyBinding", "r", spec)].concat();
    let expected = Destination {
        cluster: 0,
        weight: 7,
        destination_path: "/v9".into(),
    };
    assert_eq!(routes(&loaded_with(&text, &variables).snapshot), [vec![expected]]);
    assert_eq!(
        problems(&text),
        [
            "f.yaml:5:159: PolicyBinding/r: spec.config.routes[0].weight: the environment variable `WEIGHT` is not set",
            "f.yaml:5:185: PolicyBinding/r: spec.config.routes[0].destinationPath: the environment variable `DEST` is \
             not set",
        ]
    );
    let elsewhere = document("Service", "s", "address: $ADDRESS");
    assert!(problems_with(&elsewhere, &variables)[0].ends_with("must be http://host:port or unix:/path"));
}

#[test]
fn a_syntax_error_does_not_make_orphans() {
    let text = format!("{}{}a: [", bound_api("a"), route_to("r", "a", "later", ""));
    let lines = problems(&text);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("not valid YAML"));
}

#[test]
fn a_dump_loads_to_the_same() {
    let text = [
        api("inline", "http://[::]:8081/x/y"),
        bound_api("bound"),
        service("s1"),
        service("s2"),
        route_to(
            "r2",
            "bound",
            "s1",
            ", order: 60, rules: [{path: \"/a(/.*)\", headers: {x: y}}, {methods: GET, host: h}]",
        ),
        route_to("r1", "bound", "s2", ", rules: [{path: /b}]"),
        document(
            "Configuration",
            "l",
            "limits: {bodyBytes: 5, connectionsPerClient: 6, headBytes: 2000}",
        ),
        document("Configuration", "r", "runtime: {shards: 2, driver: io_uring}"),
        document("Configuration", "a", "accessLog: {path: /dev/null}"),
    ]
    .concat();
    let model = |text: &str| {
        let sources = [Source::new("f.yaml", text)];
        model_of(&sources, &Environment::fixed([]), Problems::default())
            .unwrap()
            .0
    };
    for format in [DumpFormat::Yaml, DumpFormat::Json] {
        let mut dumped = super::dump::write(&model(&text), format);
        if format == DumpFormat::Json {
            let documents: Vec<serde_json::Value> = serde_json::from_str(&dumped).unwrap();
            dumped = documents
                .iter()
                .map(|document| format!("---\n{document}\n"))
                .collect();
        }
        let (before, after) = (loaded(&text).snapshot, loaded(&dumped).snapshot);
        assert_eq!(before.clusters, after.clusters);
        assert_eq!(routes(&before), routes(&after));
        assert_eq!(before.limits, after.limits);
        assert_eq!(before.runtime, after.runtime);
        assert_eq!(before.access_log, after.access_log);
        let again = super::dump::write(&model(&dumped), DumpFormat::Yaml);
        assert_eq!(again, super::dump::write(&model(&text), DumpFormat::Yaml));
    }
}

#[test]
fn a_dump_hides_what_was_put_in() {
    let spec = "targetRef: {name: a}, policyRef: {name: route}, config: {destinationPath: $P, destinationRef: {name: s}}";
    let text = [bound_api("a"), service("s"), document("PolicyBinding", "r", spec)].concat();
    let sources = [Source::new("f.yaml", text)];
    let environment = Environment::fixed([("P", "/hush")]);
    let (model, _) = model_of(&sources, &environment, Problems::default()).unwrap();
    let dumped = super::dump::write(&model, DumpFormat::Yaml);
    assert!(!dumped.contains("hush"), "{dumped}");
    assert!(dumped.contains("***"), "{dumped}");
}

#[test]
fn the_demo_is_a_configuration() {
    let loaded = loaded(&super::demo_yaml(40000));
    assert_eq!(
        loaded.snapshot.listeners[0].address,
        "127.0.0.1:8081".parse::<SocketAddr>().unwrap()
    );
    for cluster in &loaded.snapshot.clusters {
        assert_eq!(
            cluster.endpoints[0].address,
            EndpointAddress::Tcp {
                host: "127.0.0.1".into(),
                port: 40000
            }
        );
    }
    assert!(loaded.notes.is_empty());
}

#[test]
fn every_example_compiles() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let environment = Environment::fixed([("REPORTS_PATH", "/2026")]);
        let result = load(&Options {
            paths: vec![path.clone()],
            environment,
        });
        assert!(result.is_ok(), "{}: {:?}", path.display(), result.err());
        count += 1;
    }
    assert!(count >= 8);
}

#[test]
fn the_schema_has_every_object_and_no_reference_to_nowhere() {
    let text = super::json_schema();
    let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
    let definitions = schema["$defs"].as_object().unwrap();
    for reference in text.split("\"#/$defs/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(definitions.contains_key(name), "{name}");
    }
    assert!(
        definitions
            .values()
            .all(|definition| definition["type"] == "object")
    );
    assert_eq!(schema["oneOf"].as_array().unwrap().len(), 4);
    let config = &definitions["BindingSpec"]["allOf"][0]["then"]["properties"]["config"];
    assert!(definitions.contains_key(config["$ref"].as_str().unwrap().strip_prefix("#/$defs/").unwrap()));
}

#[test]
fn the_reference_page_names_every_field() {
    let page =
        std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md"))
            .unwrap();
    let schema: serde_json::Value = serde_json::from_str(&super::json_schema()).unwrap();
    for (object, definition) in schema["$defs"].as_object().unwrap() {
        for field in definition["properties"].as_object().unwrap().keys() {
            let named = [format!("`{field}`"), format!(".{field}`")]
                .iter()
                .any(|name| page.contains(name));
            assert!(named, "{object}.{field}");
        }
    }
}
