//! JSON of strangers as a [`Tree`]: claims, key sets, answers of an authorisation server.
//!
//! Two readers of one document must not see two things, so a name that comes twice in an object is refused: which of them
//! counts is each reader's own choice otherwise, and the signature covers both. Depth is bounded; so is size, by whoever
//! calls.

use crate::expr::{MAX_DEPTH, Tree};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Not JSON, deeper than [`MAX_DEPTH`], a name twice in one object, or more than one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotJson;

pub(super) fn parse(bytes: &[u8]) -> Result<Tree, NotJson> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let tree = Within(MAX_DEPTH).deserialize(&mut deserializer);
    let tree = tree.map_err(|_| NotJson)?;
    deserializer.end().map_err(|_| NotJson)?;
    Ok(tree)
}

/// How many levels may follow.
#[derive(Clone, Copy)]
struct Within(usize);

impl Within {
    fn below<E: Error>(self) -> Result<Self, E> {
        self.0
            .checked_sub(1)
            .map(Self)
            .ok_or_else(|| E::custom("too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Within {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Within {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Boolean(value))
    }

    /// Past 2^53 the next number that an f64 has, as in every expression.
    fn visit_u64<E: Error>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Number(value as f64))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Number(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Number(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::string(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let below = self.below()?;
        let mut elements = Vec::new();
        while let Some(element) = access.next_element_seed(below)? {
            elements.push(element);
        }
        Ok(Tree::array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let below = self.below()?;
        let mut entries: Vec<(String, Tree)> = Vec::new();
        while let Some(name) = access.next_key::<String>()? {
            entries.push((name, access.next_value_seed(below)?));
        }
        let count = entries.len();
        match Tree::object(entries) {
            // It keeps one of each name.
            Tree::Object(object) if object.iter().count() == count => Ok(Tree::Object(object)),
            _ => Err(A::Error::custom("a name comes twice")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_reads_and_what_not() {
        let tree = parse(br#" {"a": [1, -2.5, "x\u00e4", true, null], "b": {"c": {}}} "#).expect("JSON");
        assert_eq!(
            tree.get("a"),
            Some(&Tree::array(vec![
                Tree::Number(1.0),
                Tree::Number(-2.5),
                Tree::string("xä"),
                Tree::Boolean(true),
                Tree::Null,
            ]))
        );
        assert!(tree.get("b").and_then(|b| b.get("c")).is_some());
        for bad in [
            &b""[..],
            b"{",
            b"{} {}",
            b"{\"a\":1,\"a\":1}",
            b"{\"a\":1,\"\\u0061\":2}",
            b"[{\"x\":{\"a\":1,\"b\":2,\"a\":3}}]",
            b"\"\xff\"",
            b"\"\\ud800\"",
            b"1e999",
            b"NaN",
            b"{'a':1}",
            b"[1,]",
        ] {
            assert_eq!(parse(bad), Err(NotJson), "{:?}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn depth_is_bounded_whatever_the_size() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(parse(nested(MAX_DEPTH + 1).as_bytes()), Err(NotJson));
        assert_eq!(parse("[".repeat(1 << 20).as_bytes()), Err(NotJson));
        assert_eq!(parse("{\"a\":".repeat(1 << 18).as_bytes()), Err(NotJson));
    }
}
