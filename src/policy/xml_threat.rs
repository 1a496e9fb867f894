//! `xml-threat-protection-flex`: bodies that are XML, are well-formed, declare no document type and are within limits.
//!
//! Looked at is what a type says is XML, and what has no type unless it begins like JSON or other text.

mod names;
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
    /// Configuration of `xml-threat-protection-flex`.
    pub(super) struct XmlThreatSpec {
        /// Elements within each other; the root is one. Default -1, which is no limit, as below.
        optional "maxNodeDepth" depth: Limit,
        /// Attributes of one element, without those that declare namespaces.
        optional "maxAttributeCountPerElement" attributes: Limit,
        /// Elements, comments and processing instructions directly within one element.
        optional "maxChildCount" children: Limit,
        /// Characters of a text up to the next markup, CDATA sections included.
        optional "maxTextLength" text: Limit,
        /// Characters of an attribute's value.
        optional "maxAttributeLength" attribute: Limit,
        /// Characters of a comment.
        optional "maxCommentLength" comment: Limit,
    }
}

#[derive(Debug)]
pub struct XmlThreat {
    limits: Limits,
}

impl XmlThreat {
    pub(super) fn new(spec: &XmlThreatSpec) -> Self {
        Self {
            limits: Limits {
                depth: content::limit(spec.depth),
                attributes: content::limit(spec.attributes),
                children: content::limit(spec.children),
                text: content::limit(spec.text),
                attribute: content::limit(spec.attribute),
                comment: content::limit(spec.comment),
            },
        }
    }

    pub(super) fn on_request(&self, request: &Request<'_>) -> Step {
        let (media, body) = match content::of(request, Media::Xml) {
            Ok(found) => found,
            Err(step) => return step,
        };
        // XML begins with `<`, or with the bytes of another encoding, which are no ASCII.
        let other = |first: u8| first.is_ascii_graphic() && first != b'<';
        if media == Media::Unknown && content::first(body).is_some_and(other) {
            return Step::Continue;
        }
        match scan::scan(body, &self.limits) {
            Ok(()) => Step::Continue,
            Err(threat) => Refusal::new(Kind::Rejected, threat.detail()).into(),
        }
    }
}
