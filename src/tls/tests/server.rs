//! The server half, against rustls' own client, without sockets.

use super::*;
use rcgen::DnType;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    client::Resumption,
    pki_types::{CertificateDer, ServerName},
};
use std::time::{Duration, SystemTime};

/// A session of ours, a client of rustls', and the bytes between them.
struct Visit {
    session: Session,
    client: ClientConnection,
    /// What the session has understood.
    heard: Vec<u8>,
    /// The client's bytes come in pieces of this size.
    piece: usize,
}

impl Visit {
    fn new(acceptor: &Acceptor, config: &Arc<ClientConfig>, name: &str, piece: usize) -> Self {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        Self {
            session: acceptor.session().expect("random numbers"),
            client: ClientConnection::new(config.clone(), name).expect("settings"),
            heard: Vec::new(),
            piece,
        }
    }

    /// To the end of the handshake; `Err(None)`: it is the client that gave up.
    fn shake_hands(&mut self) -> Result<Peer, Option<Failure>> {
        self.session.receive(&mut [], &mut self.heard)?;
        while !self.session.is_established() || self.session.is_awaited() {
            self.listen()?;
            let said = self.session.take_outgoing();
            self.tell(&said).map_err(|_| None)?;
        }
        Ok(self.session.peer()?)
    }

    /// From the client, piece by piece.
    fn listen(&mut self) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut bytes).expect("room");
        }
        for piece in bytes.chunks(self.piece) {
            let mut received = [self.session.pending(), piece].concat();
            self.session.receive(&mut received, &mut self.heard)?;
        }
        Ok(())
    }

    /// To the client.
    fn tell(&mut self, mut bytes: &[u8]) -> Result<(), rustls::Error> {
        while !bytes.is_empty() {
            self.client.read_tls(&mut bytes).expect("room");
            self.client.process_new_packets()?;
        }
        Ok(())
    }

    fn ask(&mut self, question: &[u8]) {
        for piece in question.chunks(30_000) {
            self.client.writer().write_all(piece).expect("room");
            self.listen().expect("records");
        }
    }

    /// What the client hears when this is said.
    fn answer(&mut self, answer: &[u8]) -> Vec<u8> {
        let mut heard = Vec::new();
        for piece in answer.chunks(30_000) {
            let mut records = Vec::new();
            self.session.encrypt(piece, &mut records).expect("records");
            self.tell(&records).expect("what the client understands");
            let _ = self.client.reader().read_to_end(&mut heard);
        }
        heard
    }
}

impl Authority {
    fn pair(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        self.pair_of(names, &rcgen::PKCS_ECDSA_P256_SHA256, change)
    }

    fn pair_of(
        &self,
        names: &[&str],
        algorithm: &'static rcgen::SignatureAlgorithm,
        change: impl FnOnce(&mut CertificateParams),
    ) -> (String, String) {
        let key = KeyPair::generate_for(algorithm).expect("random numbers");
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    fn own(&self, names: &[&str]) -> crate::tls::KeyPair {
        let (chain, key) = self.pair(names, |_| {});
        crate::tls::KeyPair::read(&chain, &key, SystemTime::now()).expect("a pair")
    }

    fn port(&self) -> ServerSpec {
        ServerSpec {
            certificates: vec![self.own(&[NAME])],
            terms: ServerTerms::default(),
        }
    }

    /// Believes this authority; shows `pair`, if one is given. Remembers tickets.
    fn visitor(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        pair: Option<&(String, String)>,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a root");
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match pair {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(
                    CertificateDer::pem_slice_iter(chain.as_bytes())
                        .collect::<Result<_, _>>()
                        .expect("PEM"),
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key"),
                )
                .expect("a pair"),
        };
        config.resumption = Resumption::in_memory_sessions(64);
        Arc::new(config)
    }
}

fn tickets() -> Arc<Tickets> {
    Tickets::new(None, SystemTime::now()).expect("random numbers")
}

fn acceptor(spec: &ServerSpec) -> Acceptor {
    Server::new(spec).expect("settings").acceptor(&tickets())
}

const BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

#[test]
fn every_split_of_what_a_client_says() {
    let authority = Authority::new();
    let acceptor = acceptor(&authority.port());
    for version in BOTH {
        for piece in [1, 2, 7, 49, 1_000, usize::MAX] {
            let mut visit = Visit::new(&acceptor, &authority.visitor(&[version], None), NAME, piece);
            let peer = visit.shake_hands().expect("a handshake");
            assert_eq!((peer.resumed, peer.certificate), (false, None));
            let question = bytes(if piece < 50 { 3_000 } else { 100_000 });
            visit.ask(&question);
            assert!(visit.heard == question, "{version:?} {piece}");
            let answer = bytes(200_000);
            assert!(visit.answer(&answer) == answer, "{version:?} {piece}");
            assert!(visit.session.pending().is_empty() && !visit.session.peer_closed());
            visit.client.send_close_notify();
            visit.listen().expect("an end");
            assert!(visit.session.peer_closed());
        }
    }
}

#[test]
fn what_was_agreed_is_told() {
    let authority = Authority::new();
    let acceptor = acceptor(&authority.port());
    for (version, name) in [(&TLS13, "TLSv1.3"), (&TLS12, "TLSv1.2")] {
        let mut visit = Visit::new(&acceptor, &authority.visitor(&[version], None), NAME, usize::MAX);
        let peer = visit.shake_hands().expect("a handshake");
        assert_eq!(peer.version, name);
        assert!(
            peer.suite.starts_with("TLS_") && peer.suite.contains("AES_"),
            "{}",
            peer.suite
        );
        let group = visit
            .client
            .negotiated_key_exchange_group()
            .expect("a group")
            .name();
        let hybrid = group == rustls::NamedGroup::X25519MLKEM768;
        assert_eq!(
            hybrid,
            version == &TLS13,
            "post-quantum where both can: {group:?}"
        );
    }
}

#[test]
fn a_session_goes_on_where_any_shard_ended_it() {
    let authority = Authority::new();
    let shared = tickets();
    let server = Server::new(&authority.port()).expect("settings");
    for version in BOTH {
        let config = authority.visitor(&[version], None);
        let mut resumed = Vec::new();
        for _ in 0..4 {
            // Another acceptor each time: another shard's, or a later configuration's.
            let mut visit = Visit::new(&server.acceptor(&shared), &config, NAME, usize::MAX);
            resumed.push(visit.shake_hands().expect("a handshake").resumed);
            visit.ask(b"x");
            assert_eq!(visit.answer(b"y"), b"y");
        }
        assert_eq!(resumed, [false, true, true, true], "{version:?}");
        let mut elsewhere = Visit::new(&server.acceptor(&tickets()), &config, NAME, usize::MAX);
        assert!(
            !elsewhere.shake_hands().expect("a handshake").resumed,
            "other keys"
        );
    }
}

#[test]
fn a_ticket_is_good_for_the_settings_it_was_given_under() {
    let authority = Authority::new();
    let shared = tickets();
    let asking = |clients| ServerSpec {
        terms: ServerTerms {
            clients,
            ..ServerTerms::default()
        },
        ..authority.port()
    };
    let trust = || Trust::Pem(authority.issuer.pem());
    let open = Server::new(&asking(Clients::NotAsked)).expect("settings");
    let asked = Server::new(&asking(Clients::Asked(trust()))).expect("settings");
    let required = Server::new(&asking(Clients::Required(trust()))).expect("settings");
    let pair = authority.pair(&["client.test"], |_| {});
    for version in BOTH {
        let config = authority.visitor(&[version], Some(&pair));
        for (server, known) in [
            (&open, false),
            (&asked, false),
            (&required, false),
            (&required, true),
            (&asked, false),
        ] {
            let mut visit = Visit::new(&server.acceptor(&shared), &config, NAME, usize::MAX);
            let peer = visit.shake_hands().expect("a handshake");
            assert_eq!(peer.resumed, known, "{version:?}");
            visit.ask(b"x");
            visit.answer(b"y");
        }
    }
}

#[test]
fn certificates_of_clients() {
    let authority = Authority::new();
    let trust = || Trust::Pem(authority.issuer.pem());
    let asking = |clients| {
        acceptor(&ServerSpec {
            terms: ServerTerms {
                clients,
                forward_certificate: true,
                ..ServerTerms::default()
            },
            ..authority.port()
        })
    };
    let (asked, required) = (
        asking(Clients::Asked(trust())),
        asking(Clients::Required(trust())),
    );
    let good = authority.pair(&["client.test"], |params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "A, \"B\" + C; ü");
        params.distinguished_name.push(DnType::CommonName, "client");
    });
    let expired = authority.pair(&["client.test"], |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    let strangers = Authority::new().pair(&["client.test"], |_| {});
    for version in BOTH {
        for (pair, optional, mandatory) in [
            (None, Ok(false), Err(Failure::NoCertificate)),
            (Some(&good), Ok(true), Ok(true)),
            (
                Some(&expired),
                Err(Failure::CertificateExpired),
                Err(Failure::CertificateExpired),
            ),
            (
                Some(&strangers),
                Err(Failure::CertificateUntrusted),
                Err(Failure::CertificateUntrusted),
            ),
        ] {
            for (acceptor, expected) in [(&asked, optional), (&required, mandatory)] {
                let mut visit = Visit::new(acceptor, &authority.visitor(&[version], pair), NAME, usize::MAX);
                let outcome = visit.shake_hands();
                let shown = outcome.as_ref().map(|peer| peer.certificate.is_some());
                assert_eq!(
                    shown.map_err(|failure| failure.expect("ours")),
                    expected,
                    "{version:?}"
                );
                if expected.is_err() {
                    // The client hears why.
                    let alert = visit.session.take_outgoing();
                    assert!(matches!(visit.tell(&alert), Err(rustls::Error::AlertReceived(_))));
                }
            }
        }
        let mut visit = Visit::new(
            &required,
            &authority.visitor(&[version], Some(&good)),
            NAME,
            usize::MAX,
        );
        let peer = visit.shake_hands().expect("a handshake");
        let facts = peer.certificate.expect("one");
        assert_eq!(facts.subject, r#"CN=client,O=A\, \"B\" \+ C\; \C3\BC"#);
        assert_eq!(facts.common_name.as_deref(), Some("client"));
        assert_eq!(
            (facts.dns_names, facts.fingerprint.len()),
            (vec!["client.test".to_owned()], 64)
        );
        assert!(facts.not_before < facts.not_after && facts.not_after.ends_with('Z'));
        let line = peer.forwarded.expect("a header");
        assert!(
            line.starts_with(&format!("Hash={};Subject=\"CN=client,", facts.fingerprint)),
            "{line}"
        );
        assert!(line.ends_with(";DNS=client.test") && line.is_ascii(), "{line}");
    }
}

/// Each handshake gives a new ticket, so one certificate that was good once would be good for ever.
#[test]
fn a_resumed_session_is_only_as_good_as_its_certificate() {
    let authority = Authority::new();
    let shared = tickets();
    let spec = |authority: &Authority, trusted: &Authority| ServerSpec {
        terms: ServerTerms {
            clients: Clients::Required(Trust::Pem(trusted.issuer.pem())),
            ..ServerTerms::default()
        },
        ..authority.port()
    };
    let server = Server::new(&spec(&authority, &authority)).expect("settings");
    let soon = SystemTime::now() + Duration::from_secs(2);
    let pair = authority.pair(&["client.test"], |params| params.not_after = soon.into());
    let configs: Vec<_> = BOTH
        .iter()
        .map(|version| authority.visitor(&[version], Some(&pair)))
        .collect();
    let visit = |config| {
        let mut visit = Visit::new(&server.acceptor(&shared), config, NAME, usize::MAX);
        let peer = visit.shake_hands()?;
        visit.ask(b"x");
        visit.answer(b"y");
        Ok::<_, Option<Failure>>(peer.resumed)
    };
    for config in &configs {
        assert_eq!(visit(config), Ok(false));
    }
    let end = SystemTime::now() + Duration::from_secs(20);
    for config in &configs {
        loop {
            match visit(config) {
                Ok(resumed) => assert!(resumed && SystemTime::now() < end, "still let in"),
                Err(failure) => break assert_eq!(failure, Some(Failure::CertificateExpired)),
            }
        }
    }
}

#[test]
fn the_name_chooses_the_certificate() {
    let authority = Authority::new();
    let names: [&[&str]; 4] = [
        &["default.test", "other.test"],
        &["*.wild.test"],
        &["exact.wild.test"],
        &["OTHER.test", "last.test"],
    ];
    let acceptor = acceptor(&ServerSpec {
        certificates: names.iter().map(|names| authority.own(names)).collect(),
        terms: ServerTerms::default(),
    });
    for version in BOTH {
        let config = authority.visitor(&[version], None);
        for (asked, good) in [
            ("default.test", true),
            ("other.test", true),
            ("a.wild.test", true),
            ("exact.wild.test", true),
            ("last.test", true),
            ("a.b.wild.test", false),
            ("wild.test", false),
            ("unknown.test", false),
        ] {
            let mut visit = Visit::new(&acceptor, &config, asked, usize::MAX);
            let outcome = visit.shake_hands();
            assert_eq!(outcome.is_ok(), good, "{asked}: {outcome:?}");
            if good {
                let shown = visit.client.peer_certificates().expect("certificates")[0].to_vec();
                let facts = Certificate::read(&shown).expect("a certificate");
                if asked == "exact.wild.test" {
                    assert_eq!(facts.dns_names, ["exact.wild.test"], "before the wildcard");
                }
                if asked == "other.test" {
                    assert_eq!(
                        facts.dns_names,
                        ["default.test", "other.test"],
                        "the first of two"
                    );
                }
            }
        }
    }
}

/// One of a newer kind beside one that everybody can check.
#[test]
fn a_certificate_that_the_client_cannot_check_is_not_shown() {
    let authority = Authority::new();
    let of = |algorithm| {
        let (chain, key) = authority.pair_of(&[NAME], algorithm, |_| {});
        crate::tls::KeyPair::read(&chain, &key, SystemTime::now()).expect("a pair")
    };
    let pairs = [of(&rcgen::PKCS_ED25519), of(&rcgen::PKCS_ECDSA_P256_SHA256)];
    let choice = super::super::choice::Choice::new(&pairs);
    use rustls::SignatureScheme as Scheme;
    for (offered, index) in [
        (&[Scheme::ECDSA_NISTP256_SHA256, Scheme::ED25519][..], 0),
        (&[Scheme::ECDSA_NISTP256_SHA256, Scheme::RSA_PSS_SHA256][..], 1),
        (&[Scheme::RSA_PSS_SHA256][..], 0),
    ] {
        for name in [Some(NAME), Some("unknown.test"), None] {
            let chosen = choice.of(name, offered).expect("one");
            assert!(
                Arc::ptr_eq(chosen, pairs[index].certified()),
                "{name:?} {offered:?}"
            );
        }
    }
}

#[test]
fn pairs_that_are_wrong_are_told() {
    let authority = Authority::new();
    let now = SystemTime::now();
    let (chain, key) = authority.pair(&[NAME], |_| {});
    let (other_chain, other_key) = authority.pair(&[NAME], |_| {});
    let (expired, expired_key) = authority.pair(&[NAME], |params| {
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    let (early, early_key) = authority.pair(&[NAME], |params| {
        params.not_before = rcgen::date_time_ymd(2200, 1, 1);
        params.not_after = rcgen::date_time_ymd(2201, 1, 1);
    });
    let passphrase = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let nonsense = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let both = [other_chain.as_str(), chain.as_str()].concat();
    for (chain, key, part, says) in [
        ("", &*key, Part::Certificate, "no certificate"),
        (
            "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n",
            &key,
            Part::Certificate,
            "PEM",
        ),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            &key,
            Part::Certificate,
            "read",
        ),
        (&expired, &expired_key, Part::Certificate, "2002-01-01T00:00:00Z"),
        (&early, &early_key, Part::Certificate, "2200-01-01T00:00:00Z"),
        (&chain, "", Part::Key, "no private key"),
        (&chain, passphrase, Part::Key, "passphrase"),
        (&chain, nonsense, Part::Key, "cannot be used"),
        (&chain, &other_key, Part::Key, "not that of the certificate"),
        (&both, &key, Part::Key, "must stand first"),
    ] {
        let (found, message) = crate::tls::KeyPair::read(chain, key, now).expect_err(says);
        assert!(found == part && message.contains(says), "{found:?} {message}");
    }
    let pair = crate::tls::KeyPair::read(&chain, &key, now).expect("a pair");
    assert_eq!(
        pair,
        crate::tls::KeyPair::read(&chain, &key, now).expect("a pair")
    );
    assert_ne!(pair, authority.own(&[NAME]));
    assert!(!format!("{pair:?}").contains("PRIVATE"));
    assert!(pair.facts().days_left(now) > 300);
}

/// The first bytes of anybody.
#[test]
fn hostile_beginnings_end_in_bounded_memory() {
    let authority = Authority::new();
    let acceptor = acceptor(&authority.port());
    let hello = {
        let mut visit = Visit::new(&acceptor, &authority.visitor(&BOTH, None), NAME, usize::MAX);
        let mut bytes = Vec::new();
        visit.client.write_tls(&mut bytes).expect("room");
        bytes
    };
    let feed = |bytes: &[u8]| {
        let mut session = acceptor.session().expect("random numbers");
        let mut heard = Vec::new();
        for piece in bytes.chunks(4096) {
            let mut received = [session.pending(), piece].concat();
            if session.receive(&mut received, &mut heard).is_err() {
                break;
            }
            assert!(
                session.pending().len() <= 80 * 1024,
                "{}",
                session.pending().len()
            );
        }
        assert!(heard.is_empty() && !session.is_established());
        session.failed().is_some()
    };
    for at in 0..hello.len() {
        let mut changed = hello.clone();
        changed[at] ^= 0xff;
        feed(&changed);
    }
    // A message that says it is as long as can be, and one that never ends.
    let mut endless = vec![0x16, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff];
    endless.resize(5 + 0x4000, 0);
    assert!(feed(&endless.repeat(64)));
    assert!(feed(&[0x80; 20_000]));
    assert!(feed(b"\x15\x03\x01\x00\x02\x02\x28"), "an alert");
    assert!(feed(&[&hello[..], &hello[..]].concat()), "a second greeting");
}
