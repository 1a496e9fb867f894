//! `client-id-enforcement-flex`: only client applications that have a contract for the API get in.

use super::{
    Request, Site, Step,
    client::{self, CLIENT_ID, Clients, Source},
    expression,
};
use crate::{
    choice,
    expr::Scope,
    located::{Located, Origin, Problems},
    object,
};

choice! {
    /// Where a client's id and secret are.
    pub(super) enum CredentialsOrigin {
        Expression = "customExpression",
        Basic = "httpBasicAuthenticationHeader",
    }
}

object! {
    /// Configuration of `client-id-enforcement-flex`.
    pub(super) struct ClientIdEnforcementSpec {
        /// `customExpression`, or `httpBasicAuthenticationHeader`: id and secret as name and password of Basic
        /// authentication. Default customExpression.
        optional "credentialsOriginHasHttpBasicAuthenticationHeader" credentials: CredentialsOrigin,
        /// An expression. Default `#[attributes.headers['client_id']]`.
        optional "clientIdExpression" id: Located<String>,
        /// An expression. None: the id alone is enough.
        optional "clientSecretExpression" secret: Located<String>,
    }
}

#[derive(Debug)]
pub struct ClientIdEnforcement {
    clients: Clients,
}

impl ClientIdEnforcement {
    /// `origin` stands for what is left out.
    pub(super) fn compile(
        spec: Option<&ClientIdEnforcementSpec>,
        origin: &Origin,
        site: &mut Site<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let basic = spec.is_some_and(|spec| spec.credentials == Some(CredentialsOrigin::Basic));
        let (id, secret) = (
            spec.and_then(|spec| spec.id.as_ref()),
            spec.and_then(|spec| spec.secret.as_ref()),
        );
        let source = if basic {
            // What would not be looked at is not to be believed in.
            for (key, written) in [("clientIdExpression", id), ("clientSecretExpression", secret)] {
                if let Some(written) = written {
                    let message = "means nothing with httpBasicAuthenticationHeader: leave it out";
                    problems.within(key, |problems| problems.report(&written.origin, message));
                }
            }
            Source::Basic
        } else {
            expressions(id, secret, origin, problems)?
        };
        Some(Self {
            clients: Clients {
                source,
                contracts: site.contracts(),
            },
        })
    }

    pub(super) fn on_request(&self, request: &mut Request<'_>) -> Step {
        match self.clients.find(request) {
            Some(found) => {
                client::remember(request, found);
                Step::Continue
            }
            None => self.clients.refuse(request),
        }
    }
}

pub(super) fn expressions(
    id: Option<&Located<String>>,
    secret: Option<&Located<String>>,
    origin: &Origin,
    problems: &mut Problems,
) -> Option<Source> {
    let default = Located::new(CLIENT_ID.to_owned(), origin.clone());
    let id = expression(
        "clientIdExpression",
        id.unwrap_or(&default),
        &Scope::REQUEST,
        problems,
    )?;
    let secret = match secret {
        None => None,
        Some(written) => Some(expression(
            "clientSecretExpression",
            written,
            &Scope::REQUEST,
            problems,
        )?),
    };
    Some(Source::Expressions { id, secret })
}
