//! The server half: what a port shows and whom it asks for a certificate, checked and shared, then with ticket keys.

use super::{
    Failure, KeyPair, Protection, Session, Tickets, Trust, certificate::sized, choice::Choice,
    session::Admission,
};
use aws_lc_rs::digest::{self, SHA256};
use rustls::{
    ServerConfig,
    server::{
        NoServerSessionStorage, UnbufferedServerConnection, WebPkiClientVerifier, danger::ClientCertVerifier,
    },
};
use std::{fmt, sync::Arc};

/// What an operator decides about a port's connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSpec {
    /// The first is the default; the others are chosen by the name that a client asks for.
    pub certificates: Vec<KeyPair>,
    pub terms: ServerTerms,
}

/// What is the same for all certificates of a port.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerTerms {
    pub clients: Clients,
    pub protection: Protection,
    /// Tell origins of a client's certificate, in `X-Forwarded-Client-Cert`.
    pub forward_certificate: bool,
}

/// Whether clients are asked for a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Clients {
    #[default]
    NotAsked,
    /// Who shows none is let in; who shows one that is not trusted is not.
    Asked(Trust),
    Required(Trust),
}

/// Checked settings. Cloning shares them.
#[derive(Clone)]
pub struct Server(Arc<Checked>);

struct Checked {
    /// Without tickets.
    config: ServerConfig,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    forward_certificate: bool,
    /// SHA-256 over what a resumed session takes as checked.
    context: [u8; 32],
    certificates: Vec<KeyPair>,
}

impl Server {
    /// For the control plane.
    ///
    /// # Errors
    /// What is wrong, to be put behind the policy's name. Each certificate was checked when it was
    /// [read](KeyPair::read).
    pub fn new(spec: &ServerSpec) -> Result<Self, String> {
        if spec.certificates.is_empty() {
            return Err("has no certificate".to_owned());
        }
        let (provider, versions) = spec.terms.protection.provider()?;
        let mut context = digest::Context::new(&SHA256);
        let verifier = match &spec.terms.clients {
            Clients::NotAsked => None,
            Clients::Asked(trust) | Clients::Required(trust) => {
                let roots = trust.read()?;
                for root in &roots {
                    context.update(&root.len().to_le_bytes());
                    context.update(root);
                }
                let roots = Arc::new(trust.store(&roots)?);
                let builder = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
                let required = matches!(spec.terms.clients, Clients::Required(_));
                context.update(&[u8::from(required)]);
                let builder = if required {
                    builder
                } else {
                    builder.allow_unauthenticated()
                };
                Some(builder.build().map_err(|error| error.to_string())?)
            }
        };
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|error| error.to_string())?;
        let builder = match &verifier {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(verifier.clone()),
        };
        let mut config = builder.with_cert_resolver(Arc::new(Choice::new(&spec.certificates)));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // All of them are strong; but examiners ask for a server that chooses, and an old client may put its worst first.
        // A phone without AES in its CPU pays for it where it would rather have had ChaCha20.
        config.ignore_client_order = true;
        // Sessions live in tickets alone: a store that shards share would be a lock that they share.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        // Early data can be replayed by whoever recorded it (RFC 8446 §8); nothing of a gateway's is worth that.
        config.max_early_data_size = 0;
        Ok(Self(Arc::new(Checked {
            config,
            verifier,
            forward_certificate: spec.terms.forward_certificate,
            context: sized(context.finish().as_ref()),
            certificates: spec.certificates.clone(),
        })))
    }

    /// For one shard: nothing of it is shared with another's but keys and certificates, which nobody writes.
    pub fn acceptor(&self, tickets: &Arc<Tickets>) -> Acceptor {
        let mut config = self.0.config.clone();
        config.ticketer = tickets.ticketer(self.0.context);
        Acceptor {
            config: Arc::new(config),
            admission: Admission {
                verifier: self.0.verifier.clone(),
                forward_certificate: self.0.forward_certificate,
            },
        }
    }

    /// In the order in which they are tried.
    pub fn certificates(&self) -> &[KeyPair] {
        &self.0.certificates
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Server")
            .field(&self.0.certificates)
            .finish()
    }
}

/// Begins the server's side of connections.
pub struct Acceptor {
    config: Arc<ServerConfig>,
    admission: Admission,
}

impl Acceptor {
    /// # Errors
    /// No random numbers are to be had.
    pub fn session(&self) -> Result<Session, Failure> {
        UnbufferedServerConnection::new(self.config.clone())
            .map(|connection| Session::server(connection, self.admission.clone()))
            .map_err(|error| Failure::from(&error))
    }
}
