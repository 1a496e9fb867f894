//! Arrays: of a tree, of values, or the parts of a text that were not asked for yet.

use super::budget::{Budget, Fault, STEP};
use super::object::Object;
use super::text::{Parts, PartsOf};
use super::tree::Tree;
use super::value::Value;
use std::borrow::Cow;
use std::slice;

#[derive(Debug, Clone)]
pub struct Array<'a>(Items<'a>);

#[derive(Debug, Clone)]
enum Items<'a> {
    Tree(&'a [Tree]),
    Borrowed(&'a [Value<'a>]),
    Owned(Vec<Value<'a>>),
    Parts(Parts<'a>),
}

impl<'a> Array<'a> {
    pub fn from_values(values: Vec<Value<'a>>) -> Self {
        Self(Items::Owned(values))
    }

    pub(super) fn from_trees(trees: &'a [Tree]) -> Self {
        Self(Items::Tree(trees))
    }

    pub(super) fn from_parts(parts: Parts<'a>) -> Self {
        Self(Items::Parts(parts))
    }

    pub fn iter(&self) -> impl Iterator<Item = Value<'_>> {
        match &self.0 {
            Items::Tree(trees) => Elements::Tree(trees.iter()),
            Items::Borrowed(values) => Elements::Values(values.iter()),
            Items::Owned(values) => Elements::Values(values.iter()),
            Items::Parts(parts) => Elements::Parts(parts.iter()),
        }
    }

    /// Of a text that was split, its parts are counted.
    pub fn len(&self) -> usize {
        match &self.0 {
            Items::Tree(trees) => trees.len(),
            Items::Borrowed(values) => values.len(),
            Items::Owned(values) => values.len(),
            Items::Parts(parts) => parts.count(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// What finding an element or counting them looks at, in bytes.
    pub(super) fn scan_cost(&self) -> usize {
        match &self.0 {
            Items::Parts(parts) => parts.scan_cost() + STEP,
            _ => STEP,
        }
    }

    /// The element at this index, from the end when negative.
    pub(super) fn take(self, index: i64) -> Option<Value<'a>> {
        let place =
            |length: usize| usize::try_from(if index < 0 { length as i64 + index } else { index }).ok();
        match self.0 {
            Items::Tree(trees) => trees.get(place(trees.len())?).map(Value::from),
            Items::Borrowed(values) => values.get(place(values.len())?).cloned(),
            Items::Owned(mut values) => {
                let place = place(values.len()).filter(|place| *place < values.len())?;
                Some(values.swap_remove(place))
            }
            Items::Parts(parts) => parts.take(index).map(Value::String),
        }
    }

    /// For each element, that it becomes this array's own is paid by `budget`.
    pub(super) fn into_values(self, budget: &mut Budget) -> Result<Vec<Value<'a>>, Fault> {
        Ok(match self.0 {
            Items::Owned(values) => values,
            Items::Tree(trees) => {
                budget.produce(trees.len() * size_of::<Value<'_>>())?;
                trees.iter().map(Value::from).collect()
            }
            Items::Borrowed(values) => values.to_vec(),
            Items::Parts(parts) => {
                budget.work(parts.scan_cost())?;
                let mut values = Vec::new();
                parts.each(&mut |part| {
                    budget.produce(
                        size_of::<Value<'_>>()
                            + if matches!(part, Cow::Owned(_)) {
                                part.len()
                            } else {
                                0
                            },
                    )?;
                    values.push(Value::String(part));
                    Ok(())
                })?;
                values
            }
        })
    }

    /// The values that the objects in it have under this name; null where none has.
    pub(super) fn keys(self, name: &[u8], budget: &mut Budget) -> Result<Value<'a>, Fault> {
        let mut found = Vec::new();
        let mut add = |object: Object<'a>, budget: &mut Budget| {
            budget.work(STEP * (1 + object.len()))?;
            if let Some(value) = object.take(name) {
                budget.produce(size_of::<Value<'_>>())?;
                found.push(value);
            }
            Ok(())
        };
        match self.0 {
            Items::Tree(trees) => {
                for tree in trees {
                    budget.work(STEP)?;
                    if let Value::Object(object) = Value::from(tree) {
                        add(object, budget)?;
                    }
                }
            }
            Items::Owned(values) => {
                for value in values {
                    budget.work(STEP)?;
                    if let Value::Object(object) = value {
                        add(object, budget)?;
                    }
                }
            }
            Items::Borrowed(values) => {
                for value in values {
                    budget.work(STEP)?;
                    if let Value::Object(object) = value.reborrow() {
                        add(object, budget)?;
                    }
                }
            }
            Items::Parts(_) => {}
        }
        if found.is_empty() {
            return Ok(Value::Null);
        }
        Ok(Value::Array(Self::from_values(found)))
    }

    pub(super) fn reborrow(&self) -> Array<'_> {
        Array(match &self.0 {
            Items::Tree(trees) => Items::Tree(trees),
            Items::Borrowed(values) => Items::Borrowed(values),
            Items::Owned(values) => Items::Borrowed(values),
            Items::Parts(parts) => Items::Parts(parts.reborrow()),
        })
    }
}

enum Elements<'v> {
    Tree(slice::Iter<'v, Tree>),
    Values(slice::Iter<'v, Value<'v>>),
    Parts(PartsOf<'v>),
}

impl<'v> Iterator for Elements<'v> {
    type Item = Value<'v>;

    fn next(&mut self) -> Option<Value<'v>> {
        match self {
            Self::Tree(trees) => trees.next().map(Value::from),
            Self::Values(values) => values.next().map(Value::reborrow),
            Self::Parts(parts) => parts.next().map(|part| Value::String(Cow::Borrowed(part))),
        }
    }
}
