//! A value of an expression, for one message.

use super::EvalError;
use super::array::Array;
use super::budget::{Budget, Fault, STEP};
use super::node::{Kind, Node};
use super::object::Object;
use super::operators::{compare, remove};
use super::query;
use super::value::{Type, Value};
use super::view::{Attribute, View};
use std::borrow::Cow;

/// Its recursion is as deep as the expression, at most [`MAX_DEPTH`](super::MAX_DEPTH).
pub(super) fn evaluate<'a, V: View>(node: &'a Node, view: &'a V) -> Result<Value<'a>, EvalError> {
    let mut evaluation = Evaluation {
        view,
        budget: Budget::new(),
    };
    evaluation.value(node)
}

struct Evaluation<'a, V> {
    view: &'a V,
    budget: Budget,
}

impl<'a, V: View> Evaluation<'a, V> {
    fn value(&mut self, node: &'a Node) -> Result<Value<'a>, EvalError> {
        let fault = |fault| EvalError { at: node.at, fault };
        self.budget.work(STEP).map_err(fault)?;
        let view = self.view;
        match &node.kind {
            Kind::Constant(tree) => Ok(Value::from(tree)),
            Kind::Text(attribute) => Ok(text_or_null(view.text(*attribute))),
            Kind::StatusCode => Ok(view
                .status_code()
                .map_or(Value::Null, |code| Value::Number(f64::from(code)))),
            Kind::Header(name) => self.header(name).map_err(fault),
            Kind::QueryParam(name) => self.query_param(name).map_err(fault),
            Kind::Authentication(field) => Ok(view.authentication(*field)),
            Kind::ClientCertificate(field) => Ok(view.client_certificate(*field)),
            Kind::Payload => Ok(text_or_null(view.payload().map(Cow::Borrowed))),
            Kind::PayloadTree => Ok(view.payload_tree().map_or(Value::Null, Value::from)),
            Kind::Var(name) => Ok(view.var(name)),
            Kind::Key(base, name) => self.value(base)?.key(name, &mut self.budget).map_err(fault),
            Kind::And(all) => self.all(all, true),
            Kind::Or(all) => self.all(all, false),
            Kind::Not(operand) => Ok(Value::Boolean(!self.condition(operand)?)),
            Kind::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                let chosen = if self.condition(condition)? {
                    then
                } else {
                    otherwise
                };
                self.value(chosen)
            }
            Kind::Default(value, otherwise) => match self.value(value)? {
                Value::Null => self.value(otherwise),
                value => Ok(value),
            },
            Kind::Compare(how, left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                let holds = compare(*how, &left, &right, &mut self.budget).map_err(fault)?;
                Ok(Value::Boolean(holds))
            }
            Kind::Call(function, arguments) => {
                let first = arguments
                    .first()
                    .map_or(Ok(Value::Null), |node| self.value(node))?;
                let second = arguments
                    .get(1)
                    .map_or(Ok(Value::Null), |node| self.value(node))?;
                function
                    .apply(first, second, &mut self.budget, || view.random())
                    .map_err(fault)
            }
            _ => self.larger(node),
        }
    }

    /// Apart from `value`, so that its frame stays small: that is what recursion costs.
    #[inline(never)]
    fn larger(&mut self, node: &'a Node) -> Result<Value<'a>, EvalError> {
        let fault = |fault| EvalError { at: node.at, fault };
        match &node.kind {
            Kind::List(elements) => {
                let size = elements.len() * size_of::<Value<'_>>();
                self.budget.produce(size).map_err(fault)?;
                let values: Result<Vec<_>, _> = elements.iter().map(|element| self.value(element)).collect();
                Ok(Value::Array(Array::from_values(values?)))
            }
            Kind::HeaderNamed(name) => match self.value(name)? {
                Value::Null => Ok(Value::Null),
                name => {
                    let name = name.operand("selecting a header").map_err(fault)?;
                    let name = String::from_utf8_lossy(&name).to_ascii_lowercase();
                    self.header(&name).map_err(fault)
                }
            },
            Kind::QueryParamNamed(name) => match self.value(name)? {
                Value::Null => Ok(Value::Null),
                name => {
                    let name = name.operand("selecting a query parameter").map_err(fault)?;
                    self.query_param(&name).map_err(fault)
                }
            },
            Kind::Headers => self.headers().map_err(fault),
            Kind::QueryParams => self.query_params().map_err(fault),
            Kind::Select(base, selector) => {
                let base = self.value(base)?;
                let selected = match (self.value(selector)?, base.kind()) {
                    (_, Type::Null) => Ok(Value::Null),
                    (Value::Number(index), _) => base.index(index, &mut self.budget),
                    (Value::String(name), _) => base.key(&name, &mut self.budget),
                    (selector, _) => Err(Fault::WrongType {
                        operation: "selecting",
                        found: selector.kind(),
                    }),
                };
                selected.map_err(fault)
            }
            Kind::Concat(all) => self.concat(all, node.at),
            Kind::Remove(left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                remove(left, right, &mut self.budget).map_err(fault)
            }
            // Everything else is `value`'s.
            _ => Ok(Value::Null),
        }
    }

    fn condition(&mut self, node: &'a Node) -> Result<bool, EvalError> {
        let fault = |fault| EvalError { at: node.at, fault };
        self.value(node)?.condition().map_err(fault)
    }

    /// Whether all are true, or (`until` false) any; what follows the one that decides is not evaluated.
    fn all(&mut self, operands: &'a [Node], until: bool) -> Result<Value<'a>, EvalError> {
        for operand in operands {
            if self.condition(operand)? != until {
                return Ok(Value::Boolean(!until));
            }
        }
        Ok(Value::Boolean(until))
    }

    /// Lines of one name are one value, parted by commas (RFC 9110 §5.3): whoever judges the value judges all that the
    /// origin will see, not the one line that a client put first.
    fn header(&mut self, name: &str) -> Result<Value<'a>, Fault> {
        let mut first: Option<&'a [u8]> = None;
        let mut joined: Vec<u8> = Vec::new();
        let budget = &mut self.budget;
        let mut failed = Ok(());
        self.view.header(name, &mut |value| match first {
            None => first = Some(value),
            Some(first) => {
                if joined.is_empty() {
                    failed = failed.and(budget.produce(first.len()));
                    joined.extend_from_slice(first);
                }
                failed = failed.and(budget.produce(value.len() + 2));
                if failed.is_ok() {
                    joined.extend_from_slice(b", ");
                    joined.extend_from_slice(value);
                }
            }
        });
        failed?;
        if !joined.is_empty() {
            return Ok(Value::String(Cow::Owned(joined)));
        }
        Ok(text_or_null(first.map(Cow::Borrowed)))
    }

    /// Names in lower case, each once.
    fn headers(&mut self) -> Result<Value<'a>, Fault> {
        let mut entries: Vec<(Cow<'a, [u8]>, Value<'a>)> = Vec::new();
        let budget = &mut self.budget;
        let mut failed = Ok(());
        self.view.headers(&mut |name, value| {
            if failed.is_ok() {
                failed = add_header(&mut entries, name, value, budget);
            }
        });
        failed?;
        Ok(Value::Object(Object::from_entries(entries)))
    }

    fn query_param(&mut self, name: &[u8]) -> Result<Value<'a>, Fault> {
        let Some(query) = self.view.text(Attribute::QueryString) else {
            return Ok(Value::Null);
        };
        query::param(query, name, &mut self.budget).map(text_or_null)
    }

    fn query_params(&mut self) -> Result<Value<'a>, Fault> {
        let budget = &mut self.budget;
        let mut entries: Vec<(Cow<'a, [u8]>, Value<'a>)> = Vec::new();
        let mut add = |name: Cow<'a, [u8]>, value: Cow<'a, [u8]>, budget: &mut Budget| {
            budget.work(STEP * (1 + entries.len()))?;
            if entries.iter().all(|(known, _)| *known != name) {
                budget.produce(size_of::<(Cow<'_, [u8]>, Value<'_>)>())?;
                entries.push((name, Value::String(value)));
            }
            Ok(())
        };
        match self.view.text(Attribute::QueryString) {
            None => {}
            Some(Cow::Borrowed(query)) => {
                for (name, value) in query::pairs(query) {
                    let (name, value) = (query::decode(name, budget)?, query::decode(value, budget)?);
                    add(name, value, budget)?;
                }
            }
            Some(Cow::Owned(query)) => {
                for (name, value) in query::pairs(&query) {
                    let (name, value) = (query::decode(name, budget)?, query::decode(value, budget)?);
                    budget.produce(name.len() + value.len())?;
                    add(
                        Cow::Owned(name.into_owned()),
                        Cow::Owned(value.into_owned()),
                        budget,
                    )?;
                }
            }
        }
        Ok(Value::Object(Object::from_entries(entries)))
    }

    /// Arrays with arrays, everything else as text. `at` is the operator's.
    fn concat(&mut self, operands: &'a [Node], at: usize) -> Result<Value<'a>, EvalError> {
        let fault = |fault| EvalError { at, fault };
        let mut rest = operands.iter();
        let first = rest.next().map_or(Ok(Value::Null), |node| self.value(node))?;
        if let Value::Array(first) = first {
            let mut values = first.into_values(&mut self.budget).map_err(fault)?;
            for node in rest {
                let next = match self.value(node)? {
                    Value::Array(next) => next.into_values(&mut self.budget),
                    other => Err(Fault::WrongType {
                        operation: "array ++",
                        found: other.kind(),
                    }),
                };
                values.append(&mut next.map_err(fault)?);
            }
            return Ok(Value::Array(Array::from_values(values)));
        }
        let mut text = Vec::with_capacity(LIKELY_TEXT);
        let mut add = |value: Value<'a>, budget: &mut Budget| -> Result<(), Fault> {
            let part = value.operand("++")?;
            budget.produce(part.len())?;
            text.extend_from_slice(&part);
            Ok(())
        };
        add(first, &mut self.budget).map_err(fault)?;
        for node in rest {
            let value = self.value(node)?;
            add(value, &mut self.budget).map_err(fault)?;
        }
        Ok(Value::String(Cow::Owned(text)))
    }
}

/// What a joined text has room for from the start, in bytes.
const LIKELY_TEXT: usize = 64;

fn text_or_null(text: Option<Cow<'_, [u8]>>) -> Value<'_> {
    text.map_or(Value::Null, Value::String)
}

fn add_header<'a>(
    entries: &mut Vec<(Cow<'a, [u8]>, Value<'a>)>,
    name: &'a [u8],
    value: &'a [u8],
    budget: &mut Budget,
) -> Result<(), Fault> {
    budget.work(STEP * (1 + entries.len()))?;
    let known = entries
        .iter_mut()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    if let Some((_, Value::String(before))) = known {
        let grows = if matches!(before, Cow::Owned(_)) {
            0
        } else {
            before.len()
        };
        budget.produce(grows + 2 + value.len())?;
        let before = before.to_mut();
        before.extend_from_slice(b", ");
        before.extend_from_slice(value);
        return Ok(());
    }
    let lower = if name.iter().any(u8::is_ascii_uppercase) {
        budget.produce(name.len())?;
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    };
    budget.produce(size_of::<(Cow<'_, [u8]>, Value<'_>)>())?;
    entries.push((lower, Value::borrowed(value)));
    Ok(())
}
