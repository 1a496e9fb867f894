//! What secures connections: the policies `tls` and `tls-outbound`, what they have in common, and `Secret` documents.

use super::name::Name;
use crate::{
    choice,
    located::{Decode, Located, Node, Problems, schema::Definitions},
    object,
    tls::{Suite, Version},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;
use std::fmt;

object! {
    /// Configuration of `tls`: what a port shows its clients, and what it asks of them. All APIs of an address share it.
    pub(crate) struct TlsSpec {
        /// The certificate that is shown, with its key.
        optional "certificate" certificate: Located<CertificateSpec>,
        /// Several; the first one (after `certificate`) is the default, the others are chosen by the name that a client
        /// asks for.
        optional "certificates" certificates: Located<Vec<Located<CertificateSpec>>>,
        /// Who signs clients' certificates, PEM. Clients are asked for one where this is there.
        optional "trustedCA" trusted_ca: Located<String>,
        /// Nobody is let in without a certificate. Default false. Needs `trustedCA`.
        optional "requireClientCertificate" require: Located<bool>,
        /// Tell origins of the client's certificate in `X-Forwarded-Client-Cert`. Default false; what a client sends
        /// under that name is taken away in any case.
        optional "forwardClientCertificate" forward: Located<bool>,
        /// `http/1.1` is what is negotiated; `h2` is accepted and not offered yet.
        optional "alpn" alpn: Vec<Located<Alpn>>,
        /// The least version that is accepted. Default 1.2.
        optional "minversion" minimum: Located<VersionWord>,
        /// The greatest. Default 1.3.
        optional "maxversion" maximum: Located<VersionWord>,
        /// Cipher suites of TLS 1.2 by IANA's names. Default all there are; those of TLS 1.3 are always on.
        optional "ciphers" ciphers: Located<Vec<Located<CipherName>>>,
    }
}

object! {
    /// Configuration of `tls-outbound`, and of `defaultTLS.outboundPolicyCalls`: whom connections to an upstream believe,
    /// and what they show.
    pub(crate) struct TlsOutboundSpec {
        /// Believe whoever answers. Default false. For searching a fault only: each start warns of it.
        optional "skipValidation" skip: Located<bool>,
        /// Who signs the upstream's certificate, PEM; nobody else is believed then. Default: the operating system's
        /// authorities.
        optional "trustedCA" trusted_ca: Located<String>,
        /// Shown to an upstream that asks for one, with its key.
        optional "certificate" certificate: Located<CertificateSpec>,
        /// The name that is asked for (SNI) and that the certificate must be for. Default: the host of the address.
        optional "serverName" server_name: Located<String>,
        /// `http/1.1` is what is negotiated; `h2` is accepted and not offered yet.
        optional "alpn" alpn: Vec<Located<Alpn>>,
        /// The least version that is accepted. Default 1.2.
        optional "minversion" minimum: Located<VersionWord>,
        /// The greatest. Default 1.3.
        optional "maxversion" maximum: Located<VersionWord>,
        /// Cipher suites of TLS 1.2 by IANA's names. Default all there are; those of TLS 1.3 are always on.
        optional "ciphers" ciphers: Located<Vec<Located<CipherName>>>,
    }
}

object! {
    /// A certificate with its key: both as PEM, or a Secret that holds them.
    pub(crate) struct CertificateSpec {
        /// The private key, PEM, without a passphrase.
        optional "key" key: Located<Pem>,
        /// The certificate and what leads to its authority, PEM, the certificate itself first.
        optional "crt" crt: Located<Pem>,
        /// Instead of the two.
        optional "secretRef" secret: Located<SecretRef>,
    }
}

object! {
    /// A Secret by name.
    pub(crate) struct SecretRef {
        /// The Secret's name.
        required "name" name: Located<Name>,
        /// Default: that of the object it is named in.
        optional "namespace" namespace: Name,
    }
}

object! {
    /// A certificate with its key, to be named by policies.
    pub(crate) struct SecretSpec {
        /// The pair.
        required "tls" tls: SecretTlsSpec,
    }
}

object! {
    /// A certificate with its key, each as base64 of PEM or as PEM. `$NAME` and `$file:/path` are replaced as in a
    /// policy's configuration.
    pub(crate) struct SecretTlsSpec {
        /// The certificate and what leads to its authority, the certificate itself first.
        required "crt" crt: Located<Pem>,
        /// The private key, without a passphrase.
        required "key" key: Located<Pem>,
    }
}

object! {
    /// What secures connections that no policy says anything about.
    pub(crate) struct DefaultTlsSpec {
        /// Calls that policies make: key sets, introspection, authorisation.
        required "outboundPolicyCalls" calls: Located<PolicyCalls>,
    }
}

object! {
    /// How clients resume sessions.
    pub(crate) struct SessionTicketsSpec {
        /// What the keys of tickets are made from, at least 32 bytes: replicas that share it resume each other's sessions.
        /// Default: keys of the process's own.
        required "secret" secret: Located<TicketSecretText>,
    }
}

/// As it stands: what it says is read where Secrets are known, and it is written into dumps.
#[derive(Debug, Clone)]
pub(crate) struct PolicyCalls(pub(crate) Node);

impl Decode for PolicyCalls {
    fn decode(node: &Node, _: &mut Problems) -> Option<Self> {
        Some(Self(node.clone()))
    }

    fn schema(definitions: &mut Definitions) -> serde_json::Value {
        definitions.substituting(TlsOutboundSpec::schema)
    }
}

choice! {
    /// What a connection speaks once it is secured.
    pub(crate) enum Alpn { Http2 = "h2", Http1 = "http/1.1" }
}

choice! {
    /// A version of TLS.
    pub(crate) enum VersionWord { V12 = "1.2", V13 = "1.3" }
}

impl VersionWord {
    pub(crate) fn version(self) -> Version {
        match self {
            Self::V12 => Version::Tls12,
            Self::V13 => Version::Tls13,
        }
    }
}

/// A cipher suite that is to be had.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CipherName(pub(crate) Suite);

impl Decode for CipherName {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let name = String::decode(node, problems)?;
        Suite::named(&name)
            .map(Self)
            .map_err(|message| problems.report(&node.origin, message))
            .ok()
    }

    fn schema(definitions: &mut Definitions) -> serde_json::Value {
        definitions.scalar(json!({ "type": "string", "pattern": "^TLS_" }))
    }
}

/// PEM as such, or as base64. Not shown: it may be a key.
#[derive(Clone)]
pub(crate) struct Pem(String);

impl Pem {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Decode for Pem {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = String::decode(node, problems)?;
        if text.contains("-----BEGIN") {
            return Some(Self(text));
        }
        let bare: String = text.split_ascii_whitespace().collect();
        let decoded = STANDARD
            .decode(bare)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        match decoded.filter(|text| text.contains("-----BEGIN")) {
            Some(decoded) => Some(Self(decoded)),
            None => {
                // Nothing of it is shown: it may be a key that lost its frame.
                let message = "must be PEM (`-----BEGIN …`), or base64 of it; a file is written `$file:/path`, \
                               a variable `$NAME`";
                problems.report(&node.origin, message);
                None
            }
        }
    }

    fn schema(definitions: &mut Definitions) -> serde_json::Value {
        definitions.scalar(json!({ "type": "string" }))
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pem")
    }
}

/// Never shown.
#[derive(Clone)]
pub(crate) struct TicketSecretText(String);

impl TicketSecretText {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Decode for TicketSecretText {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        String::decode(node, problems).map(Self)
    }

    fn schema(definitions: &mut Definitions) -> serde_json::Value {
        String::schema(definitions)
    }
}

impl fmt::Debug for TicketSecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketSecretText")
    }
}
