//! Objects: of a tree, or of values under names. Names are compared as they are.

use super::budget::{Budget, Fault};
use super::tree::Tree;
use super::value::Value;
use std::borrow::Cow;

#[derive(Debug, Clone)]
pub struct Object<'a>(Entries<'a>);

#[derive(Debug, Clone)]
enum Entries<'a> {
    Tree(&'a [(Box<[u8]>, Tree)]),
    Borrowed(&'a [(Cow<'a, [u8]>, Value<'a>)]),
    Owned(Vec<(Cow<'a, [u8]>, Value<'a>)>),
}

impl<'a> Object<'a> {
    /// A name that comes again is not found.
    pub fn from_entries(entries: Vec<(Cow<'a, [u8]>, Value<'a>)>) -> Self {
        Self(Entries::Owned(entries))
    }

    pub(super) fn from_trees(trees: &'a [(Box<[u8]>, Tree)]) -> Self {
        Self(Entries::Tree(trees))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Value<'_>)> {
        let (trees, entries): (&[_], &[_]) = match &self.0 {
            Entries::Tree(trees) => (trees, &[]),
            Entries::Borrowed(entries) => (&[], entries),
            Entries::Owned(entries) => (&[], entries),
        };
        let trees = trees
            .iter()
            .map(|(name, tree): &(Box<[u8]>, Tree)| (&**name, Value::from(tree)));
        let entries =
            (entries.iter()).map(|(name, value): &(Cow<'a, [u8]>, Value<'a>)| (&**name, value.reborrow()));
        trees.chain(entries)
    }

    pub fn get(&self, name: &[u8]) -> Option<Value<'_>> {
        self.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    pub fn len(&self) -> usize {
        match &self.0 {
            Entries::Tree(trees) => trees.len(),
            Entries::Borrowed(entries) => entries.len(),
            Entries::Owned(entries) => entries.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn take(self, name: &[u8]) -> Option<Value<'a>> {
        match self.0 {
            Entries::Tree(trees) => trees
                .iter()
                .find(|(known, _)| **known == *name)
                .map(|(_, tree)| Value::from(tree)),
            Entries::Borrowed(entries) => entries
                .iter()
                .find(|(known, _)| **known == *name)
                .map(|(_, value)| value.reborrow()),
            Entries::Owned(mut entries) => {
                let place = entries.iter().position(|(known, _)| **known == *name)?;
                Some(entries.swap_remove(place).1)
            }
        }
    }

    /// Keeps the entries that `keep` says, in a new object.
    pub(super) fn filtered(
        self,
        budget: &mut Budget,
        mut keep: impl FnMut(&[u8], &Value<'_>, &mut Budget) -> Result<bool, Fault>,
    ) -> Result<Self, Fault> {
        let all: Vec<(Cow<'a, [u8]>, Value<'a>)> = match self.0 {
            Entries::Owned(entries) => entries,
            Entries::Borrowed(entries) => entries.to_vec(),
            Entries::Tree(trees) => {
                budget.produce(trees.len() * size_of::<(Cow<'_, [u8]>, Value<'_>)>())?;
                let entry = |(name, tree): &'a (Box<[u8]>, Tree)| (Cow::Borrowed(&**name), Value::from(tree));
                trees.iter().map(entry).collect()
            }
        };
        let mut kept = Vec::with_capacity(all.len());
        for (name, value) in all {
            if keep(&name, &value, budget)? {
                kept.push((name, value));
            }
        }
        Ok(Self::from_entries(kept))
    }

    pub(super) fn reborrow(&self) -> Object<'_> {
        Object(match &self.0 {
            Entries::Tree(trees) => Entries::Tree(trees),
            Entries::Borrowed(entries) => Entries::Borrowed(entries),
            Entries::Owned(entries) => Entries::Borrowed(entries),
        })
    }
}
