//! Why a connection could not be secured, or is not any more, in the words an operator can act on.

use rustls::{CertificateError, Error};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Past its validity, or before it.
    CertificateExpired,
    /// It is somebody else's.
    CertificateName,
    /// No trusted root leads to it, or what leads there is wrong.
    CertificateUntrusted,
    /// It was asked for, and there was none.
    NoCertificate,
    /// The peer refused us, with an alert.
    Refused,
    /// The two have no version, cipher suite or key exchange in common.
    NothingInCommon,
    /// What the peer sent is not TLS as it should be, or does not decrypt.
    Broken,
}

impl Failure {
    /// For the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CertificateExpired => "its certificate has expired or is not valid yet",
            Self::CertificateName => "its certificate is for another name",
            Self::CertificateUntrusted => "its certificate is not one that is trusted",
            Self::NoCertificate => "it shows no certificate",
            Self::Refused => "it refuses the handshake",
            Self::NothingInCommon => {
                "it has no TLS version, cipher suite or key exchange that is accepted here"
            }
            Self::Broken => "it does not speak TLS as it should",
        }
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        use CertificateError as Certificate;
        match error {
            Error::InvalidCertificate(
                Certificate::Expired
                | Certificate::ExpiredContext { .. }
                | Certificate::NotValidYet
                | Certificate::NotValidYetContext { .. },
            ) => Self::CertificateExpired,
            Error::InvalidCertificate(
                Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
            ) => Self::CertificateName,
            Error::InvalidCertificate(_) => Self::CertificateUntrusted,
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => Self::NothingInCommon,
            Error::AlertReceived(_) => Self::Refused,
            _ => Self::Broken,
        }
    }
}
