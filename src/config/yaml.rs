//! YAML text → located trees. The only place that knows the syntax.
//!
//! Built on the parser's events instead of its serde face: that one types scalars on the way (`yes` becomes a
//! truth value, `1.10` a float), stops at the first mismatch, and has no place for mapping keys.

use crate::located::{Located, Map, Node, Origin, Problem, Scalar, Style, Value};
use serde_yaml::granit_parser::{self, Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};
use std::{collections::HashMap, sync::Arc};

/// What was read from one source.
#[derive(Debug, Default)]
pub(super) struct Documents {
    /// Documents that aren't empty.
    pub(super) roots: Vec<Node>,
    pub(super) problems: Vec<Problem>,
    /// False when a syntax error hides the rest: what refers to something unknown may refer to that.
    pub(super) complete: bool,
}

/// Reads every document of `text`. Duplicate keys are problems, the rest of the document is kept; a syntax
/// error ends the reading.
pub(super) fn read(file: &Arc<str>, text: &str) -> Documents {
    let mut builder = Builder::new(file);
    if text.len() > TEXT_BYTES {
        builder.fail_at(1, 1, format!("is larger than {} MiB", TEXT_BYTES >> 20));
        return builder.documents;
    }
    let options = granit_parser::options! {
        flow_nesting_limit: DEPTH,
        block_nesting_limit: DEPTH,
        emit_comments: false,
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let result = event
            .map_err(Failure::Syntax)
            .and_then(|(event, span)| builder.event(event, &span));
        if let Err(failure) = result {
            builder.fail(failure);
            return builder.documents;
        }
    }
    builder.documents.complete = true;
    builder.documents
}

enum Failure {
    Syntax(ScanError),
    Refused(Marker, String),
}

/// A collection whose end has not come.
enum Open {
    List {
        items: Vec<Node>,
        origin: Origin,
        anchor: usize,
    },
    Map {
        map: Map,
        key: Option<Located<String>>,
        /// Where each key stands in `map`: looking for it there would make a long mapping quadratic.
        positions: HashMap<String, usize>,
        merge: Option<(Origin, Node)>,
        origin: Origin,
        anchor: usize,
    },
}

/// A node an alias may repeat, and what one repetition costs.
struct Anchored {
    node: Node,
    cost: Cost,
}

#[derive(Default, Clone, Copy)]
struct Cost {
    nodes: usize,
    bytes: usize,
    depth: usize,
}

struct Builder<'f> {
    file: &'f Arc<str>,
    documents: Documents,
    stack: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    /// Spent on repetitions in the whole source; its own nodes are bounded by its length.
    repeated: Cost,
    /// Index of the first problem that belongs to the document being read.
    first_problem: usize,
}

impl<'f> Builder<'f> {
    fn new(file: &'f Arc<str>) -> Self {
        Self {
            file,
            documents: Documents::default(),
            stack: Vec::new(),
            anchors: HashMap::new(),
            repeated: Cost::default(),
            first_problem: 0,
        }
    }

    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Failure> {
        let origin = self.origin(&span.start);
        match event {
            Event::DocumentStart(..) => {
                self.anchors.clear();
                self.first_problem = self.documents.problems.len();
            }
            Event::Scalar(text, style, anchor, tag) => {
                let style =
                    scalar_style(style, tag.as_deref()).map_err(|why| Failure::Refused(span.start, why))?;
                let value = Value::Scalar(Scalar {
                    text: text.into_owned(),
                    style,
                });
                self.value(Node { value, origin }, anchor, &span.start)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                check_tag(tag.as_deref(), "seq").map_err(|why| Failure::Refused(span.start, why))?;
                self.stack.push(Open::List {
                    items: Vec::new(),
                    origin,
                    anchor,
                });
            }
            Event::MappingStart(_, anchor, tag) => {
                check_tag(tag.as_deref(), "map").map_err(|why| Failure::Refused(span.start, why))?;
                self.stack.push(Open::Map {
                    map: Map::default(),
                    key: None,
                    positions: HashMap::new(),
                    merge: None,
                    origin,
                    anchor,
                });
            }
            Event::SequenceEnd | Event::MappingEnd => match self.stack.pop() {
                Some(Open::List {
                    items,
                    origin,
                    anchor,
                }) => {
                    self.value(
                        Node {
                            value: Value::List(items),
                            origin,
                        },
                        anchor,
                        &span.start,
                    )?;
                }
                Some(Open::Map {
                    mut map,
                    mut positions,
                    merge,
                    origin,
                    anchor,
                    ..
                }) => {
                    if let Some((_, node)) = merge
                        && let Err((place, why)) = merge_into(&mut map, &mut positions, node)
                    {
                        self.refuse(place, why);
                    }
                    self.value(
                        Node {
                            value: Value::Map(map),
                            origin,
                        },
                        anchor,
                        &span.start,
                    )?;
                }
                None => {}
            },
            Event::Alias(anchor) => self.alias(anchor, &span.start)?,
            _ => {}
        }
        Ok(())
    }

    /// Repeats an anchored node. The copy keeps the places of the original: that is where it can be mended.
    fn alias(&mut self, anchor: usize, at: &Marker) -> Result<(), Failure> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err(Failure::Refused(
                *at,
                "the alias refers to the node it stands in".to_owned(),
            ));
        };
        self.repeated.nodes += anchored.cost.nodes;
        self.repeated.bytes += anchored.cost.bytes;
        let deep = self.stack.len() + anchored.cost.depth > DEPTH;
        if deep || self.repeated.nodes > REPEATED_NODES || self.repeated.bytes > REPEATED_BYTES {
            return Err(Failure::Refused(
                *at,
                "aliases expand to more than a configuration may hold".to_owned(),
            ));
        }
        let node = anchored.node.clone();
        self.value(node, 0, at)
    }

    /// Places a finished node: the document, a list's element, a key, or a key's value.
    fn value(&mut self, node: Node, anchor: usize, at: &Marker) -> Result<(), Failure> {
        if anchor != 0 {
            let cost = cost(&node);
            self.anchors.insert(
                anchor,
                Anchored {
                    node: node.clone(),
                    cost,
                },
            );
            // Storing the copy costs what a repetition does; nested anchors would make it quadratic unseen.
            self.repeated.nodes += cost.nodes;
            self.repeated.bytes += cost.bytes;
            if self.repeated.nodes > REPEATED_NODES || self.repeated.bytes > REPEATED_BYTES {
                return Err(Failure::Refused(
                    *at,
                    "anchors hold more than a configuration may".to_owned(),
                ));
            }
        }
        match self.stack.last_mut() {
            None => self.document(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map {
                map,
                key,
                positions,
                merge,
                ..
            }) => match key.take() {
                None => {
                    let text = match node.value {
                        Value::Scalar(scalar) => scalar.text,
                        _ => return Err(Failure::Refused(*at, "a key must be text".to_owned())),
                    };
                    *key = Some(Located::new(text, node.origin));
                }
                Some(key) => {
                    let is_merge = key.value == MERGE;
                    let first = match positions.get(&key.value) {
                        Some(position) => Some(&map.entries[*position].0.origin),
                        None if is_merge => merge.as_ref().map(|(origin, _)| origin),
                        None => None,
                    };
                    if let Some(first) = first {
                        let message = format!("the key `{}` is written twice; first at {first}", key.value);
                        self.refuse(key.origin, message);
                    } else if is_merge {
                        *merge = Some((key.origin, node));
                    } else {
                        positions.insert(key.value.clone(), map.entries.len());
                        map.entries.push((key, node));
                    }
                }
            },
        }
        Ok(())
    }

    fn document(&mut self, root: Node) {
        let object = label(&root);
        for problem in &mut self.documents.problems[self.first_problem..] {
            problem.object.clone_from(&object);
        }
        if !root.is_null() {
            self.documents.roots.push(root);
        }
    }

    fn refuse(&mut self, origin: Origin, message: String) {
        let (object, path) = (String::new(), self.path());
        self.documents.problems.push(Problem {
            origin: Some(origin),
            object,
            path,
            message,
        });
    }

    /// The path of the collection being filled.
    fn path(&self) -> String {
        let mut path = String::new();
        // The last one's own key is not part of it: the message names that.
        for open in &self.stack[..self.stack.len().saturating_sub(1)] {
            match open {
                Open::List { items, .. } => path.push_str(&format!("[{}]", items.len())),
                Open::Map { key, .. } => {
                    let key = key.as_ref().map_or("", |key| key.value.as_str());
                    path.push_str(if path.is_empty() { "" } else { "." });
                    path.push_str(key);
                }
            }
        }
        path
    }

    fn origin(&self, marker: &Marker) -> Origin {
        // The parser counts columns from 0.
        let column = marker.col().saturating_add(1);
        Origin {
            file: Arc::clone(self.file),
            line: u32::try_from(marker.line()).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
        }
    }

    fn fail(&mut self, failure: Failure) {
        let (marker, message) = match failure {
            Failure::Syntax(error) => (
                *error.marker(),
                format!("not valid YAML: {}", error.info().replace('\n', " ")),
            ),
            Failure::Refused(marker, message) => (marker, message),
        };
        let origin = self.origin(&marker);
        let (object, path) = (String::new(), String::new());
        self.documents.problems.push(Problem {
            origin: Some(origin),
            object,
            path,
            message,
        });
    }

    fn fail_at(&mut self, line: usize, column: usize, message: String) {
        self.fail(Failure::Refused(Marker::new(0, line, column - 1), message));
    }
}

/// `Kind/name` of a document, as far as it says.
pub(super) fn label(root: &Node) -> String {
    let kind = root.get("kind").and_then(Node::text).unwrap_or("document");
    match root
        .get("metadata")
        .and_then(|metadata| metadata.get("name"))
        .and_then(Node::text)
    {
        Some(name) => format!("{kind}/{name}"),
        None => kind.to_owned(),
    }
}

/// `<<: *defaults`: what the mapping does not say itself. YAML 1.2 dropped it, files in use did not.
fn merge_into(
    map: &mut Map,
    positions: &mut HashMap<String, usize>,
    merge: Node,
) -> Result<(), (Origin, String)> {
    let items = match merge.value {
        Value::List(items) => items,
        _ => vec![merge],
    };
    for item in items {
        let Value::Map(merged) = item.value else {
            return Err((item.origin, "`<<` merges mappings only".to_owned()));
        };
        for (key, node) in merged.entries {
            if !positions.contains_key(&key.value) {
                positions.insert(key.value.clone(), map.entries.len());
                map.entries.push((key, node));
            }
        }
    }
    Ok(())
}

fn scalar_style(style: ScalarStyle, tag: Option<&Tag>) -> Result<Style, String> {
    let written = if matches!(style, ScalarStyle::Plain) {
        Style::Plain
    } else {
        Style::Quoted
    };
    let Some(tag) = tag else { return Ok(written) };
    match tag.core_suffix() {
        Some("str") => Ok(Style::Quoted),
        Some("int" | "bool" | "float" | "null") => Ok(Style::Plain),
        _ => Err(unknown_tag(tag)),
    }
}

fn check_tag(tag: Option<&Tag>, expected: &str) -> Result<(), String> {
    match tag {
        Some(tag) if tag.core_suffix() != Some(expected) => Err(unknown_tag(tag)),
        _ => Ok(()),
    }
}

fn unknown_tag(tag: &Tag) -> String {
    format!("the tag `{}` means nothing here", tag.original())
}

/// Iterative would be longer; the depth is bounded by [`DEPTH`].
fn cost(node: &Node) -> Cost {
    let sum = |parts: &mut dyn Iterator<Item = Cost>| {
        parts.fold(
            Cost {
                nodes: 1,
                bytes: 0,
                depth: 1,
            },
            |sum, part| Cost {
                nodes: sum.nodes + part.nodes,
                bytes: sum.bytes + part.bytes,
                depth: sum.depth.max(part.depth + 1),
            },
        )
    };
    match &node.value {
        Value::Scalar(scalar) => Cost {
            nodes: 1,
            bytes: scalar.text.len(),
            depth: 0,
        },
        Value::List(items) => sum(&mut items.iter().map(cost)),
        Value::Map(map) => sum(&mut map.entries.iter().map(|(key, node)| {
            let cost = cost(node);
            Cost {
                bytes: cost.bytes + key.value.len(),
                ..cost
            }
        })),
    }
}

const MERGE: &str = "<<";

/// One source. A thousand APIs with ten routes each are about 2 MB.
pub(super) const TEXT_BYTES: usize = 16 << 20;
/// Collections in collections. Documents need about ten; the recursion in decoders stays far from a stack's end.
const DEPTH: usize = 64;
/// Nodes and bytes that anchors and aliases may add to a source: what makes a few hundred bytes of nested
/// aliases grow to gigabytes ends here.
const REPEATED_NODES: usize = 100_000;
const REPEATED_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests;
