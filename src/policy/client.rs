//! Which client application sends a request: its id and secret, from expressions or from Basic authentication, looked up
//! in the API's contracts.

use super::{
    Refusal, Request, Step, basic_authentication,
    contracts::{Client, Contracts},
};
use crate::{expr::Template, fault::Kind};
use std::sync::Arc;

/// Where a client says who it is.
#[derive(Debug)]
pub(super) enum Source {
    /// `Authorization: Basic` (RFC 7617): id and secret, both needed.
    Basic,
    Expressions {
        id: Template,
        /// None: the id alone says who it is.
        secret: Option<Template>,
    },
}

/// Known clients.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) source: Source,
    pub(super) contracts: Arc<Contracts>,
}

impl Clients {
    /// None: nobody known. An expression without a value is nobody, too.
    pub(super) fn find(&self, request: &Request<'_>) -> Option<&Client> {
        match &self.source {
            Source::Basic => {
                let mut decoded = [0; basic_authentication::MAX_CREDENTIALS];
                let credentials = basic_authentication::credentials(request, &mut decoded)?;
                let colon = credentials.iter().position(|&byte| byte == b':')?;
                let (id, secret) = (&credentials[..colon], &credentials[colon + 1..]);
                self.contracts.authenticate(id, secret)
            }
            Source::Expressions { id, secret } => {
                let view = request.view();
                let id = id.text(&view).ok()?;
                match secret {
                    None => self.contracts.find(&id),
                    Some(secret) => self.contracts.authenticate(&id, &secret.text(&view).ok()?),
                }
            }
        }
    }

    /// 401, with how to do better.
    pub(super) fn refuse(&self, request: &mut Request<'_>) -> Step {
        let challenge: &[u8] = match self.source {
            Source::Basic => basic_authentication::CHALLENGE,
            Source::Expressions { .. } => b"Client-ID-Enforcement",
        };
        request.reply("WWW-Authenticate", challenge);
        Refusal::new(Kind::Unauthorized, "the client is not known").into()
    }
}

/// For expressions, logs and policies after this one.
pub(super) fn remember(request: &mut Request<'_>, client: &Client) {
    request.authentication.client_id = Some(client.id.as_bytes().into());
    request.authentication.client_name = client.name.as_ref().map(|name| name.as_bytes().into());
}

/// The vendor's.
pub(super) const CLIENT_ID: &str = "#[attributes.headers['client_id']]";
