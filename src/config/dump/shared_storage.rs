//! `Configuration.sharedStorage`, as it is in force.

use super::HIDDEN;
use crate::{
    config::model::SharedStorage,
    storage::{Address, Credentials, Place, Settings},
    tls::{ClientSpec, Trust, Version},
};
use serde_json::{Value, json};

pub(super) fn written(storage: &SharedStorage) -> Value {
    match storage {
        SharedStorage::Local => json!({ "local": { "enabled": true } }),
        SharedStorage::Redis(settings) => json!({ "redis": redis(settings) }),
    }
}

fn redis(settings: &Settings) -> Value {
    let mut out = json!({
        "db": settings.database,
        "keyPrefix": settings.prefix,
        "connectTimeoutMilliseconds": settings.connect_timeout.as_millis() as u64,
        "commandTimeoutMilliseconds": settings.command_timeout.as_millis() as u64,
    });
    match &settings.place {
        Place::Server(address) => out["address"] = json!(address.to_string()),
        Place::Sentinels(sentinels) => {
            let addresses: Vec<_> = sentinels.addresses.iter().map(Address::to_string).collect();
            out["sentinel"] = json!({ "addresses": addresses, "masterName": doubled(&sentinels.master) });
            credentials(&mut out["sentinel"], &sentinels.credentials);
        }
    }
    credentials(&mut out, &settings.credentials);
    if settings.secret.is_some() {
        out["secret"] = json!(HIDDEN);
    }
    if let Some(replicas) = settings.replicas {
        out["replicas"] = json!(replicas);
    }
    if let Some(client) = &settings.tls {
        out["tls"] = tls(client.spec());
    }
    out
}

fn credentials(out: &mut Value, credentials: &Credentials) {
    if let Some(name) = &credentials.username {
        out["username"] = json!(doubled(name));
    }
    if credentials.password.is_some() {
        out["password"] = json!(HIDDEN);
    }
}

/// A dollar at the beginning has to be doubled again.
fn doubled(text: &str) -> String {
    let dollar = if text.starts_with('$') { "$" } else { "" };
    format!("{dollar}{text}")
}

fn tls(spec: &ClientSpec) -> Value {
    let version = |version| match version {
        Version::Tls12 => "1.2",
        Version::Tls13 => "1.3",
    };
    let mut out = json!({
        "skipValidation": !spec.verify,
        "minversion": version(spec.protection.minimum),
        "maxversion": version(spec.protection.maximum),
    });
    if let Trust::Pem(pem) = &spec.trust {
        out["trustedCA"] = json!(pem);
    }
    if let Some(name) = &spec.server_name {
        out["serverName"] = json!(name);
    }
    if spec.certificate.is_some() {
        out["certificate"] = json!({ "crt": HIDDEN, "key": HIDDEN });
    }
    if !spec.protocols.is_empty() {
        out["alpn"] = json!(spec.protocols);
    }
    let suites: Vec<_> = (spec.protection.suites.iter())
        .map(|suite| suite.name())
        .collect();
    if !suites.is_empty() {
        out["ciphers"] = json!(suites);
    }
    out
}
