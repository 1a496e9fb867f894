//! What an expression is evaluated against, as its caller shows it.

use super::tree::Tree;
use super::value::Value;
use std::borrow::Cow;

/// One exchange, as far as it has got. Only what the [`Scope`](super::Scope) of the expression allows is asked for; what is
/// not there yet, or not any more, is absent and evaluates to null.
pub trait View {
    fn text(&self, attribute: Attribute) -> Option<Cow<'_, [u8]>>;

    /// Of the response.
    fn status_code(&self) -> Option<u16> {
        None
    }

    /// Calls `visit` with the value of each line of this name, in order; without the white space around it. `name` is in
    /// lower case, and names are compared without regard to case.
    fn header<'v>(&'v self, name: &str, visit: &mut dyn FnMut(&'v [u8]));

    /// The same for all lines: name as sent, value.
    fn headers<'v>(&'v self, visit: &mut dyn FnMut(&'v [u8], &'v [u8]));

    fn authentication(&self, _field: Authentication) -> Value<'_> {
        Value::Null
    }

    fn client_certificate(&self, _field: ClientCertificate) -> Value<'_> {
        Value::Null
    }

    /// The body, for expressions that need one ([`Template::needs_payload`](super::Template::needs_payload)).
    fn payload(&self) -> Option<&[u8]> {
        None
    }

    /// The body as JSON, for [`Template::needs_parsed_payload`](super::Template::needs_parsed_payload); none where it is
    /// not JSON.
    fn payload_tree(&self) -> Option<&Tree> {
        None
    }

    /// `name` is one of the scope's `vars`.
    fn var(&self, _name: &'static str) -> Value<'_> {
        Value::Null
    }

    /// For `uuid()`; good enough that nobody guesses the next one where that matters to the caller.
    fn random(&self) -> u64;
}

/// Parts of the request that are text. The names are those of `attributes.NAME`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    Method,
    /// Behind `?`, as sent; absent without one. `queryParams` is read from it.
    QueryString,
    /// The path that policies see, below or with the base path as the caller decides.
    RequestPath,
    /// Path and query.
    RequestUri,
    /// `address:port`
    LocalAddress,
    RemoteAddress,
    Scheme,
    /// `HTTP/1.1`
    Version,
    /// `TLSv1.3`; absent in plain text. As the next, they stand below `attributes.tls`.
    TlsVersion,
    TlsCipherSuite,
}

impl Attribute {
    pub(super) const ALL: [(&'static str, Self); 8] = [
        ("method", Self::Method),
        ("queryString", Self::QueryString),
        ("requestPath", Self::RequestPath),
        ("requestUri", Self::RequestUri),
        ("localAddress", Self::LocalAddress),
        ("remoteAddress", Self::RemoteAddress),
        ("scheme", Self::Scheme),
        ("version", Self::Version),
    ];

    /// Those below `attributes.tls`.
    pub(super) const OF_TLS: [(&'static str, Self); 2] = [
        ("version", Self::TlsVersion),
        ("cipherSuite", Self::TlsCipherSuite),
    ];
}

/// What stands in the certificate that a client has shown, and that was checked; the names are those of
/// `attributes.clientCertificate.NAME`. All are null where it has shown none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificate {
    Subject,
    CommonName,
    Issuer,
    SerialNumber,
    Fingerprint,
    NotBefore,
    NotAfter,
    /// An array, as the next two.
    DnsNames,
    Uris,
    Emails,
}

impl ClientCertificate {
    pub(super) const ALL: [(&'static str, Self); 10] = [
        ("subject", Self::Subject),
        ("commonName", Self::CommonName),
        ("issuer", Self::Issuer),
        ("serialNumber", Self::SerialNumber),
        ("fingerprint", Self::Fingerprint),
        ("notBefore", Self::NotBefore),
        ("notAfter", Self::NotAfter),
        ("dnsNames", Self::DnsNames),
        ("uris", Self::Uris),
        ("emails", Self::Emails),
    ];
}

/// What the policies that let the request pass found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    ClientId,
    ClientName,
    Principal,
    /// An object.
    Properties,
}

impl Authentication {
    pub(super) const ALL: [(&'static str, Self); 4] = [
        ("clientId", Self::ClientId),
        ("clientName", Self::ClientName),
        ("principal", Self::Principal),
        ("properties", Self::Properties),
    ];
}
