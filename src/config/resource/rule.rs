//! A rule as written: what a request must be like.

use crate::{
    located::{Decode, Entries, Located, Node, Origin, Problems, schema::Definitions},
    object, route,
};
use std::{cell::Cell, fmt, rc::Rc};

object! {
    /// Anchored regular expressions that must all match; what is left out matches everything.
    pub(crate) struct RuleSpec {
        /// The request's path without the API's base path. Its capture groups, joined, are what is forwarded.
        optional "path" path: Located<String>,
        /// The request's method.
        optional "methods" methods: Located<String>,
        /// The request's `Host`.
        optional "host" host: Located<String>,
        /// Header names, each with an expression that one of its values must match.
        optional "headers" headers: Entries<Located<String>>,
    }
}

/// A rule as written, and compiled.
#[derive(Clone)]
pub(crate) struct Rule {
    pub(crate) spec: RuleSpec,
    /// Compiling is the dear part of a load, so it is done once, where its problems have their place; whoever
    /// builds the snapshot takes it out.
    compiled: Rc<Cell<Option<route::Rule>>>,
}

impl Rule {
    /// None when it was taken before.
    pub(crate) fn take(&self) -> Option<route::Rule> {
        self.compiled.take()
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.spec, f)
    }
}

impl Decode for Rule {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let spec = RuleSpec::decode(node, problems)?;
        let rule = compile(&spec, &node.origin, problems);
        // A part that could not be read was left out of what was compiled.
        let compiled = rule.filter(|_| problems.len() == before)?;
        Some(Self {
            spec,
            compiled: Rc::new(Cell::new(Some(compiled))),
        })
    }

    fn schema(definitions: &mut Definitions) -> serde_json::Value {
        RuleSpec::schema(definitions)
    }
}

fn compile(spec: &RuleSpec, origin: &Origin, problems: &mut Problems) -> Option<route::Rule> {
    let headers = spec.headers.as_ref().map_or(&[][..], |headers| &headers.0);
    let source = route::RuleSource {
        path: text(spec.path.as_ref()),
        methods: text(spec.methods.as_ref()),
        host: text(spec.host.as_ref()),
        headers: headers
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect(),
    };
    let errors = match route::Rule::compile(&source) {
        Ok(rule) => return Some(rule),
        Err(errors) => errors,
    };
    for error in errors {
        let (key, place) = match &error.field {
            route::RuleField::Path => ("path".to_owned(), place(spec.path.as_ref())),
            route::RuleField::Methods => ("methods".to_owned(), place(spec.methods.as_ref())),
            route::RuleField::Host => ("host".to_owned(), place(spec.host.as_ref())),
            route::RuleField::Header(name) => {
                let found = headers
                    .iter()
                    .find(|(written, _)| written.eq_ignore_ascii_case(name));
                (format!("headers.{name}"), found.map(|(_, text)| &text.origin))
            }
        };
        problems.within(&key, |problems| {
            problems.report(place.unwrap_or(origin), error.message)
        });
    }
    None
}

fn place(written: Option<&Located<String>>) -> Option<&Origin> {
    written.map(|text| &text.origin)
}

fn text(written: Option<&Located<String>>) -> Option<&str> {
    written.map(|text| text.as_str())
}
