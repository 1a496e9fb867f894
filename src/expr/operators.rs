//! `==`, `<` and their kin, and `--`.

use super::MAX_DEPTH;
use super::array::Array;
use super::ast::Comparison;
use super::budget::{Budget, Fault, STEP};
use super::functions::has_element;
use super::text::{number_text, parse_number};
use super::value::Value;
use std::borrow::Cow;
use std::cmp::Ordering;

/// Equality never casts. For order the right side is cast to the type of the left, as DataWeave documents.
pub(super) fn compare(
    how: Comparison,
    left: &Value<'_>,
    right: &Value<'_>,
    budget: &mut Budget,
) -> Result<bool, Fault> {
    if matches!(how, Comparison::Equal | Comparison::NotEqual) {
        let equal = left.equals(right, budget, MAX_DEPTH)?;
        return Ok(equal == (how == Comparison::Equal));
    }
    let order = match (left, right) {
        (Value::Number(a), Value::Number(b)) => by_size(*a, *b),
        (Value::Number(a), Value::String(b)) => by_size(*a, parse_number(b).ok_or(Fault::NotANumber)?),
        (Value::String(a), Value::String(b)) => {
            budget.work(a.len().min(b.len()))?;
            a.cmp(b)
        }
        (Value::String(a), Value::Number(b)) => (**a).cmp(number_text(*b).as_slice()),
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        _ => {
            return Err(Fault::NoOrder {
                left: left.kind(),
                right: right.kind(),
            });
        }
    };
    Ok(match how {
        Comparison::Less => order == Ordering::Less,
        Comparison::LessOrEqual => order != Ordering::Greater,
        Comparison::Greater => order == Ordering::Greater,
        _ => order != Ordering::Less,
    })
}

/// Numbers are finite; -0 is 0.
fn by_size(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or(Ordering::Equal)
}

/// `--`: of an array the elements that equal one of the right array; of an object the names in the right array, or what the
/// right object has alike.
pub(super) fn remove<'a>(left: Value<'a>, right: Value<'a>, budget: &mut Budget) -> Result<Value<'a>, Fault> {
    const NAME: &str = "--";
    match (left, right) {
        (Value::Null, _) => Ok(Value::Null),
        (Value::Array(left), Value::Array(right)) => {
            let mut kept = left.into_values(budget)?;
            let mut failed = Ok(());
            kept.retain(|value| {
                if failed.is_err() {
                    return false;
                }
                match has_element(&right, value, budget) {
                    Ok(removed) => !removed,
                    Err(fault) => {
                        failed = Err(fault);
                        false
                    }
                }
            });
            failed?;
            Ok(Value::Array(Array::from_values(kept)))
        }
        (Value::Object(left), Value::Array(names)) => left
            .filtered(budget, |name, _, budget| {
                let name = Value::String(Cow::Borrowed(name));
                has_element(&names, &name, budget).map(|removed| !removed)
            })
            .map(Value::Object),
        (Value::Object(left), Value::Object(right)) => left
            .filtered(budget, |name, value, budget| {
                budget.work(STEP * right.len())?;
                let Some(other) = right.get(name) else {
                    return Ok(true);
                };
                other.equals(value, budget, MAX_DEPTH).map(|equal| !equal)
            })
            .map(Value::Object),
        (Value::Array(_) | Value::Object(_), other) | (other, _) => Err(Fault::WrongType {
            operation: NAME,
            found: other.kind(),
        }),
    }
}
