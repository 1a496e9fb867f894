//! Certificates made for a test, and origins that show them.

use super::gateway::Folder;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::{
    ServerConfig, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, pem::PemObject},
};
use std::{path::PathBuf, sync::Arc};

/// Signs certificates. Who trusts its file trusts them.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    _folder: Folder,
    /// Its certificate, PEM.
    pub file: PathBuf,
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
        Self {
            issuer,
            _folder: folder,
            file,
        }
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

    pub fn server_speaking(&self, names: &[&str], version: &'static SupportedProtocolVersion) -> Server {
        self.server_with(names, |_| {}, &[version])
    }

    /// A certificate for these names and addresses, and its key: both PEM, good for a server and for a client.
    pub fn pair(&self, names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let key = key();
        let params = CertificateParams::new(names).expect("names");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
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
