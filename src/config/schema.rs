//! The JSON Schema of the documents, for editors: from the tables that decode them.

use super::{
    catalogue,
    resource::{
        ApiSpec, ApiVersion, BindingSpec, CheckedService, ConfigurationSpec, InlineRouteConfig, Kind,
        Metadata, OWN_KINDS, RouteConfig, WeightedConfig,
    },
};
use crate::located::{Decode, schema::Definitions};
use serde_json::{Value, json};

/// One schema for a document of any kind (draft 2020-12), pretty-printed.
pub fn json_schema() -> String {
    let mut definitions = Definitions::default();
    let kinds: Vec<_> = OWN_KINDS
        .iter()
        .map(|kind| document(*kind, &mut definitions))
        .collect();
    let bindings = [
        (catalogue::ROUTE, definitions.substituting(RouteConfig::schema)),
        (
            catalogue::ROUTE_WEIGHTED,
            definitions.substituting(WeightedConfig::schema),
        ),
    ];
    let inline = definitions.substituting(InlineRouteConfig::schema);
    let mut definitions = definitions.into_map();
    set_config(&mut definitions, "InlineRoute", inline);
    if let Some(binding) = definitions.get_mut("BindingSpec") {
        binding["allOf"] = bindings
            .into_iter()
            .map(|(name, config)| config_of(name, &config))
            .collect();
    }
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Ringway configuration document",
        "oneOf": kinds,
        "$defs": definitions,
    });
    format!("{schema:#}\n")
}

fn document(kind: Kind, definitions: &mut Definitions) -> Value {
    let spec = match kind {
        Kind::ApiInstance => ApiSpec::schema(definitions),
        Kind::Service => CheckedService::schema(definitions),
        Kind::PolicyBinding => BindingSpec::schema(definitions),
        Kind::Configuration => ConfigurationSpec::schema(definitions),
    };
    json!({
        "type": "object",
        "properties": {
            "apiVersion": ApiVersion::schema(definitions),
            "kind": { "const": kind.word() },
            "metadata": Metadata::schema(definitions),
            "spec": spec,
        },
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": false,
    })
}

/// Where the policy is `name`, the configuration is this.
fn config_of(name: &str, config: &Value) -> Value {
    json!({
        "if": { "properties": { "policyRef": { "properties": { "name": { "const": name } } } } },
        "then": { "properties": { "config": config }, "required": ["config"] },
    })
}

fn set_config(definitions: &mut serde_json::Map<String, Value>, object: &str, config: Value) {
    if let Some(Value::Object(config_schema)) = definitions
        .get_mut(object)
        .and_then(|object| object.pointer_mut("/properties/config"))
        && let Value::Object(config) = config
    {
        config_schema.extend(config);
    }
}
