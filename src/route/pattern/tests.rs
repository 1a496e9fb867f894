use super::*;
use proptest::prelude::*;

fn compile(pattern: &str) -> Pattern {
    Pattern::compile(pattern, false).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

fn matches(pattern: &str, value: &[u8]) -> bool {
    compile(pattern).matches(value, &mut Caches::default())
}

/// The concatenated groups; None where the pattern has none.
fn captured(pattern: &Pattern, value: &str) -> Option<String> {
    let mut out = Vec::new();
    match pattern.capture(value.as_bytes(), &mut Caches::default(), &mut out) {
        Captured::NoGroups => None,
        Captured::From(start) => Some(value[start.min(value.len())..].to_owned()),
        Captured::Appended => Some(String::from_utf8(out).unwrap()),
    }
}

#[test]
fn simple_shapes_need_no_automaton() {
    for (pattern, expected) in [
        (".*", "Any"),
        ("(.*)", "Any"),
        ("^.*$", "Any"),
        ("/orders", "Exact"),
        ("^/orders$", "Exact"),
        ("/(orders)", "Exact"),
        (r"api\.example\.com", "Exact"),
        ("GET", "Exact"),
        ("/orders/.*", "Prefix"),
        ("/orders.*", "Prefix"),
        ("/orders(/.*)", "Prefix"),
        ("(/orders/.*)", "Prefix"),
        ("/orders/(v1/.*)$", "Prefix"),
        ("/orders(/.*)?", "Tree"),
        ("/orders(?:/.*)?", "Tree"),
        ("GET|POST", "OneOf"),
        ("PUT|POST|PATCH", "OneOf"),
        ("/[ab]/c?", "OneOf"),
        ("/a(/.*)/b", "Automata"),
        ("/[^/]+", "Automata"),
        ("(/a)/.*", "Automata"),
        ("/a(?!b).*", "Automata"),
        (r"/a\b", "Automata"),
        ("(?m)/a$", "Automata"),
    ] {
        let compiled = format!("{:?}", compile(pattern).matcher);
        assert!(compiled.starts_with(expected), "{pattern}: {compiled}");
    }
}

#[test]
fn whole_values() {
    for (pattern, yes, no) in [
        ("/a", &["/a"][..], &["", "/", "/ab", "x/a", "/a/"][..]),
        ("a|ab", &["a", "ab"], &["abc", "b", ""]),
        ("", &[""], &["a"]),
        ("/a.*", &["/a", "/ab", "/a/b"], &["/b", "/"]),
        ("/a(/.*)?", &["/a", "/a/", "/a/b"], &["/ab", "/", "/b"]),
        ("/a/.+", &["/a/b"], &["/a/", "/a"]),
        ("^/a|/b$", &["/a", "/b"], &["/a/b", "/ax"]),
        (r"\d{3}", &["123"], &["12", "1234", "١٢٣"]),
        ("(?i)get", &["GET", "gEt"], &["PUT"]),
        (r"a\.b", &["a.b"], &["axb"]),
        ("é", &["é"], &["e"]),
        ("[[:digit:]]+", &["12"], &["a", ""]),
        ("[]a]", &["]", "a"], &["b"]),
        ("a$b", &[], &["ab", "a$b"]),
        ("(?:)", &[""], &["a"]),
    ] {
        for value in yes {
            assert!(
                matches(pattern, value.as_bytes()),
                "{pattern} should match {value}"
            );
        }
        for value in no {
            assert!(
                !matches(pattern, value.as_bytes()),
                "{pattern} should not match {value}"
            );
        }
    }
}

#[test]
fn a_dot_is_any_byte() {
    for pattern in [
        "/admin/.*",
        "/admin/.*x?",
        "/admin(/.*)",
        "/admin/[^/]*",
        "(?!/public)/admin.*",
    ] {
        assert!(matches(pattern, b"/admin/\xff\xfe"), "{pattern}");
        assert!(matches(pattern, b"/admin/\n"), "{pattern}");
    }
}

#[test]
fn case_can_be_ignored() {
    for (pattern, value, expected) in [
        (r"api\.example\.com", "API.Example.com", true),
        (r"API\.example\.com", "api.example.com", true),
        (r".*\.example\.com", "x.EXAMPLE.com", true),
        ("a.example|b.example", "B.EXAMPLE", true),
        ("api.*", "APIX", true),
        ("[^a]", "A", false),
        ("[^a]", "b", true),
        (r"api\.example\.com", "apiXexample.com", false),
    ] {
        let pattern_ = Pattern::compile(pattern, true).unwrap();
        assert_eq!(
            pattern_.matches(value.as_bytes(), &mut Caches::default()),
            expected,
            "{pattern} {value}"
        );
    }
}

#[test]
fn groups() {
    for (pattern, value, expected) in [
        ("/api/.*", "/api/foo", None),
        ("/api(/.*)", "/api/foo/bar", Some("/foo/bar")),
        ("/api(/.*)?", "/api", Some("")),
        ("/api(/.*)?", "/api/x", Some("/x")),
        ("/api/(.*)", "/api/x", Some("x")),
        ("(/api/.*)", "/api/x", Some("/api/x")),
        ("/(orders)", "/orders", Some("orders")),
        ("/foo(/[^/]+)/bar(/.*)", "/foo/abc/bar/def", Some("/abc/def")),
        ("/(a)|/(b)", "/b", Some("b")),
        ("(/.*)/x(/.*)", "/1/x/2/x/3", Some("/1/x/2/3")),
        ("(/.*?)/x(/.*)", "/1/x/2/x/3", Some("/1/2/x/3")),
        ("/api(/(?!internal/).*)", "/api/x", Some("/x")),
        ("/(?P<name>[a-z]+)/(?<other>[0-9]+)", "/ab/12", Some("ab12")),
    ] {
        let pattern_ = compile(pattern);
        assert!(
            pattern_.matches(value.as_bytes(), &mut Caches::default()),
            "{pattern} {value}"
        );
        assert_eq!(
            captured(&pattern_, value).as_deref(),
            expected,
            "{pattern} {value}"
        );
    }
}

#[test]
fn negative_look_ahead() {
    for (pattern, yes, no) in [
        (
            "(?!/admin).*",
            &["/", "/adm", "/x/admin"][..],
            &["/admin", "/admin/x", "/administer"][..],
        ),
        (
            "^(?!/admin(/|$)).*$",
            &["/administer", "/x"],
            &["/admin", "/admin/x"],
        ),
        (
            "/api/(?!internal/).*",
            &["/api/", "/api/internal", "/api/x"],
            &["/api/internal/", "/api/internal/x", "/b"],
        ),
        (
            "/api(/(?!internal/).*)",
            &["/api/x"],
            &["/api/internal/x", "/api"],
        ),
        ("(?!/a)(?!/b)/.*", &["/c", "/"], &["/a", "/bx"]),
        ("/(?!a)[a-z]/(?!b).*", &["/c/c", "/b/"], &["/a/c", "/c/b"]),
        (
            "(?!/(admin|internal)/).*",
            &["/admin", "/x/admin/"],
            &["/admin/x", "/internal/"],
        ),
        ("(?!.*/admin).*", &["/x"], &["/admin", "/x/y/admin/z"]),
        (
            "/[^/]+/(?!internal/).*",
            &["/a/b", "/internal/x"],
            &["/a/internal/x"],
        ),
        ("(?i)/(?!admin).*", &["/x"], &["/ADMIN", "/admin"]),
        ("/(?!$).*", &["/a"], &["/"]),
    ] {
        let pattern_ = compile(pattern);
        for value in yes {
            assert!(
                pattern_.matches(value.as_bytes(), &mut Caches::default()),
                "{pattern} should match {value}"
            );
        }
        for value in no {
            assert!(
                !pattern_.matches(value.as_bytes(), &mut Caches::default()),
                "{pattern} should not match {value}"
            );
        }
    }
}

#[test]
fn refusals_say_what_to_write() {
    for (pattern, needle) in [
        ("(?:(?!a).)*", "inside a repetition"),
        ("((?!admin).)+", "(?!.*admin).*"),
        ("(?:(?!a)b)?", "inside a repetition"),
        ("(?!a)b|c", "rule of its own"),
        ("x(?:(?!a)b|c)", "rule of its own"),
        ("(?!a)*", "repetition of `(?!…)`"),
        ("(?!a(?!b))c", "inside `(?!…)`"),
        ("(?=a)b", "look-ahead `(?=…)`"),
        ("(?<=a)b", "look-behind"),
        ("(?<!a)b", "look-behind"),
        ("(?>a)b", "atomic"),
        (r"(a)\1", "backreferences"),
        ("(?P<x>a)(?P=x)", "backreferences"),
        ("a*(?!b).*", "can end in several places"),
        (".*(?!b)", "can end in several places"),
        ("/a?(?!b).*", "can end in several places"),
        (r"/a\b(?!b).*", "before `(?!…)`"),
        ("a$(?!b)", "before `(?!…)`"),
        ("(?!(a)b", "unclosed group"),
        ("(a", "unclosed group"),
        ("a)", "unopened group"),
        ("(?!a[)b", "unclosed character class"),
        ("[a", "unclosed character class"),
        ("[a&&b]", "different dialects"),
        ("[a[b]]", "different dialects"),
        ("[a--b]", "different dialects"),
        ("(?x)a b", "flags"),
        ("/orders/{id}", "any one segment is `[^/]+`"),
        ("*", "any one segment"),
        (r"\pL", "(?u:"),
        ("(?!*a).*", "in `(?!…)`"),
        (r"(?:(?:[a-z]{1000}){1000})", "too large"),
    ] {
        match Pattern::compile(pattern, false) {
            Ok(_) => panic!("{pattern} compiled"),
            Err(message) => {
                assert!(message.contains(needle), "{pattern}: {message}");
                assert!(!message.contains('\n'), "{pattern}: {message}");
            }
        }
    }
}

#[test]
fn a_large_pattern_is_simulated_with_the_same_answers() {
    let pattern = compile("(.*a.{14}/?)x");
    assert!(
        matches!(
            &pattern.matcher,
            Matcher::Automata {
                accepted: Acceptor::Simulated(_),
                ..
            }
        ),
        "{pattern:?}"
    );
    let mut caches = Caches::default();
    // One work space, regexes of different sizes in turn.
    let small = compile("(.*)/x(.*)");
    for _ in 0..3 {
        assert!(pattern.matches(b"bbabbbbbbbbbbbbbbx", &mut caches));
        assert!(!pattern.matches(b"bbbbbbbbbbbbbbbbbx", &mut caches));
        let mut out = Vec::new();
        assert_eq!(
            small.capture(b"/1/x/2", &mut caches, &mut out),
            Captured::Appended
        );
        assert_eq!(
            pattern.capture(b"abbbbbbbbbbbbbbx", &mut caches, &mut out),
            Captured::Appended
        );
        assert_eq!(out, b"/1/2abbbbbbbbbbbbbb");
    }
}

/// A regex as a tree: printed for the compiler, walked with backtracking as the oracle.
#[derive(Debug, Clone)]
enum Tree {
    Text(&'static str),
    Any,
    NotSlash,
    Concat(Vec<Tree>),
    Either(Vec<Tree>),
    /// Greedy; at least, at most.
    Repeat(Box<Tree>, usize, usize),
    Group(Box<Tree>),
    Not(Box<Tree>),
}

const MANY: usize = usize::MAX;

impl Tree {
    fn print(&self) -> String {
        let all = |parts: &[Tree], by: &str| parts.iter().map(Tree::print).collect::<Vec<_>>().join(by);
        match self {
            Tree::Text(text) => (*text).to_owned(),
            Tree::Any => ".".to_owned(),
            Tree::NotSlash => "[^/]".to_owned(),
            Tree::Concat(parts) => all(parts, ""),
            Tree::Either(parts) => format!("(?:{})", all(parts, "|")),
            Tree::Repeat(part, 0, 1) => format!("(?:{})?", part.print()),
            Tree::Repeat(part, 1, _) => format!("(?:{})+", part.print()),
            Tree::Repeat(part, ..) => format!("(?:{})*", part.print()),
            Tree::Group(part) => format!("({})", part.print()),
            Tree::Not(part) => format!("(?!{})", part.print()),
        }
    }

    /// All ends of a match from `at` in the order backtracking would try them, with the groups' contents.
    fn ways(&self, value: &str, at: usize, groups: &str) -> Vec<(usize, String)> {
        let same = |end: usize| vec![(end, groups.to_owned())];
        match self {
            Tree::Text(text) if value[at..].starts_with(text) => same(at + text.len()),
            Tree::Any if at < value.len() => same(at + 1),
            Tree::NotSlash if at < value.len() && !value[at..].starts_with('/') => same(at + 1),
            Tree::Text(_) | Tree::Any | Tree::NotSlash => Vec::new(),
            Tree::Concat(parts) => parts.iter().fold(same(at), |ways, part| {
                ways.into_iter()
                    .flat_map(|(end, groups)| part.ways(value, end, &groups))
                    .collect()
            }),
            Tree::Either(parts) => parts
                .iter()
                .flat_map(|part| part.ways(value, at, groups))
                .collect(),
            Tree::Repeat(part, least, most) => {
                let mut ways = Vec::new();
                if *most > 0 {
                    let rest = Tree::Repeat(
                        part.clone(),
                        least.saturating_sub(1),
                        if *most == MANY { MANY } else { most - 1 },
                    );
                    for (end, groups) in part.ways(value, at, groups) {
                        if end > at || *least > 0 {
                            ways.extend(rest.ways(value, end, &groups));
                        }
                    }
                }
                if *least == 0 {
                    ways.extend(same(at));
                }
                ways
            }
            Tree::Group(part) => {
                let whole = |end| format!("{groups}{}", &value[at..end]);
                part.ways(value, at, "")
                    .into_iter()
                    .map(|(end, inner)| (end, whole(end) + &inner))
                    .collect()
            }
            Tree::Not(part) if part.ways(value, at, "").is_empty() => same(at),
            Tree::Not(_) => Vec::new(),
        }
    }

    fn oracle(&self, value: &str) -> Option<String> {
        self.ways(value, 0, "")
            .into_iter()
            .find(|(end, _)| *end == value.len())
            .map(|(_, groups)| groups)
    }
}

fn short_values(longest: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut last = all.clone();
    for _ in 0..longest {
        last = last
            .iter()
            .flat_map(|text| ["a", "b", "/"].map(|next| format!("{text}{next}")))
            .collect();
        all.extend(last.iter().cloned());
    }
    all
}

/// Returns whether the pattern compiled.
fn agrees(tree: &Tree, values: &[String]) -> bool {
    let text = tree.print();
    let Ok(pattern) = Pattern::compile(&text, false) else {
        return false;
    };
    let mut caches = Caches::default();
    for value in values {
        let expected = tree.oracle(value);
        assert_eq!(
            pattern.matches(value.as_bytes(), &mut caches),
            expected.is_some(),
            "{text} on {value:?}"
        );
        if let Some(expected) = expected {
            assert!(
                pattern
                    .prefixes()
                    .iter()
                    .any(|prefix| value.as_bytes().starts_with(prefix)),
                "{text} on {value:?}: {pattern:?}"
            );
            if let Some(captured) = captured(&pattern, value) {
                assert_eq!(captured, expected, "{text} on {value:?}");
            }
        }
    }
    true
}

/// Every prefix, look-ahead and rest of a list together, on every short value: what compiles is what backtracking would do.
#[test]
fn split_look_aheads_as_backtracking() {
    use Tree::*;
    let star = |tree: Tree| Repeat(Box::new(tree), 0, MANY);
    let plus = |tree: Tree| Repeat(Box::new(tree), 1, MANY);
    let maybe = |tree: Tree| Repeat(Box::new(tree), 0, 1);
    let slash = || Text("/");
    let prefixes = [
        (Text(""), true),
        (Text("/a"), true),
        (Any, true),
        (Either(vec![Text("a"), Text("b")]), true),
        (Either(vec![Text("a"), Text("b/")]), true),
        (Concat(vec![slash(), plus(NotSlash), slash()]), true),
        (Group(Box::new(Concat(vec![star(NotSlash), slash()]))), true),
        (Concat(vec![star(Text("a")), Text("b")]), true),
        (Either(vec![Text("a"), Text("ab")]), false),
        (star(Text("a")), false),
        (plus(Text("a")), false),
        (maybe(Text("a")), false),
        (star(Any), false),
        (Concat(vec![slash(), star(NotSlash)]), false),
        (Concat(vec![star(Any), slash()]), false),
    ];
    let bodies = [
        Text("a"),
        Text("ab"),
        Either(vec![Text("a/"), Text("b")]),
        Concat(vec![star(Any), Text("b")]),
        Text(""),
        Concat(vec![plus(NotSlash), slash()]),
    ];
    let rests = [
        star(Any),
        Group(Box::new(star(Any))),
        plus(NotSlash),
        Concat(vec![maybe(Text("a")), Text("b")]),
        Text("a"),
    ];
    let values = short_values(5);
    for (prefix, expected) in &prefixes {
        for body in &bodies {
            for rest in &rests {
                let not = || Not(Box::new(body.clone()));
                let flat = Concat(vec![prefix.clone(), not(), rest.clone()]);
                assert_eq!(agrees(&flat, &values), *expected, "{}", flat.print());
                let nested = Concat(vec![
                    prefix.clone(),
                    Group(Box::new(Concat(vec![
                        not(),
                        Text("a"),
                        Not(Box::new(Text("b"))),
                        rest.clone(),
                    ]))),
                ]);
                agrees(&nested, &values);
            }
        }
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        prop::sample::select(vec!["a", "b", "/", "/a", "ab"]).prop_map(Tree::Text),
        Just(Tree::Any),
        Just(Tree::NotSlash),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let repeat = (
            inner.clone(),
            prop::sample::select(vec![(0, 1), (0, MANY), (1, MANY)]),
        );
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 1..4).prop_map(Tree::Concat),
            1 => prop::collection::vec(inner.clone(), 1..3).prop_map(Tree::Either),
            1 => repeat.prop_map(|(tree, (least, most))| Tree::Repeat(Box::new(tree), least, most)),
            2 => inner.prop_map(|tree| Tree::Not(Box::new(tree))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_regex_as_backtracking(parts in prop::collection::vec((trees(), any::<bool>()), 1..4)) {
        let group = |(tree, group)| if group { Tree::Group(Box::new(tree)) } else { tree };
        agrees(&Tree::Concat(parts.into_iter().map(group).collect()), &short_values(4));
    }
}
