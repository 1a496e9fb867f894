//! Expressions nobody should write, and messages that clients might: refused, or evaluated within the limits.

use super::*;
use proptest::prelude::*;

/// Deep as far as is allowed, in each way that nests; and that one more is refused, however deep it goes on.
#[test]
fn depth_is_bounded_on_a_small_stack() {
    let shapes: &[(&str, &str, &str)] = &[
        ("(", "1", ")"),
        ("[", "1", "]"),
        ("upper(", "'a'", ")"),
        ("not ", "true", ""),
        ("!", "true", ""),
        ("if (true) ", "1", " else 2"),
        ("if (true) 1 else ", "2", ""),
        ("'a' ++ (", "'b'", ")"),
        ("null default (", "1", ")"),
        ("[0][", "0", "]"),
        ("attributes.headers[", "'a'", "]"),
        ("[1] -- (", "[1]", ")"),
        ("'a' contains (", "'b'", ")"),
        ("true and (false or (", "true", "))"),
        ("", "null", ".a"),
        ("", "null", "['a']"),
        ("", "null", " default null"),
        ("", "[1]", " -- [1]"),
        ("", "'a'", " substringBefore 'b'"),
        ("", "1", " == 1"),
    ];
    let nested = |shape: &(&str, &str, &str), depth: usize| {
        let (before, core, behind) = shape;
        format!("#[{}{core}{}]", before.repeat(depth), behind.repeat(depth))
    };
    // The control plane parses and drops, on a thread of 2 MiB at least; shards evaluate. Without optimisation frames are
    // four times as large.
    let slack = if cfg!(debug_assertions) { 4 } else { 1 };
    let parsed = on_stack(256 * slack, move || {
        let mut parsed = Vec::new();
        for shape in shapes {
            let parse = |depth| Template::parse(&nested(shape, depth), &EVERYTHING);
            let deepest = (1..=MAX_DEPTH)
                .rev()
                .find_map(|depth| Some((depth, parse(depth).ok()?)));
            let (depth, template) = deepest.unwrap_or_else(|| panic!("{shape:?} is refused at any depth"));
            assert!(depth >= MAX_DEPTH / 5, "{shape:?} only {depth} deep");
            parsed.push(template);
            for depth in [depth + 1, 1000, 8000] {
                let error = parse(depth).expect_err("refused");
                let expected =
                    error.message.contains("within each other") || error.message.contains("bytes long");
                assert!(expected, "{shape:?}: {error}");
            }
        }
        parsed
    });
    on_stack(128 * slack, move || {
        let exchange = exchange();
        for template in parsed {
            // Type errors are fine: what matters is that the whole depth was gone through.
            drop(template.evaluate(&exchange).map(Value::into_text));
        }
    });
}

fn on_stack<T: Send + 'static>(kibibytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new()
        .stack_size(kibibytes * 1024)
        .spawn(work);
    thread.expect("a thread").join().expect("no panic")
}

#[test]
fn chains_are_wide_and_not_deep() {
    let exchange = exchange();
    for (link, expected) in [
        (" ++ 'a'", "a"),
        (" and 'true'", "true"),
        (" or 'false'", "false"),
    ] {
        let text = format!("'{expected}'{}", link.repeat(4000));
        let value = parse(&text);
        let value = value.text(&exchange).expect("a value");
        assert!(value.starts_with(expected.as_bytes()), "{link}");
    }
    let selected = format!("[{}][-1]", vec!["1"; 30_000].join(","));
    assert_eq!(parse(&selected).text(&exchange).as_deref(), Ok(&b"1"[..]));
}

#[test]
fn an_expression_has_a_longest_length_and_a_literal_has_none() {
    let longest = format!("#['{}']", "a".repeat(MAX_LENGTH - 5));
    assert_eq!(longest.len(), MAX_LENGTH);
    assert!(Template::parse(&longest, &EVERYTHING).is_ok());
    let longer = format!("#['{}']", "a".repeat(MAX_LENGTH - 4));
    assert!(Template::parse(&longer, &EVERYTHING).is_err());
    assert!(Template::parse(&"a".repeat(2 * MAX_LENGTH), &EVERYTHING).is_ok());
}

/// The costliest expressions of the longest length there may be, with the largest body.
#[test]
fn a_large_body_costs_bounded_work_and_memory() {
    let body = "ab,".repeat(1024 * 1024 / 3);
    let exchange = Exchange {
        payload: Some(body.clone().into_bytes()),
        tree: Some(Tree::array(vec![
            Tree::object([("a", Tree::Number(1.0))]);
            50_000
        ])),
        query: Some(Box::leak(
            (0..10_000)
                .map(|n| format!("a{n}=%41&"))
                .collect::<String>()
                .into_boxed_str(),
        )),
        ..exchange()
    };
    let fault = |expression: &str| {
        parse(expression)
            .text(&exchange)
            .map(|_| ())
            .map_err(|error| error.fault)
    };
    let joined = |part: &str, operator: &str| vec![part; 1000].join(operator);

    assert_eq!(fault(&joined("payload", " ++ ")), Err(Fault::TooLarge));
    assert_eq!(
        fault(&joined("(payload splitBy '')", " ++ ")),
        Err(Fault::TooLarge)
    );
    assert_eq!(fault(&joined("(payload.a)", " ++ ")), Err(Fault::TooLarge));
    assert_eq!(
        fault(&joined("!(payload contains 'ba')", " and ")),
        Err(Fault::TooMuchWork)
    );
    assert_eq!(
        fault(&joined("((payload splitBy ',')[-1] == '')", " and ")),
        Err(Fault::TooMuchWork)
    );
    assert_eq!(
        fault(&joined("((payload default '')[-1] == ',')", " and ")),
        Err(Fault::TooMuchWork)
    );
    assert_eq!(
        fault(&joined("(sizeOf(payload) > 0)", " and ")),
        Err(Fault::TooMuchWork)
    );
    assert_eq!(
        fault("(payload splitBy '') -- (payload splitBy '')"),
        Err(Fault::TooLarge)
    );
    assert_eq!(fault("(payload.a ++ payload.a) -- [2]"), Err(Fault::TooLarge));
    assert_eq!(fault("attributes.queryParams"), Err(Fault::TooMuchWork));
    assert_eq!(fault("[payload splitBy '', 'and more']"), Err(Fault::TooLarge));

    // Once is always possible.
    assert_eq!(fault("upper(payload)"), Ok(()));
    assert_eq!(fault("payload contains 'none'"), Ok(()));
    assert_eq!(fault("(payload splitBy ',')[-1]"), Ok(()));
    assert_eq!(fault("sizeOf(payload splitBy ',')"), Ok(()));
    assert_eq!(fault("attributes.queryParams['A']"), Ok(()));
    assert_eq!(fault("payload"), Ok(()));
}

#[test]
fn trees_that_are_too_deep_are_not_followed() {
    let deep = |depth| (0..depth).fold(Tree::Number(1.0), |tree, _| Tree::array(vec![tree]));
    let shown = |depth| {
        let exchange = Exchange {
            tree: Some(Tree::object([("a", deep(depth))])),
            ..Exchange::default()
        };
        let fault = |expression: &str| {
            parse(expression)
                .text(&exchange)
                .map(|_| ())
                .map_err(|error| error.fault)
        };
        (fault("payload.a"), fault("payload.a == payload.a"))
    };
    assert_eq!(shown(MAX_DEPTH - 1), (Ok(()), Ok(())));
    assert_eq!(shown(MAX_DEPTH), (Err(Fault::TooDeep), Err(Fault::TooDeep)));
    assert_eq!(shown(500), (Err(Fault::TooDeep), Err(Fault::TooDeep)));
}

/// Errors tell what was wrong with a value, never the value: they may be logged.
#[test]
fn errors_hold_nothing_of_the_message() {
    let exchange = Exchange {
        headers: vec![("authorization", b"s3cret"), ("x-flag", b"s3cret")],
        ..Exchange::default()
    };
    for expression in [
        "if (attributes.headers.authorization) 1 else 2",
        "1 < attributes.headers.authorization",
        "attributes.headers.authorization.a",
        "['a'] ++ attributes.headers.authorization",
        "attributes.headers.authorization -- []",
    ] {
        let template = parse(expression);
        let error = template.evaluate(&exchange).expect_err(expression);
        assert!(!error.to_string().contains("s3cret"), "{expression}: {error}");
        assert!(
            !format!("{error:?}").contains("s3cret"),
            "{expression}: {error:?}"
        );
    }
}

/// A pattern that would make a naive search quadratic.
#[test]
fn searching_takes_linear_time() {
    let body = "a".repeat(1024 * 1024);
    let needle = "a".repeat(10_000) + "b";
    let exchange = Exchange {
        payload: Some(body.into_bytes()),
        query: Some(Box::leak(format!("n={needle}").into_boxed_str())),
        ..Exchange::default()
    };
    for expression in [
        "payload contains attributes.queryParams.n",
        "substringAfterLast(payload, attributes.queryParams.n) == 'a'",
        "(payload splitBy attributes.queryParams.n)[1] == 'a'",
    ] {
        assert_eq!(parse(expression).condition(&exchange), Ok(false), "{expression}");
    }
}

/// What generated expressions are made of, and what mutations put in.
const PIECES: &[&str] = &[
    "attributes",
    "headers",
    "queryParams",
    "method",
    "authentication",
    "properties",
    "claims",
    "payload",
    "vars",
    "claimSet",
    "if",
    "else",
    "and",
    "or",
    "not",
    "default",
    "contains",
    "splitBy",
    "upper",
    "lower",
    "trim",
    "sizeOf",
    "uuid()",
    "substringBefore",
    "substringAfterLast",
    "dw::core::Strings::substringAfter",
    "true",
    "false",
    "null",
    "'a'",
    "\"b,c\"",
    "'x-twice'",
    "''",
    "0",
    "-1",
    "1.5",
    "1e300",
    "(",
    ")",
    "[",
    "]",
    ",",
    ".",
    "::",
    "==",
    "!=",
    "<=",
    ">=",
    "<",
    ">",
    "++",
    "--",
    "!",
    "-",
    "#[",
    "/*",
    "//",
    "\\",
    "'",
    "\"",
    "$",
    "é",
    "\u{0}",
    "\n",
];

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "attributes.method",
        "attributes.headers['x-forwarded-for']",
        "attributes.headers['x-raw']",
        "attributes.headers",
        "attributes.queryParams.name",
        "attributes.queryParams",
        "authentication.properties.claims.roles",
        "payload",
        "payload.user",
        "vars.claimSet",
        "uuid()",
        "null",
        "true",
        "'a,b,'",
        "''",
        "-1",
        "0",
        "2",
        "[1, 'a', null]",
        "[]",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(6, 40, 3, |inner| {
        let binary = prop::sample::select(vec![
            "==",
            "!=",
            "<",
            ">=",
            "and",
            "or",
            "default",
            "++",
            "--",
            "contains",
            "splitBy",
            "substringBefore",
            "substringAfter",
            "substringBeforeLast",
            "substringAfterLast",
        ]);
        let unary = prop::sample::select(vec!["upper", "lower", "trim", "sizeOf", "not ", "!"]);
        prop_oneof![
            (inner.clone(), binary, inner.clone())
                .prop_map(|(a, operator, b)| format!("(({a}) {operator} ({b}))")),
            (unary, inner.clone()).prop_map(|(function, a)| format!("({function}({a}))")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}]")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("(if ({a}) {b} else {c})")),
            inner.clone().prop_map(|a| format!("({a}).name")),
            prop::collection::vec(inner, 0..3).prop_map(|all| format!("[{}]", all.join(", "))),
        ]
    })
}

/// Parses, and evaluates what parses: neither may panic or exceed the limits.
fn survives(text: &str, exchange: &Exchange) {
    let template = match Template::parse(text, &EVERYTHING) {
        Ok(template) => template,
        Err(error) => {
            assert!(
                error.at <= text.len() && text.is_char_boundary(error.at),
                "{text:?}: {error}"
            );
            return;
        }
    };
    for _ in 0..2 {
        let Ok(value) = template.evaluate(exchange) else {
            continue;
        };
        let kind = value.kind();
        let Ok(text) = value.into_text() else { continue };
        assert!(
            text.len() <= MAX_PRODUCED + 1024,
            "{} bytes of {kind:?}",
            text.len()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_parsed_or_refused(text in any::<String>(), wrapped in any::<bool>()) {
        let text = if wrapped { format!("#[{text}]") } else { text };
        survives(&text, &exchange());
    }

    #[test]
    fn any_pieces_are_parsed_or_refused(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40), spaced in any::<bool>()) {
        let text = format!("#[{}]", pieces.join(if spaced { " " } else { "" }));
        survives(&text, &exchange());
    }

    #[test]
    fn well_formed_expressions_parse_and_evaluate_within_limits(text in expression(), value in prop::collection::vec(any::<u8>(), 0..200)) {
        let template = parse_in(&text, &EVERYTHING);
        // `attributes.headers['a,b,']` is well-formed and can't be meant.
        let meant = template.as_ref().is_err_and(|error| error.message.contains("not a header name"));
        prop_assert!(template.is_ok() || meant, "{text}: {template:?}");
        let exchange = Exchange { payload: Some(value), ..exchange() };
        survives(&format!("#[{text}]"), &exchange);
    }

    #[test]
    fn mutated_expressions_are_parsed_or_refused(text in expression(), at in any::<prop::sample::Index>(), cut in 0usize..8,
            piece in prop::sample::select(PIECES)) {
        let mut chars: Vec<char> = text.chars().collect();
        let at = at.index(chars.len());
        let end = (at + cut).min(chars.len());
        chars.splice(at..end, piece.chars());
        survives(&format!("#[{}]", chars.into_iter().collect::<String>()), &exchange());
    }
}
