//! Text with rules: names of objects, and the path put in front of a forwarded one.

use crate::located::{Decode, Node, Problems, schema::Definitions};
use serde_json::json;

/// A name that is safe in logs, metrics and paths: 1 to 253 letters, digits, `-`, `_`, `.`, the first and last
/// of them a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(String);

impl Name {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_valid(text: &str) -> bool {
        let bytes = text.as_bytes();
        let outer = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        bytes.len() <= MAX_NAME && outer(bytes.first()) && outer(bytes.last()) && bytes.iter().all(inner)
    }
}

impl Decode for Name {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = String::decode(node, problems)?;
        if !Self::is_valid(&text) {
            problems.report(&node.origin, NAME_RULE);
            return None;
        }
        Some(Self(text))
    }

    fn schema(definitions: &mut Definitions) -> serde_json::Value {
        let pattern = "^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$";
        definitions.scalar(json!({ "type": "string", "pattern": pattern, "maxLength": MAX_NAME }))
    }
}

/// What `destinationPath` may be: it becomes part of a request line, so nothing that ends or splits one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DestinationPath(String);

impl DestinationPath {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Decode for DestinationPath {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = String::decode(node, problems)?;
        let fits =
            |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'"' | b'<' | b'>' | b'\\');
        let rule = if !text.is_empty() && !text.starts_with('/') {
            "must start with `/`"
        } else if !text.as_bytes().iter().all(fits) {
            "must be a path alone: visible ASCII without `?`, `#`, quotes, angle brackets and backslashes"
        } else if text.split('/').any(|segment| matches!(segment, "." | "..")) {
            "must not have `.` or `..` segments"
        } else {
            return Some(Self(text));
        };
        problems.report(&node.origin, format!("{rule}, not {}", node.describe()));
        None
    }

    fn schema(definitions: &mut Definitions) -> serde_json::Value {
        definitions.scalar(json!({ "type": "string", "pattern": "^(/[!$-;=@-\\[\\]-~]*)?$" }))
    }
}

const MAX_NAME: usize = 253;

pub(crate) const NAME_RULE: &str =
    "must be 1 to 253 letters, digits, `-`, `_` or `.`, and start and end with a letter or digit";
