//! What one evaluation may cost. An expression has no loops, so its own length bounds its steps; what a step costs depends on
//! what clients send, and on how often an author uses it. These bound the product.

use super::value::Type;
use std::fmt;

/// Bytes that one evaluation may make: texts that are joined or decoded, elements of new lists. Beyond it is an error. Enough
/// for a body of 1 MiB in capital letters, of which some are three times as long.
pub const MAX_PRODUCED: usize = 4 * 1024 * 1024;

/// Bytes that one evaluation may look at; each step and each element that is compared counts as [`STEP`]. Sixteen times a
/// body of the largest size that is buffered; the slowest way to spend it takes some 20 ms.
pub const MAX_WORK: usize = 16 * 1024 * 1024;

/// What a step counts as, in bytes looked at.
pub(super) const STEP: usize = 16;

/// Why an evaluation has no value. None of them holds a part of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An operator or function has no meaning for a value of this type.
    WrongType { operation: &'static str, found: Type },
    /// Two types that can't be compared by order.
    NoOrder { left: Type, right: Type },
    /// A text stands where a number is compared, and is none.
    NotANumber,
    /// Only `true` and `false` are conditions.
    NotACondition(Type),
    /// An index with a fraction, or past what a list can hold.
    NotAnIndex,
    /// More than [`MAX_PRODUCED`].
    TooLarge,
    /// More than [`MAX_WORK`].
    TooMuchWork,
    /// A value from outside is nested deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    TooDeep,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongType {
                operation,
                found: Type::Null,
            } => write!(
                f,
                "`{operation}` has no meaning for null; `default` gives a value in its place"
            ),
            Self::WrongType { operation, found } => write!(f, "`{operation}` has no meaning for {found}"),
            Self::NoOrder { left, right } => write!(f, "there is no order between {left} and {right}"),
            Self::NotANumber => f.write_str("a text is compared with a number and is none"),
            Self::NotACondition(found) => write!(f, "a condition is true or false, not {found}"),
            Self::NotAnIndex => f.write_str("an index is a whole number"),
            Self::TooLarge => write!(f, "more than {MAX_PRODUCED} bytes would be made"),
            Self::TooMuchWork => write!(f, "more than {MAX_WORK} bytes would have to be looked at"),
            Self::TooDeep => write!(f, "a value is nested deeper than {} levels", super::MAX_DEPTH),
        }
    }
}

pub(super) struct Budget {
    work: usize,
    produced: usize,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self {
            work: MAX_WORK,
            produced: MAX_PRODUCED,
        }
    }

    /// Before `bytes` are looked at.
    pub(super) fn work(&mut self, bytes: usize) -> Result<(), Fault> {
        self.work = self.work.checked_sub(bytes).ok_or(Fault::TooMuchWork)?;
        Ok(())
    }

    /// Before `bytes` are allocated.
    pub(super) fn produce(&mut self, bytes: usize) -> Result<(), Fault> {
        self.produced = self.produced.checked_sub(bytes).ok_or(Fault::TooLarge)?;
        Ok(())
    }
}
