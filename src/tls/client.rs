//! The client half: settings as written, checked and shared, then with a server's name, then with its tickets.

use super::{Failure, Identity, Session, Trust, trust};
use rustls::{
    ClientConfig, SupportedCipherSuite, SupportedProtocolVersion,
    client::{Resumption, UnbufferedClientConnection},
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, ServerName},
    version::{TLS12, TLS13},
};
use std::{fmt, hash, sync::Arc};

/// What an operator decides about connections to an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientSpec {
    pub trust: Trust,
    /// False: whoever answers is believed. Only where somebody wrote so.
    pub verify: bool,
    /// Instead of the host connected to: sent as SNI, and what the certificate must be for.
    pub server_name: Option<String>,
    pub minimum: Version,
    pub maximum: Version,
    /// Shown to a server that asks who this is.
    pub identity: Option<Identity>,
    /// Names of suites for TLS 1.2 (IANA's); none: all that there are. Those of TLS 1.3 are always the same.
    pub ciphers: Vec<String>,
    /// What is offered by ALPN; none: the extension is left out.
    pub protocols: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    Tls12,
    Tls13,
}

impl Default for ClientSpec {
    fn default() -> Self {
        Self {
            trust: Trust::System,
            verify: true,
            server_name: None,
            minimum: Version::Tls12,
            maximum: Version::Tls13,
            identity: None,
            ciphers: Vec::new(),
            protocols: vec!["http/1.1".to_owned()],
        }
    }
}

/// Checked settings, with the roots they trust. Cloning shares them.
#[derive(Clone)]
pub struct Client(Arc<Checked>);

struct Checked {
    spec: ClientSpec,
    /// SHA-256 over the roots: two that say the same of a changed certificate store are not the same.
    roots: [u8; 32],
    config: ClientConfig,
}

impl Client {
    /// For the control plane: reads root certificates from files.
    ///
    /// # Errors
    /// What is wrong, to be put behind the field's name.
    pub fn new(spec: ClientSpec) -> Result<Self, String> {
        let provider = Arc::new(provider(&spec.ciphers)?);
        let versions: &[&SupportedProtocolVersion] = match (spec.minimum, spec.maximum) {
            (Version::Tls12, Version::Tls13) => &[&TLS13, &TLS12],
            (Version::Tls12, Version::Tls12) => &[&TLS12],
            (Version::Tls13, Version::Tls13) => &[&TLS13],
            (Version::Tls13, Version::Tls12) => {
                return Err("the least TLS version is above the greatest".to_owned());
            }
        };
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .map_err(|error| error.to_string())?
            .dangerous();
        let (builder, roots) = if spec.verify {
            let roots = spec.trust.read()?;
            let verifier = trust::verifier(spec.trust.store(&roots)?, &provider)?;
            (builder.with_custom_certificate_verifier(verifier), roots)
        } else {
            let anybody = Arc::new(trust::AnyCertificate(provider.clone()));
            (builder.with_custom_certificate_verifier(anybody), Vec::new())
        };
        let mut config = match &spec.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_auth_cert(identity.chain(), identity.key())
                .map_err(|error| error.to_string())?,
        };
        config.alpn_protocols = spec
            .protocols
            .iter()
            .map(|name| name.clone().into_bytes())
            .collect();
        config.resumption = Resumption::disabled();
        let roots = digest(&provider, &roots);
        Ok(Self(Arc::new(Checked { spec, roots, config })))
    }

    pub fn spec(&self) -> &ClientSpec {
        &self.0.spec
    }

    /// For connections to `host`: a name, or an address without brackets.
    ///
    /// # Errors
    /// No certificate can be for such a name.
    pub fn target(&self, host: &str) -> Result<Target, String> {
        let written = self.0.spec.server_name.as_deref().unwrap_or(host);
        // The dot that ends an absolute name is the resolver's; no certificate has it.
        let name = written.strip_suffix('.').unwrap_or(written);
        ServerName::try_from(name.to_owned())
            .map(|name| Target {
                client: self.clone(),
                name,
            })
            .map_err(|_| format!("`{written}` is no name a certificate can be for"))
    }
}

impl PartialEq for Client {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.0.roots == other.0.roots && self.0.spec == other.0.spec)
    }
}

impl Eq for Client {}

impl hash::Hash for Client {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.0.roots.hash(state);
        self.0.spec.hash(state);
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.spec.fmt(formatter)
    }
}

/// Settings and the server they are for: what connections must agree in to be each other's equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    client: Client,
    name: ServerName<'static>,
}

impl Target {
    /// For the control plane, whose streams are another runtime's. Without tickets: it connects once an hour.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::new(self.client.0.config.clone())
    }

    pub fn name(&self) -> ServerName<'static> {
        self.name.clone()
    }

    /// For one host of one shard: its session tickets are nobody else's. rustls keeps them behind a lock, which has no
    /// other taker here.
    pub fn connector(&self) -> Connector {
        let mut config = self.client.0.config.clone();
        config.resumption = Resumption::in_memory_sessions(TICKETS);
        Connector {
            config: Arc::new(config),
            name: self.name.clone(),
        }
    }
}

/// Begins connections to one server, and remembers its tickets.
pub struct Connector {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Connector {
    /// # Errors
    /// No random numbers are to be had.
    pub fn session(&self) -> Result<Session, Failure> {
        UnbufferedClientConnection::new(self.config.clone(), self.name.clone())
            .map(Session::client)
            .map_err(|error| Failure::from(&error))
    }
}

/// Whether a certificate can be for this.
pub fn is_server_name(name: &str) -> bool {
    ServerName::try_from(name).is_ok()
}

/// With these suites of TLS 1.2, where some are named.
fn provider(ciphers: &[String]) -> Result<CryptoProvider, String> {
    let mut provider = aws_lc_rs::default_provider();
    if ciphers.is_empty() {
        return Ok(provider);
    }
    let older = |suite: &SupportedCipherSuite| suite.tls13().is_none();
    let name = |suite: &SupportedCipherSuite| suite.suite().as_str().unwrap_or_default();
    let known = provider.cipher_suites.clone();
    let known: Vec<_> = known.iter().filter(|suite| older(suite)).collect();
    // Those of TLS 1.3 are taken for said: they are there anyway.
    let newer = |written: &str| {
        let mut suites = provider.cipher_suites.iter().filter(|suite| !older(suite));
        suites.any(|suite| name(suite).replacen("TLS13_", "TLS_", 1) == written)
    };
    let unknown = ciphers
        .iter()
        .find(|written| !newer(written) && !known.iter().any(|suite| name(suite) == written.as_str()));
    if let Some(unknown) = unknown {
        let names: Vec<_> = known.iter().map(|suite| name(suite)).collect();
        return Err(format!(
            "`{unknown}` is no cipher suite of Ringway's; for TLS 1.2 there are {}",
            names.join(", ")
        ));
    }
    let any_older = ciphers.iter().any(|written| !newer(written));
    provider
        .cipher_suites
        .retain(|suite| !older(suite) || !any_older || ciphers.iter().any(|written| written == name(suite)));
    Ok(provider)
}

fn digest(provider: &CryptoProvider, certificates: &[CertificateDer<'_>]) -> [u8; 32] {
    let mut digest = [0; 32];
    let sha256 = (provider.cipher_suites.iter())
        .filter_map(|suite| suite.tls13())
        .map(|suite| suite.common.hash_provider)
        .find(|hash| hash.output_len() == digest.len());
    // Each with its length, or two different lists could run together the same.
    if let Some(sha256) = sha256 {
        let mut context = sha256.start();
        for certificate in certificates {
            context.update(&certificate.len().to_le_bytes());
            context.update(certificate);
        }
        digest.copy_from_slice(context.finish().as_ref());
    }
    digest
}

/// One server's, of which rustls keeps as many as a burst of connections can use (8 of TLS 1.3).
const TICKETS: usize = 8;
