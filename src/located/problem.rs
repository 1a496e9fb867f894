//! Problems, collected: a decoder reports what is wrong and goes on, so that a user mends a file once.

use super::Origin;
use std::fmt::{self, Write};

/// One mistake: where, in which object, at which path, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub origin: Option<Origin>,
    /// `Kind/name`; empty outside of any object.
    pub object: String,
    /// `spec.services.orders.address`; empty for the object as a whole.
    pub path: String,
    pub message: String,
}

impl Problem {
    /// A problem of the whole start, such as a folder that can't be read.
    pub fn general(message: impl Into<String>) -> Self {
        Self {
            origin: None,
            object: String::new(),
            path: String::new(),
            message: message.into(),
        }
    }
}

/// `file:line:column: Kind/name: path: message`, leaving out what there is not. One line whatever the source
/// holds: control characters are written as escapes, which also keeps them from a terminal.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write_escaped(f, &origin.file)?;
            write!(f, ":{}:{}: ", origin.line, origin.column)?;
        }
        for part in [&self.object, &self.path] {
            if !part.is_empty() {
                write_escaped(f, part)?;
                f.write_str(": ")?;
            }
        }
        write_escaped(f, &self.message)
    }
}

fn write_escaped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for character in text.chars() {
        if character.is_control() {
            write!(f, "{}", character.escape_default())?;
        } else {
            f.write_char(character)?;
        }
    }
    Ok(())
}

/// The list being filled, and the path of the value being read.
#[derive(Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
    object: String,
    path: String,
}

impl Problems {
    /// From here on problems belong to `object` (`Kind/name`), path empty.
    pub fn set_object(&mut self, object: impl Into<String>) {
        self.object = object.into();
        self.path.clear();
    }

    /// Reads a member: `key` is part of the path meanwhile.
    pub fn within<T>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(key);
        let value = read(self);
        self.path.truncate(length);
        value
    }

    /// Reads a list's element: `[index]` is part of the path meanwhile.
    pub fn within_element<T>(&mut self, index: usize, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        self.path.push_str(&format!("[{index}]"));
        let value = read(self);
        self.path.truncate(length);
        value
    }

    /// Reports at the current path.
    pub fn report(&mut self, origin: &Origin, message: impl Into<String>) {
        self.list.push(Problem {
            origin: Some(origin.clone()),
            object: self.object.clone(),
            path: self.path.clone(),
            message: message.into(),
        });
    }

    /// Reports for an object and path known to the caller, as the checks across objects do.
    pub fn report_at(&mut self, origin: &Origin, object: &str, path: &str, message: impl Into<String>) {
        self.list.push(Problem {
            origin: Some(origin.clone()),
            object: object.to_owned(),
            path: path.to_owned(),
            message: message.into(),
        });
    }

    pub fn push(&mut self, problem: Problem) {
        self.list.push(problem);
    }

    /// Whether anything was reported of this object.
    pub fn concern(&self, object: &str) -> bool {
        self.list.iter().any(|problem| problem.object == object)
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The current path, for values that are checked later.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn into_list(self) -> Vec<Problem> {
        self.list
    }
}

/// The valid name a user most likely meant, if one is near: at most a third of its letters differ (swapped
/// neighbours count once, case not at all). Farther than that a guess misleads more than it helps.
pub fn nearest<'a>(written: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = written.to_lowercase();
    valid
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| distance * 3 <= name.chars().count().max(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// "; did you mean `x`?", or the list of what is valid when nothing is near and the list is short.
pub fn advice(written: &str, valid: &[&str]) -> String {
    match nearest(written, valid.iter().copied()) {
        Some(name) => format!("; did you mean `{name}`?"),
        None if valid.is_empty() => String::new(),
        None if valid.len() <= LISTED_NAMES => format!("; valid: {}", valid.join(", ")),
        None => String::new(),
    }
}

const LISTED_NAMES: usize = 16;
