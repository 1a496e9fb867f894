use super::*;
use crate::route::{RuleField, RuleSource, join_upstream_path, normalise_base_path};

struct Fields(Vec<(&'static str, &'static str)>);

impl HeaderSource for Fields {
    fn any_value(&self, name: &str, matches: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0
            .iter()
            .any(|(field, value)| field.eq_ignore_ascii_case(name) && matches(value.as_bytes()))
    }
}

fn rule(path: &str) -> Rule {
    Rule::compile(&RuleSource {
        path: Some(path),
        ..RuleSource::default()
    })
    .unwrap()
}

fn api(base: &str, rules: &[&str]) -> Api<String, usize> {
    let route = |(payload, path): (usize, &&str)| Route {
        rules: vec![rule(path)],
        payload,
    };
    Api {
        base_path: normalise_base_path(base).unwrap(),
        payload: base.to_owned(),
        routes: rules.iter().enumerate().map(route).collect(),
    }
}

/// `base route`, `base -` without route, `-` without API, `!` when refused; and the suffix.
fn ask(table: &Table<String, usize>, scratch: &mut Scratch, path: &str) -> (String, String) {
    ask_whole(table, scratch, "GET", path, "h", vec![])
}

fn ask_whole(
    table: &Table<String, usize>,
    scratch: &mut Scratch,
    method: &str,
    path: &str,
    host: &str,
    headers: Vec<(&'static str, &'static str)>,
) -> (String, String) {
    let headers = Fields(headers);
    let lookup = Lookup {
        method: method.as_bytes(),
        path: path.as_bytes(),
        host: host.as_bytes(),
        headers: &headers,
    };
    let found = match table.find(&lookup, scratch) {
        Found::Route { api, route } => format!("{} {}", api.payload, route.payload),
        Found::NoRoute { api } => format!("{} -", api.payload),
        Found::NoApi => "-".to_owned(),
        Found::Refused(_) => "!".to_owned(),
    };
    (found, String::from_utf8_lossy(scratch.suffix()).into_owned())
}

fn found(table: &Table<String, usize>, path: &str) -> String {
    ask(table, &mut Scratch::default(), path).0
}

#[test]
fn path_arithmetic() {
    for (base, pattern, destination, path, expected) in [
        ("", "/api/.*", "", "/api/foo/bar", Some("/api/foo/bar")),
        ("", "/api/.*", "/", "/api/foo/bar", Some("/api/foo/bar")),
        ("", "/api(/.*)", "", "/api/foo/bar", Some("/foo/bar")),
        ("", "/api(/.*)", "/", "/api/foo/bar", Some("/foo/bar")),
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
        ("/api", ".*", "", "/api", Some("/")),
        ("/api", ".*", "/orders", "/api", Some("/orders/")),
        ("/api", "(.*)", "/orders", "/api", Some("/orders/")),
        ("/api", "/(.*)", "/orders", "/api", Some("/orders")),
        ("/api", "/(.*)", "/orders", "/api/x", Some("/ordersx")),
        ("/api", "/foo(/.*)?", "/orders", "/api/foo", Some("/orders")),
        ("/api", "/foo(/.*)?", "", "/api/foo", Some("/")),
        ("/api", "/(foo)/(bar)", "", "/api/foo/bar", Some("/foobar")),
        (
            "/api",
            "/foo(/.*)",
            "/orders",
            "/api/./foo//x%41/..",
            Some("/orders/"),
        ),
        (
            "/api",
            "/foo/.*",
            "",
            "/api/foo/%7ebob/a%2fb",
            Some("/foo/~bob/a%2Fb"),
        ),
    ] {
        let table = Table::new(vec![api(base, &[pattern])]);
        let mut scratch = Scratch::default();
        let (found, suffix) = ask(&table, &mut scratch, path);
        let case = format!("{base} {pattern} {destination} {path}");
        match expected {
            None => assert_eq!(found, format!("{base} -"), "{case}"),
            Some(expected) => {
                assert_eq!(found, format!("{base} 0"), "{case}");
                let mut upstream = Vec::new();
                join_upstream_path(&mut upstream, destination, suffix.as_bytes());
                assert_eq!(String::from_utf8(upstream).unwrap(), expected, "{case}");
            }
        }
    }
}

#[test]
fn base_paths_end_at_segments() {
    let table = Table::new(vec![
        api("/api", &[".*"]),
        api("/api-v2", &[".*"]),
        api("/a/b/c", &[".*"]),
    ]);
    for (path, expected) in [
        ("/api", "/api 0"),
        ("/api/", "/api 0"),
        ("/api/x", "/api 0"),
        ("/apix", "-"),
        ("/ap", "-"),
        ("/api-v2/x", "/api-v2 0"),
        ("/api-v3", "-"),
        ("/a/b", "-"),
        ("/a/b/c", "/a/b/c 0"),
        ("/a/b/c/d", "/a/b/c 0"),
        ("/", "-"),
        ("*", "-"),
    ] {
        assert_eq!(found(&table, path), expected, "{path}");
    }
    // Configuration refuses overlaps; were there one, the longest wins.
    let table = Table::new(vec![
        api("", &[".*"]),
        api("/api/x", &[".*"]),
        api("/api", &[".*"]),
    ]);
    for (path, expected) in [
        ("/api/x/y", "/api/x 0"),
        ("/api/xy", "/api 0"),
        ("/apix", " 0"),
        ("/", " 0"),
        ("*", "-"),
    ] {
        assert_eq!(found(&table, path), expected, "{path}");
    }
}

#[test]
fn the_first_route_that_matches_wins() {
    let table = Table::new(vec![api(
        "",
        &["/a/b", "/a/.*", "/[^/]+/c", "(/.*)/d", "/a/d", ".*", "/z"],
    )]);
    for (path, expected) in [
        ("/a/b", 0),
        ("/a/c", 1),
        ("/a/d", 1),
        ("/b/c", 2),
        ("/b/d", 3),
        ("/b/e", 5),
        ("/z", 5),
    ] {
        assert_eq!(found(&table, path), format!(" {expected}"), "{path}");
    }
}

#[test]
fn the_index_never_changes_the_winner() {
    let patterns = [
        "/a",
        "/a/.*",
        "/ab|/b",
        "/[ab]/.*",
        ".*/b",
        "/a(/.*)?",
        "/(a|b)(/.*)",
        "/b/a",
        "(?!/a).*",
        "/a.*",
    ];
    let mut scratch = Scratch::default();
    for turn in 0..patterns.len() {
        let mut rotated = patterns;
        rotated.rotate_left(turn);
        let table = Table::new(vec![api("", &rotated)]);
        let alone: Vec<_> = rotated
            .iter()
            .map(|pattern| Table::new(vec![api("", &[pattern])]))
            .collect();
        for path in [
            "/", "/a", "/b", "/ab", "/a/", "/a/b", "/b/a", "/b/b", "/c/b", "/c", "/a/b/a", "/abc",
        ] {
            let expected = match alone.iter().position(|table| found(table, path) == " 0") {
                Some(first) => format!(" {first}"),
                None => " -".to_owned(),
            };
            assert_eq!(
                ask(&table, &mut scratch, path).0,
                expected,
                "{path} of {rotated:?}"
            );
        }
    }
}

#[test]
fn rules_are_or_conditions_are_and() {
    let source = |path, methods, host, headers| {
        Rule::compile(&RuleSource {
            path,
            methods,
            host,
            headers,
        })
        .unwrap()
    };
    let rules = vec![
        source(
            Some("/a(/.*)"),
            Some("GET|POST"),
            Some(r"api\.example\.com"),
            vec![("X-Channel", "web|mobile")],
        ),
        source(None, Some("DELETE"), None, vec![]),
    ];
    let table = Table::new(vec![Api {
        base_path: String::new(),
        payload: String::new(),
        routes: vec![
            Route { rules, payload: 0 },
            Route {
                rules: vec![],
                payload: 1,
            },
        ],
    }]);
    let mut scratch = Scratch::default();
    let web = || vec![("x-channel", "other"), ("x-channel", "web")];
    for (method, path, host, headers, expected, suffix) in [
        ("GET", "/a/x", "api.example.com", web(), " 0", "/x"),
        ("POST", "/a/x", "API.Example.com:8081", web(), " 0", "/x"),
        ("GET", "/a/x", "api.example.com.", web(), " 0", "/x"),
        ("get", "/a/x", "api.example.com", web(), " 1", "/a/x"),
        ("GET", "/b/x", "api.example.com", web(), " 1", "/b/x"),
        ("GET", "/a/x", "example.com", web(), " 1", "/a/x"),
        ("GET", "/a/x", "api.example.com", vec![], " 1", "/a/x"),
        (
            "GET",
            "/a/x",
            "api.example.com",
            vec![("x-channel", "website")],
            " 1",
            "/a/x",
        ),
        ("DELETE", "/a/x", "other", vec![], " 0", "/a/x"),
    ] {
        let answer = ask_whole(&table, &mut scratch, method, path, host, headers);
        assert_eq!(
            answer,
            (expected.to_owned(), suffix.to_owned()),
            "{method} {path} {host}"
        );
    }
}

#[test]
fn a_route_without_rules_matches_everything() {
    let table = Table::new(vec![Api {
        base_path: "/x".to_owned(),
        payload: "/x".to_owned(),
        routes: vec![Route {
            rules: vec![],
            payload: 7,
        }],
    }]);
    assert_eq!(
        ask(&table, &mut Scratch::default(), "/x/y"),
        ("/x 7".to_owned(), "/y".to_owned())
    );
    assert_eq!(found(&Table::new(vec![api("/x", &[])]), "/x/y"), "/x -");
}

#[test]
fn every_error_of_a_rule_is_told() {
    let errors = Rule::compile(&RuleSource {
        path: Some("(?=a)"),
        methods: Some("["),
        host: Some("("),
        headers: vec![("x-a", "*"), ("x b", "y")],
    })
    .unwrap_err();
    let fields: Vec<_> = errors.into_iter().map(|error| error.field).collect();
    let header = |name: &str| RuleField::Header(name.to_owned());
    assert_eq!(
        fields,
        [
            RuleField::Path,
            RuleField::Methods,
            RuleField::Host,
            header("x-a"),
            header("x b")
        ]
    );
}

#[test]
fn no_spelling_gets_past_a_guard() {
    let table = Table::new(vec![
        api("/shop", &["/admin(/.*)?", "/.*"]),
        api("/back", &[".*"]),
    ]);
    for path in [
        "/shop/admin/x",
        "/shop/%61dmin/x",
        "/shop/./admin/x",
        "/shop//admin/x",
        "/shop/a/../admin/x",
        "/shop/a/%2e%2E/admin/x",
        "/shop/%2e/admin",
        "//shop/admin",
        "/back/../shop/admin",
    ] {
        assert!(
            matches!(&*found(&table, path), "/shop 0" | "!"),
            "{path}: {}",
            found(&table, path)
        );
    }
    for path in [
        "/shop/a/..%2fadmin",
        "/shop/a%2f..%2fadmin",
        "/shop/a%2F%2e%2e%5cadmin",
        "/shop/a%5c..%5cadmin/x",
        "/shop/a\\..\\admin",
        "/shop/admin%2fx",
        "/shop/%2fadmin",
        "/shop/admin;x/users",
        "/shop/;x/admin",
        "/shop/a/..;/admin",
        "/shop/a/..%3b/admin",
        "/shop/..%2fback/x",
        "/shop%2fadmin",
        "/shop;x/y",
        "/shop/..%2f..%2fetc",
        "/%2e%2e/shop",
    ] {
        assert_eq!(found(&table, path), "!", "{path}");
    }
    // Resolved before it is forwarded: no origin sees the segment that was left again.
    assert_eq!(
        ask(&table, &mut Scratch::default(), "/shop/admin%2fx/../x"),
        ("/shop 1".into(), "/x".into())
    );
    // Once decoded is enough: `%25` is a percent sign, and stays one.
    assert_eq!(
        ask(&table, &mut Scratch::default(), "/shop/%252fadmin"),
        ("/shop 1".into(), "/%252fadmin".into())
    );
    // Case counts in paths.
    assert_eq!(found(&table, "/shop/Admin"), "/shop 1");
}

#[test]
fn encoded_separators_and_parameters_pass_where_they_change_nothing() {
    let table = Table::new(vec![api("/shop", &["/files/.*"])]);
    let mut scratch = Scratch::default();
    assert_eq!(
        ask(&table, &mut scratch, "/shop/files/a%2fb"),
        ("/shop 0".into(), "/files/a%2Fb".into())
    );
    assert_eq!(scratch.normalised_path(), b"/shop/files/a%2Fb");
    assert_eq!(scratch.decoded_path(), Some(&b"/shop/files/a/b"[..]));
    assert_eq!(
        ask(&table, &mut scratch, "/shop/files/a;v=1"),
        ("/shop 0".into(), "/files/a;v=1".into())
    );
    assert_eq!(scratch.decoded_path(), Some(&b"/shop/files/a"[..]));
    assert_eq!(
        ask(&table, &mut scratch, "/shop/files/a"),
        ("/shop 0".into(), "/files/a".into())
    );
    assert_eq!(scratch.decoded_path(), None);
    assert_eq!(ask(&table, &mut scratch, "/%zz"), ("!".into(), String::new()));
    assert_eq!(scratch.normalised_path(), b"");
}

#[test]
fn what_is_captured_never_climbs() {
    for (pattern, path, expected) in [
        ("/api(.*)", "/api../admin", "!"),
        ("/api(.*)", "/api..%2fadmin", "!"),
        ("/api(.*)", "/api./x", "!"),
        ("/api(.*)", "/apix/y", " 0"),
        ("/api(.*)", "/api.x/y", " 0"),
        ("(/[^-]*)-.*", "/..-x", "!"),
        ("/(.*)-(.*)", "/.-./admin", "!"),
        ("/(?:x|y)(/.*)", "/x/a%2f..%2f..%2fy%2fb", "!"),
        ("/(?:x|y)(/.*)", "/x/a%2fb", " 0"),
        (".*", "/a%2f..%2fb", " 0"),
    ] {
        assert_eq!(
            found(&Table::new(vec![api("", &[pattern])]), path),
            expected,
            "{pattern} {path}"
        );
    }
    // The API stays the same, yet the destination path would be left.
    assert_eq!(
        found(&Table::new(vec![api("/b", &[".*"])]), "/b/x%2f..%2f..%2fb%2fy"),
        "!"
    );
}

#[test]
fn a_thousand_apis_and_a_thousand_routes() {
    let patterns: Vec<String> = (0..1000).map(|n| format!("/r{n}(/[a-z]+)/x")).collect();
    let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
    let mut apis: Vec<_> = (0..1000)
        .map(|n| api(&format!("/team{}/api{n}", n % 10), &["/a", ".*"]))
        .collect();
    apis.push(api("/many", &patterns));
    let table = Table::new(apis);
    let mut scratch = Scratch::default();
    for n in 0..1000 {
        let base = format!("/team{}/api{n}", n % 10);
        assert_eq!(
            ask(&table, &mut scratch, &format!("{base}/a")).0,
            format!("{base} 0")
        );
        assert_eq!(
            ask(&table, &mut scratch, &format!("{base}/b")),
            (format!("{base} 1"), "/b".to_owned())
        );
        assert_eq!(
            ask(&table, &mut scratch, &format!("/many/r{n}/q/x")),
            (format!("/many {n}"), "/q".to_owned())
        );
    }
    assert_eq!(found(&table, "/many/r1000/q/x"), "/many -");
    assert_eq!(found(&table, "/team0/api1/a"), "-");
}

#[test]
fn a_scratch_serves_one_table_after_another() {
    let tables = [
        Table::new(vec![api("", &["(/.*)/x(/.*)", "/(?!a).*"])]),
        Table::new(vec![api("", &["/(a+)/(b+)", "(.*a.{14}/?)x"])]),
        Table::new(vec![api("", &["(/.*)/[a-z]{5}(/.*)(/.*)"])]),
    ];
    let mut shared = Scratch::default();
    for _ in 0..3 {
        for table in &tables {
            for path in [
                "/a/x/b",
                "/aa/bb",
                "/b",
                "/1/abcde/2/3",
                "/a/abcdeabcdeabcx",
                "/a",
            ] {
                assert_eq!(
                    ask(table, &mut shared, path),
                    ask(table, &mut Scratch::default(), path),
                    "{path}"
                );
            }
        }
    }
}

#[test]
fn shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Table<String, usize>>();
    let text = format!("{:?}", Table::new(vec![api("/secret", &[".*"])]));
    assert_eq!(text, "Table { apis: 1, .. }");
}
