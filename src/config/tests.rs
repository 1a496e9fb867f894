//! Whole configurations: what they compile to, how they are dumped; what is wrong with others is in `problems`.

mod contracts;
mod notes;
mod problems;
mod shared_storage;
mod tls;
mod traffic;

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

fn dump_text(text: &str) -> String {
    let read = model_of(
        &[Source::new("f.yaml", text)],
        &Environment::fixed([]),
        Problems::default(),
    );
    let (model, _) = read.expect("no problems");
    super::dump::write(&model, DumpFormat::Yaml)
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
fn a_drain_of_nothing_may_come_from_the_environment_too() {
    let variables = [("FLEX_SERVICE_ENVOY_DRAIN_TIME", "0s")];
    let loaded = loaded_with(&api("a", "http://127.0.0.1:1"), &variables);
    assert_eq!(loaded.snapshot.shutdown.drain, Duration::ZERO);
}

#[test]
fn a_rule_that_no_request_matches_is_noted() {
    let notes = |path: &str| {
        let routes = format!("routes: [{{rules: [{{path: \"{path}\"}}]}}]");
        let services = format!("services: {{s: {{address: \"http://o\", {routes}}}}}");
        let spec = format!("address: \"http://127.0.0.1:1\", {services}");
        loaded(&document("ApiInstance", "a", &spec)).notes
    };
    assert_eq!(
        notes("api/.*"),
        ["f.yaml:1:165: ApiInstance/a: path `api/.*` matches no request: a path begins with `/`"]
    );
    assert_eq!(notes("").len(), 1);
    for path in [
        "/api", ".*", "a?/x", "(x|/y)", "x|/y", "[^a]*", "(?!/a).*", "a{0}/b",
    ] {
        assert!(notes(path).is_empty(), "{path}");
    }
    assert!(notes("/a\\\\?b=1")[0].ends_with("the query is no part of the path"));
    let rule = |rule: &str| {
        let text = [
            bound_api("a"),
            service("s"),
            route_to("r", "a", "s", &format!(", rules: [{rule}]")),
        ];
        loaded(&text.concat()).notes
    };
    assert!(rule("{methods: get|post}")[0].contains("methods `get|post` matches no request: "));
    assert!(rule("{host: 'a.example:81'}")[0].contains("host `a.example:81` matches no request: "));
    for text in [
        "{methods: GET}",
        "{methods: '(?i)get'}",
        "{host: '\\[::1\\]'}",
        "{host: 'a(:81)?'}",
    ] {
        assert!(rule(text).is_empty(), "{text}");
    }
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
    assert!(
        problems_with(&elsewhere, &variables)[0]
            .ends_with("must be http://host:port, https://host:port or unix:/path")
    );
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
fn a_dump_hides_credentials_and_not_what_carries_them() {
    let injection = "targetRef: {name: a}, policyRef: {name: header-injection}, config: {inboundHeaders: \
                     [{key: X-Zone, value: here}, {key: X-Api-Key, value: hush1}, {key: Authorization, value: hush2}]}";
    let token = "targetRef: {kind: Service, name: s}, policyRef: {name: credential-injection-oauth2}, \
                 config: {oauthService: 'http://127.0.0.1:1/t', clientId: gateway, clientSecret: hush3, \
                 tokenFetchTimeout: 7, upstreamTokenHeaderName: X-Token, tokenRequestBodyFormat: json}";
    let key = "targetRef: {kind: Service, name: s}, policyRef: {name: credential-injection-api-key}, \
               config: {authType: apiKey, apiKey: hush4, customHeader: X-Key}";
    let caching = "targetRef: {name: a}, policyRef: {name: http-caching}, config: {httpCachingKey: '#[attributes.method]'}";
    let text = [
        bound_api("a"),
        service("s"),
        document(
            "PolicyBinding",
            "r",
            "targetRef: {name: a}, policyRef: {name: route}, config: {destinationRef: {name: s}}",
        ),
        document("PolicyBinding", "h", injection),
        document("PolicyBinding", "t", token),
        document("PolicyBinding", "k", key),
        document("PolicyBinding", "c", caching),
    ]
    .concat();
    let environment = Environment::fixed([]);
    let (model, _) = model_of(&[Source::new("f.yaml", text)], &environment, Problems::default()).unwrap();
    let dumped = super::dump::write(&model, DumpFormat::Yaml);
    assert!(!dumped.contains("hush"), "{dumped}");
    for shown in [
        "X-Zone",
        "here",
        "X-Api-Key",
        "gateway",
        "X-Token",
        "json",
        "X-Key",
        "#[attributes.method]",
        ": 7",
    ] {
        assert!(dumped.contains(shown), "{shown}: {dumped}");
    }
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
        let pems = pems(&std::fs::read_to_string(&path).unwrap());
        let pems = pems.iter().map(|(name, pem)| (name.as_str(), pem.as_str()));
        let others = [
            ("REPORTS_PATH", "/2026"),
            ("TICKET_SECRET", SECRET),
            ("REDIS_PASSWORD", "x"),
        ];
        let environment = Environment::fixed(others.into_iter().chain(pems));
        let result = load(&Options {
            paths: vec![path.clone()],
            environment,
        });
        assert!(result.is_ok(), "{}: {:?}", path.display(), result.err());
        count += 1;
    }
    assert!(count >= 8);
}

const SECRET: &str = "thirty-two bytes are enough here";

/// What `$…_PEM` stands for in an example: a certificate that signed itself, or its key.
fn pems(example: &str) -> Vec<(String, String)> {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let names = example.split('$').skip(1).filter_map(|rest| {
        let end = rest.find(|char: char| !char.is_ascii_uppercase() && char != '_');
        Some(&rest[..end.unwrap_or(rest.len())]).filter(|name| name.ends_with("_PEM"))
    });
    let pem = |name: &str| match name.ends_with("_KEY_PEM") {
        true => key.serialize_pem(),
        false => certificate.clone(),
    };
    names.map(|name| (name.to_owned(), pem(name))).collect()
}

/// The examples of the page, each a list of documents after ```` ```yaml ````.
#[test]
fn every_example_of_the_policies_page_compiles() {
    let page = include_str!("../../docs/policies.md");
    let examples: Vec<&str> = page
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    for example in &examples {
        let pems = pems(example);
        let pems = pems.iter().map(|(name, pem)| (name.as_str(), pem.as_str()));
        let others = [
            ("PARTNER_SECRET", SECRET),
            ("ADMIN_USER", "ann"),
            ("ADMIN_PASSWORD", "secret"),
        ];
        let environment = Environment::fixed(others.into_iter().chain(pems));
        let result = load_text("policies.md", example, &environment);
        assert!(result.is_ok(), "{example}\n{:?}", result.err());
    }
    for (name, _) in crate::policy::Kind::ALL {
        let named = |example: &&str| example.contains(&format!("name: {name}"));
        assert!(examples.iter().any(named), "{name} has no example");
    }
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
    assert_eq!(schema["oneOf"].as_array().unwrap().len(), 6);
    let config = &definitions["BindingSpec"]["allOf"][0]["then"]["properties"]["config"];
    assert!(definitions.contains_key(config["$ref"].as_str().unwrap().strip_prefix("#/$defs/").unwrap()));
}

#[test]
fn the_reference_page_names_every_field() {
    let page = ["docs/configuration.md", "docs/policies.md"]
        .map(|page| std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap())
        .concat();
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

#[test]
fn a_configuration_cut_or_changed_anywhere_is_read_to_an_end() {
    let text = include_str!("../../config/resource-based.yaml");
    let environment = Environment::fixed([]);
    // Every third place: all of them take seconds and find the same.
    for (position, _) in text.char_indices().step_by(3) {
        let _ = load_text("f.yaml", &text[..position], &environment);
        for intruder in ["{", "]", ": ", "\n- ", "*x", "&x ", "!t ", "\"", "\0", "ä", "\t"] {
            let changed = format!("{}{intruder}{}", &text[..position], &text[position..]);
            if let Err(problems) = load_text("f.yaml", &changed, &environment) {
                assert!(!problems.is_empty());
                let one_line = |problem: &crate::located::Problem| !problem.to_string().contains('\n');
                assert!(problems.iter().all(one_line), "{changed}: {problems:?}");
            }
        }
    }
}
