//! Certificates made for a test, and origins that show them.

use super::gateway::Folder;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// Signs certificates. Who trusts its file trusts them.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: Folder,
    /// Its certificate, PEM.
    pub file: PathBuf,
}

/// A certificate and its key, PEM, in files and as text.
pub struct Pair {
    pub crt: PathBuf,
    pub key: PathBuf,
    pub crt_text: String,
    pub key_text: String,
}

/// What an origin shows, and how.
#[derive(Clone)]
pub struct Server {
    pub config: ServerConfig,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "an authority for tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let issuer = CertifiedIssuer::self_signed(params, key()).expect("a certificate");
        let folder = Folder::new();
        let file = folder.write("authority.pem", &issuer.pem());
        Self { issuer, folder, file }
    }

    /// A certificate for these names and addresses.
    pub fn server(&self, names: &[&str]) -> Server {
        self.server_with(names, |_| {}, rustls::ALL_VERSIONS)
    }

    pub fn expired_server(&self, names: &[&str]) -> Server {
        let expired = |params: &mut CertificateParams| {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
        };
        self.server_with(names, expired, rustls::ALL_VERSIONS)
    }

    /// A pair for these names.
    pub fn pair(&self, names: &[&str]) -> Pair {
        self.pair_with(names, |_| {})
    }

    pub fn expired_pair(&self, names: &[&str]) -> Pair {
        self.pair_with(names, |params| {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
        })
    }

    pub fn pair_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Pair {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        change(&mut params);
        let key = key();
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let (crt_text, key_text) = (certificate.pem(), key.serialize_pem());
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Pair {
            crt: self.folder.write(&format!("{number}.crt"), &crt_text),
            key: self.folder.write(&format!("{number}.key"), &key_text),
            crt_text,
            key_text,
        }
    }

    /// A client that believes this authority, shows `pair` to who asks, and resumes sessions.
    pub fn client(&self, pair: Option<&Pair>) -> Arc<ClientConfig> {
        self.client_speaking(rustls::ALL_VERSIONS, pair)
    }

    pub fn client_speaking(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        pair: Option<&Pair>,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a root");
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match pair {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let chain = CertificateDer::pem_slice_iter(pair.crt_text.as_bytes())
                    .collect::<Result<_, _>>()
                    .expect("PEM");
                let key = PrivateKeyDer::from_pem_slice(pair.key_text.as_bytes()).expect("a key");
                builder.with_client_auth_cert(chain, key).expect("a pair")
            }
        };
        config.resumption = Resumption::in_memory_sessions(1024);
        Arc::new(config)
    }

    /// An origin's that lets in who shows a certificate of this authority, and nobody else.
    pub fn server_asking(&self, names: &[&str]) -> Server {
        let pair = self.pair(names);
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a root");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .expect("a verifier");
        let chain = CertificateDer::pem_slice_iter(pair.crt_text.as_bytes())
            .collect::<Result<_, _>>()
            .expect("PEM");
        let key = PrivateKeyDer::from_pem_slice(pair.key_text.as_bytes()).expect("a key");
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .expect("versions")
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .expect("a pair");
        Server { config }
    }

    pub fn server_speaking(&self, names: &[&str], version: &'static SupportedProtocolVersion) -> Server {
        self.server_with(names, |_| {}, &[version])
    }

    /// Its certificate, PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    fn server_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
        versions: &[&'static SupportedProtocolVersion],
    ) -> Server {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        change(&mut params);
        let key = key();
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let private = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).expect("a key");
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .expect("a pair");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.ticketer = aws_lc_rs::Ticketer::new().expect("random numbers");
        Server { config }
    }
}

impl Server {
    /// Records of at most this many bytes, header included.
    pub fn records_of(mut self, bytes: usize) -> Self {
        self.config.max_fragment_size = Some(bytes);
        self
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("random numbers")
}
