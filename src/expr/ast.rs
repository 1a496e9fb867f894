//! An expression as written: the parser makes it, `check` turns it into what is evaluated.

use super::functions::Function;
use super::{MAX_DEPTH, ParseError};

#[derive(Debug)]
pub(super) struct Expr {
    pub(super) kind: Kind,
    /// Where a fault in it is reported: bytes from the start of the template.
    pub(super) at: usize,
    /// Of the tree below it, itself included: what bounds all recursion over it, its destructor's too.
    height: usize,
    /// Stands in parentheses.
    pub(super) grouped: bool,
}

#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Boolean(bool),
    Number(f64),
    Text(String),
    /// A variable.
    Name(String),
    List(Vec<Expr>),
    Select(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    /// Two or more: chains of these are wide, not deep, so that a long one is no deep one.
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Concat(Vec<Expr>),
    Compare(Comparison, Box<Expr>, Box<Expr>),
    Default(Box<Expr>, Box<Expr>),
    Remove(Box<Expr>, Box<Expr>),
    /// Condition, value, value otherwise.
    If(Box<[Expr; 3]>),
    Call(Function, Vec<Expr>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Expr {
    /// # Errors
    /// When it would be deeper than [`MAX_DEPTH`].
    pub(super) fn new(at: usize, kind: Kind) -> Result<Self, ParseError> {
        let height = 1 + kind.children().map(|child| child.height).max().unwrap_or(0);
        if height > MAX_DEPTH {
            return Err(ParseError::too_deep(at));
        }
        Ok(Self {
            kind,
            at,
            height,
            grouped: false,
        })
    }

    /// A chain with one operand more. Looks at that one alone, so that a long chain takes no quadratic time.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub(super) fn with_operand(mut self, at: usize, operand: Self) -> Result<Self, ParseError> {
        self.height = self.height.max(operand.height + 1);
        if self.height > MAX_DEPTH {
            return Err(ParseError::too_deep(at));
        }
        if let Kind::And(all) | Kind::Or(all) | Kind::Concat(all) = &mut self.kind {
            all.push(operand);
        }
        self.at = at;
        self.grouped = false;
        Ok(self)
    }

    /// Reads as true or false, whatever it is made of; parentheses make it one operand.
    pub(super) fn is_bare_condition(&self) -> bool {
        let condition = matches!(
            self.kind,
            Kind::Not(_) | Kind::And(_) | Kind::Or(_) | Kind::Compare(..)
        );
        condition && !self.grouped
    }
}

impl Kind {
    fn children(&self) -> impl Iterator<Item = &Expr> {
        let (many, pair): (&[Expr], [Option<&Expr>; 2]) = match self {
            Self::Null | Self::Boolean(_) | Self::Number(_) | Self::Text(_) | Self::Name(_) => {
                (&[], [None, None])
            }
            Self::List(all) | Self::And(all) | Self::Or(all) | Self::Concat(all) | Self::Call(_, all) => {
                (all, [None, None])
            }
            Self::If(all) => (&all[..], [None, None]),
            Self::Not(one) => (&[], [Some(one), None]),
            Self::Select(a, b) | Self::Compare(_, a, b) | Self::Default(a, b) | Self::Remove(a, b) => {
                (&[], [Some(a), Some(b)])
            }
        };
        many.iter().chain(pair.into_iter().flatten())
    }
}
