//! Who a client is: a certificate, those it is signed with, and its key.

use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use std::{fmt, hash, sync::Arc};

/// A checked pair. Cloning shares it.
#[derive(Clone)]
pub struct Identity(Arc<Pair>);

struct Pair {
    /// As given.
    pem: String,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// What of a pair is wrong, to be put behind the field's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    Certificate(String),
    Key(String),
}

impl Identity {
    /// Both PEM; the certificate first, those it is signed with after it.
    ///
    /// # Errors
    /// One of them can't be read or used, or they don't belong together.
    pub fn new(chain: &str, key: &str) -> Result<Self, Unusable> {
        let pem = chain.to_owned();
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|error| Unusable::Certificate(format!("is not PEM: {error}")))?;
        if chain.is_empty() {
            return Err(Unusable::Certificate("holds no certificate".to_owned()));
        }
        if key.contains("ENCRYPTED") {
            return Err(Unusable::Key(ENCRYPTED.to_owned()));
        }
        // Nothing of a key is repeated: an error may quote what it could not read.
        let unreadable = || Unusable::Key("is not a private key in PEM".to_owned());
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| unreadable())?;
        let signer = aws_lc_rs::sign::any_supported_type(&key)
            .map_err(|_| Unusable::Key("is of a kind that can't be used".to_owned()))?;
        match CertifiedKey::new(chain.clone(), signer).keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
            Err(rustls::Error::InconsistentKeys(_)) => {
                return Err(Unusable::Key("is not the certificate's".to_owned()));
            }
            Err(error) => return Err(Unusable::Certificate(format!("cannot be used: {error}"))),
        }
        Ok(Self(Arc::new(Pair { pem, chain, key })))
    }

    /// The certificates, as they were given.
    pub fn pem(&self) -> &str {
        &self.0.pem
    }

    pub(super) fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.0.chain.clone()
    }

    pub(super) fn key(&self) -> PrivateKeyDer<'static> {
        self.0.key.clone_key()
    }
}

/// Certificates say it all: a pair matches.
impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.0.chain == other.0.chain
    }
}

impl Eq for Identity {}

impl hash::Hash for Identity {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.0.chain.hash(state);
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({} certificates)", self.0.chain.len())
    }
}

const ENCRYPTED: &str = "is encrypted, which Ringway can't undo: write it as `openssl pkey -in key.pem` gives it, and keep \
                         it in a file or a variable (`$file:/run/secrets/key`)";
