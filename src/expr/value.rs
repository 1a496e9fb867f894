//! Values: what an expression comes to, and the trees it may be given.
//!
//! Texts are bytes, since header values need not be UTF-8. A value borrows from the message, the view or the expression as
//! long as nothing has to be made: the parts of a text that is split are found when they are asked for.

use super::budget::{Budget, Fault, MAX_PRODUCED, STEP};
use super::text::{Parts, PartsOf, number_text};
use super::{EvalError, MAX_DEPTH};
use std::borrow::Cow;
use std::{fmt, slice};

#[derive(Debug, Clone)]
pub enum Value<'a> {
    Null,
    Boolean(bool),
    /// Finite.
    Number(f64),
    String(Cow<'a, [u8]>),
    Array(Array<'a>),
    Object(Object<'a>),
}

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Null,
    Boolean,
    String,
    Number,
    Array,
    Object,
}

#[derive(Debug, Clone)]
pub struct Array<'a>(Items<'a>);

#[derive(Debug, Clone)]
enum Items<'a> {
    Tree(&'a [Tree]),
    Borrowed(&'a [Value<'a>]),
    Owned(Vec<Value<'a>>),
    Parts(Parts<'a>),
}

#[derive(Debug, Clone)]
pub struct Object<'a>(Entries<'a>);

#[derive(Debug, Clone)]
enum Entries<'a> {
    Tree(&'a [(Box<[u8]>, Tree)]),
    Borrowed(&'a [(Cow<'a, [u8]>, Value<'a>)]),
    Owned(Vec<(Cow<'a, [u8]>, Value<'a>)>),
}

impl<'a> Value<'a> {
    pub const EMPTY: Self = Self::String(Cow::Borrowed(b""));

    pub fn borrowed(text: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self::String(Cow::Borrowed(text.as_ref()))
    }

    pub fn kind(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Boolean(_) => Type::Boolean,
            Self::Number(_) => Type::Number,
            Self::String(_) => Type::String,
            Self::Array(_) => Type::Array,
            Self::Object(_) => Type::Object,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// As a condition: true, false, or one of these words as text, which DataWeave casts.
    ///
    /// # Errors
    /// Anything else. A missing header is no condition: what it should mean is the author's to say.
    pub fn truth(&self) -> Result<bool, EvalError> {
        self.condition().map_err(EvalError::of_result)
    }

    /// As text: null is empty, numbers without needless digits, arrays and objects as JSON.
    ///
    /// # Errors
    /// When JSON of more than [`MAX_PRODUCED`] bytes or [`MAX_DEPTH`] levels would be made.
    pub fn into_text(self) -> Result<Cow<'a, [u8]>, EvalError> {
        match self {
            Self::Null => Ok(Cow::Borrowed(b"")),
            Self::String(text) => Ok(text),
            Self::Boolean(true) => Ok(Cow::Borrowed(b"true")),
            Self::Boolean(false) => Ok(Cow::Borrowed(b"false")),
            Self::Number(number) => Ok(Cow::Owned(number_text(number))),
            Self::Array(_) | Self::Object(_) => {
                let mut out = Vec::new();
                self.write_json(&mut out, MAX_DEPTH)
                    .map_err(EvalError::of_result)?;
                Ok(Cow::Owned(out))
            }
        }
    }

    pub(super) fn condition(&self) -> Result<bool, Fault> {
        match self {
            Self::Boolean(value) => Ok(*value),
            Self::String(text) if &**text == b"true" => Ok(true),
            Self::String(text) if &**text == b"false" => Ok(false),
            other => Err(Fault::NotACondition(other.kind())),
        }
    }

    /// As the text that an operand of `operation` is.
    pub(super) fn operand(self, operation: &'static str) -> Result<Cow<'a, [u8]>, Fault> {
        match self {
            Self::String(text) => Ok(text),
            Self::Boolean(true) => Ok(Cow::Borrowed(b"true")),
            Self::Boolean(false) => Ok(Cow::Borrowed(b"false")),
            Self::Number(number) => Ok(Cow::Owned(number_text(number))),
            other => Err(Fault::WrongType {
                operation,
                found: other.kind(),
            }),
        }
    }

    /// The same value; types are never cast. Objects are equal when they have the same names with equal values.
    pub(super) fn equals(&self, other: &Value<'_>, budget: &mut Budget, depth: usize) -> Result<bool, Fault> {
        budget.work(STEP)?;
        let depth = depth.checked_sub(1).ok_or(Fault::TooDeep)?;
        match (self, other) {
            (Self::Null, Value::Null) => Ok(true),
            (Self::Boolean(a), Value::Boolean(b)) => Ok(a == b),
            (Self::Number(a), Value::Number(b)) => Ok(a == b),
            (Self::String(a), Value::String(b)) => {
                budget.work(a.len().min(b.len()))?;
                Ok(a == b)
            }
            (Self::Array(a), Value::Array(b)) => {
                let (mut a, mut b) = (a.iter(), b.iter());
                loop {
                    match (a.next(), b.next()) {
                        (None, None) => return Ok(true),
                        (Some(a), Some(b)) if a.equals(&b, budget, depth)? => {}
                        _ => return Ok(false),
                    }
                }
            }
            (Self::Object(a), Value::Object(b)) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                for (name, value) in a.iter() {
                    budget.work(STEP * b.len())?;
                    match b.get(name) {
                        Some(other) if value.equals(&other, budget, depth)? => {}
                        _ => return Ok(false),
                    }
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// `.name`; of an array, the values that the objects in it have under this name.
    pub(super) fn key(self, name: &[u8], budget: &mut Budget) -> Result<Self, Fault> {
        match self {
            Self::Null => Ok(Self::Null),
            Self::Object(object) => {
                budget.work(STEP * object.len())?;
                Ok(object.take(name).unwrap_or(Self::Null))
            }
            Self::Array(array) => array.keys(name, budget),
            other => Err(Fault::WrongType {
                operation: "selecting by name",
                found: other.kind(),
            }),
        }
    }

    /// `[0]`, `[-1]`, of arrays and texts.
    pub(super) fn index(self, index: f64, budget: &mut Budget) -> Result<Self, Fault> {
        if index.fract() != 0.0 || index.abs() > f64::from(u32::MAX) {
            return Err(Fault::NotAnIndex);
        }
        // Exact: a whole number of at most 33 bits.
        let index = index as i64;
        match self {
            Self::Null => Ok(Self::Null),
            Self::String(text) => {
                budget.work(text.len())?;
                Ok(super::text::character(text, index).map_or(Self::Null, Self::String))
            }
            Self::Array(array) => {
                budget.work(array.scan_cost())?;
                Ok(array.take(index).unwrap_or(Self::Null))
            }
            other => Err(Fault::WrongType {
                operation: "selecting by number",
                found: other.kind(),
            }),
        }
    }

    /// A value that borrows from this one.
    fn reborrow(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Boolean(value) => Value::Boolean(*value),
            Self::Number(value) => Value::Number(*value),
            Self::String(text) => Value::String(Cow::Borrowed(text)),
            Self::Array(Array(items)) => Value::Array(Array(match items {
                Items::Tree(trees) => Items::Tree(trees),
                Items::Borrowed(values) => Items::Borrowed(values),
                Items::Owned(values) => Items::Borrowed(values),
                Items::Parts(parts) => Items::Parts(parts.reborrow()),
            })),
            Self::Object(Object(entries)) => Value::Object(Object(match entries {
                Entries::Tree(trees) => Entries::Tree(trees),
                Entries::Borrowed(entries) => Entries::Borrowed(entries),
                Entries::Owned(entries) => Entries::Borrowed(entries),
            })),
        }
    }

    fn write_json(&self, out: &mut Vec<u8>, depth: usize) -> Result<(), Fault> {
        let depth = depth.checked_sub(1).ok_or(Fault::TooDeep)?;
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Boolean(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Self::Number(number) => out.extend_from_slice(&number_text(*number)),
            Self::String(text) => write_json_text(text, out)?,
            Self::Array(array) => {
                out.push(b'[');
                for (n, element) in array.iter().enumerate() {
                    if n > 0 {
                        out.push(b',');
                    }
                    element.write_json(out, depth)?;
                }
                out.push(b']');
            }
            Self::Object(object) => {
                out.push(b'{');
                for (n, (name, value)) in object.iter().enumerate() {
                    if n > 0 {
                        out.push(b',');
                    }
                    write_json_text(name, out)?;
                    out.push(b':');
                    value.write_json(out, depth)?;
                }
                out.push(b'}');
            }
        }
        if out.len() > MAX_PRODUCED {
            return Err(Fault::TooLarge);
        }
        Ok(())
    }
}

impl<'a> Array<'a> {
    pub fn from_values(values: Vec<Value<'a>>) -> Self {
        Self(Items::Owned(values))
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
            Items::Parts(parts) => parts.iter().count(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// What finding an element or counting them looks at, in bytes.
    pub(super) fn scan_cost(&self) -> usize {
        match &self.0 {
            Items::Parts(parts) => parts.length() + STEP,
            _ => STEP,
        }
    }

    /// The element at this index, from the end when negative.
    fn take(self, index: i64) -> Option<Value<'a>> {
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
                budget.work(parts.length())?;
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

    fn keys(self, name: &[u8], budget: &mut Budget) -> Result<Value<'a>, Fault> {
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
}

impl<'a> Object<'a> {
    /// A name that comes again is not found.
    pub fn from_entries(entries: Vec<(Cow<'a, [u8]>, Value<'a>)>) -> Self {
        Self(Entries::Owned(entries))
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

    fn take(self, name: &[u8]) -> Option<Value<'a>> {
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
            Tree::Array(elements) => Self::Array(Array(Items::Tree(elements))),
            Tree::Object(TreeObject(entries)) => Self::Object(Object(Entries::Tree(entries))),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "true or false",
            Self::String => "a text",
            Self::Number => "a number",
            Self::Array => "an array",
            Self::Object => "an object",
        })
    }
}

/// Bytes that are not UTF-8 stay as they are: whoever writes this elsewhere must escape for that place anyway.
fn write_json_text(text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    if out.len() + text.len() > MAX_PRODUCED {
        return Err(Fault::TooLarge);
    }
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 | 0x7F => {
                let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
    Ok(())
}
