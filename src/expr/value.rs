//! Values: what an expression comes to.
//!
//! Texts are bytes, since header values need not be UTF-8. A value borrows from the message, the view or the expression as
//! long as nothing has to be made: the parts of a text that is split are found when they are asked for.

use super::EvalError;
use super::array::Array;
use super::budget::{Budget, Fault, STEP};
use super::json;
use super::object::Object;
use super::text::{self, number_text};
use std::borrow::Cow;
use std::fmt;

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Null,
    Boolean,
    String,
    Number,
    Array,
    Object,
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
                let text = json::text(&self).map_err(EvalError::of_result)?;
                Ok(Cow::Owned(text))
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
                budget.work(text.len() * text::PIECE_COST)?;
                Ok(text::character(text, index).map_or(Self::Null, Self::String))
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
    pub(super) fn reborrow(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Boolean(value) => Value::Boolean(*value),
            Self::Number(value) => Value::Number(*value),
            Self::String(text) => Value::String(Cow::Borrowed(text)),
            Self::Array(array) => Value::Array(array.reborrow()),
            Self::Object(object) => Value::Object(object.reborrow()),
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
