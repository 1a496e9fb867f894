//! An exchange as expressions see it.

use super::{Authentication, Context};
use crate::{
    expr::{self, Array, Attribute, ClientCertificate, Tree, Value, View},
    http1::{Headers, RequestHead, Version},
};
use std::{borrow::Cow, cell::OnceCell};

/// The request, or the answer with the request it is to. Made for each evaluation: it holds nothing but references until an
/// expression asks for the content as JSON.
pub struct ExchangeView<'v> {
    head: &'v RequestHead,
    bytes: &'v [u8],
    body: Option<&'v [u8]>,
    authentication: &'v Authentication,
    response: Option<(u16, &'v Headers, &'v [u8])>,
    context: &'v Context<'v>,
    vars: Option<&'v dyn Fn(&'static str) -> Value<'v>>,
    tree: OnceCell<Option<Tree>>,
}

impl<'v> ExchangeView<'v> {
    pub(super) fn new(
        head: &'v RequestHead,
        bytes: &'v [u8],
        body: Option<&'v [u8]>,
        authentication: &'v Authentication,
        response: Option<(u16, &'v Headers, &'v [u8])>,
        context: &'v Context<'v>,
    ) -> Self {
        Self {
            head,
            bytes,
            body,
            authentication,
            response,
            context,
            vars: None,
            tree: OnceCell::new(),
        }
    }

    /// With what `vars.NAME` stands for.
    #[must_use]
    pub fn with_vars(mut self, vars: &'v dyn Fn(&'static str) -> Value<'v>) -> Self {
        self.vars = Some(vars);
        self
    }
}

impl View for ExchangeView<'_> {
    fn text(&self, attribute: Attribute) -> Option<Cow<'_, [u8]>> {
        let head = self.head;
        Some(match attribute {
            Attribute::Method => Cow::Borrowed(head.method.of(self.bytes)),
            Attribute::QueryString => Cow::Borrowed(head.query?.of(self.bytes)),
            Attribute::RequestPath => Cow::Borrowed(self.context.path),
            Attribute::RequestUri => {
                let path = self.context.path;
                match head.query {
                    None => Cow::Borrowed(path),
                    Some(query) => Cow::Owned([path, b"?", query.of(self.bytes)].concat()),
                }
            }
            Attribute::LocalAddress => Cow::Owned(self.context.local.to_string().into_bytes()),
            Attribute::RemoteAddress => Cow::Owned(self.context.client.to_string().into_bytes()),
            Attribute::Scheme => Cow::Borrowed(self.context.scheme.as_bytes()),
            Attribute::TlsVersion => Cow::Borrowed(self.context.peer?.version.as_bytes()),
            Attribute::TlsCipherSuite => Cow::Borrowed(self.context.peer?.suite.as_bytes()),
            Attribute::Version => Cow::Borrowed(match head.version {
                Version::Http10 => b"HTTP/1.0",
                Version::Http11 => b"HTTP/1.1",
            }),
        })
    }

    fn status_code(&self) -> Option<u16> {
        self.response.map(|(status, ..)| status)
    }

    fn header<'v>(&'v self, name: &str, visit: &mut dyn FnMut(&'v [u8])) {
        self.headers(&mut |written, value| {
            if written.eq_ignore_ascii_case(name.as_bytes()) {
                visit(value);
            }
        });
    }

    fn headers<'v>(&'v self, visit: &mut dyn FnMut(&'v [u8], &'v [u8])) {
        let (headers, bytes) = match self.response {
            Some((_, headers, bytes)) => (headers, bytes),
            None => (&self.head.headers, self.bytes),
        };
        headers.pairs(bytes).for_each(|(name, value)| visit(name, value));
    }

    fn authentication(&self, field: expr::Authentication) -> Value<'_> {
        self.authentication.value(field)
    }

    fn client_certificate(&self, field: ClientCertificate) -> Value<'_> {
        let Some(certificate) = self.context.peer.and_then(|peer| peer.certificate.as_deref()) else {
            return Value::Null;
        };
        fn text(text: &str) -> Value<'_> {
            Value::borrowed(text)
        }
        fn list(all: &[String]) -> Value<'_> {
            Value::Array(Array::from_values(all.iter().map(|one| text(one)).collect()))
        }
        match field {
            ClientCertificate::Subject => text(&certificate.subject),
            ClientCertificate::CommonName => (certificate.common_name.as_deref()).map_or(Value::Null, text),
            ClientCertificate::Issuer => text(&certificate.issuer),
            ClientCertificate::SerialNumber => text(&certificate.serial_number),
            ClientCertificate::Fingerprint => text(&certificate.fingerprint),
            ClientCertificate::NotBefore => text(&certificate.not_before),
            ClientCertificate::NotAfter => text(&certificate.not_after),
            ClientCertificate::DnsNames => list(&certificate.dns_names),
            ClientCertificate::Uris => list(&certificate.uris),
            ClientCertificate::Emails => list(&certificate.emails),
        }
    }

    fn payload(&self) -> Option<&[u8]> {
        self.body
    }

    fn payload_tree(&self) -> Option<&Tree> {
        let parse = || super::tree::parse(self.body?);
        self.tree.get_or_init(parse).as_ref()
    }

    fn var(&self, name: &'static str) -> Value<'_> {
        self.vars.map_or(Value::Null, |vars| vars(name))
    }

    fn random(&self) -> u64 {
        (self.context.random)()
    }
}
