//! Whom a client believes: the roots of the operating system, or those that were given.

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Trust {
    /// The certificate authorities the operating system trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
    System,
    /// Certificates, PEM; nobody else is trusted.
    Pem(String),
}

impl Trust {
    /// Reads files for [`Trust::System`].
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn check(&self) -> Result<(), String> {
        self.store(&self.read()?).map(drop)
    }

    /// Reads files for [`Trust::System`].
    ///
    /// # Errors
    /// A sentence for the operator when nothing is there to trust.
    pub(super) fn read(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        match self {
            Self::System => {
                let found = rustls_native_certs::load_native_certs();
                match (found.certs.is_empty(), found.errors.first()) {
                    (false, _) => Ok(found.certs),
                    (true, Some(error)) => Err(format!("the operating system's root certificates: {error}")),
                    (true, None) => Err(
                        "no root certificates of the operating system are there to check https:// services \
                         against: install them (the package ca-certificates), or name a PEM file in SSL_CERT_FILE"
                            .to_owned(),
                    ),
                }
            }
            Self::Pem(text) => {
                let certificates: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes())
                    .collect::<Result<_, _>>()
                    .map_err(|error| format!("is not PEM: {error}"))?;
                if certificates.is_empty() {
                    return Err("holds no certificate".to_owned());
                }
                Ok(certificates)
            }
        }
    }

    /// `given`: what [`Self::read`] gave.
    ///
    /// # Errors
    /// A certificate the operator wrote is none. The system's may hold oddities, which are passed over.
    pub(super) fn store(&self, given: &[CertificateDer<'static>]) -> Result<RootCertStore, String> {
        let mut store = RootCertStore::empty();
        match self {
            Self::System => {
                let (added, ignored) = store.add_parsable_certificates(given.iter().cloned());
                if added == 0 {
                    return Err(format!(
                        "none of the {ignored} root certificates of the operating system can be used"
                    ));
                }
            }
            Self::Pem(_) => {
                for certificate in given {
                    store
                        .add(certificate.clone())
                        .map_err(|error| format!("holds a certificate that cannot be used: {error}"))?;
                }
            }
        }
        Ok(store)
    }
}

pub(super) fn verifier(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, String> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| error.to_string())
}

/// Takes every certificate for whatever name. That the peer holds its key is still checked; who it is, is not.
#[derive(Debug)]
pub(super) struct AnyCertificate(pub(super) Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        None
    }
}
