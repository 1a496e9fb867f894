//! `ip-allowlist-flex`, `ip-blocklist-flex`: who may by address.

use super::{Refusal, Request, Step, expression};
use crate::{
    addresses::{Addresses, address},
    expr::{Scope, Template, Value},
    fault::Kind,
    located::{Located, Origin, Problems},
    object,
};
use std::net::IpAddr;

object! {
    /// Configuration of `ip-allowlist-flex` and `ip-blocklist-flex`.
    pub(super) struct IpListSpec {
        /// Addresses, ranges such as `10.0.0.0/8`, or leading octets such as `192.168`.
        required "ips" ips: Vec<Located<String>>,
        /// What comes to the address that is looked up. Default `#[attributes.headers['x-forwarded-for']]`.
        optional "ipExpression" expression: Located<String>,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listed {
    /// Who is in the list may.
    Allowed,
    /// Who is in the list may not.
    Blocked,
}

#[derive(Debug)]
pub struct IpList {
    addresses: Addresses,
    listed: Listed,
    expression: Template,
}

impl IpList {
    pub(super) fn compile(
        spec: &IpListSpec,
        listed: Listed,
        origin: &Origin,
        problems: &mut Problems,
    ) -> Option<Self> {
        if spec.ips.is_empty() {
            problems.within("ips", |problems| problems.report(origin, "must name an address"));
        }
        let default = Located::new(DEFAULT_EXPRESSION.to_owned(), origin.clone());
        let written = spec.expression.as_ref().unwrap_or(&default);
        let expression = expression("ipExpression", written, &Scope::REQUEST, problems);
        let addresses = problems.within("ips", |problems| Addresses::compile(&spec.ips, problems));
        Some(Self {
            addresses: addresses?,
            listed,
            expression: expression?,
        })
    }

    pub(super) fn on_request(&self, request: &Request<'_>) -> Step {
        match (self.address(request), self.listed) {
            (Some(address), Listed::Allowed) if self.addresses.contains(address) => Step::Continue,
            (Some(address), Listed::Blocked) if !self.addresses.contains(address) => Step::Continue,
            (Some(_), _) => Step::Refuse(Refusal::new(Kind::Forbidden, "this address may not call")),
            // A block list, too: whoever is blocked must not get in by writing nonsense.
            (None, _) => Step::Refuse(Refusal::new(Kind::Forbidden, "the address cannot be read")),
        }
    }

    fn address(&self, request: &Request<'_>) -> Option<IpAddr> {
        let view = request.view();
        match self.expression.evaluate(&view).ok()? {
            Value::String(text) => address(&text),
            _ => None,
        }
    }
}

const DEFAULT_EXPRESSION: &str = "#[attributes.headers['x-forwarded-for']]";
