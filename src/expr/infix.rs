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
    let chain =
        |left: Expr, right: Expr, open: fn(Kind) -> Result<Vec<Expr>, Kind>, close: fn(Vec<Expr>) -> Kind| {
            // `(a and b) and c` may be one chain as well: the value and the order are the same.
            let (left_at, grouped) = (left.at, left.grouped);
            let mut all = match open(left.kind) {
                Ok(all) => all,
                Err(kind) => {
                    let mut left = Expr::new(left_at, kind)?;
                    left.grouped = grouped;
                    vec![left]
                }
            };
            all.push(right);
            Expr::new(at, close(all))
        };
    let kind = match infix {
        Infix::And => {
            let open = |kind| match kind {
                Kind::And(all) => Ok(all),
                kind => Err(kind),
            };
            return chain(left, right, open, Kind::And);
        }
        Infix::Or => {
            let open = |kind| match kind {
                Kind::Or(all) => Ok(all),
                kind => Err(kind),
            };
            return chain(left, right, open, Kind::Or);
        }
        Infix::Concat => {
            let open = |kind| match kind {
                Kind::Concat(all) => Ok(all),
                kind => Err(kind),
            };
            return chain(left, right, open, Kind::Concat);
        }
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
