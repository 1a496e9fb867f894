//! The client half: settings as written, checked and shared, then with a server's name, then with its tickets.

use super::{Failure, KeyPair, Protection, Session, Trust, certificate::sized, trust};
use aws_lc_rs::digest::{self, SHA256};
use rustls::{
    ClientConfig,
    client::{Resumption, UnbufferedClientConnection},
    pki_types::{CertificateDer, ServerName},
    sign::SingleCertAndKey,
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
    /// Shown to servers that ask for one.
    pub certificate: Option<KeyPair>,
    pub protection: Protection,
    /// What is offered by ALPN; none: the extension is left out.
    pub protocols: Vec<String>,
}

impl Default for ClientSpec {
    fn default() -> Self {
        Self {
            trust: Trust::System,
            verify: true,
            server_name: None,
            certificate: None,
            protection: Protection::default(),
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
        let (provider, versions) = spec.protection.provider()?;
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
        let mut config = match &spec.certificate {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let pair = SingleCertAndKey::from(pair.certified().clone());
                builder.with_client_cert_resolver(Arc::new(pair))
            }
        };
        config.alpn_protocols = (spec.protocols.iter())
            .map(|name| name.clone().into_bytes())
            .collect();
        config.resumption = Resumption::disabled();
        let roots = digest_of(&roots);
        Ok(Self(Arc::new(Checked { spec, roots, config })))
    }

    pub fn spec(&self) -> &ClientSpec {
        &self.0.spec
    }

    /// Whether servers have to prove who they are.
    pub fn verifies(&self) -> bool {
        self.0.spec.verify
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
    /// Whether the server has to prove who it is.
    pub fn verifies(&self) -> bool {
        self.client.verifies()
    }

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

fn digest_of(certificates: &[CertificateDer<'_>]) -> [u8; 32] {
    let mut context = digest::Context::new(&SHA256);
    // Each with its length, or two different lists could run together the same.
    for certificate in certificates {
        context.update(&certificate.len().to_le_bytes());
        context.update(certificate);
    }
    sized(context.finish().as_ref())
}

/// One server's, of which rustls keeps as many as a burst of connections can use (8 of TLS 1.3).
const TICKETS: usize = 8;
