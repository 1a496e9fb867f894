//! A rule as written: what a request must be like.

use crate::{
    located::{Decode, Entries, Located, Node, Origin, Problems, schema::Definitions},
    object, route,
};

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

/// A rule and where it stands, which its compilation's problems name.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) spec: RuleSpec,
    origin: Origin,
    path: String,
}

impl Rule {
    pub(crate) fn compile(&self, object: &str, problems: &mut Problems) -> Option<route::Rule> {
        let headers = self.spec.headers.as_ref().map_or(&[][..], |headers| &headers.0);
        let source = route::RuleSource {
            path: self.spec.path.as_ref().map(|text| text.as_str()),
            methods: self.spec.methods.as_ref().map(|text| text.as_str()),
            host: self.spec.host.as_ref().map(|text| text.as_str()),
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
            let (key, origin) = match &error.field {
                route::RuleField::Path => (
                    "path".to_owned(),
                    self.spec.path.as_ref().map(|text| &text.origin),
                ),
                route::RuleField::Methods => (
                    "methods".to_owned(),
                    self.spec.methods.as_ref().map(|text| &text.origin),
                ),
                route::RuleField::Host => (
                    "host".to_owned(),
                    self.spec.host.as_ref().map(|text| &text.origin),
                ),
                route::RuleField::Header(name) => {
                    let found = headers
                        .iter()
                        .find(|(written, _)| written.eq_ignore_ascii_case(name));
                    (format!("headers.{name}"), found.map(|(_, text)| &text.origin))
                }
            };
            let path = format!("{}.{key}", self.path);
            problems.report_at(origin.unwrap_or(&self.origin), object, &path, error.message);
        }
        None
    }
}

impl Decode for Rule {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let spec = RuleSpec::decode(node, problems)?;
        Some(Self {
            spec,
            origin: node.origin.clone(),
            path: problems.path().to_owned(),
        })
    }

    fn schema(definitions: &mut Definitions) -> serde_json::Value {
        RuleSpec::schema(definitions)
    }
}
