//! The functions there are. What DataWeave documents for null is kept; numbers and truth values are cast to text where a
//! text is wanted, as it does.

use super::array::Array;
use super::budget::{Budget, Fault, STEP};
use super::text::{self, Parts};
use super::value::Value;
use std::borrow::Cow;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Contains,
    Lower,
    SizeOf,
    SplitBy,
    SubstringAfter,
    SubstringAfterLast,
    SubstringBefore,
    SubstringBeforeLast,
    Trim,
    Upper,
    Uuid,
}

/// Name, module, arguments. A function of two may stand between them.
const FUNCTIONS: [(&str, &str, usize, Function); 11] = [
    ("contains", CORE, 2, Function::Contains),
    ("lower", CORE, 1, Function::Lower),
    ("sizeOf", CORE, 1, Function::SizeOf),
    ("splitBy", CORE, 2, Function::SplitBy),
    ("substringAfter", STRINGS, 2, Function::SubstringAfter),
    ("substringAfterLast", STRINGS, 2, Function::SubstringAfterLast),
    ("substringBefore", STRINGS, 2, Function::SubstringBefore),
    ("substringBeforeLast", STRINGS, 2, Function::SubstringBeforeLast),
    ("trim", CORE, 1, Function::Trim),
    ("upper", CORE, 1, Function::Upper),
    ("uuid", CORE, 0, Function::Uuid),
];

const CORE: &str = "dw::Core";
const STRINGS: &str = "dw::core::Strings";

impl Function {
    /// By its name, or its full name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let (module, short) = name.rsplit_once("::").unzip();
        let short = short.unwrap_or(name);
        let row = FUNCTIONS.iter().find(|row| row.0 == short)?;
        module.is_none_or(|module| module == row.1).then_some(row.3)
    }

    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        FUNCTIONS.iter().map(|row| row.0)
    }

    pub(super) fn name(self) -> &'static str {
        self.row().0
    }

    pub(super) fn module(self) -> &'static str {
        self.row().1
    }

    pub(super) fn arity(self) -> usize {
        self.row().2
    }

    fn row(self) -> &'static (&'static str, &'static str, usize, Self) {
        &FUNCTIONS[self as usize]
    }

    /// With as many arguments as it takes; the others are null. `random` is asked by `uuid()` alone.
    pub(super) fn apply<'a>(
        self,
        first: Value<'a>,
        second: Value<'a>,
        budget: &mut Budget,
        random: impl Fn() -> u64,
    ) -> Result<Value<'a>, Fault> {
        let name = self.name();
        match self {
            Self::Contains => contains(first, second, budget).map(Value::Boolean),
            Self::SizeOf => size_of(&first, budget),
            Self::Uuid => {
                budget.produce(UUID_LENGTH)?;
                Ok(Value::String(Cow::Owned(uuid(random(), random()))))
            }
            // The others give null for null.
            _ if first.is_null() => Ok(Value::Null),
            Self::SplitBy => {
                let (text, separator) = (first.operand(name)?, second.operand(name)?);
                Ok(Value::Array(Array::from_parts(Parts::new(text, separator))))
            }
            Self::Lower | Self::Upper => {
                let text = first.operand(name)?;
                budget.work(text.len())?;
                // A letter may become three bytes longer, at most three times as long (U+0390).
                budget.produce(text.len() * if text.is_ascii() { 1 } else { 3 })?;
                let cased = if self == Self::Lower {
                    text::lower
                } else {
                    text::upper
                };
                Ok(Value::String(cased(text)))
            }
            Self::Trim => {
                let text = first.operand(name)?;
                budget.work(text.len())?;
                Ok(Value::String(text::trim(text)))
            }
            Self::SubstringBefore
            | Self::SubstringBeforeLast
            | Self::SubstringAfter
            | Self::SubstringAfterLast => {
                let (text, separator) = (first.operand(name)?, second.operand(name)?);
                budget.work(text.len() + separator.len())?;
                Ok(self.substring(text, &separator))
            }
        }
    }

    /// Empty where the separator is not found. What an empty separator gives is DataWeave's, as documented.
    fn substring<'a>(self, text: Cow<'a, [u8]>, separator: &[u8]) -> Value<'a> {
        let found = match self {
            Self::SubstringBefore | Self::SubstringAfter => text::find(&text, separator),
            Self::SubstringBeforeLast if separator.is_empty() => {
                let last = text::count_characters(&text).saturating_sub(1);
                Some((0..last).fold(0, |at, _| at + text::character_length(&text[at..])))
            }
            Self::SubstringAfterLast if separator.is_empty() => return Value::Null,
            _ => text::find_last(&text, separator),
        };
        let range = match (found, self) {
            (None, _) => return Value::EMPTY,
            (Some(at), Self::SubstringBefore | Self::SubstringBeforeLast) => 0..at,
            (Some(at), _) => at + separator.len()..text.len(),
        };
        Value::String(text::part(text, range))
    }
}

/// Of a text, whether the second is a part of it; of an array, whether an element equals it. Nothing contains anything.
fn contains(all: Value<'_>, what: Value<'_>, budget: &mut Budget) -> Result<bool, Fault> {
    match all {
        Value::Null => Ok(false),
        Value::Array(all) => has_element(&all, &what, budget),
        text => {
            let name = Function::Contains.name();
            let (text, what) = (text.operand(name)?, what.operand(name)?);
            budget.work(text.len() + what.len())?;
            Ok(text::find(&text, &what).is_some())
        }
    }
}

pub(super) fn has_element(all: &Array<'_>, what: &Value<'_>, budget: &mut Budget) -> Result<bool, Fault> {
    budget.work(all.scan_cost())?;
    for element in all.iter() {
        if element.equals(what, budget, super::MAX_DEPTH)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn size_of<'a>(value: &Value<'_>, budget: &mut Budget) -> Result<Value<'a>, Fault> {
    let count = match value {
        Value::Null => return Ok(Value::Null),
        Value::String(text) => {
            budget.work(text.len())?;
            text::count_characters(text)
        }
        Value::Array(array) => {
            budget.work(array.scan_cost())?;
            array.len()
        }
        Value::Object(object) => object.len(),
        other => {
            return Err(Fault::WrongType {
                operation: Function::SizeOf.name(),
                found: other.kind(),
            });
        }
    };
    budget.work(STEP)?;
    // Exact below 2^53.
    Ok(Value::Number(count as f64))
}

const UUID_LENGTH: usize = 36;

/// RFC 9562 §5.4, version 4.
fn uuid(high: u64, low: u64) -> Vec<u8> {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&high.to_be_bytes());
    bytes[8..].copy_from_slice(&low.to_be_bytes());
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    let mut text = Vec::with_capacity(UUID_LENGTH);
    for (n, byte) in bytes.into_iter().enumerate() {
        if matches!(n, 4 | 6 | 8 | 10) {
            text.push(b'-');
        }
        let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
        text.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    text
}
