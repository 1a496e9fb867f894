//! The JSON Schema of the documents, for editors: from the tables that decode them.

use super::{
    catalogue,
    resource::{
        ApiSpec, ApiVersion, BindingSpec, CheckedService, ConfigurationSpec, ContractSpec, InlineRouteConfig,
        Kind, Metadata, OWN_KINDS, RouteConfig, SecretSpec, TlsOutboundSpec, TlsSpec, WeightedConfig,
    },
};
use crate::{
    located::{Decode, schema::Definitions},
    policy,
};
use serde_json::{Value, json};

/// One schema for a document of any kind (draft 2020-12), pretty-printed.
pub fn json_schema() -> String {
    let mut definitions = Definitions::default();
    let kinds: Vec<_> = OWN_KINDS
        .iter()
        .map(|kind| document(*kind, &mut definitions))
        .collect();
    let mut bindings = vec![
        config_of(
            &[catalogue::ROUTE],
            &definitions.substituting(RouteConfig::schema),
            true,
        ),
        config_of(
            &[catalogue::ROUTE_WEIGHTED],
            &definitions.substituting(WeightedConfig::schema),
            true,
        ),
    ];
    let tls = config_of(
        &[catalogue::TLS],
        &definitions.substituting(TlsSpec::schema),
        true,
    );
    bindings.push(tls.clone());
    bindings.push(config_of(
        &[catalogue::TLS_OUTBOUND],
        &definitions.substituting(TlsOutboundSpec::schema),
        true,
    ));
    let (mut chained, mut inline_chained) = (Vec::new(), vec![tls]);
    for (name, kind) in policy::Kind::ALL {
        let config =
            definitions.substituting(|definitions| kind.schema(definitions).unwrap_or_else(|| json!({})));
        let bare = name.strip_suffix(catalogue::SUFFIX).unwrap_or(name);
        let one = config_of(&[name, bare], &config, kind.needs_config());
        if kind.direction() == policy::Direction::Inbound {
            inline_chained.push(one.clone());
        }
        chained.push(one);
    }
    for (name, shaping) in catalogue::Shaping::ALL {
        let config = definitions.substituting(|definitions| shaping.schema(definitions));
        let bare = name.strip_suffix(catalogue::SUFFIX).unwrap_or(name);
        let one = config_of(&[name, bare], &config, shaping.needs_config());
        if !shaping.is_of_service() {
            inline_chained.push(one.clone());
        }
        chained.push(one);
    }
    bindings.extend(chained);
    let inline = definitions.substituting(InlineRouteConfig::schema);
    let mut definitions = definitions.into_map();
    set_config(&mut definitions, "InlineRoute", inline);
    for (object, policies) in [("BindingSpec", bindings), ("InlinePolicy", inline_chained)] {
        if let Some(definition) = definitions.get_mut(object) {
            definition["allOf"] = Value::Array(policies);
        }
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
        Kind::Contract => ContractSpec::schema(definitions),
        Kind::Secret => definitions.substituting(SecretSpec::schema),
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

/// Where the policy is called one of `names`, the configuration is this.
fn config_of(names: &[&str], config: &Value, required: bool) -> Value {
    let required: &[&str] = if required { &["config"] } else { &[] };
    json!({
        "if": { "properties": { "policyRef": { "properties": { "name": { "enum": names } } } } },
        "then": { "properties": { "config": config }, "required": required },
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
