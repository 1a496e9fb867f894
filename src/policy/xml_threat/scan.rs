//! One walk along an XML document: is it well-formed, and is it within the limits?
//!
//! quick-xml finds the markup; what it leaves to its callers is checked here: one root, characters, names, attributes,
//! references. No tree is built and nothing recurses; what is remembered is some 20 bytes for an open element and 8 for
//! each attribute of the element at hand.

use super::names::{is_character, is_name};
use crate::policy::content::NameHash;
use quick_xml::{
    Reader,
    events::{BytesRef, Event},
};

/// The most of each; `u32::MAX` where there is no limit, which a body of a megabyte can't reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Elements within each other; the root counts as one.
    pub(super) depth: u32,
    /// Of one element, without those that declare namespaces.
    pub(super) attributes: u32,
    /// Elements, comments and processing instructions directly within one element.
    pub(super) children: u32,
    /// Characters of a text up to the next markup, CDATA sections and references included.
    pub(super) text: u32,
    /// Characters of an attribute's value; a reference is one.
    pub(super) attribute: u32,
    pub(super) comment: u32,
}

#[cfg(test)]
impl Limits {
    pub(super) const NONE: Self = Self {
        depth: u32::MAX,
        attributes: u32::MAX,
        children: u32::MAX,
        text: u32::MAX,
        attribute: u32::MAX,
        comment: u32::MAX,
    };
}

/// Why a document is refused. Says nothing of what stood in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Threat {
    Malformed,
    NotUtf8,
    /// Of any kind: what it declares expands, or reads files and URLs, where it is believed.
    DocumentType,
    /// Of an entity that is not one of XML's five; without a document type there is no other.
    UndeclaredEntity,
    DuplicateAttribute,
    Depth,
    Attributes,
    Children,
    TextLength,
    AttributeLength,
    CommentLength,
}

impl Threat {
    pub(super) const fn detail(self) -> &'static str {
        match self {
            Self::Malformed => "the body is not well-formed XML",
            Self::NotUtf8 => "the body is not XML in UTF-8",
            Self::DocumentType => "the XML body has a document type declaration",
            Self::UndeclaredEntity => "the XML body refers to an entity that is not declared",
            Self::DuplicateAttribute => "an element of the XML body has two attributes of one name",
            Self::Depth => "the XML body is nested too deeply",
            Self::Attributes => "an element of the XML body has too many attributes",
            Self::Children => "an element of the XML body has too many children",
            Self::TextLength => "a text of the XML body is too long",
            Self::AttributeLength => "an attribute of the XML body is too long",
            Self::CommentLength => "a comment of the XML body is too long",
        }
    }
}

/// # Errors
/// The first thing that is wrong.
pub(super) fn scan(document: &[u8], limits: &Limits) -> Result<(), Threat> {
    let document = std::str::from_utf8(document).map_err(|_| Threat::NotUtf8)?;
    let plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r');
    if !document.as_bytes().iter().all(plain) && !document.chars().all(is_character) {
        // UTF-16 comes this way too where it happens to be UTF-8: every other byte of its ASCII is zero.
        return Err(Threat::Malformed);
    }
    let mut scan = Scan {
        limits,
        children: Vec::new(),
        text: 0,
        seen: Seen::Nothing,
        names: Vec::new(),
    };
    let mut reader = Reader::from_str(document);
    reader.config_mut().check_comments = true;
    loop {
        match reader.read_event().map_err(|_| Threat::Malformed)? {
            Event::Eof => return scan.end(),
            event => scan.event(&event)?,
        }
    }
}

struct Scan<'s> {
    limits: &'s Limits,
    /// How many children the open elements have so far, the innermost one's last.
    children: Vec<u32>,
    /// Characters of the text at hand.
    text: usize,
    seen: Seen,
    /// Hashes of the names of one element's attributes.
    names: Vec<u64>,
}

/// How far the document is (XML 1.0 §2.1, §2.8).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Nothing,
    /// The declaration, which may only stand first, or a comment.
    Prolog,
    Root,
}

impl Scan<'_> {
    fn event(&mut self, event: &Event<'_>) -> Result<(), Threat> {
        match event {
            Event::Text(text) => return self.text(text),
            Event::CData(text) if !self.children.is_empty() => return self.count_text(text),
            Event::GeneralRef(reference) if !self.children.is_empty() => {
                check_reference(reference)?;
                return self.count_text("x");
            }
            Event::CData(_) | Event::GeneralRef(_) => return Err(Threat::Malformed),
            _ => self.text = 0,
        }
        match event {
            Event::Decl(declaration) => {
                if self.seen != Seen::Nothing {
                    return Err(Threat::Malformed);
                }
                check_declaration(declaration)?;
            }
            Event::DocType(_) => return Err(Threat::DocumentType),
            Event::Start(start) => {
                self.element(start, start.name().as_ref())?;
                self.children.push(0);
            }
            Event::Empty(start) => self.element(start, start.name().as_ref())?,
            // That it is the innermost one's has been checked.
            Event::End(_) => {
                self.children.pop();
            }
            Event::Comment(comment) => {
                self.child()?;
                // `--->` would end with a hyphen of its own.
                if comment.ends_with('-') {
                    return Err(Threat::Malformed);
                }
                if comment.chars().count() > self.limits.comment as usize {
                    return Err(Threat::CommentLength);
                }
            }
            Event::PI(instruction) => {
                self.child()?;
                let target = instruction.target();
                if !is_name(target) || target.eq_ignore_ascii_case("xml") {
                    return Err(Threat::Malformed);
                }
            }
            _ => {}
        }
        if self.seen == Seen::Nothing {
            self.seen = Seen::Prolog;
        }
        Ok(())
    }

    fn end(&self) -> Result<(), Threat> {
        if self.seen == Seen::Root && self.children.is_empty() {
            Ok(())
        } else {
            Err(Threat::Malformed)
        }
    }

    fn element(&mut self, content: &str, name: &str) -> Result<(), Threat> {
        if self.children.is_empty() {
            if self.seen == Seen::Root {
                return Err(Threat::Malformed);
            }
            self.seen = Seen::Root;
        }
        self.child()?;
        if self.children.len() >= self.limits.depth as usize {
            return Err(Threat::Depth);
        }
        if !is_name(name) {
            return Err(Threat::Malformed);
        }
        self.attributes(&content[name.len()..])
    }

    /// Of the element that is open, if any is.
    fn child(&mut self) -> Result<(), Threat> {
        if let Some(count) = self.children.last_mut() {
            *count += 1;
            if *count > self.limits.children {
                return Err(Threat::Children);
            }
        }
        Ok(())
    }

    /// What stands behind an element's name: `(S Name Eq AttValue)* S?`.
    fn attributes(&mut self, mut rest: &str) -> Result<(), Threat> {
        self.names.clear();
        let mut count = 0;
        loop {
            let trimmed = rest.trim_start_matches(SPACE);
            if trimmed.is_empty() {
                break;
            }
            if trimmed.len() == rest.len() {
                return Err(Threat::Malformed);
            }
            let (name, value) = trimmed.split_once('=').ok_or(Threat::Malformed)?;
            let name = name.trim_end_matches(SPACE);
            let value = value.trim_start_matches(SPACE);
            let quote = value
                .chars()
                .next()
                .filter(|quote| matches!(quote, '"' | '\''))
                .ok_or(Threat::Malformed)?;
            let (value, after) = value[1..].split_once(quote).ok_or(Threat::Malformed)?;
            if !is_name(name) {
                return Err(Threat::Malformed);
            }
            if name != "xmlns" && !name.starts_with("xmlns:") {
                count += 1;
                if count > self.limits.attributes {
                    return Err(Threat::Attributes);
                }
            }
            if attribute_length(value)? > self.limits.attribute as usize {
                return Err(Threat::AttributeLength);
            }
            // Equal names hash alike, so none is missed; comparing each with each would let one element of a megabyte
            // cost minutes.
            let mut hasher = NameHash::default();
            hasher.write(name.as_bytes());
            self.names.push(hasher.finish());
            rest = after;
        }
        self.names.sort_unstable();
        if self.names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Threat::DuplicateAttribute);
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Threat> {
        if self.children.is_empty() {
            // Between the declaration and behind the root there is white space alone; a declaration stands before it.
            if !text.chars().all(|character| SPACE.contains(&character)) {
                return Err(Threat::Malformed);
            }
            if self.seen == Seen::Nothing && !text.is_empty() {
                self.seen = Seen::Prolog;
            }
            return Ok(());
        }
        if text.contains(']') && text.contains("]]>") {
            return Err(Threat::Malformed);
        }
        self.count_text(text)
    }

    fn count_text(&mut self, text: &str) -> Result<(), Threat> {
        self.text += text.chars().count();
        if self.text > self.limits.text as usize {
            return Err(Threat::TextLength);
        }
        Ok(())
    }
}

/// Characters of an attribute's value, a reference counted as one.
fn attribute_length(value: &str) -> Result<usize, Threat> {
    if value.contains('<') {
        return Err(Threat::Malformed);
    }
    let mut parts = value.split('&');
    let mut length = parts.next().map_or(0, |text| text.chars().count());
    for part in parts {
        let (reference, text) = part.split_once(';').ok_or(Threat::Malformed)?;
        check_reference(&BytesRef::new(reference))?;
        length += 1 + text.chars().count();
    }
    Ok(length)
}

/// XML 1.0 §4.1 and §4.6.
fn check_reference(reference: &BytesRef<'_>) -> Result<(), Threat> {
    let Some(number) = reference.strip_prefix('#') else {
        return match &**reference {
            "lt" | "gt" | "amp" | "apos" | "quot" => Ok(()),
            name if is_name(name) => Err(Threat::UndeclaredEntity),
            _ => Err(Threat::Malformed),
        };
    };
    let code = match number.strip_prefix('x') {
        Some(hex) if hex.bytes().all(|digit| digit.is_ascii_hexdigit()) => u32::from_str_radix(hex, 16),
        None if number.bytes().all(|digit| digit.is_ascii_digit()) => number.parse(),
        _ => return Err(Threat::Malformed),
    };
    let character = code.ok().and_then(char::from_u32);
    if character.is_some_and(is_character) {
        Ok(())
    } else {
        Err(Threat::Malformed)
    }
}

/// `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` (XML 1.0 §2.8), for documents in UTF-8: one that says
/// otherwise is read as something else by whoever believes it.
fn check_declaration(declaration: &str) -> Result<(), Threat> {
    let mut rest = declaration.strip_prefix("xml").ok_or(Threat::Malformed)?;
    for (key, known) in [
        ("version", &["1.0"][..]),
        ("encoding", &["utf-8", "us-ascii", "ascii"]),
        ("standalone", &["yes", "no"]),
    ] {
        let trimmed = rest.trim_start_matches(SPACE);
        let Some(value) = trimmed.strip_prefix(key).filter(|_| trimmed.len() < rest.len()) else {
            if key == "version" {
                return Err(Threat::Malformed);
            }
            continue;
        };
        let value = value.trim_start_matches(SPACE).strip_prefix('=');
        let value = value.ok_or(Threat::Malformed)?.trim_start_matches(SPACE);
        let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''));
        let quote = quote.ok_or(Threat::Malformed)?;
        let (value, after) = value[1..].split_once(quote).ok_or(Threat::Malformed)?;
        if !known.iter().any(|known| known.eq_ignore_ascii_case(value)) {
            return Err(if key == "encoding" {
                Threat::NotUtf8
            } else {
                Threat::Malformed
            });
        }
        rest = after;
    }
    if rest.trim_start_matches(SPACE).is_empty() {
        Ok(())
    } else {
        Err(Threat::Malformed)
    }
}

/// XML 1.0 §2.3, `S`.
const SPACE: &[char] = &[' ', '\t', '\n', '\r'];
