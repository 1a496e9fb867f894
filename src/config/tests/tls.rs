//! What secures connections: from documents to what a port and a service have, and what is wrong with others.

use super::{document, loaded, problems};
use crate::{
    config::{DumpFormat, Environment, Options, dump},
    shard::snapshot::Snapshot,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

/// Certificates of one test, and where they lie.
struct Files {
    folder: std::path::PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Files {
    fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("ringway-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        std::fs::write(folder.join("ca.pem"), issuer.pem()).expect("a file");
        let all = Self { folder, issuer };
        all.pair("a", "a.test", |_| {});
        all.pair("b", "b.test", |_| {});
        all.pair("old", "old.test", |params| {
            params.not_after = date_time_ymd(2002, 1, 1)
        });
        all
    }

    fn pair(&self, file: &str, name: &str, change: impl FnOnce(&mut CertificateParams)) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        // Far enough ahead that nobody is warned.
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        std::fs::write(self.folder.join(format!("{file}.crt")), certificate.pem()).expect("a file");
        std::fs::write(self.folder.join(format!("{file}.key")), key.serialize_pem()).expect("a file");
    }

    /// `a.crt` and the like become paths.
    fn placed(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for name in ["a", "b", "old"] {
            for end in ["crt", "key"] {
                let file = format!("@{name}.{end}");
                text = text.replace(
                    &file,
                    &format!("'$file:{}'", self.folder.join(&file[1..]).display()),
                );
            }
        }
        text.replace(
            "@ca",
            &format!("'$file:{}'", self.folder.join("ca.pem").display()),
        )
    }

    fn pairs(&self, snapshot: &Snapshot, listener: usize) -> Vec<String> {
        let server = snapshot.listeners[listener].tls.as_ref().expect("it is secured");
        let names = server
            .certificates()
            .iter()
            .map(|pair| pair.facts().dns_names.join(" "));
        names.collect()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

const A: &str = "certificate: {crt: @a.crt, key: @a.key}";
const B: &str = "certificate: {crt: @b.crt, key: @b.key}";

fn api(name: &str, address: &str, policies: &str) -> String {
    let spec =
        format!("address: '{address}', services: {{s: {{address: 'http://o'}}}}, policies: [{policies}]");
    document("ApiInstance", name, &spec)
}

fn tls(config: &str) -> String {
    format!("{{policyRef: {{name: tls}}, config: {{{config}}}}}")
}

#[test]
fn a_port_is_what_all_its_apis_say() {
    let files = Files::new("ports");
    let bound = document(
        "PolicyBinding",
        "bound",
        "targetRef: {name: three}, policyRef: {name: tls}, order: 1, config: {certificates: [{crt: @b.crt, key: @b.key}, \
         {crt: @a.crt, key: @a.key}]}",
    );
    let text = [
        api("one", "https://127.0.0.1:1/one", &tls(A)),
        api("two", "https://127.0.0.1:1/two", ""),
        api("three", "https://127.0.0.1:1/three", ""),
        api("plain", "http://127.0.0.1:2", ""),
        bound,
    ];
    let loaded = loaded(&files.placed(&text.concat()));
    assert_eq!(loaded.notes, [""; 0]);
    // The order of the bindings says which comes first; one pair twice is one.
    assert_eq!(files.pairs(&loaded.snapshot, 0), ["b.test", "a.test"]);
    assert!(loaded.snapshot.listeners[1].tls.is_none());
}

#[test]
fn a_selection_and_an_address_in_plain_http_are_secured_too() {
    let files = Files::new("selections");
    let all = document(
        "PolicyBinding",
        "all",
        &format!(
            "targetRef: {{kind: Selector, selector: {{kind: ApiInstance}}}}, policyRef: {{name: tls}}, config: {{{A}, alpn: [h2]}}"
        ),
    );
    let text = [
        api("one", "http://127.0.0.1:1", ""),
        api("two", "https://127.0.0.1:2", ""),
        all,
    ]
    .concat();
    let loaded = loaded(&files.placed(&text));
    for listener in [0, 1] {
        assert_eq!(files.pairs(&loaded.snapshot, listener), ["a.test"]);
    }
    assert_eq!(loaded.notes.len(), 2, "{:?}", loaded.notes);
    assert!(loaded.notes[0].contains("`h2` is not offered yet"));
    assert!(loaded.notes[1].contains("is reached by https alone"));
}

#[test]
fn secrets_hold_pairs_as_base64_or_as_they_are() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let files = Files::new("secrets");
    let read = |file: &str| std::fs::read_to_string(files.folder.join(file)).expect("a file");
    let spec = format!(
        "tls: {{crt: {}, key: {}}}",
        STANDARD.encode(read("a.crt")),
        STANDARD.encode(read("a.key"))
    );
    let text = [
        api(
            "one",
            "https://127.0.0.1:1",
            &tls(
                "certificate: {secretRef: {name: first}}, certificates: [{secretRef: {name: second, namespace: default}}]",
            ),
        ),
        document("Secret", "first", &spec),
        document("Secret", "second", "tls: {crt: @b.crt, key: @b.key}"),
    ];
    let text = files.placed(&text.concat());
    assert_eq!(files.pairs(&loaded(&text).snapshot, 0), ["a.test", "b.test"]);
    let file = files.folder.join("gateway.yaml");
    std::fs::write(&file, &text).expect("a file");
    let options = Options {
        paths: vec![file],
        environment: Environment::default(),
    };
    let dumped = dump(&options, DumpFormat::Yaml).expect("a dump");
    assert!(
        dumped.contains("https://127.0.0.1:1") && dumped.contains("kind: Secret"),
        "{dumped}"
    );
    assert!(!dumped.contains("PRIVATE") && !dumped.contains(&STANDARD.encode(read("a.key"))));
}

#[test]
fn what_is_wrong_has_its_place() {
    let files = Files::new("wrong");
    let told = |text: &str| {
        let lines = problems(&files.placed(text));
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines[0].clone()
    };
    for (config, place, says) in [
        ("", "spec.policies[0].config", "needs `certificate`"),
        (
            "certificate: {crt: @a.crt}",
            "config.certificate",
            "needs `key` and `crt`",
        ),
        (
            "certificate: {crt: @a.crt, key: @b.key}",
            "config.certificate.key",
            "not that of the certificate",
        ),
        (
            "certificate: {crt: @old.crt, key: @old.key}",
            "config.certificate.crt",
            "has expired: `CN=rcgen self signed cert` was valid until 2002",
        ),
        (
            "certificates: [{crt: @a.crt, key: @a.key}, {crt: @a.crt, key: nonsense}]",
            "config.certificates[1].key",
            "must be PEM",
        ),
        (
            "certificate: {secretRef: {name: none}}",
            "secretRef.name",
            "there is no Secret `none`",
        ),
        (
            "certificate: {crt: @a.crt, key: @a.key, secretRef: {name: none}}",
            "config.certificate",
            "use either",
        ),
        (
            &format!("{A}, requireClientCertificate: true"),
            "requireClientCertificate",
            "needs `trustedCA`",
        ),
        (
            &format!("{A}, forwardClientCertificate: true"),
            "forwardClientCertificate",
            "needs `trustedCA`",
        ),
        (&format!("{A}, trustedCA: ''"), "trustedCA", "no certificate"),
        (
            &format!("{A}, minversion: 1.1"),
            "minversion",
            "must be one of 1.2, 1.3",
        ),
        (
            &format!("{A}, minversion: 1.3, maxversion: 1.2"),
            "maxversion",
            "above the greatest",
        ),
        (
            &format!("{A}, ciphers: [TLS_RSA_WITH_AES_128_CBC_SHA]"),
            "ciphers[0]",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        ),
        (&format!("{A}, ciphers: []"), "ciphers", "must not be empty"),
        (
            &format!("{A}, ciphers: [TLS_AES_128_GCM_SHA256]"),
            "ciphers",
            "none of them is of TLS 1.2",
        ),
        (
            &format!("{A}, alpn: [spdy]"),
            "alpn[0]",
            "must be one of h2, http/1.1",
        ),
    ] {
        let line = told(&api("one", "https://127.0.0.1:1", &tls(config)));
        assert!(
            line.contains("ApiInstance/one") && line.contains(place) && line.contains(says),
            "{config}: {line}"
        );
    }
    // What could not be put in is not told of as missing.
    let unset = "certificate: {crt: $UNSET, key: @a.key}, requireClientCertificate: true, trustedCA: @ca";
    assert!(told(&api("one", "https://127.0.0.1:1", &tls(unset))).contains("`UNSET` is not set"));
    let unset = format!("{A}, requireClientCertificate: true, trustedCA: $UNSET");
    assert!(told(&api("one", "https://127.0.0.1:1", &tls(&unset))).contains("`UNSET` is not set"));
    let line = told(&api("one", "https://127.0.0.1:1", ""));
    assert!(
        line.contains("spec.address") && line.contains("bind the policy `tls`"),
        "{line}"
    );
    let rules = format!("{{policyRef: {{name: tls}}, config: {{{A}}}, rules: [{{path: /x}}]}}");
    assert!(told(&api("one", "https://127.0.0.1:1", &rules)).contains("takes no rules"));
    // Two that disagree: the later one is told of the earlier.
    let disagree = [
        api("one", "https://127.0.0.1:1/one", &tls(A)),
        api(
            "two",
            "https://127.0.0.1:1/two",
            &tls(&format!("{B}, trustedCA: @ca, minversion: 1.3")),
        ),
    ];
    let line = told(&disagree.concat());
    assert!(
        line.starts_with("f.yaml:3:") && line.contains("ApiInstance/one at f.yaml:1:"),
        "{line}"
    );
    assert!(
        line.contains("requireClientCertificate and trustedCA, versions and ciphers"),
        "{line}"
    );
    // A pair that nobody names is read all the same.
    let line = told(
        &(api("one", "http://127.0.0.1:1", "") + &document("Secret", "s", "tls: {crt: @a.crt, key: @b.key}")),
    );
    assert!(line.contains("Secret/s: spec.tls.key"), "{line}");
}

#[test]
fn what_a_service_believes() {
    let files = Files::new("services");
    let service = |address: &str| document("Service", "s", &format!("address: '{address}'"));
    let apis = document("ApiInstance", "a", "address: 'http://127.0.0.1:1'")
        + &document(
            "PolicyBinding",
            "r",
            "targetRef: {name: a}, policyRef: {name: route}, config: {destinationRef: {name: s}}",
        );
    let bound = |target: &str, config: &str| {
        document(
            "PolicyBinding",
            "o",
            &format!("targetRef: {{{target}}}, policyRef: {{name: tls-outbound}}, config: {{{config}}}"),
        )
    };
    let to = "kind: Service, name: s";
    let good = [
        service("https://o.test"),
        apis.clone(),
        bound(
            to,
            "trustedCA: @ca, certificate: {crt: @a.crt, key: @a.key}, serverName: inner.test, minversion: 1.3",
        ),
    ];
    let checked = loaded(&files.placed(&good.concat()));
    let target = checked.snapshot.clusters[0].endpoints[0]
        .tls
        .as_ref()
        .expect("secured");
    assert!(target.verifies() && format!("{:?}", target.name()).contains("inner.test"));
    let lax = [
        service("https://o.test"),
        apis.clone(),
        bound(to, "skipValidation: true"),
    ];
    let lax = loaded(&files.placed(&lax.concat()));
    assert!(
        !lax.snapshot.clusters[0].endpoints[0]
            .tls
            .as_ref()
            .expect("secured")
            .verifies()
    );
    assert!(
        lax.notes.iter().any(|note| note.contains("skipValidation")),
        "{:?}",
        lax.notes
    );
    for (address, target, config, says) in [
        (
            "http://o.test",
            to,
            "skipValidation: true",
            "has no https:// address",
        ),
        (
            "https://o.test",
            "name: a",
            "skipValidation: true",
            "bind it to one",
        ),
        (
            "https://o.test",
            to,
            "serverName: 'a b', trustedCA: @ca",
            "no name a certificate can be for",
        ),
        (
            "https://o.test",
            to,
            "certificate: {crt: @a.crt, key: @b.key}",
            "not that of the certificate",
        ),
    ] {
        let text = [service(address), apis.clone(), bound(target, config)].concat();
        let lines = problems(&files.placed(&text));
        assert!(lines.len() == 1 && lines[0].contains(says), "{lines:?}");
    }
    let inline = api(
        "b",
        "http://127.0.0.1:2",
        "{policyRef: {name: tls-outbound}, config: {}}",
    );
    assert!(problems(&inline)[0].contains("bind it to one with a PolicyBinding"));
}

#[test]
fn the_gateways_own_calls_and_tickets() {
    let files = Files::new("calls");
    let plain = api("a", "http://127.0.0.1:1", "");
    let calls = |config: &str| {
        document(
            "Configuration",
            "c",
            &format!("defaultTLS: {{outboundPolicyCalls: {{{config}}}}}"),
        )
    };
    let loaded = loaded(&files.placed(&(plain.clone() + &calls("trustedCA: @ca"))));
    assert!(loaded.snapshot.policy_calls.expect("a client").verifies());
    let lines = problems(&files.placed(&(plain.clone() + &calls("trustedCA: nonsense"))));
    assert!(
        lines[0].contains("Configuration/c: spec.defaultTLS.outboundPolicyCalls.trustedCA"),
        "{lines:?}"
    );
    let tickets = |secret: &str| {
        document(
            "Configuration",
            "c",
            &format!("sessionTickets: {{secret: {secret}}}"),
        )
    };
    let lines = problems(&(plain.clone() + &tickets("short")));
    assert!(
        lines[0].contains("spec.sessionTickets.secret: must have at least 32 bytes"),
        "{lines:?}"
    );
    assert!(
        super::loaded(&(plain + &tickets(&"x".repeat(32))))
            .snapshot
            .ticket_secret
            .is_some()
    );
}
