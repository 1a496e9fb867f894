//! Names → what they stand for, within a [`Scope`]. A name that is unknown, or has no value where the expression
//! stands, is an error at load: evaluated, it would be a null that decides something.

use super::ast::{self, Expr};
use super::node::{Kind, Node, Uses};
use super::tree::Tree;
use super::view::{Attribute, Authentication, ClientCertificate};
use super::{ParseError, Scope, nearest};

/// # Errors
/// The first name that the scope does not have.
pub(super) fn check(expr: Expr, scope: &Scope) -> Result<(Node, Uses), ParseError> {
    let mut checker = Checker {
        scope,
        uses: Uses::default(),
    };
    let node = checker.node(expr)?;
    Ok((node, checker.uses))
}

struct Checker<'s> {
    scope: &'s Scope,
    uses: Uses,
}

/// A variable, as far as its selectors have been followed.
enum Place {
    Attributes,
    Headers,
    QueryParams,
    /// `attributes.tls` and `attributes.clientCertificate`.
    Tls,
    ClientCertificate,
    Authentication,
    Payload,
    /// The beginning of the names of several `vars`.
    Vars(String),
    Value(Kind),
}

impl Checker<'_> {
    fn node(&mut self, expr: Expr) -> Result<Node, ParseError> {
        let at = expr.at;
        let kind = match self.place(expr)? {
            Place::Value(kind) => kind,
            Place::Headers => {
                self.uses.headers = true;
                Kind::Headers
            }
            Place::QueryParams => Kind::QueryParams,
            Place::Payload => {
                self.uses.payload = true;
                Kind::Payload
            }
            Place::Attributes => {
                return Err(ParseError::new(
                    at,
                    format!(
                        "`attributes` is no value of its own; it has {}",
                        self.attributes()
                    ),
                ));
            }
            Place::Tls | Place::ClientCertificate => {
                return Err(ParseError::new(
                    at,
                    format!(
                        "this is no value of its own; there are {}, {}",
                        names(Attribute::OF_TLS.map(|(name, _)| format!("attributes.tls.{name}"))),
                        names(
                            ClientCertificate::ALL
                                .map(|(name, _)| format!("attributes.clientCertificate.{name}"))
                        ),
                    ),
                ));
            }
            Place::Authentication => {
                let all = names(Authentication::ALL.map(|(name, _)| name));
                return Err(ParseError::new(
                    at,
                    format!("`authentication` is no value of its own; it has {all}"),
                ));
            }
            Place::Vars(path) => {
                let below = self.scope.vars.iter().filter(|name| is_below(name, &path));
                let all = names(below.map(|name| format!("vars.{name}")));
                return Err(ParseError::new(
                    at,
                    format!("this is no value of its own; there are {all}"),
                ));
            }
        };
        Ok(Node { kind, at })
    }

    fn place(&mut self, expr: Expr) -> Result<Place, ParseError> {
        let at = expr.at;
        Ok(Place::Value(match expr.kind {
            ast::Kind::Name(name) => return self.variable(at, &name),
            ast::Kind::Select(base, selector) => return self.select(*base, *selector, at),
            ast::Kind::Null => Kind::Constant(Tree::Null),
            ast::Kind::Boolean(value) => Kind::Constant(Tree::Boolean(value)),
            ast::Kind::Number(value) => Kind::Constant(Tree::Number(value)),
            ast::Kind::Text(text) => Kind::Constant(Tree::string(text)),
            ast::Kind::List(all) => list(self.nodes(all)?),
            ast::Kind::Not(operand) => Kind::Not(self.boxed(*operand)?),
            ast::Kind::And(all) => Kind::And(self.nodes(all)?),
            ast::Kind::Or(all) => Kind::Or(self.nodes(all)?),
            ast::Kind::Concat(all) => Kind::Concat(self.nodes(all)?),
            ast::Kind::Compare(how, left, right) => {
                Kind::Compare(how, self.boxed(*left)?, self.boxed(*right)?)
            }
            ast::Kind::Default(left, right) => Kind::Default(self.boxed(*left)?, self.boxed(*right)?),
            ast::Kind::Remove(left, right) => Kind::Remove(self.boxed(*left)?, self.boxed(*right)?),
            ast::Kind::If(all) => {
                let [condition, then, otherwise] = *all;
                Kind::If(Box::new([
                    self.node(condition)?,
                    self.node(then)?,
                    self.node(otherwise)?,
                ]))
            }
            ast::Kind::Call(function, arguments) => Kind::Call(function, self.nodes(arguments)?),
        }))
    }

    fn variable(&self, at: usize, name: &str) -> Result<Place, ParseError> {
        let missing = |what: &str| ParseError::new(at, format!("there is no `{name}` here: {what}"));
        match name {
            "attributes" if self.scope.request || self.scope.response => Ok(Place::Attributes),
            "attributes" => Err(missing("this is evaluated before there is a request")),
            "authentication" if self.scope.authentication => Ok(Place::Authentication),
            "authentication" => Err(missing("nobody has been authenticated where this is evaluated")),
            "payload" if self.scope.payload => Ok(Place::Payload),
            "payload" => Err(missing("this is evaluated without the body")),
            "vars" if !self.scope.vars.is_empty() => Ok(Place::Vars(String::new())),
            "vars" => Err(missing("this has no variables of its own")),
            _ => {
                let all = ["attributes", "authentication", "payload", "vars"];
                let meant = match nearest(name, all) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("there are {}, and text stands in quotes", names(all)),
                };
                Err(ParseError::new(
                    at,
                    format!("there is no variable `{name}`: {meant}"),
                ))
            }
        }
    }

    fn select(&mut self, base: Expr, selector: Expr, at: usize) -> Result<Place, ParseError> {
        let base_at = base.at;
        let base = self.place(base)?;
        let key = match &selector.kind {
            ast::Kind::Text(text) => Some(text.clone()),
            _ => None,
        };
        let key_at = selector.at;
        let kind = match (base, key) {
            (Place::Attributes, Some(name)) => return self.attribute(key_at, &name),
            (Place::Authentication, Some(name)) => {
                self.uses.authentication = true;
                Kind::Authentication(self.authentication(key_at, &name)?)
            }
            (Place::Tls, Some(name)) => {
                Kind::Text(known(&Attribute::OF_TLS, "attributes.tls", key_at, &name)?)
            }
            (Place::ClientCertificate, Some(name)) => {
                let all = &ClientCertificate::ALL;
                Kind::ClientCertificate(known(all, "attributes.clientCertificate", key_at, &name)?)
            }
            (Place::Vars(path), Some(name)) => return self.var(key_at, &path, &name),
            (
                Place::Attributes
                | Place::Tls
                | Place::ClientCertificate
                | Place::Authentication
                | Place::Vars(_),
                None,
            ) => {
                return Err(ParseError::new(
                    key_at,
                    "which one must stand here as text: it is looked up when this is loaded",
                ));
            }
            (Place::Headers, Some(name)) => {
                self.uses.headers = true;
                if name.is_empty() || !name.bytes().all(is_token) {
                    return Err(ParseError::new(
                        key_at,
                        format!("{name:?} is not a header name, no message can have it"),
                    ));
                }
                Kind::Header(name.to_ascii_lowercase().into())
            }
            (Place::Headers, None) => {
                self.uses.headers = true;
                Kind::HeaderNamed(self.boxed(selector)?)
            }
            (Place::QueryParams, Some(name)) => Kind::QueryParam(name.into_bytes().into()),
            (Place::QueryParams, None) => Kind::QueryParamNamed(self.boxed(selector)?),
            (Place::Payload, key) => {
                self.uses.payload = true;
                self.uses.payload_tree = true;
                let payload = Node {
                    kind: Kind::PayloadTree,
                    at: base_at,
                };
                return self.of_value(payload, key, selector);
            }
            (Place::Value(kind), key) => {
                // Of a chain of selectors, the value selected from ends where the next begins.
                let base = Node { kind, at };
                return self.of_value(base, key, selector);
            }
        };
        Ok(Place::Value(kind))
    }

    fn of_value(&mut self, base: Node, key: Option<String>, selector: Expr) -> Result<Place, ParseError> {
        let base = Box::new(base);
        Ok(Place::Value(match key {
            Some(name) => Kind::Key(base, name.into_bytes().into()),
            None => Kind::Select(base, self.boxed(selector)?),
        }))
    }

    fn attribute(&mut self, at: usize, name: &str) -> Result<Place, ParseError> {
        let of_request = |found: Place, uses: &mut Uses, scope: &Scope| {
            uses.request = true;
            if scope.request {
                Ok(found)
            } else {
                Err(ParseError::new(
                    at,
                    format!(
                        "`attributes.{name}` is known of requests only, and this is evaluated on the response"
                    ),
                ))
            }
        };
        match name {
            "headers" => Ok(Place::Headers),
            "queryParams" => of_request(Place::QueryParams, &mut self.uses, self.scope),
            "tls" => of_request(Place::Tls, &mut self.uses, self.scope),
            "clientCertificate" => of_request(Place::ClientCertificate, &mut self.uses, self.scope),
            "statusCode" => {
                self.uses.response = true;
                if !self.scope.response {
                    return Err(ParseError::new(
                        at,
                        "`attributes.statusCode` is known of responses only, and this is evaluated on the request",
                    ));
                }
                Ok(Place::Value(Kind::StatusCode))
            }
            _ => match Attribute::ALL.iter().find(|(known, _)| *known == name) {
                Some((_, attribute)) => {
                    of_request(Place::Value(Kind::Text(*attribute)), &mut self.uses, self.scope)
                }
                None => {
                    let all = (Attribute::ALL.iter().map(|(name, _)| *name)).chain([
                        "headers",
                        "queryParams",
                        "tls",
                        "clientCertificate",
                        "statusCode",
                    ]);
                    let meant = match nearest(name, all) {
                        Some(meant) => format!("did you mean `attributes.{meant}`?"),
                        None => format!("there are {}", self.attributes()),
                    };
                    Err(ParseError::new(
                        at,
                        format!("there is no `attributes.{name}`: {meant}"),
                    ))
                }
            },
        }
    }

    fn authentication(&self, at: usize, name: &str) -> Result<Authentication, ParseError> {
        if let Some((_, field)) = Authentication::ALL.iter().find(|(known, _)| *known == name) {
            return Ok(*field);
        }
        let all = Authentication::ALL.map(|(name, _)| name);
        let meant = match nearest(name, all) {
            Some(meant) => format!("did you mean `authentication.{meant}`?"),
            None => format!(
                "there are {}; what a policy found out is in `authentication.properties`",
                names(all)
            ),
        };
        Err(ParseError::new(
            at,
            format!("there is no `authentication.{name}`: {meant}"),
        ))
    }

    fn var(&self, at: usize, path: &str, name: &str) -> Result<Place, ParseError> {
        let path = if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        };
        if let Some(found) = self.scope.vars.iter().find(|known| **known == path) {
            return Ok(Place::Value(Kind::Var(found)));
        }
        if self.scope.vars.iter().any(|known| is_below(known, &path)) {
            return Ok(Place::Vars(path));
        }
        let all = self.scope.vars.iter().copied();
        let meant = match nearest(&path, all.clone()) {
            Some(meant) => format!("did you mean `vars.{meant}`?"),
            None => format!("there are {}", names(all.map(|name| format!("vars.{name}")))),
        };
        Err(ParseError::new(at, format!("there is no `vars.{path}`: {meant}")))
    }

    /// The attributes there are in this scope.
    fn attributes(&self) -> String {
        let of_request = (Attribute::ALL.iter().map(|(name, _)| *name))
            .chain(["queryParams", "tls", "clientCertificate"])
            .filter(|_| self.scope.request);
        let of_response = Some("statusCode").filter(|_| self.scope.response);
        names(["headers"].into_iter().chain(of_request).chain(of_response))
    }

    fn nodes(&mut self, all: Vec<Expr>) -> Result<Vec<Node>, ParseError> {
        all.into_iter().map(|expr| self.node(expr)).collect()
    }

    fn boxed(&mut self, expr: Expr) -> Result<Box<Node>, ParseError> {
        self.node(expr).map(Box::new)
    }
}

/// One of a table's names.
fn known<T: Copy>(all: &[(&'static str, T)], of: &str, at: usize, name: &str) -> Result<T, ParseError> {
    if let Some((_, found)) = all.iter().find(|(known, _)| *known == name) {
        return Ok(*found);
    }
    let meant = match nearest(name, all.iter().map(|(name, _)| *name)) {
        Some(meant) => format!("did you mean `{of}.{meant}`?"),
        None => format!("there are {}", names(all.iter().map(|(name, _)| *name))),
    };
    Err(ParseError::new(at, format!("there is no `{of}.{name}`: {meant}")))
}

/// A list of constants is a constant.
fn list(elements: Vec<Node>) -> Kind {
    if !elements
        .iter()
        .all(|element| matches!(element.kind, Kind::Constant(_)))
    {
        return Kind::List(elements);
    }
    let constants = elements.into_iter().filter_map(|element| match element.kind {
        Kind::Constant(tree) => Some(tree),
        _ => None,
    });
    Kind::Constant(Tree::array(constants.collect()))
}

fn is_below(name: &str, path: &str) -> bool {
    path.is_empty() || name.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'))
}

fn names<S: AsRef<str>>(all: impl IntoIterator<Item = S>) -> String {
    let quoted: Vec<String> = all
        .into_iter()
        .map(|name| format!("`{}`", name.as_ref()))
        .collect();
    quoted.join(", ")
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
