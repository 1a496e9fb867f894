//! Certificates with their keys, as they are written (PEM).

use super::{Certificate, certificate::sized};
use aws_lc_rs::digest::{self, SHA256};
use rustls::{
    Error, InconsistentKeys,
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use std::{fmt, hash, sync::Arc, time::SystemTime};

/// A certificate with what leads to its authority, and its private key. Cloning shares them.
#[derive(Clone)]
pub struct KeyPair(Arc<Pair>);

struct Pair {
    certified: Arc<CertifiedKey>,
    facts: Certificate,
    /// SHA-256 over the chain and the key: what makes two pairs the same.
    digest: [u8; 32],
}

/// Which of the two is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Certificate,
    Key,
}

impl KeyPair {
    /// Reads a chain, the server's (or client's) own certificate first, and its key: PKCS #8, PKCS #1 or SEC 1.
    ///
    /// # Errors
    /// Which is wrong, and what to tell the operator.
    pub fn read(chain: &str, key: &str, now: SystemTime) -> Result<Self, (Part, String)> {
        let wrong_chain = |message: String| (Part::Certificate, message);
        let wrong_key = |message: &str| (Part::Key, message.to_owned());
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|error| wrong_chain(format!("is not PEM: {error}")))?;
        let own = chain
            .first()
            .ok_or_else(|| wrong_chain("holds no certificate".to_owned()))?;
        let facts = Certificate::read(own)
            .ok_or_else(|| wrong_chain("holds a certificate that cannot be read".to_owned()))?;
        facts.check_validity(now).map_err(wrong_chain)?;
        if key.contains("ENCRYPTED") {
            return Err(wrong_key(
                "is protected by a passphrase, which nobody would be there to type: write it without one \
                 (openssl pkey -in KEY -out PLAIN), and guard the file or the variable instead",
            ));
        }
        let private = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|error| wrong_key(&format!("holds no private key in PEM: {error}")))?;
        let mut digest = digest::Context::new(&SHA256);
        for part in chain.iter().map(AsRef::as_ref).chain([private.secret_der()]) {
            digest.update(&part.len().to_le_bytes());
            digest.update(part);
        }
        let digest = sized(digest.finish().as_ref());
        let signing = any_supported_type(&private).map_err(|_| {
            wrong_key(
                "cannot be used: it must be RSA of 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521, or Ed25519",
            )
        })?;
        let certified = CertifiedKey::new(chain, signing);
        match certified.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(_)) => {
                let names = &facts.subject;
                return Err(wrong_key(&format!(
                    "is not that of the certificate (of `{names}`); where there are several, the key's must stand first"
                )));
            }
            Err(error) => {
                return Err((Part::Certificate, format!("cannot be used: {error}")));
            }
        }
        Ok(Self(Arc::new(Pair {
            certified: Arc::new(certified),
            facts,
            digest,
        })))
    }

    pub(super) fn certified(&self) -> &Arc<CertifiedKey> {
        &self.0.certified
    }

    pub fn facts(&self) -> &Certificate {
        &self.0.facts
    }
}

impl PartialEq for KeyPair {
    fn eq(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest
    }
}

impl Eq for KeyPair {}

impl hash::Hash for KeyPair {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.0.digest.hash(state);
    }
}

impl fmt::Debug for KeyPair {
    /// Without the key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyPair({})", self.0.facts.subject)
    }
}
