//! `json-threat-protection-flex`: bodies that are JSON, are well-formed and within limits.
//!
//! Looked at is what a type says is JSON, and what has no type unless it begins like XML. What has another type is not:
//! an origin that reads it as JSON all the same does what browsers forbid pages to ask for (`text/plain` needs no
//! preflight), and is for an `access-block` with a rule on `content-type`.

mod scan;

#[cfg(test)]
mod tests;

use super::{
    Refusal, Request, Step,
    content::{self, Limit, Media},
};
use crate::{fault::Kind, object};
use scan::Limits;

object! {
    /// Configuration of `json-threat-protection-flex`.
    pub(super) struct JsonThreatSpec {
        /// Objects and arrays within each other; the outermost is one. Default -1, which is no limit, as below.
        optional "maxContainerDepth" depth: Limit,
        /// Entries of one object.
        optional "maxObjectEntryCount" entries: Limit,
        /// Characters of an entry's name.
        optional "maxObjectEntryNameLength" name: Limit,
        /// Elements of one array.
        optional "maxArrayElementCount" elements: Limit,
        /// Characters of a string that is no entry's name.
        optional "maxStringValueLength" string: Limit,
    }
}

#[derive(Debug)]
pub struct JsonThreat {
    limits: Limits,
}

impl JsonThreat {
    pub(super) fn new(spec: &JsonThreatSpec) -> Self {
        Self {
            limits: Limits {
                depth: content::limit(spec.depth),
                entries: content::limit(spec.entries),
                elements: content::limit(spec.elements),
                name: content::limit(spec.name),
                string: content::limit(spec.string),
            },
        }
    }

    pub(super) fn on_request(&self, request: &Request<'_>) -> Step {
        let (media, body) = match content::of(request, Media::Json) {
            Ok(found) => found,
            Err(step) => return step,
        };
        // No reader of JSON takes this for JSON.
        if media == Media::Unknown && content::first(body) == Some(b'<') {
            return Step::Continue;
        }
        match scan::scan(body, &self.limits) {
            Ok(()) => Step::Continue,
            Err(threat) => Refusal::new(Kind::Rejected, threat.detail()).into(),
        }
    }
}
