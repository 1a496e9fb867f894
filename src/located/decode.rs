//! From a located tree to typed values, reporting every problem on the way.
//!
//! The [`object!`](crate::object) table of a type states each field once: its key, whether it is required, its
//! type, its description. Decoding, the refusal of unknown keys with the nearest valid one, and the JSON
//! Schema all come from it, so they can't drift apart. serde's derive states as much but stops at its first
//! error and forgets where values stood.

use super::{Located, Map, Node, Origin, Problems, Style, Value, problem, schema::Definitions};
use serde_json::json;
use std::fmt;

/// A value that can be read from a node.
pub trait Decode: Sized {
    /// None when it could not be read; then at least one problem was reported.
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self>;

    fn schema(definitions: &mut Definitions) -> serde_json::Value;
}

impl<T: Decode> Decode for Located<T> {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        T::decode(node, problems).map(|value| Located::new(value, node.origin.clone()))
    }

    fn schema(definitions: &mut Definitions) -> serde_json::Value {
        T::schema(definitions)
    }
}

/// Text takes any scalar as it is written: `name: 42` is the text `42`.
impl Decode for String {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = node.text();
        if text.is_none() {
            problems.report(&node.origin, format!("must be text, not {}", node.describe()));
        }
        text.map(str::to_owned)
    }

    fn schema(definitions: &mut Definitions) -> serde_json::Value {
        definitions.scalar(json!({ "type": "string" }))
    }
}

impl Decode for bool {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let value = match bare(node) {
            Some("true" | "True" | "TRUE") => Some(true),
            Some("false" | "False" | "FALSE") => Some(false),
            _ => None,
        };
        if value.is_none() {
            problems.report(
                &node.origin,
                format!("must be true or false, not {}", node.describe()),
            );
        }
        value
    }

    fn schema(definitions: &mut Definitions) -> serde_json::Value {
        definitions.scalar(json!({ "type": "boolean" }))
    }
}

/// An integer between `MIN` and `MAX`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounded<const MIN: i64, const MAX: i64>(i64);

impl<const MIN: i64, const MAX: i64> Bounded<MIN, MAX> {
    pub const fn get(self) -> i64 {
        self.0
    }

    /// For bounds that are not negative: a size, a count, a number of seconds.
    pub const fn unsigned(self) -> u64 {
        const { assert!(MIN >= 0, "the bounds allow negative numbers") };
        self.0.unsigned_abs()
    }

    /// Reads it from text, as an environment variable has it.
    ///
    /// # Errors
    /// What the text must be instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.parse::<i64>() {
            Ok(number) if (MIN..=MAX).contains(&number) => Ok(Self(number)),
            // Also what does not fit an i64: it is an integer, and out of range.
            Ok(_) => Err(Self::range()),
            Err(error) if is_overflow(error.kind()) => Err(Self::range()),
            Err(_) => Err("must be an integer".to_owned()),
        }
    }

    fn range() -> String {
        if MAX == i64::MAX {
            format!("must be at least {MIN}")
        } else {
            format!("must be between {MIN} and {MAX}")
        }
    }
}

fn is_overflow(kind: &std::num::IntErrorKind) -> bool {
    matches!(
        kind,
        std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow
    )
}

impl<const MIN: i64, const MAX: i64> Decode for Bounded<MIN, MAX> {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let parsed = bare(node).map_or_else(|| Err("must be an integer".to_owned()), Self::parse);
        parsed
            .map_err(|must| problems.report(&node.origin, format!("{must}, not {}", node.describe())))
            .ok()
    }

    fn schema(definitions: &mut Definitions) -> serde_json::Value {
        let mut schema = json!({ "type": "integer", "minimum": MIN });
        if MAX != i64::MAX {
            schema["maximum"] = json!(MAX);
        }
        definitions.scalar(schema)
    }
}

impl<T: Decode> Decode for Vec<T> {
    /// An element that can't be read is left out, so that the others are still checked. A list that lacks one
    /// is never used: a problem was reported.
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Elements(elements) = Elements::decode(node, problems)?;
        Some(elements.into_iter().map(|(_, value)| value).collect())
    }

    fn schema(definitions: &mut Definitions) -> serde_json::Value {
        Elements::<T>::schema(definitions)
    }
}

/// A list whose elements keep their index in the source, for checks that come later: one before them that could
/// not be read is left out and must not shift their paths.
#[derive(Debug, Clone)]
pub struct Elements<T>(pub Vec<(usize, T)>);

impl<T: Decode> Decode for Elements<T> {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Value::List(items) = &node.value else {
            problems.report(&node.origin, format!("must be a list, not {}", node.describe()));
            return None;
        };
        let items = items.iter().enumerate().filter(|(_, item)| !item.is_refused());
        let values = items.filter_map(|(index, item)| {
            let value = problems.within_element(index, |problems| T::decode(item, problems));
            value.map(|value| (index, value))
        });
        Some(Self(values.collect()))
    }

    fn schema(definitions: &mut Definitions) -> serde_json::Value {
        json!({ "type": "array", "items": T::schema(definitions) })
    }
}

/// A mapping with names of the user's choice, in the order of the source; what can't be read is left out.
#[derive(Debug, Clone)]
pub struct Entries<T>(pub Vec<(Located<String>, T)>);

impl<T: Decode> Decode for Entries<T> {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let map = mapping(node, problems)?;
        let entries = map.entries.iter().filter(|(_, item)| !item.is_refused());
        let values = entries.filter_map(|(key, item)| {
            let value = problems.within(key, |problems| T::decode(item, problems));
            value.map(|value| (key.clone(), value))
        });
        Some(Self(values.collect()))
    }

    fn schema(definitions: &mut Definitions) -> serde_json::Value {
        json!({ "type": "object", "additionalProperties": T::schema(definitions) })
    }
}

/// Anything: what it means is known only to whoever the object names (a policy's `config`).
impl Decode for Node {
    fn decode(node: &Node, _: &mut Problems) -> Option<Self> {
        Some(node.clone())
    }

    fn schema(_: &mut Definitions) -> serde_json::Value {
        json!({})
    }
}

/// The members of one object while they are read; what [`object!`](crate::object) expands to.
pub struct Fields<'n> {
    map: &'n Map,
    origin: &'n Origin,
}

impl<'n> Fields<'n> {
    /// Reports every key that is neither in `keys` nor in `later`, and those in `later` by name.
    pub fn open(node: &'n Node, keys: &[&str], later: &[&str], problems: &mut Problems) -> Option<Self> {
        let map = mapping(node, problems)?;
        for (key, _) in &map.entries {
            let name = key.value.as_str();
            if later.contains(&name) {
                let message = format!("Ringway knows `{name}` but does not have it yet");
                problems.within(name, |problems| problems.report(&key.origin, message));
            } else if !keys.contains(&name) {
                let message = format!("unknown field `{name}`{}", problem::advice(name, keys));
                problems.report(&key.origin, message);
            }
        }
        Some(Self {
            map,
            origin: &node.origin,
        })
    }

    /// Null is as good as absent.
    pub fn optional<T: Decode>(&self, key: &str, problems: &mut Problems) -> Option<T> {
        let node = self
            .map
            .get(key)
            .filter(|node| !node.is_null() && !node.is_refused())?;
        problems.within(key, |problems| T::decode(node, problems))
    }

    pub fn required<T: Decode>(&self, key: &str, problems: &mut Problems) -> Option<T> {
        if self.map.get(key).is_none_or(Node::is_null) {
            let origin = self.map.key(key).map_or(self.origin, |key| &key.origin);
            problems.report(origin, format!("`{key}` is required"));
            return None;
        }
        self.optional(key, problems)
    }
}

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fields at {}", self.origin)
    }
}

fn mapping<'n>(node: &'n Node, problems: &mut Problems) -> Option<&'n Map> {
    let map = node.as_map();
    if map.is_none() {
        problems.report(
            &node.origin,
            format!("must be a mapping, not {}", node.describe()),
        );
    }
    map
}

/// The text of a scalar that may be read as something other than text.
fn bare(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Scalar(scalar) if scalar.style != Style::Quoted => Some(scalar.text.trim()),
        _ => None,
    }
}

/// One value of a closed set of words; used by [`choice!`](crate::choice).
pub fn choose(node: &Node, words: &[&str], problems: &mut Problems) -> Option<usize> {
    let found = node
        .text()
        .and_then(|text| words.iter().position(|word| *word == text));
    if found.is_none() {
        let advice = node
            .text()
            .and_then(|text| problem::nearest(text, words.iter().copied()));
        let advice = advice
            .map(|word| format!("; did you mean `{word}`?"))
            .unwrap_or_default();
        let message = format!(
            "must be one of {}, not {}{advice}",
            words.join(", "),
            node.describe()
        );
        problems.report(&node.origin, message);
    }
    found
}

/// Declares a struct and the table of its fields:
///
/// ```text
/// object! {
///     /// One upstream.
///     pub struct Endpoint {
///         /// `http://host:port` or `unix:/path`.
///         required "address" address: Located<String>,
///         /// Its share. Default 1.
///         optional "weight" weight: Located<Bounded<1, 100>>,
///     }
/// }
/// ```
///
/// A required field has the type written, an optional one `Option` of it. `later ["x", "y"]` after the fields
/// names keys that are known of and refused as such.
#[macro_export]
macro_rules! object {
    (
        $(#[doc = $doc:literal])*
        $vis:vis struct $name:ident {
            $( $(#[doc = $field_doc:literal])* $presence:ident $key:literal $field:ident : $type:ty ),+ $(,)?
        }
        $( later [ $($later:literal),* $(,)? ] )?
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone)]
        #[allow(dead_code)] // some fields are there to be checked alone
        $vis struct $name {
            $( $(#[doc = $field_doc])* $vis $field: $crate::object!(@type $presence $type), )+
        }

        impl $crate::located::Decode for $name {
            fn decode(
                node: &$crate::located::Node,
                problems: &mut $crate::located::Problems,
            ) -> Option<Self> {
                let later: &[&str] = &[ $( $($later),* )? ];
                let fields = $crate::located::Fields::open(node, &[ $($key),+ ], later, problems)?;
                // All are read before one that failed ends it: every problem is told.
                $( let $field: Option<$type> = fields.$presence($key, problems); )+
                Some(Self { $( $field: $crate::object!(@take $presence $field), )+ })
            }

            fn schema(definitions: &mut $crate::located::schema::Definitions) -> ::serde_json::Value {
                definitions.reference(stringify!($name), |definitions| {
                    let members = vec![ $( $crate::located::schema::Member {
                        key: $key,
                        description: &[ $($field_doc),* ],
                        required: $crate::object!(@required $presence),
                        schema: <$type as $crate::located::Decode>::schema(definitions),
                    } ),+ ];
                    $crate::located::schema::object(&[ $($doc),* ], members)
                })
            }
        }
    };
    (@type required $type:ty) => { $type };
    (@type optional $type:ty) => { Option<$type> };
    (@take required $field:ident) => { $field? };
    (@take optional $field:ident) => { $field };
    (@required required) => { true };
    (@required optional) => { false };
}

/// Declares an enum that is written as one of a closed set of words.
#[macro_export]
macro_rules! choice {
    (
        $(#[$attribute:meta])*
        $vis:vis enum $name:ident { $( $variant:ident = $word:literal ),+ $(,)? }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis enum $name { $( $variant ),+ }

        impl $name {
            #[allow(dead_code)] // some are only ever read
            $vis const fn word(self) -> &'static str {
                match self { $( Self::$variant => $word ),+ }
            }
        }

        impl $crate::located::Decode for $name {
            fn decode(
                node: &$crate::located::Node,
                problems: &mut $crate::located::Problems,
            ) -> Option<Self> {
                let all = [ $( Self::$variant ),+ ];
                $crate::located::decode::choose(node, &[ $($word),+ ], problems).map(|index| all[index])
            }

            fn schema(definitions: &mut $crate::located::schema::Definitions) -> ::serde_json::Value {
                definitions.scalar(::serde_json::json!({ "enum": [ $($word),+ ] }))
            }
        }
    };
}
