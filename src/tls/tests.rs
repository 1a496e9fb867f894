//! Against rustls' own server, without sockets; and what tests elsewhere need to have one with sockets.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    HandshakeKind, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, pem::PemObject},
    version::{TLS12, TLS13},
};
use std::{
    io::{self, Read, Write},
    sync::Arc,
    thread::JoinHandle,
};

/// Signs servers' certificates, and makes clients that trust it.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("random numbers");
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).expect("a certificate"),
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.spec()).expect("settings")
    }

    fn spec(&self) -> ClientSpec {
        ClientSpec {
            trust: Trust::Pem(self.issuer.pem()),
            ..ClientSpec::default()
        }
    }

    pub(crate) fn server(&self, name: &str) -> ServerConfig {
        self.server_speaking(name, &[&TLS13, &TLS12])
    }

    fn server_speaking(&self, name: &str, versions: &[&'static SupportedProtocolVersion]) -> ServerConfig {
        let key = KeyPair::generate().expect("random numbers");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let private = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).expect("a key");
        ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .expect("a pair")
    }

    /// A server called `name` on the other end of `stream`, on a thread of its own.
    pub(crate) fn serve<S: Read + Write + Send + 'static>(
        &self,
        name: &str,
        stream: S,
        script: impl FnOnce(&mut StreamOwned<ServerConnection, S>) + Send + 'static,
    ) -> JoinHandle<()> {
        let server = ServerConnection::new(Arc::new(self.server(name))).expect("settings");
        std::thread::spawn(move || script(&mut StreamOwned::new(server, stream)))
    }
}

const NAME: &str = "origin.test";

mod server;

/// A session and its server, and the bytes between them.
struct Pair {
    session: Session,
    server: ServerConnection,
    /// What the session has understood.
    heard: Vec<u8>,
    /// What the server has understood.
    told: Vec<u8>,
    /// The server's bytes come in pieces of this size.
    piece: usize,
}

impl Pair {
    fn new(authority: &Authority, config: ServerConfig, piece: usize) -> Self {
        let target = authority.client().target(NAME).expect("a name");
        Self::with(&target.connector(), config, piece)
    }

    fn with(connector: &Connector, config: ServerConfig, piece: usize) -> Self {
        Self {
            session: connector.session().expect("random numbers"),
            server: ServerConnection::new(Arc::new(config)).expect("settings"),
            heard: Vec::new(),
            told: Vec::new(),
            piece,
        }
    }

    fn shake_hands(&mut self) -> Result<(), Failure> {
        self.session.receive(&mut [], &mut self.heard)?;
        while !self.session.is_established() || self.server.is_handshaking() {
            let said = self.session.take_outgoing();
            assert!(!said.is_empty(), "the handshake stands still");
            self.tell(&said).expect("a client the server understands");
            self.listen()?;
        }
        Ok(())
    }

    /// To the server.
    fn tell(&mut self, mut bytes: &[u8]) -> Result<(), rustls::Error> {
        while !bytes.is_empty() {
            self.server.read_tls(&mut bytes).expect("room");
            self.server.process_new_packets()?;
            match self.server.reader().read_to_end(&mut self.told) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => panic!("{error}"),
                _ => {}
            }
        }
        Ok(())
    }

    /// From the server, piece by piece; each begins with what is pending, as a wire's reads do.
    fn listen(&mut self) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        while self.server.wants_write() {
            self.server.write_tls(&mut bytes).expect("room");
        }
        for piece in bytes.chunks(self.piece) {
            let mut received = [self.session.pending(), piece].concat();
            self.session.receive(&mut received, &mut self.heard)?;
            if self.piece < 50 && self.session.is_established() && !self.server.is_handshaking() {
                // Writing in the middle of a record, or a message, that is being read.
                self.say(b"-");
            }
        }
        Ok(())
    }

    fn say(&mut self, plaintext: &[u8]) {
        let mut records = Vec::new();
        self.session.encrypt(plaintext, &mut records).expect("records");
        self.tell(&records).expect("what the server understands");
    }

    fn server_heard(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.told)
    }

    fn answer(&mut self, plaintext: &[u8]) -> Result<(), Failure> {
        for piece in plaintext.chunks(30_000) {
            self.server.writer().write_all(piece).expect("room");
            self.listen()?;
        }
        Ok(())
    }
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

#[test]
fn every_split_of_every_message() {
    let authority = Authority::new();
    for version in [&TLS12, &TLS13] {
        for (piece, record) in [
            (1, None),
            (2, Some(32)),
            (7, Some(33)),
            (49, None),
            (1_000, None),
            (usize::MAX, None),
            (usize::MAX, Some(40)),
        ] {
            let mut config = authority.server_speaking(NAME, &[version]);
            config.max_fragment_size = record;
            let mut pair = Pair::new(&authority, config, piece);
            pair.shake_hands().expect("a handshake");
            assert!(pair.session.pending().is_empty());
            pair.server_heard();
            let sent = bytes(100_000);
            pair.say(&sent);
            assert!(pair.server_heard() == sent, "{version:?} {piece}");
            let answered = bytes(if piece < 50 { 3_000 } else { 200_000 });
            pair.answer(&answered).expect("records");
            assert!(
                pair.heard == answered,
                "{version:?} {piece} {record:?}: {} bytes",
                pair.heard.len()
            );
            assert!(pair.session.pending().is_empty() && !pair.session.peer_closed());
        }
    }
}

#[test]
fn both_ends_are_said_and_heard() {
    let authority = Authority::new();
    for version in [&TLS12, &TLS13] {
        let mut pair = Pair::new(
            &authority,
            authority.server_speaking(NAME, &[version]),
            usize::MAX,
        );
        pair.shake_hands().expect("a handshake");
        pair.server.writer().write_all(b"last").expect("room");
        pair.server.send_close_notify();
        let mut said = Vec::new();
        while pair.server.wants_write() {
            pair.server.write_tls(&mut said).expect("room");
        }
        // Whatever stands behind the end is not looked at.
        said.extend_from_slice(b"not a record");
        pair.session.receive(&mut said, &mut pair.heard).expect("an end");
        assert_eq!(
            (&*pair.heard, pair.session.peer_closed(), pair.session.pending()),
            (&b"last"[..], true, &[][..])
        );
        // The other direction goes on until its own end.
        pair.say(b"still here");
        assert_eq!(pair.server_heard(), b"still here");
        let mut end = Vec::new();
        pair.session.close(&mut end).expect("an end");
        pair.tell(&end).expect("an end");
        assert_eq!(
            pair.server
                .reader()
                .read(&mut [0; 4])
                .expect("an end, not an error"),
            0
        );
        assert!(
            pair.session.encrypt(b"more", &mut Vec::new()).is_err(),
            "nothing is said after the end"
        );
    }
}

#[test]
fn new_keys_in_either_direction() {
    let authority = Authority::new();
    let mut pair = Pair::new(&authority, authority.server_speaking(NAME, &[&TLS13]), 3);
    pair.shake_hands().expect("a handshake");
    pair.server_heard();
    pair.heard.clear();
    for round in 0..5 {
        pair.server.refresh_traffic_keys().expect("TLS 1.3");
        pair.answer(b"new").expect("records");
        pair.say(b"answered");
        assert!(pair.server_heard().ends_with(b"answered"), "round {round}");
    }
    assert_eq!(pair.heard, b"new".repeat(5));
}

#[test]
fn what_is_not_a_record_ends_the_connection_with_an_alert() {
    let authority = Authority::new();
    for version in [&TLS12, &TLS13] {
        for change in [0, 1, 3, 5, 20] {
            let mut pair = Pair::new(
                &authority,
                authority.server_speaking(NAME, &[version]),
                usize::MAX,
            );
            pair.shake_hands().expect("a handshake");
            pair.listen().expect("tickets");
            pair.server.writer().write_all(&bytes(100)).expect("room");
            let mut said = Vec::new();
            pair.server.write_tls(&mut said).expect("room");
            said[change] ^= 0xff;
            said.extend_from_slice(&[0; 20_000]);
            let mut heard = Vec::new();
            let failed = pair.session.receive(&mut said, &mut heard);
            assert_eq!(
                failed,
                Err(Failure::Broken),
                "byte {change} of the record, {version:?}"
            );
            assert!(heard.is_empty());
            assert_eq!(pair.session.failed(), Some(Failure::Broken));
            let alert = pair.session.take_outgoing();
            assert!(matches!(pair.tell(&alert), Err(rustls::Error::AlertReceived(_))));
            assert_eq!(pair.session.receive(&mut said, &mut heard), Err(Failure::Broken));
            assert!(pair.session.encrypt(b"x", &mut Vec::new()).is_err());
        }
    }
}

#[test]
fn tickets_are_a_connectors_own() {
    let authority = Authority::new();
    for version in [&TLS12, &TLS13] {
        let mut config = authority.server_speaking(NAME, &[version]);
        config.ticketer = aws_lc_rs::Ticketer::new().expect("random numbers");
        let target = authority.client().target(NAME).expect("a name");
        let (one, other) = (target.connector(), target.connector());
        let kind = |connector: &Connector| {
            let mut pair = Pair::with(connector, config.clone(), usize::MAX);
            pair.shake_hands().expect("a handshake");
            pair.say(b"x");
            pair.answer(b"y").expect("a ticket and an answer");
            pair.server.handshake_kind()
        };
        assert_eq!(kind(&one), Some(HandshakeKind::Full));
        assert_eq!(kind(&one), Some(HandshakeKind::Resumed), "{version:?}");
        assert_eq!(kind(&other), Some(HandshakeKind::Full), "{version:?}");
    }
}

#[test]
fn who_is_believed() {
    let authority = Authority::new();
    let shake = |spec: ClientSpec, host: &str, config: ServerConfig| {
        let target = Client::new(spec).expect("settings").target(host).expect("a name");
        Pair::with(&target.connector(), config, usize::MAX).shake_hands()
    };
    let good = || authority.server(NAME);
    assert_eq!(shake(authority.spec(), NAME, good()), Ok(()));
    assert_eq!(
        shake(authority.spec(), "origin.test.", good()),
        Ok(()),
        "an absolute name"
    );
    assert_eq!(
        shake(authority.spec(), "other.test", good()),
        Err(Failure::CertificateName)
    );
    let spec = ClientSpec {
        server_name: Some(NAME.to_owned()),
        ..authority.spec()
    };
    assert_eq!(shake(spec, "10.0.0.1", good()), Ok(()), "a name of its own");
    assert_eq!(
        shake(authority.spec(), NAME, Authority::new().server(NAME)),
        Err(Failure::CertificateUntrusted)
    );
    let anybody = ClientSpec {
        verify: false,
        ..authority.spec()
    };
    assert_eq!(
        shake(anybody, "other.test", Authority::new().server(NAME)),
        Ok(())
    );
    let newest = ClientSpec {
        protection: Protection {
            minimum: Version::Tls13,
            ..Protection::default()
        },
        ..authority.spec()
    };
    // Whoever speaks first of it: the server has nothing in common with us, and says so.
    let target = Client::new(newest)
        .expect("settings")
        .target(NAME)
        .expect("a name");
    let mut pair = Pair::with(
        &target.connector(),
        authority.server_speaking(NAME, &[&TLS12]),
        usize::MAX,
    );
    pair.session.receive(&mut [], &mut Vec::new()).expect("a hello");
    let hello = pair.session.take_outgoing();
    assert!(pair.tell(&hello).is_err());
    assert_eq!(pair.listen(), Err(Failure::Refused));
}

#[test]
fn settings_that_are_wrong_are_told() {
    let authority = Authority::new();
    for (trust, says) in [
        ("", "no certificate"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "cannot be used",
        ),
        (
            "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n",
            "PEM",
        ),
    ] {
        let spec = ClientSpec {
            trust: Trust::Pem(trust.to_owned()),
            ..ClientSpec::default()
        };
        let message = Client::new(spec).err().unwrap_or_default();
        assert!(message.contains(says), "{trust:?}: {message}");
    }
    let backwards = ClientSpec {
        protection: Protection {
            minimum: Version::Tls13,
            maximum: Version::Tls12,
            suites: Vec::new(),
        },
        ..authority.spec()
    };
    assert!(Client::new(backwards).is_err());
    assert!(authority.client().target("not a name").is_err());
}

#[test]
fn settings_are_equal_if_they_believe_the_same() {
    let (one, other) = (Authority::new(), Authority::new());
    assert_eq!(one.client(), one.client());
    assert_ne!(one.client(), other.client());
    let lax = ClientSpec {
        verify: false,
        ..one.spec()
    };
    assert_ne!(one.client(), Client::new(lax).expect("settings"));
    let target = |name| one.client().target(name).expect("a name");
    assert_eq!(target("a.test"), target("a.test"));
    assert_ne!(target("a.test"), target("b.test"));
}
