//! `Configuration.sharedStorage`, and what a distributed cache needs of it.

use super::{document, dump_text, loaded, loaded_with, problems};
use crate::{
    storage::{Place, Settings},
    tls::{Trust, Version},
};
use rcgen::{CertificateParams, KeyPair};
use std::{sync::Arc, time::Duration};

fn storage(fields: &str) -> String {
    document("Configuration", "c", &format!("sharedStorage: {{{fields}}}"))
}

fn redis(fields: &str) -> String {
    storage(&format!("redis: {{{fields}}}"))
}

fn settings(fields: &str) -> Arc<Settings> {
    loaded(&redis(fields)).snapshot.shared_storage.expect("a storage")
}

/// PEM on one line, as a text in quotes.
fn quoted(pem: &str) -> String {
    format!("\"{}\"", pem.replace('\n', "\\n"))
}

fn pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["a".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    (quoted(&certificate.pem()), quoted(&key.serialize_pem()))
}

#[test]
fn both_spellings_and_all_defaults() {
    let plain = settings("address: \"Redis.example:6379\"");
    assert_eq!(plain.place.to_string(), "redis.example:6379");
    assert_eq!(
        (plain.database, plain.prefix.as_str(), plain.replicas),
        (0, "ringway", None)
    );
    assert_eq!(
        (plain.connect_timeout, plain.command_timeout),
        (Duration::from_secs(1), Duration::from_millis(250))
    );
    assert!(plain.tls.is_none() && plain.credentials.password.is_none());
    let one = "address: \"[::1]:1\", username: u, password: p, db: 3, keyPrefix: \"a.b:c\", replicas: 4, secret: s, \
               connectTimeoutMilliseconds: 50, commandTimeoutMilliseconds: 10";
    let one = settings(one);
    let same = "address: \"[::1]:1\", user: u, password: p, DB: 3, keyPrefix: \"a.b:c\", replicas: 4, secret: s, \
                connectTimeoutMilliseconds: 50, commandTimeoutMilliseconds: 10";
    assert_eq!(one, settings(same));
    assert_eq!(
        (one.place.to_string().as_str(), one.database, one.replicas),
        ("[::1]:1", 3, Some(4))
    );
    let sentinels = settings(
        "sentinel: {addresses: [\"a:1\", \"b:2\"], masterName: m, username: w, password: x}, password: p",
    );
    let Place::Sentinels(sentinels) = &sentinels.place else {
        panic!("sentinels")
    };
    assert_eq!((sentinels.addresses.len(), sentinels.master.as_str()), (2, "m"));
    assert_ne!(sentinels.credentials.password, one.credentials.password);
}

#[test]
fn values_come_from_the_environment() {
    let text = redis("address: $WHERE, password: $REDIS_PASSWORD");
    let variables = [("WHERE", "redis:7"), ("REDIS_PASSWORD", "hidden-$x")];
    let loaded = loaded_with(&text, &variables);
    let settings = loaded.snapshot.shared_storage.expect("a storage");
    assert_eq!(
        settings.credentials.password.as_ref().expect("one").0,
        "hidden-$x"
    );
    assert!(
        problems(&text)
            .iter()
            .any(|line| line.contains("`WHERE` is not set"))
    );
}

#[test]
fn tls_is_what_is_written() {
    let (certificate, key) = pair();
    let written = format!(
        "address: \"a:1\", tls: {{trustedCA: {certificate}, certificate: {{crt: {certificate}, key: {key}}}, \
         minversion: 1.3, serverName: cache.example, alpn: [x], ciphers: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256]}}"
    );
    let settings = settings(&written);
    let spec = settings.tls.as_ref().expect("tls").spec();
    assert!(matches!(spec.trust, Trust::Pem(_)) && spec.verify && spec.certificate.is_some());
    assert_eq!(
        (spec.protection.minimum, spec.protection.maximum),
        (Version::Tls13, Version::Tls13)
    );
    assert_eq!(
        (spec.server_name.as_deref(), &spec.protocols[..]),
        (Some("cache.example"), &["x".to_owned()][..])
    );
    let unchecked = self::settings("address: \"a:1\", tls: {skipValidation: true}");
    assert!(!unchecked.tls.as_ref().expect("tls").spec().verify);
    assert!(unchecked.tls.as_ref().expect("tls").spec().protocols.is_empty());
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let (certificate, key) = pair();
    let (_, other) = pair();
    for (fields, told) in [
        ("", "must have `address` (host:port) or `sentinel`"),
        (
            "address: redis",
            "redis.address: must be host:port, with brackets around an IPv6 address; it has no port",
        ),
        (
            "address: \"::1:6379\"",
            "redis.address: must be host:port, with brackets",
        ),
        (
            "address: \"redis://a:1\"",
            "redis.address: must be host:port, without a scheme",
        ),
        (
            "address: \"a b:1\"",
            "`a b` is neither an IP address nor a host name",
        ),
        ("address: \"0.0.0.0:1\"", "is an address to listen on"),
        ("address: \"a:0\"", "between 1 and 65535"),
        (
            "address: \"a:1\", sentinel: {addresses: [\"a:1\"], masterName: m}",
            "redis.sentinel: stands beside `address`",
        ),
        (
            "sentinel: {addresses: [], masterName: m}",
            "redis.sentinel.addresses: must have at least one",
        ),
        (
            "sentinel: {addresses: [\"a:1\"], masterName: \"\"}",
            "redis.sentinel.masterName: must be what",
        ),
        (
            "sentinel: {addresses: [a], masterName: m}",
            "redis.sentinel.addresses[0]: must be host:port",
        ),
        (
            "address: \"a:1\", username: u",
            "redis.username: needs a `password`",
        ),
        (
            "address: \"a:1\", username: u, user: u, password: p",
            "redis.user: is written twice",
        ),
        ("address: \"a:1\", db: 1, DB: 1", "redis.DB: is written twice"),
        (
            "address: \"a:1\", db: -1",
            "redis.db: must be between 0 and 65535",
        ),
        ("address: \"a:1\", password: \"\"", "redis.password: is empty"),
        (
            "address: \"a:1\", keyPrefix: \"a{b}\"",
            "redis.keyPrefix: must be 1 to 64",
        ),
        (
            "address: \"a:1\", keyPrefix: \"\"",
            "redis.keyPrefix: must be 1 to 64",
        ),
        (
            "address: \"a:1\", replicas: 0",
            "redis.replicas: must be between 1 and 10000",
        ),
        (
            "address: \"a:1\", commandTimeoutMilliseconds: 5",
            "must be between 10 and 10000",
        ),
        (
            "address: \"a:1\", cluster: true",
            "Ringway knows `cluster` but does not have it yet",
        ),
        (
            "address: \"a:1\", pasword: x",
            "unknown field `pasword`; did you mean `password`?",
        ),
        (
            "address: \"a:1\", tls: {trustedCA: x}",
            "redis.tls.trustedCA: holds no certificate",
        ),
        (
            "address: \"a:1\", tls: {skipValidation: true, trustedCA: x}",
            "redis.tls.trustedCA: holds no certificate",
        ),
        (
            "address: \"a:1\", tls: {minversion: 1.1}",
            "redis.tls.minversion: must be one of 1.2, 1.3",
        ),
        (
            "address: \"a:1\", tls: {minversion: 1.3, maxversion: 1.2}",
            "redis.tls.maxversion: ",
        ),
        (
            "address: \"a:1\", tls: {ciphers: [TLS_RSA_WITH_RC4_128_SHA]}",
            "redis.tls.ciphers[0]: `TLS_RSA_WITH_RC4_128_SHA` is no cipher suite",
        ),
        (
            "address: \"a:1\", tls: {serverName: \"a b\"}",
            "redis.tls.serverName: is neither",
        ),
        (
            &format!("address: \"a:1\", tls: {{certificate: {{crt: x, key: {key}}}}}"),
            "redis.tls.certificate.crt: must be PEM",
        ),
        (
            &format!("address: \"a:1\", tls: {{certificate: {{crt: {certificate}, key: nothing-to-see}}}}"),
            "redis.tls.certificate.key: must be PEM",
        ),
        (
            &format!("address: \"a:1\", tls: {{certificate: {{crt: {certificate}, key: {other}}}}}"),
            "redis.tls.certificate.key: is not that of the certificate",
        ),
        (
            &format!(
                "address: \"a:1\", tls: {{certificate: {{crt: {certificate}, key: {key}, keyPassphrase: x}}}}"
            ),
            "redis.tls.certificate.keyPassphrase: can't be used",
        ),
        (
            &format!(
                "address: \"a:1\", tls: {{certificate: {{crt: {certificate}, key: \"-----BEGIN ENCRYPTED PRIVATE KEY-----\"}}}}"
            ),
            "redis.tls.certificate.key: is protected by a passphrase",
        ),
    ] {
        let lines = problems(&redis(fields));
        assert_eq!(lines.len(), 1, "{fields}: {lines:?}");
        assert!(
            lines[0].contains(told) && lines[0].starts_with("f.yaml:1:"),
            "{fields}: {lines:?}"
        );
        assert!(!lines[0].contains("nothing-to-see"), "{lines:?}");
    }
    for (fields, told) in [
        ("", "spec.sharedStorage: must have `redis` or `local`"),
        ("local: {}", "`enabled` is required"),
        (
            "redis: {address: \"a:1\"}, local: {enabled: true}",
            "sharedStorage.local: stands beside `redis`",
        ),
        (
            "objectStore: {url: x}",
            "Ringway knows `objectStore` but does not have it yet",
        ),
    ] {
        let lines = problems(&storage(fields));
        assert!(
            lines.iter().any(|line| line.contains(told)),
            "{fields}: {lines:?}"
        );
    }
}

#[test]
fn a_dump_says_what_is_in_force_and_hides_what_is_secret() {
    let (certificate, key) = pair();
    let text = redis(&format!(
        "sentinel: {{addresses: [\"a:1\"], masterName: m, password: hidden-1}}, username: $$u, password: hidden-2, secret: hidden-3, \
         tls: {{trustedCA: {certificate}, certificate: {{crt: {certificate}, key: {key}}}}}"
    ));
    let dump = dump_text(&text);
    for said in [
        "masterName: m",
        "username: $$u",
        "password: \"***\"",
        "secret: \"***\"",
        "key: \"***\"",
        "keyPrefix: ringway",
        "db: 0",
    ] {
        let loose = said.replace('"', "");
        assert!(dump.replace(['"', '\''], "").contains(&loose), "{said}:\n{dump}");
    }
    assert!(!dump.contains("hidden") && !dump.contains("PRIVATE"), "{dump}");
    let again = dump_text(&dump_text(&redis("address: \"a:1\", db: 2")));
    assert!(again.contains("a:1") && again.contains("db: 2"), "{again}");
    assert!(dump_text(&storage("local: {enabled: true}")).contains("enabled: true"));
}

fn caching(config: &str) -> String {
    let policy = format!("{{policyRef: {{name: http-caching-flex}}, config: {{{config}}}}}");
    let spec = format!(
        "address: \"http://127.0.0.1:1\", services: {{s: {{address: \"http://o\"}}}}, policies: [{policy}]"
    );
    document("ApiInstance", "a", &spec)
}

#[test]
fn a_distributed_cache_needs_a_storage() {
    for flag in ["distributed", "persistCache"] {
        let lines = problems(&caching(&format!("{flag}: true")));
        let told =
            format!("policies[0].config.{flag}: needs shared storage: configure `sharedStorage.redis`");
        assert!(lines.len() == 1 && lines[0].contains(&told), "{lines:?}");
        let with = |storage: &str| {
            loaded(&(caching(&format!("{flag}: true")) + storage))
                .snapshot
                .shared_caches
                .len()
        };
        assert_eq!(with(&redis("address: \"a:1\"")), 1);
        assert_eq!(with(&storage("local: {enabled: true}")), 0);
    }
    assert_eq!(
        loaded(&(caching("distributed: false") + &redis("address: \"a:1\"")))
            .snapshot
            .shared_caches
            .len(),
        0
    );
    for broken in ["redis: {address: a}", "redis: {adress: \"a:1\"}", "local: 3"] {
        let lines = problems(&(caching("distributed: true") + &storage(broken)));
        assert!(
            !lines.iter().any(|line| line.contains("needs shared storage")),
            "{lines:?}"
        );
    }
    let lines = problems(&caching("lookupTimeoutMilliseconds: 5"));
    assert!(lines[0].contains("is for `distributed: true`"), "{lines:?}");
}

#[test]
fn what_weakens_it_is_noted() {
    let notes = |fields: &str| {
        let notes = loaded(&(caching("distributed: true") + &redis(fields))).notes;
        notes
            .into_iter()
            .filter(|note| note.contains("sharedStorage"))
            .collect::<Vec<_>>()
    };
    assert!(notes("address: \"a:1\", secret: s").is_empty());
    assert!(notes("address: \"a:1\", password: p").is_empty());
    assert!(notes("address: \"a:1\"")[0].contains("neither `secret` nor `password`"));
    let unchecked = notes("address: \"a:1\", secret: s, tls: {skipValidation: true}");
    assert!(
        unchecked.len() == 1 && unchecked[0].contains("skipValidation"),
        "{unchecked:?}"
    );
}
