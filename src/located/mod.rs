//! Values that know where they were written: the tree a configuration file becomes before anything is
//! decoded from it, the problems found in it, and (`decode`, `schema`) what turns it into typed values.
//!
//! A leaf: it knows neither the syntax the tree was read from nor the documents it holds, so any part of the
//! gateway can decode its own `Spec` from a [`Node`] without naming `config`.

pub mod decode;
pub mod problem;
pub mod schema;

pub use decode::{Bounded, Decode, Elements, Entries, Fields};
pub use problem::{Problem, Problems, nearest};

use std::{fmt, ops::Deref, sync::Arc};

/// Where a value starts in its source.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// A file's path as the user gave it, or a name such as `$RINGWAY_CONFIG`.
    pub file: Arc<str>,
    /// From 1.
    pub line: u32,
    /// From 1, in characters, as editors count.
    pub column: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A value and where it was written.
#[derive(Debug, Clone)]
pub struct Located<T> {
    pub value: T,
    pub origin: Origin,
}

impl<T> Located<T> {
    pub fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }
}

impl<T> Deref for Located<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// One value of the tree.
#[derive(Debug, Clone)]
pub struct Node {
    pub value: Value,
    pub origin: Origin,
}

#[derive(Debug, Clone)]
pub enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Map),
}

/// A scalar keeps its text: whether `yes`, `010` or `1.10` is a string, a number or a truth value is for the
/// field that reads it to say, not for the syntax to guess.
#[derive(Debug, Clone)]
pub struct Scalar {
    pub text: String,
    pub style: Style,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Written bare: may be read as text, number, truth value or null.
    Plain,
    /// Written in quotes or as a block: text.
    Quoted,
    /// Put in from the environment or a secret file: as `Plain`, but never null, and never shown again.
    Substituted,
    /// Could not be replaced, which has been reported: readers pass over it in silence.
    Refused,
}

/// Entries in the order of the source; keys are unique.
#[derive(Debug, Clone, Default)]
pub struct Map {
    pub entries: Vec<(Located<String>, Node)>,
}

impl Map {
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries
            .iter()
            .find(|(name, _)| name.value == key)
            .map(|(_, node)| node)
    }

    pub fn key(&self, key: &str) -> Option<&Located<String>> {
        self.entries
            .iter()
            .find(|(name, _)| name.value == key)
            .map(|(name, _)| name)
    }
}

impl Node {
    pub fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The member `key` of a mapping; None for anything else.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map().and_then(|map| map.get(key))
    }

    /// The text of a scalar that isn't null.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) if !self.is_null() => Some(&scalar.text),
            _ => None,
        }
    }

    /// The YAML 1.2 core schema's spellings of null, written bare.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(Scalar { text, style: Style::Plain })
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// A problem of it was reported already.
    pub fn is_refused(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.style == Style::Refused)
    }

    /// What the value is, with its article, for "must be …, not …".
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Map(_) => "a mapping".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Scalar(_) if self.is_null() => "null".to_owned(),
            Value::Scalar(scalar) => match scalar.style {
                // A substituted value may be a secret; a problem is printed and logged.
                Style::Substituted | Style::Refused => "the substituted value".to_owned(),
                Style::Quoted => format!("the text {:?}", shorten(&scalar.text)),
                Style::Plain => format!("`{}`", shorten(&scalar.text)),
            },
        }
    }
}

/// A problem is one line: long or multi-line values are cut.
fn shorten(text: &str) -> String {
    let line = text.lines().next().unwrap_or("");
    let short: String = line.chars().take(SHOWN_CHARACTERS).collect();
    if short.len() < text.len() {
        format!("{short}…")
    } else {
        short
    }
}

const SHOWN_CHARACTERS: usize = 60;

#[cfg(test)]
mod tests;
