//! The `#[…]` expression language of policies: the part of DataWeave that Flex Gateway has, parsed once when the configuration
//! is loaded, evaluated against a [`View`] of one exchange. `docs/expressions.md` is what its users read.
//!
//! ```text
//! text → lexer → parser (ast) → check against a Scope (node) → evaluate with a View → Value
//! ```
//!
//! Nothing is allocated for a value that is a header's, a query parameter's without escapes, a constant, or a part of one of
//! these. What an evaluation may cost is bounded whatever clients send ([`MAX_WORK`], [`MAX_PRODUCED`]); so is the depth of
//! all recursion ([`MAX_DEPTH`]).

mod array;
mod ast;
mod budget;
mod check;
mod evaluate;
mod functions;
mod infix;
mod json;
mod lexer;
mod node;
mod object;
mod operators;
mod parser;
mod query;
mod text;
mod tree;
mod value;
mod view;

#[cfg(test)]
mod tests;

pub use array::Array;
pub use budget::{Fault, MAX_PRODUCED, MAX_WORK};
pub use object::Object;
pub use tree::{Tree, TreeObject};
pub use value::{Type, Value};
pub use view::{Attribute, Authentication, ClientCertificate, View};

use std::borrow::Cow;
use std::fmt;

/// Of an expression with its `#[…]`, in bytes. Of a literal there is no limit.
pub const MAX_LENGTH: usize = 64 * 1024;

/// Of brackets, operators and selectors within each other, and of values from outside that are compared or written. Chains of
/// `and`, `or` and `++` count as one; a group as an operand counts twice. At this depth parsing takes 128 KiB of stack at most
/// and evaluating 96 KiB, of the 2 MiB that a shard has.
pub const MAX_DEPTH: usize = 64;

/// A field of a policy: an expression `#[…]`, or text that stands for itself.
#[derive(Debug)]
pub struct Template(Content);

#[derive(Debug)]
enum Content {
    Literal(Box<str>),
    Expression { root: node::Node, uses: node::Uses },
}

/// What an expression may name; everything else is an error when it is loaded.
#[derive(Debug, Clone, Copy)]
pub struct Scope {
    /// Evaluated on the request: `attributes.method` and the like.
    pub request: bool,
    /// Evaluated on the response: `attributes.statusCode`. Where both are set the expression is evaluated on both, and what
    /// the one at hand has not is null. `attributes.headers` are those of the message at hand.
    pub response: bool,
    pub authentication: bool,
    pub payload: bool,
    /// What may follow `vars.`, dots included (`violation.clientId`); none is the beginning of another. What may be
    /// selected of their values is not known here: `claimSet` allows `vars.claimSet.sub`.
    pub vars: &'static [&'static str],
}

/// Why a template can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// Bytes from the start of the template.
    pub at: usize,
    /// What is wrong and what to write instead, without place.
    pub message: String,
}

/// Why an expression has no value for a message. What then happens is for each policy to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvalError {
    /// Of the operator or function: bytes from the start of the template.
    pub at: usize,
    pub fault: Fault,
}

impl Template {
    /// White space around `#[…]` is none of it; a literal is kept to the byte.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(text: &str, scope: &Scope) -> Result<Self, ParseError> {
        let start = text.len() - text.trim_start().len();
        let trimmed = text.trim();
        let Some(inner) = trimmed.strip_prefix("#[") else {
            return match text.find("#[") {
                None => Ok(Self(Content::Literal(text.into()))),
                Some(at) => Err(ParseError::new(
                    at,
                    "an expression is the whole value, text inside it stands in quotes: `#['text ' ++ attributes.method]`",
                )),
            };
        };
        if trimmed.len() > MAX_LENGTH {
            let message = format!("an expression is at most {MAX_LENGTH} bytes long");
            return Err(ParseError::new(start, message));
        }
        let Some(inner) = inner.strip_suffix(']') else {
            let message = if inner.contains(']') {
                "an expression is the whole value: nothing may follow its `]`; text inside it is joined with `++`"
            } else {
                "this `#[` has no `]`"
            };
            return Err(ParseError::new(start, message));
        };
        let start = start + "#[".len();
        let tokens = lexer::tokens(text, start, start + inner.len())?;
        let (root, uses) = check::check(parser::parse(&tokens)?, scope)?;
        Ok(Self(Content::Expression { root, uses }))
    }

    /// The text, where it is no expression.
    pub fn literal(&self) -> Option<&str> {
        match &self.0 {
            Content::Literal(text) => Some(text),
            Content::Expression { .. } => None,
        }
    }

    /// Whether the body must be there before it is evaluated.
    pub fn needs_payload(&self) -> bool {
        self.uses().payload
    }

    /// Whether something is selected of the body, which therefore has to be read as JSON.
    pub fn needs_parsed_payload(&self) -> bool {
        self.uses().payload_tree
    }

    /// Names what only a request has.
    pub fn uses_request(&self) -> bool {
        self.uses().request
    }

    /// Names what only a response has.
    pub fn uses_response(&self) -> bool {
        self.uses().response
    }

    pub fn uses_headers(&self) -> bool {
        self.uses().headers
    }

    pub fn uses_authentication(&self) -> bool {
        self.uses().authentication
    }

    /// # Errors
    /// Where an operator or function has no meaning for the values it was given, or more than the limits would be used.
    pub fn evaluate<'a, V: View>(&'a self, view: &'a V) -> Result<Value<'a>, EvalError> {
        match &self.0 {
            Content::Literal(text) => Ok(Value::borrowed(&**text)),
            Content::Expression { root, .. } => evaluate::evaluate(root, view),
        }
    }

    /// [`evaluate`](Self::evaluate) cast to text: keys, header values, log messages. May hold any byte, line ends too: a
    /// query parameter's escapes are decoded. Whoever writes it into a message must look.
    ///
    /// # Errors
    /// As for [`evaluate`](Self::evaluate) and [`Value::into_text`].
    pub fn text<'a, V: View>(&'a self, view: &'a V) -> Result<Cow<'a, [u8]>, EvalError> {
        self.evaluate(view)?.into_text()
    }

    /// [`evaluate`](Self::evaluate) as a condition.
    ///
    /// # Errors
    /// As for [`evaluate`](Self::evaluate), and when it comes to something other than true or false.
    pub fn condition<V: View>(&self, view: &V) -> Result<bool, EvalError> {
        self.evaluate(view)?.truth()
    }

    fn uses(&self) -> node::Uses {
        match &self.0 {
            Content::Literal(_) => node::Uses::default(),
            Content::Expression { uses, .. } => *uses,
        }
    }
}

impl Scope {
    /// Attributes of the request, who it is from, and nothing else.
    pub const REQUEST: Self = Self {
        request: true,
        response: false,
        authentication: true,
        payload: false,
        vars: &[],
    };

    pub const RESPONSE: Self = Self {
        request: false,
        response: true,
        ..Self::REQUEST
    };
}

impl ParseError {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
        }
    }

    fn too_deep(at: usize) -> Self {
        let message = format!("more than {MAX_DEPTH} operations within each other: write it flatter");
        Self::new(at, message)
    }
}

impl EvalError {
    /// Of the whole value, behind the last operator.
    fn of_result(fault: Fault) -> Self {
        Self { at: 0, fault }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}: {}", self.at, self.message)
    }
}

impl std::error::Error for ParseError {}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}: {}", self.at, self.fault)
    }
}

impl std::error::Error for EvalError {}

/// The name that was probably meant.
fn nearest<S: AsRef<str>>(written: &str, names: impl IntoIterator<Item = S>) -> Option<S> {
    // Longer ones are no slips, and comparing costs their length times the names'.
    if written.len() > 64 {
        return None;
    }
    let lower = written.to_lowercase();
    let (distance, name) = (names.into_iter())
        .map(|name| {
            let distance = strsim::damerau_levenshtein(&lower, &name.as_ref().to_lowercase());
            (distance, name)
        })
        .min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + written.len() / 4).then_some(name)
}
