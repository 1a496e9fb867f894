//! An expression as it is evaluated: every name resolved, every constant made.

use super::ast::Comparison;
use super::functions::Function;
use super::tree::Tree;
use super::view::{Attribute, Authentication, ClientCertificate};

#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// For errors: bytes from the start of the template.
    pub(super) at: usize,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// Lists of constants too, so that asking whether one contains something allocates nothing.
    Constant(Tree),
    List(Vec<Node>),
    Text(Attribute),
    StatusCode,
    /// In lower case.
    Header(Box<str>),
    HeaderNamed(Box<Node>),
    Headers,
    QueryParam(Box<[u8]>),
    QueryParamNamed(Box<Node>),
    QueryParams,
    Authentication(Authentication),
    ClientCertificate(ClientCertificate),
    Payload,
    /// The body as JSON.
    PayloadTree,
    Var(&'static str),
    /// Of an object, or of the objects in an array.
    Key(Box<Node>, Box<[u8]>),
    Select(Box<Node>, Box<Node>),
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Concat(Vec<Node>),
    Compare(Comparison, Box<Node>, Box<Node>),
    Default(Box<Node>, Box<Node>),
    Remove(Box<Node>, Box<Node>),
    If(Box<[Node; 3]>),
    Call(Function, Vec<Node>),
}

/// What an expression reads, so that its caller can prepare that and nothing else.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Uses {
    pub(super) request: bool,
    pub(super) response: bool,
    pub(super) headers: bool,
    pub(super) authentication: bool,
    pub(super) payload: bool,
    pub(super) payload_tree: bool,
}
