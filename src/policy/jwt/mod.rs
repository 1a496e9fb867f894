//! `jwt-validation-flex`: who has a signed token whose claims say what they must (RFC 7519, RFC 8725).

mod claims;
mod key;
mod key_set;
mod keys;
mod source;
mod spec;
mod token;

#[cfg(test)]
mod tests;

pub use key::{Algorithm, Key};
pub use key_set::{KeySet, MAX_KEYS};
pub(super) use keys::JwtLocal;
pub use source::{KeySource, Place};
pub(super) use spec::JwtValidationSpec;

use super::{Contracts, Local, Refusal, Request, Site, Step, bearer, expression, headers, template};
use crate::{
    expr::{Scope, Template, Tree, Value},
    fault::Kind,
    located::{Located, Origin, Problems},
};
use claims::{Custom, Rules};
use keys::KeyOrigin;
use spec::{JwtClaimSpec, JwtOrigin};
use std::sync::Arc;
use token::Token;

#[derive(Debug)]
pub struct JwtValidation {
    algorithm: Algorithm,
    /// None: `Authorization: Bearer`.
    expression: Option<Template>,
    keys: KeyOrigin,
    rules: Rules,
    client_id: Template,
    clients: Option<Arc<Contracts>>,
    /// Claim, header.
    to_headers: Vec<(String, String)>,
}

impl JwtValidation {
    pub(super) fn compile(
        spec: &JwtValidationSpec,
        origin: &Origin,
        site: &mut Site<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let clients = clients(
            "skipClientIdValidation",
            spec.skip_client_id.as_ref(),
            origin,
            site,
            problems,
        );
        let algorithm = spec.algorithm(problems);
        let audience = spec.audience(origin, problems);
        let expression = match spec.origin {
            Some(JwtOrigin::Expression) => {
                let default = Located::new(DEFAULT_EXPRESSION.to_owned(), origin.clone());
                let written = spec.expression.as_ref().unwrap_or(&default);
                Some(expression("jwtExpression", written, &Scope::REQUEST, problems)?)
            }
            Some(JwtOrigin::Bearer) | None => None,
        };
        let mut custom = Vec::new();
        if spec.validate_custom.unwrap_or(false) {
            let (must, may) = (&spec.mandatory_custom, &spec.optional_custom);
            for (key, written, mandatory) in [
                ("mandatoryCustomClaims", must, true),
                ("nonMandatoryCustomClaims", may, false),
            ] {
                let written = written.as_deref().unwrap_or_default();
                problems.within(key, |problems| {
                    custom_claims(written, mandatory, &mut custom, problems)
                });
            }
        }
        let to_headers = spec
            .to_headers
            .iter()
            .flatten()
            .enumerate()
            .map(|(index, claim)| {
                let check =
                    |problems: &mut Problems| headers::check_forwarded("value", &claim.value, problems);
                problems.within("claimsToHeaders", |problems| {
                    problems.within_element(index, check)
                });
                (claim.key.value.clone(), claim.value.value.clone())
            });
        let to_headers = to_headers.collect();
        let default = Located::new(DEFAULT_CLIENT_ID.to_owned(), origin.clone());
        let client_id = spec.client_id.as_ref().unwrap_or(&default);
        let client_id = super::expression("clientIdExpression", client_id, &CLAIMS, problems);
        let algorithm = algorithm?;
        Some(Self {
            algorithm,
            expression,
            keys: KeyOrigin::compile(spec, algorithm, origin, site, problems)?,
            rules: Rules {
                expiry_mandatory: spec.mandatory_expiry.unwrap_or(false),
                not_before_mandatory: spec.mandatory_not_before.unwrap_or(false),
                audience,
                custom,
            },
            client_id: client_id?,
            clients,
            to_headers,
        })
    }

    pub(super) fn local(&self) -> Local {
        Local::Jwt(JwtLocal::new(&self.keys))
    }

    pub(super) fn on_request(&self, request: &mut Request<'_>, local: &Local) -> Step {
        match self.admit(request, local) {
            Ok(()) => Step::Continue,
            Err(refusal) => {
                if refusal.kind == Kind::Unauthorized {
                    request.reply("WWW-Authenticate", CHALLENGE);
                }
                Step::Refuse(refusal)
            }
        }
    }

    fn admit(&self, request: &mut Request<'_>, local: &Local) -> Result<(), Refusal> {
        let unauthorized = |detail| Refusal::new(Kind::Unauthorized, detail);
        // A copy is made anyway, for `authentication.properties.jwt`.
        let written = self
            .find(request)
            .ok_or(Refusal::new(Kind::Rejected, "a token is required"))?;
        let token = Token::parse(&written, self.algorithm).map_err(unauthorized)?;
        self.keys.verify(self.algorithm, &token, request, local)?;
        let claims = token.claims().map_err(unauthorized)?;
        let now = request.context.unix_millis as f64 / 1000.0;
        let client_name;
        let client_id = {
            let vars = |_| Value::from(&claims);
            let view = request.view().with_vars(&vars);
            self.rules.check(&claims, now, &view).map_err(unauthorized)?;
            let text = self.client_id.text(&view).unwrap_or_default();
            let client = self
                .clients
                .as_ref()
                .map(|clients| clients.find(&text).ok_or(UNKNOWN));
            client_name = client.transpose()?.and_then(|client| client.name.as_deref());
            (!text.is_empty()).then(|| text.into())
        };
        for (claim, name) in &self.to_headers {
            let value = claims.get(claim).filter(|claim| **claim != Tree::Null);
            let text = value.map(|claim| Value::from(claim).into_text()).transpose();
            let text = text.map_err(|_| unauthorized("a claim of the token is too large for a header"))?;
            headers::set_forwarded(request, name, text.as_deref())
                .map_err(|_| unauthorized("a claim of the token cannot be a header's value"))?;
        }
        let authentication = &mut *request.authentication;
        authentication.client_id = client_id.or(authentication.client_id.take());
        if let Some(name) = client_name {
            authentication.client_name = Some(name.as_bytes().into());
        }
        if let Some(Tree::String(subject)) = claims.get("sub") {
            authentication.principal = Some(subject.clone());
        }
        let found = [("claims", claims), ("jwt", Tree::string(written))];
        authentication.properties = with(std::mem::take(&mut authentication.properties), found);
        Ok(())
    }

    fn find(&self, request: &Request<'_>) -> Option<Box<[u8]>> {
        match &self.expression {
            None => bearer::token(request.values("authorization")).map(Into::into),
            Some(expression) => {
                let view = request.view();
                // One that has no value for this request finds no token in it.
                let text = expression.text(&view).ok()?;
                (!text.is_empty()).then(|| text.into())
            }
        }
    }
}

/// The claims of a token that this key has signed: what the policy does, where there is one key and nothing else to
/// look at.
///
/// # Errors
/// A fixed sentence for who sent it.
pub fn verified_claims(token: &[u8], algorithm: Algorithm, key: Option<&Key>) -> Result<Tree, &'static str> {
    let token = Token::parse(token, algorithm)?;
    match (algorithm, key) {
        (Algorithm::None, None) => {}
        (_, Some(key)) if key.verifies(token.signed, token.signature()) => {}
        _ => return Err("the token is not signed by a known key"),
    }
    token.claims()
}

/// The clients that must be known beside their token; None where that is not asked for. Without a contract nobody would
/// get in, which is what a file brought along from elsewhere does not mean.
pub(super) fn clients(
    key: &str,
    skip: Option<&Located<bool>>,
    origin: &Origin,
    site: &Site<'_>,
    problems: &mut Problems,
) -> Option<Arc<Contracts>> {
    if skip.is_some_and(|skip| skip.value) {
        return None;
    }
    let contracts = site.contracts();
    if contracts.is_empty() && !site.owner().is_empty() {
        let message =
            format!("no client has a contract for this API: write Contract documents, or `{key}: true`");
        problems.within(key, |problems| {
            problems.report(skip.map_or(origin, |skip| &skip.origin), message);
        });
    }
    Some(contracts)
}

/// What policies before this one found out stays, but for what has the same name.
pub(super) fn with<const N: usize>(properties: Tree, found: [(&str, Tree); N]) -> Tree {
    let before: Vec<_> = match &properties {
        Tree::Object(object) => object
            .iter()
            .map(|(name, tree)| (name.to_vec(), tree.clone()))
            .collect(),
        _ => Vec::new(),
    };
    let found = found
        .into_iter()
        .map(|(name, tree)| (name.as_bytes().to_vec(), tree));
    Tree::object(before.into_iter().chain(found))
}

fn custom_claims(
    written: &[JwtClaimSpec],
    mandatory: bool,
    custom: &mut Vec<Custom>,
    problems: &mut Problems,
) {
    for (index, claim) in written.iter().enumerate() {
        let value = problems.within_element(index, |problems| {
            template("value", &claim.value, &CLAIMS, problems)
        });
        custom.extend(value.map(|value| Custom {
            name: claim.key.value.clone(),
            mandatory,
            value,
        }));
    }
}

/// Of expressions that are evaluated when the signature has been found right.
const CLAIMS: Scope = Scope {
    vars: &["claimSet"],
    ..Scope::REQUEST
};

const DEFAULT_EXPRESSION: &str = "#[attributes.headers['jwt']]";
const UNKNOWN: Refusal = Refusal::new(Kind::Unauthorized, "the token's client has no contract");

const DEFAULT_CLIENT_ID: &str = "#[vars.claimSet.client_id]";

/// RFC 6750 §3.
const CHALLENGE: &[u8] = b"Bearer realm=\"mule-realm\", error=\"invalid_token\"";
