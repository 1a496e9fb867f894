use super::{super::environment::Environment, substitute};
use crate::located::{Node, Problems};

fn read(text: &str) -> Node {
    super::super::yaml::read(&"f.yaml".into(), text).roots.remove(0)
}

fn replaced(text: &str) -> Result<Vec<String>, Vec<String>> {
    let environment = Environment::fixed([
        ("A", "value"),
        ("B", "$A"),
        ("C", "x: [1]"),
        ("EMPTY", ""),
        ("_1", "one"),
    ]);
    let (mut node, mut problems) = (read(text), Problems::default());
    substitute(&mut node, &environment, &mut problems);
    if !problems.is_empty() {
        return Err(problems.into_list().iter().map(ToString::to_string).collect());
    }
    let map = node.as_map().unwrap();
    Ok(map
        .entries
        .iter()
        .map(|(_, node)| node.text().unwrap_or("(none)").to_owned())
        .collect())
}

fn one(text: &str) -> String {
    replaced(&format!("k: {text}\n")).unwrap().remove(0)
}

#[test]
fn a_whole_scalar_is_replaced_once() {
    assert_eq!(one("$A"), "value");
    assert_eq!(one("\"$A\""), "value");
    assert_eq!(one("$B"), "$A", "what was put in is not scanned again");
    assert_eq!(one("$C"), "x: [1]", "text, not syntax");
    assert_eq!(one("$EMPTY"), "", "empty is not null");
    assert_eq!(one("$_1"), "one");
}

#[test]
fn what_is_not_a_whole_reference_stays() {
    for text in ["a$A", "$A-b", "$A $B", "$1", "$", "100$", "$.store.book"] {
        assert_eq!(one(text), text);
    }
}

#[test]
fn two_dollars_are_one() {
    assert_eq!(one("$$"), "$");
    assert_eq!(one("$$A"), "$A");
    assert_eq!(one("$$$A"), "$$A");
    assert_eq!(one("a$$b"), "a$$b", "only where a reference could stand");
}

#[test]
fn keys_are_not_replaced() {
    let mut node = read("$A: 1\n");
    substitute(
        &mut node,
        &Environment::fixed([("A", "value")]),
        &mut Problems::default(),
    );
    assert!(node.get("$A").is_some());
}

#[test]
fn what_is_missing_is_told_with_its_place() {
    assert_eq!(
        replaced("k:\n  - $A\n  - l: $NOPE\n").unwrap_err(),
        ["f.yaml:3:8: k[1].l: the environment variable `NOPE` is not set"]
    );
    assert_eq!(
        replaced("k: ${A}\n").unwrap_err(),
        ["f.yaml:1:4: k: `${A}` is not replaced: write $NAME as the whole value, or $$ for a dollar"]
    );
}

#[test]
fn files_are_read_without_their_last_line_end() {
    let folder = std::env::temp_dir().join(format!("ringway-substitute-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for (written, expected) in [
        ("s3cret\n", "s3cret"),
        ("s3cret\r\n", "s3cret"),
        ("a\n\n", "a\n"),
        ("$A", "$A"),
    ] {
        let path = folder.join("secret");
        std::fs::write(&path, written).unwrap();
        assert_eq!(one(&format!("$file:{}", path.display())), expected);
    }
    let refused = |text: &str| replaced(&format!("k: {text}\n")).unwrap_err().remove(0);
    assert!(refused("$file:relative").ends_with("`$file:relative`: must be an absolute path"));
    assert!(refused(&format!("$file:{}", folder.display())).ends_with("is not a file"));
    assert!(refused("$file:/nonexistent/x").contains("No such file"));
    std::fs::remove_dir_all(&folder).unwrap();
}
