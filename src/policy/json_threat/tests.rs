use super::scan::{Limits, Threat, scan};
use proptest::prelude::*;

fn unlimited(text: &str) -> Result<(), Threat> {
    scan(text.as_bytes(), &Limits::NONE)
}

#[test]
fn json_is_json() {
    for good in [
        "{}",
        "[]",
        " [ ] ",
        "{ }",
        "0",
        "-0",
        "-0.5e+10",
        "1E400",
        "123456789012345678901234567890",
        "\"\"",
        "\"\\u00e4\\ud83d\\ude00\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\"\u{7f}\u{e4}\u{1f600}\"",
        "true",
        " null\r\n",
        "[1,[2,{\"a\":[]}],false]",
        "{\"a\":{\"a\":1},\"b\":{\"a\":1}}",
        "{\"\":0,\" \":1}",
    ] {
        assert_eq!(unlimited(good), Ok(()), "{good}");
    }
    for bad in [
        "",
        " ",
        "{",
        "[",
        "[}",
        "{]",
        "]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{a:1}",
        "{'a':1}",
        "{1:2}",
        "01",
        "-",
        "+1",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x10",
        "NaN",
        "Infinity",
        "tru",
        "truex",
        "TRUE",
        "\"",
        "\"a\nb\"",
        "\"\\",
        "\"\\x41\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\ud800x\"",
        "\"\\udc00\\ud800\"",
        "{} {}",
        "{}x",
        "1,2",
        "// a\n1",
        "/**/1",
        "\u{feff}{}",
        "{}\0",
        "\u{a0}1",
    ] {
        assert_eq!(unlimited(bad), Err(Threat::Malformed), "{bad:?}");
    }
    for bad in [
        &b"\"\xff\""[..],
        b"\"\xc0\xaf\"",
        b"\"\xed\xa0\x80\"",
        b"\xff\xfe{\0}\0",
    ] {
        assert_eq!(scan(bad, &Limits::NONE), Err(Threat::NotUtf8), "{bad:?}");
    }
}

#[test]
fn one_name_stands_once_however_it_is_written() {
    for twice in [
        r#"{"a":1,"a":2}"#,
        r#"{"a":1,"b":{},"\u0061":2}"#,
        r#"[{"x":{"\ud83d\ude00":1,"😀":2}}]"#,
        r#"{"":1,"":2}"#,
        r#"{"a":{"b":1},"c":[{"b":2}],"a":3}"#,
    ] {
        assert_eq!(unlimited(twice), Err(Threat::DuplicateName), "{twice}");
    }
    assert_eq!(
        unlimited(r#"{"a":1,"A":2,"a ":3,"b":{"a":1}}"#),
        Ok(()),
        "other names"
    );
}

#[test]
fn each_limit_is_the_most_that_passes() {
    let mut depth = Limits::NONE;
    depth.depth = 2;
    let mut entries = Limits::NONE;
    entries.entries = 2;
    let mut elements = Limits::NONE;
    elements.elements = 2;
    let mut name = Limits::NONE;
    name.name = 2;
    let mut string = Limits::NONE;
    string.string = 2;
    for (limits, passes, refused, threat) in [
        (depth, r#"[{"a":1},[]]"#, r#"[{"a":[]}]"#, Threat::Depth),
        (depth, "[[]]", "[[[", Threat::Depth),
        (
            entries,
            r#"{"a":1,"b":{"c":1,"d":2}}"#,
            r#"{"a":1,"b":2,"c":3}"#,
            Threat::Entries,
        ),
        (elements, "[1,[1,2]]", "[1,2,3]", Threat::Elements),
        (
            name,
            r#"{"ää":"long","\ud83d\ude00b":1}"#,
            r#"{"abc":1}"#,
            Threat::NameLength,
        ),
        (
            string,
            r#"{"long":"😀\u00e4","b":["ab"]}"#,
            r#"["abc"]"#,
            Threat::StringLength,
        ),
        (string, r#""ab""#, r#""a\n\u0041""#, Threat::StringLength),
    ] {
        assert_eq!(scan(passes.as_bytes(), &limits), Ok(()), "{passes}");
        assert_eq!(scan(refused.as_bytes(), &limits), Err(threat), "{refused}");
    }
    let nothing = Limits {
        depth: 0,
        entries: 0,
        elements: 0,
        name: 0,
        string: 0,
    };
    assert_eq!(scan(b"1", &nothing), Ok(()));
    assert_eq!(scan(b"\"\"", &nothing), Ok(()));
    assert_eq!(scan(b"[]", &nothing), Err(Threat::Depth));
    let flat = Limits { depth: 1, ..nothing };
    assert_eq!(scan(b"[]", &flat), Ok(()));
    assert_eq!(scan(b"[1]", &flat), Err(Threat::Elements));
    assert_eq!(scan(b"{}", &flat), Ok(()));
    assert_eq!(scan(b"{\"\":1}", &flat), Err(Threat::Entries));
}

/// A megabyte of each thing that nests, repeats or grows. Nothing recurses: the stack of the thread is small, so that a
/// test of this would not end well otherwise.
#[test]
fn bombs_cost_a_walk() {
    let bombs = || {
        const SIZE: usize = 1024 * 1024;
        let names: String = (0..100_000).map(|n| format!("\"{n:x}\":0,")).collect();
        let same = "\"a\":0,".repeat(SIZE / 6);
        let mut whole = "[".repeat(SIZE / 2);
        whole += &"]".repeat(SIZE / 2);
        assert_eq!(unlimited(&whole), Ok(()));
        assert_eq!(unlimited(&"[".repeat(SIZE)), Err(Threat::Malformed));
        assert_eq!(unlimited(&"{\"a\":".repeat(SIZE / 5)), Err(Threat::Malformed));
        assert_eq!(unlimited(&format!("{{{names}\"z\":0}}")), Ok(()));
        assert_eq!(
            unlimited(&format!("{{{same}\"z\":0}}")),
            Err(Threat::DuplicateName)
        );
        assert_eq!(unlimited(&format!("\"{}\"", "\\u0041".repeat(SIZE / 6))), Ok(()));
        assert_eq!(unlimited(&format!("[{}1]", "1,".repeat(SIZE / 2))), Ok(()));
        assert_eq!(unlimited(&"9".repeat(SIZE)), Ok(()));
    };
    let thread = std::thread::Builder::new()
        .stack_size(64 * 1024)
        .spawn(bombs)
        .expect("a thread");
    thread.join().expect("every bomb was defused");
}

proptest! {
    /// serde_json is the oracle of what JSON is; it stops at its own depth, keeps the last of several entries of one name
    /// and refuses numbers that no `f64` holds.
    #[test]
    fn says_what_serde_json_says(text in "[\\[\\]{}\",:0-9a-e.+ \\\\utrfalsn-]{0,24}") {
        let ours = unlimited(&text);
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        match (ours, theirs) {
            (Ok(()), Err(error)) => prop_assert!(error.to_string().contains("out of range"), "{text}: {error}"),
            (Err(Threat::DuplicateName), Ok(_)) => {}
            (ours, theirs) => prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{}", text),
        }
    }

    #[test]
    fn takes_what_serde_json_writes(value in json(), cut in any::<prop::sample::Index>()) {
        let text = value.to_string();
        prop_assert_eq!(unlimited(&text), Ok(()));
        let cut = cut.index(text.len());
        if text.is_char_boundary(cut) && cut > 0 {
            let theirs = serde_json::from_str::<serde_json::Value>(&text[..cut]).is_ok();
            prop_assert_eq!(unlimited(&text[..cut]).is_ok(), theirs);
        }
    }

    #[test]
    fn any_bytes_are_judged(bytes: Vec<u8>) {
        let _ = scan(&bytes, &Limits::NONE);
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..8)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}
