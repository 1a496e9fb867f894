//! Values that somebody else made: conversions into them are their makers'.

use super::array::Array;
use super::object::Object;
use super::value::Value;
use std::borrow::Cow;

/// A value that somebody else made and owns: claims of a token, an answer of an authorisation server, a body that is JSON.
///
/// Its depth is the maker's to bound (`serde_json` does, at 128): the destructor recurses. Values deeper than
/// [`MAX_DEPTH`] are not compared or written.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Tree {
    #[default]
    Null,
    Boolean(bool),
    /// Finite.
    Number(f64),
    String(Box<[u8]>),
    Array(Box<[Tree]>),
    Object(TreeObject),
}

/// Names and values, each name once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TreeObject(Box<[(Box<[u8]>, Tree)]>);

impl Tree {
    pub fn string(text: impl Into<Vec<u8>>) -> Self {
        Self::String(text.into().into_boxed_slice())
    }

    pub fn array(elements: Vec<Self>) -> Self {
        Self::Array(elements.into_boxed_slice())
    }

    /// Of a name that comes more than once the last is kept, as most readers of JSON do.
    pub fn object(entries: impl IntoIterator<Item = (impl Into<Vec<u8>>, Self)>) -> Self {
        let mut all: Vec<(Box<[u8]>, Self)> = (entries.into_iter())
            .map(|(name, tree)| (name.into().into_boxed_slice(), tree))
            .collect();
        let mut by_name: Vec<usize> = (0..all.len()).collect();
        // Stable: of equal names the last comes last.
        by_name.sort_by(|a, b| all[*a].0.cmp(&all[*b].0));
        let superseded: Vec<usize> = (by_name.windows(2))
            .filter(|pair| all[pair[0]].0 == all[pair[1]].0)
            .map(|pair| pair[0])
            .collect();
        if !superseded.is_empty() {
            let mut keep = vec![true; all.len()];
            for place in superseded {
                keep[place] = false;
            }
            let mut keep = keep.into_iter();
            all.retain(|_| keep.next().unwrap_or(true));
        }
        Self::Object(TreeObject(all.into_boxed_slice()))
    }

    /// Of an object, what stands under this name.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(TreeObject(entries)) => {
                let (_, tree) = entries.iter().find(|(known, _)| **known == *name.as_bytes())?;
                Some(tree)
            }
            _ => None,
        }
    }
}

impl TreeObject {
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Tree)> {
        self.0.iter().map(|(name, tree)| (&**name, tree))
    }
}

impl<'a> From<&'a Tree> for Value<'a> {
    fn from(tree: &'a Tree) -> Self {
        match tree {
            Tree::Null => Self::Null,
            Tree::Boolean(value) => Self::Boolean(*value),
            Tree::Number(value) => Self::Number(*value),
            Tree::String(text) => Self::String(Cow::Borrowed(text)),
            Tree::Array(elements) => Self::Array(Array::from_trees(elements)),
            Tree::Object(TreeObject(entries)) => Self::Object(Object::from_trees(entries)),
        }
    }
}
