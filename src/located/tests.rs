use super::{Bounded, Decode, Entries, Located, Map, Node, Origin, Problems, Scalar, Style, Value, nearest};
use crate::{choice, object};

object! {
    /// A thing.
    pub(crate) struct Thing {
        /// Its size.
        required "size" size: Located<Bounded<1, 10>>,
        /// What it is
        /// made of.
        optional "material" material: Material,
        /// Whether it floats.
        optional "floats" floats: bool,
        /// Its parts.
        optional "parts" parts: Vec<String>,
        /// Its prices.
        optional "prices" prices: Entries<Bounded<0, { i64::MAX }>>,
    }
    later ["colour"]
}

choice! {
    /// A material.
    pub(crate) enum Material { Wood = "wood", Stone = "stone" }
}

fn origin(line: u32) -> Origin {
    Origin {
        file: "t".into(),
        line,
        column: 1,
    }
}

fn scalar(text: &str, style: Style, line: u32) -> Node {
    Node {
        value: Value::Scalar(Scalar {
            text: text.to_owned(),
            style,
        }),
        origin: origin(line),
    }
}

fn plain(text: &str, line: u32) -> Node {
    scalar(text, Style::Plain, line)
}

/// One member a line.
fn map(members: Vec<(&str, Node)>) -> Node {
    let entries = members
        .into_iter()
        .map(|(key, node)| (Located::new(key.to_owned(), node.origin.clone()), node));
    Node {
        value: Value::Map(Map {
            entries: entries.collect(),
        }),
        origin: origin(1),
    }
}

fn decode(members: Vec<(&str, Node)>) -> (Option<Thing>, Vec<String>) {
    let mut problems = Problems::default();
    problems.set_object("Thing/x");
    let thing = problems.within("spec", |problems| Thing::decode(&map(members), problems));
    (
        thing,
        problems.into_list().iter().map(ToString::to_string).collect(),
    )
}

#[test]
fn a_table_decodes() {
    let list = Node {
        value: Value::List(vec![plain("yes", 4)]),
        origin: origin(4),
    };
    let (thing, problems) = decode(vec![
        ("size", plain("7", 1)),
        ("material", plain("stone", 2)),
        ("floats", scalar("true", Style::Substituted, 3)),
        ("parts", list),
        ("prices", map(vec![("now", plain("9223372036854775807", 5))])),
    ]);
    assert!(problems.is_empty(), "{problems:?}");
    let thing = thing.unwrap();
    assert_eq!(thing.size.get(), 7);
    assert_eq!(thing.size.origin, origin(1));
    assert_eq!(thing.material.map(Material::word), Some("stone"));
    assert_eq!(thing.floats, Some(true));
    assert_eq!(thing.parts.unwrap(), ["yes"]);
    assert_eq!(thing.prices.unwrap().0[0].1.unsigned(), i64::MAX.unsigned_abs());
}

#[test]
fn every_problem_is_told() {
    let (thing, problems) = decode(vec![
        ("siz", plain("7", 2)),
        ("material", plain("stne", 3)),
        ("floats", plain("yes", 4)),
        ("parts", plain("a", 5)),
        (
            "prices",
            map(vec![
                ("now", plain("-1", 6)),
                ("then", scalar("1", Style::Quoted, 7)),
            ]),
        ),
        ("colour", plain("red", 8)),
    ]);
    assert!(thing.is_none());
    assert_eq!(
        problems,
        [
            "t:2:1: Thing/x: spec: unknown field `siz`; did you mean `size`?",
            "t:8:1: Thing/x: spec.colour: Ringway knows `colour` but does not have it yet",
            "t:1:1: Thing/x: spec: `size` is required",
            "t:3:1: Thing/x: spec.material: must be one of wood, stone, not `stne`; did you mean `stone`?",
            "t:4:1: Thing/x: spec.floats: must be true or false, not `yes`",
            "t:5:1: Thing/x: spec.parts: must be a list, not `a`",
            "t:6:1: Thing/x: spec.prices.now: must be at least 0, not `-1`",
            "t:7:1: Thing/x: spec.prices.then: must be an integer, not the text \"1\"",
        ]
    );
}

#[test]
fn integers_are_read_strictly() {
    let must = |text: &str| Bounded::<1, 10>::parse(text).map(Bounded::get);
    assert_eq!(must("10"), Ok(10));
    for text in ["0", "11", "-1", "99999999999999999999", "-99999999999999999999"] {
        assert_eq!(must(text), Err("must be between 1 and 10".to_owned()), "{text}");
    }
    for text in ["", "1.0", "1e1", "0x1", "1_0", "one"] {
        assert_eq!(must(text), Err("must be an integer".to_owned()), "{text}");
    }
}

#[test]
fn a_substituted_value_is_never_shown() {
    let (_, problems) = decode(vec![("size", scalar("hunter2", Style::Substituted, 2))]);
    assert_eq!(
        problems,
        ["t:2:1: Thing/x: spec.size: must be an integer, not the substituted value"]
    );
}

#[test]
fn null_is_absent() {
    let (thing, problems) = decode(vec![("size", plain("1", 2)), ("floats", plain("", 3))]);
    assert!(problems.is_empty());
    assert_eq!(thing.unwrap().floats, None);
    let (_, problems) = decode(vec![("size", plain("~", 2))]);
    assert_eq!(problems, ["t:2:1: Thing/x: spec: `size` is required"]);
}

#[test]
fn long_values_are_cut_to_a_line() {
    let (_, problems) = decode(vec![("size", plain(&format!("{}\nmore", "x".repeat(100)), 2))]);
    assert!(
        problems[0].ends_with(&format!("not `{}…`", "x".repeat(60))),
        "{problems:?}"
    );
}

#[test]
fn names_are_near_only_when_they_are() {
    let valid = ["address", "services", "policies"];
    assert_eq!(nearest("adress", valid), Some("address"));
    assert_eq!(nearest("sevrices", valid), Some("services"));
    assert_eq!(nearest("Policies", valid), Some("policies"));
    assert_eq!(nearest("metadata", valid), None);
}

#[test]
fn the_schema_comes_from_the_same_table() {
    let mut definitions = super::schema::Definitions::default();
    assert_eq!(Thing::schema(&mut definitions)["$ref"], "#/$defs/Thing");
    let thing = &definitions.into_map()["Thing"];
    assert_eq!(thing["required"], serde_json::json!(["size"]));
    assert_eq!(thing["additionalProperties"], false);
    assert_eq!(thing["properties"]["size"]["minimum"], 1);
    assert_eq!(thing["properties"]["size"]["maximum"], 10);
    assert_eq!(
        thing["properties"]["material"]["description"],
        "What it is made of."
    );
    assert_eq!(
        thing["properties"]["material"]["enum"],
        serde_json::json!(["wood", "stone"])
    );
    assert!(thing["properties"].get("colour").is_none());
}

#[test]
fn a_problem_is_one_line_and_harmless_to_a_terminal() {
    let (_, problems) = decode(vec![("size", plain("1", 2)), ("a\nb\u{1b}[2J", plain("1", 3))]);
    assert!(
        problems[0].starts_with("t:3:1: Thing/x: spec: unknown field `a\\nb\\u{1b}[2J`"),
        "{problems:?}"
    );
}
