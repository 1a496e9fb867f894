use super::{Documents, read};
use crate::located::{Node, Style, Value};

fn documents(text: &str) -> Documents {
    read(&"f.yaml".into(), text)
}

fn problems(text: &str) -> Vec<String> {
    documents(text).problems.iter().map(ToString::to_string).collect()
}

fn root(text: &str) -> Node {
    let mut documents = documents(text);
    assert!(documents.problems.is_empty(), "{:?}", documents.problems);
    documents.roots.remove(0)
}

fn place(node: &Node) -> String {
    node.origin.to_string()
}

#[test]
fn every_value_and_key_has_its_place() {
    let root = root("a:\n  - b: 1\n    c: \"x\"\nd: {e: [f]}\n");
    let list = root.get("a").unwrap();
    assert_eq!(place(list), "f.yaml:2:3");
    let Value::List(items) = &list.value else {
        panic!("a list")
    };
    assert_eq!(place(&items[0]), "f.yaml:2:5");
    assert_eq!(place(items[0].get("c").unwrap()), "f.yaml:3:8");
    assert_eq!(
        items[0].as_map().unwrap().key("c").unwrap().origin.to_string(),
        "f.yaml:3:5"
    );
    assert_eq!(place(root.get("d").unwrap().get("e").unwrap()), "f.yaml:4:8");
}

#[test]
fn columns_count_characters() {
    assert_eq!(place(root("ä: ö").get("ä").unwrap()), "f.yaml:1:4");
}

#[test]
fn scalars_keep_their_text() {
    let root = root("a: yes\nb: 010\nc: 1.10\nd: 'no'\ne: ~\nf: !!str 12\ng: |\n  two\n  lines\n");
    let text = |key: &str| root.get(key).unwrap().text().map(str::to_owned);
    assert_eq!(text("a").as_deref(), Some("yes"));
    assert_eq!(text("b").as_deref(), Some("010"));
    assert_eq!(text("c").as_deref(), Some("1.10"));
    assert_eq!(text("d").as_deref(), Some("no"));
    assert_eq!(text("e"), None);
    assert_eq!(text("g").as_deref(), Some("two\nlines\n"));
    let style = |key: &str| match &root.get(key).unwrap().value {
        Value::Scalar(scalar) => scalar.style,
        _ => panic!("a scalar"),
    };
    assert_eq!(style("a"), Style::Plain);
    assert_eq!(style("d"), Style::Quoted);
    assert_eq!(style("f"), Style::Quoted);
}

#[test]
fn documents_are_parted_and_empty_ones_dropped() {
    let read = documents("---\na: 1\n---\n---\n# nothing\n---\nb: 2\n...\n");
    assert_eq!(read.roots.len(), 2);
    assert!(read.complete);
    assert!(documents("").roots.is_empty());
    assert!(documents("# only a comment\n").roots.is_empty());
}

#[test]
fn a_key_twice_names_both_places_and_the_object() {
    let text = "kind: Service\nmetadata: {name: x}\nspec:\n  list:\n    - address: a\n      address: b\n";
    assert_eq!(
        problems(text),
        ["f.yaml:6:7: Service/x: spec.list[0]: the key `address` is written twice; first at f.yaml:5:7"]
    );
}

#[test]
fn a_syntax_error_has_its_place_and_keeps_what_came_before() {
    let read = documents("a: 1\n---\nb: [1\nc: 2\n");
    assert_eq!(read.roots.len(), 1);
    assert!(!read.complete);
    let problem = read.problems[0].to_string();
    assert!(problem.starts_with("f.yaml:4:2: not valid YAML: "), "{problem}");
    assert_eq!(read.problems.len(), 1);
}

#[test]
fn tabs_and_unknown_aliases_and_tags_are_refused() {
    for text in [
        "a:\n\t- b\n",
        "a: *b\n",
        "a: !secret x\n",
        "? [a]\n: b\n",
        "a: &x [*x]\n",
    ] {
        let read = documents(text);
        assert!(
            !read.complete && read.problems.len() == 1,
            "{text:?}: {:?}",
            read.problems
        );
        assert!(read.problems[0].origin.is_some(), "{text:?}");
    }
}

#[test]
fn aliases_repeat_and_merge() {
    let root = root("a: &a {x: 1, y: 2}\nb: *a\nc:\n  <<: *a\n  x: 3\nd:\n  <<: [{z: 4}, *a]\n");
    assert_eq!(root.get("b").unwrap().get("x").unwrap().text(), Some("1"));
    assert_eq!(
        place(root.get("b").unwrap()),
        "f.yaml:1:7",
        "where it can be mended"
    );
    assert_eq!(root.get("c").unwrap().get("x").unwrap().text(), Some("3"));
    assert_eq!(root.get("c").unwrap().get("y").unwrap().text(), Some("2"));
    assert_eq!(root.get("d").unwrap().get("z").unwrap().text(), Some("4"));
    assert_eq!(
        problems("<<: 3\n"),
        ["f.yaml:1:5: document: `<<` merges mappings only"]
    );
}

#[test]
fn an_alias_bomb_is_refused_by_its_budget() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{}", level - 1);
        text.push_str(&format!("a{level}: &a{level} [{}]\n", vec![below; 10].join(", ")));
    }
    let read = documents(&text);
    assert!(!read.complete);
    assert!(
        read.problems[0].message.contains("expand to more"),
        "{:?}",
        read.problems
    );

    // Few nodes, much text.
    let mut text = format!("a: &a {}\nb:\n", "x".repeat(1 << 20));
    text.push_str(&"  - *a\n".repeat(64));
    assert!(documents(&text).problems[0].message.contains("expand to more"));
}

#[test]
fn depth_and_size_are_bounded() {
    assert!(!documents(&"[".repeat(1000)).complete);
    assert!(!documents(&"- ".repeat(1000)).complete);
    let mut text = "a0: &a0 [x]\n".to_owned();
    for level in 1..100 {
        text.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    assert!(!documents(&text).complete);
    let problem = problems(&" ".repeat((16 << 20) + 1)).remove(0);
    assert_eq!(problem, "f.yaml:1:1: is larger than 16 MiB");
}

#[test]
fn a_long_mapping_is_read_in_linear_time() {
    // A hundred thousand keys compared with each other would take minutes.
    let mut text = "{".to_owned();
    for number in 0..100_000 {
        text.push_str(&format!("a{number}: ,"));
    }
    text.push('}');
    assert_eq!(root(&text).as_map().unwrap().entries.len(), 100_000);
}
