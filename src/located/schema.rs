//! JSON Schema (draft 2020-12) from the same tables that decode.

use serde_json::{Map, Value, json};

/// Where the schemas of objects are gathered: each is stated once, under `$defs`, and referred to.
#[derive(Debug, Default)]
pub struct Definitions {
    definitions: Map<String, Value>,
    substituting: bool,
}

impl Definitions {
    /// The reference to an object's schema, which is built when it is first asked for.
    pub fn reference(&mut self, name: &str, build: impl FnOnce(&mut Self) -> Value) -> Value {
        let name = if self.substituting {
            format!("{name}InPolicy")
        } else {
            name.to_owned()
        };
        if !self.definitions.contains_key(&name) {
            // Reserved before it is built, so that an object that holds itself ends.
            self.definitions.insert(name.clone(), Value::Null);
            let schema = build(self);
            self.definitions.insert(name.clone(), schema);
        }
        json!({ "$ref": format!("#/$defs/{name}") })
    }

    /// Within a policy's configuration any scalar may be `$NAME` instead.
    pub fn substituting<T>(&mut self, build: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.substituting, true);
        let value = build(self);
        self.substituting = before;
        value
    }

    /// A scalar's schema, or a substitution where those are made.
    pub fn scalar(&self, schema: Value) -> Value {
        if self.substituting {
            json!({ "anyOf": [schema, { "type": "string", "pattern": "^\\$" }] })
        } else {
            schema
        }
    }

    pub fn into_map(self) -> Map<String, Value> {
        self.definitions
    }
}

/// One member of an object, as its table states it.
#[derive(Debug)]
pub struct Member {
    pub key: &'static str,
    /// The doc comment's lines.
    pub description: &'static [&'static str],
    pub required: bool,
    pub schema: Value,
}

/// An object that has these members and no others.
pub fn object(description: &[&str], members: Vec<Member>) -> Value {
    let required: Vec<_> = members
        .iter()
        .filter(|member| member.required)
        .map(|member| member.key)
        .collect();
    let mut properties = Map::new();
    for member in members {
        let mut schema = member.schema;
        if let Some(fields) = schema.as_object_mut() {
            fields.insert("description".to_owned(), Value::String(join(member.description)));
        }
        properties.insert(member.key.to_owned(), schema);
    }
    let mut schema = json!({
        "type": "object",
        "description": join(description),
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn join(lines: &[&str]) -> String {
    lines
        .iter()
        .map(|line| line.trim())
        .collect::<Vec<_>>()
        .join(" ")
        .trim()
        .to_owned()
}
