//! JSON from outside (bodies, claims, replies) as values of expressions.

use crate::expr::Tree;
use serde_json::Value;

impl From<Value> for Tree {
    /// As deep as the parser let it be: 128 levels.
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Boolean(value),
            // Beyond what a double holds is no number that anything could be compared with.
            Value::Number(number) => number
                .as_f64()
                .filter(|number| number.is_finite())
                .map_or(Self::Null, Self::Number),
            Value::String(text) => Self::string(text),
            Value::Array(elements) => Self::array(elements.into_iter().map(Self::from).collect()),
            Value::Object(entries) => {
                Self::object(entries.into_iter().map(|(name, value)| (name, Self::from(value))))
            }
        }
    }
}

/// None for what is not JSON.
pub(super) fn parse(json: &[u8]) -> Option<Tree> {
    serde_json::from_slice::<Value>(json).ok().map(Tree::from)
}
