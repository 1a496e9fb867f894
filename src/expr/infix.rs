//! What stands between two operands: how tightly it binds, and what becomes of them. The precedence is DataWeave's, its
//! traps included: what evaluates on both must come to the same.

use super::ParseError;
use super::ast::{Comparison, Expr, Kind};
use super::functions::Function;

/// How tightly an operator binds its operands, loosest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Any,
    /// `default`, `++`, `--` and functions between their arguments, from left to right.
    Function,
    Or,
    And,
    Equality,
    Relation,
    Operand,
}

impl Level {
    /// What the right operand of a left-associative operator must exceed.
    pub(super) fn tighter(self) -> Self {
        match self {
            Self::Any => Self::Function,
            Self::Function => Self::Or,
            Self::Or => Self::And,
            Self::And => Self::Equality,
            Self::Equality => Self::Relation,
            Self::Relation | Self::Operand => Self::Operand,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Infix {
    Default,
    Concat,
    Remove,
    Call(Function),
    Or,
    And,
    Compare(Comparison),
}

impl Infix {
    pub(super) fn level(self) -> Level {
        match self {
            Self::Default | Self::Concat | Self::Remove | Self::Call(_) => Level::Function,
            Self::Or => Level::Or,
            Self::And => Level::And,
            Self::Compare(Comparison::Equal | Comparison::NotEqual) => Level::Equality,
            Self::Compare(_) => Level::Relation,
        }
    }
}

/// `left infix right`.
///
/// # Errors
/// When it would be too deep, or is sure to be misread.
pub(super) fn join(at: usize, infix: Infix, left: Expr, right: Expr) -> Result<Expr, ParseError> {
    let continues = matches!(
        (infix, &left.kind),
        (Infix::And, Kind::And(_)) | (Infix::Or, Kind::Or(_)) | (Infix::Concat, Kind::Concat(_))
    );
    if continues {
        // `(a and b) and c` as well: the value and the order are the same.
        return left.with_operand(at, right);
    }
    let kind = match infix {
        Infix::And => Kind::And(vec![left, right]),
        Infix::Or => Kind::Or(vec![left, right]),
        Infix::Concat => Kind::Concat(vec![left, right]),
        Infix::Call(function) => {
            if left.is_bare_condition() || right.is_bare_condition() {
                let name = function.name();
                return Err(ParseError::new(
                    at,
                    format!(
                        "`{name}` binds more loosely than `and`, `or`, `not` and comparisons, so that this is not read as it looks: \
                         put parentheses round it, `(… {name} …)`"
                    ),
                ));
            }
            Kind::Call(function, vec![left, right])
        }
        Infix::Default => Kind::Default(Box::new(left), Box::new(right)),
        Infix::Remove => Kind::Remove(Box::new(left), Box::new(right)),
        Infix::Compare(comparison) => Kind::Compare(comparison, Box::new(left), Box::new(right)),
    };
    Expr::new(at, kind)
}
