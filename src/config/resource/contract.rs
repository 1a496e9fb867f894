//! A `Contract`: a client application of one API, its credentials, and how much it may ask for.

use super::name::Name;
use crate::{
    located::{Decode, Located, Node, Problems, schema::Definitions},
    object,
    policy::rate_limit::LimitSpec,
};
use serde_json::json;
use std::fmt;

object! {
    /// A client application that may use an API.
    pub(crate) struct ContractSpec {
        /// The `metadata.name` of an ApiInstance in the contract's namespace.
        required "apiId" api: Located<Name>,
        /// Who it is.
        required "client" client: ContractClientSpec,
        /// How much it may ask for; what `rate-limiting-sla-based-flex` keeps to.
        optional "sla" sla: ContractSlaSpec,
    }
}

object! {
    /// A client application. `$NAME` and `$file:/path` are replaced as in a policy's configuration.
    pub(crate) struct ContractClientSpec {
        /// Its id, unique among those of the API.
        required "id" id: Located<Credential>,
        /// Its secret.
        required "secret" secret: Located<Secret>,
        /// What people call it.
        optional "name" name: String,
    }
}

object! {
    /// A tier of service: all of its limits must have quota for a request to pass.
    pub(crate) struct ContractSlaSpec {
        /// What the tier is called.
        optional "name" name: String,
        /// At least one.
        required "rateLimits" rate_limits: Located<Vec<LimitSpec>>,
    }
}

/// Text that can be sent in a header: not empty, at most 256 bytes, no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credential(String);

impl Credential {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Decode for Credential {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = String::decode(node, problems)?;
        if text.is_empty() || text.len() > MAX_CREDENTIAL || text.chars().any(char::is_control) {
            problems.report(&node.origin, CREDENTIAL_RULE);
            return None;
        }
        Some(Self(text))
    }

    fn schema(definitions: &mut Definitions) -> serde_json::Value {
        definitions.scalar(json!({ "type": "string", "minLength": 1, "maxLength": MAX_CREDENTIAL }))
    }
}

/// The same, never shown.
#[derive(Clone)]
pub(crate) struct Secret(Credential);

impl Secret {
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Decode for Secret {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        Credential::decode(node, problems).map(Self)
    }

    fn schema(definitions: &mut Definitions) -> serde_json::Value {
        Credential::schema(definitions)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

const MAX_CREDENTIAL: usize = 256;
const CREDENTIAL_RULE: &str = "must be 1 to 256 bytes of text without control characters";
