//! `http-basic-authentication-flex`: one name and password for all (RFC 7617).

use super::{Refusal, Request, Step};
use crate::{
    fault::Kind,
    located::{Located, Problems},
    object,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use subtle::ConstantTimeEq;

object! {
    /// Configuration of `http-basic-authentication-flex`.
    pub(super) struct BasicAuthenticationSpec {
        /// The user's name. Without a colon: that ends it in what the client sends.
        required "username" username: Located<String>,
        /// The password.
        required "password" password: Located<String>,
    }
}

pub struct BasicAuthentication {
    /// What must stand behind `Basic `: one comparison in constant time tells neither how much of a guess was right nor
    /// which of the two was.
    credentials: Box<[u8]>,
    username: Box<[u8]>,
}

/// Says nothing of what it holds.
impl std::fmt::Debug for BasicAuthentication {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BasicAuthentication").finish_non_exhaustive()
    }
}

impl BasicAuthentication {
    pub(super) fn compile(spec: &BasicAuthenticationSpec, problems: &mut Problems) -> Option<Self> {
        if spec.username.contains(':') {
            let message = "must not contain `:`, which ends the name in what a client sends (RFC 7617)";
            problems.within("username", |problems| {
                problems.report(&spec.username.origin, message.to_owned())
            });
            return None;
        }
        let credentials = format!("{}:{}", spec.username.value, spec.password.value);
        Some(Self {
            credentials: credentials.into_bytes().into(),
            username: spec.username.as_bytes().into(),
        })
    }

    pub(super) fn on_request(&self, request: &mut Request<'_>) -> Step {
        if self.admits(request) {
            request.authentication.principal = Some(self.username.clone());
            return Step::Continue;
        }
        request.reply("WWW-Authenticate", CHALLENGE);
        Step::Refuse(Refusal::new(Kind::Unauthorized, "authentication is required"))
    }

    fn admits(&self, request: &Request<'_>) -> bool {
        let mut decoded = [0; MAX_CREDENTIALS];
        credentials(request, &mut decoded).is_some_and(|given| bool::from(given.ct_eq(&self.credentials)))
    }
}

/// What a client sent behind `Basic `, decoded: `name:password`. None where it is none, or sent twice.
pub(super) fn credentials<'d>(
    request: &Request<'_>,
    decoded: &'d mut [u8; MAX_CREDENTIALS],
) -> Option<&'d [u8]> {
    let mut values = request.values("authorization");
    // Two lines are two answers to one question: whoever comes behind may read the other.
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let (scheme, token) = value.split_at_checked(SCHEME.len())?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    let length = BASE64_STANDARD.decode_slice(token.trim_ascii(), decoded).ok()?;
    Some(&decoded[..length])
}

const SCHEME: &[u8] = b"Basic ";

/// The charset tells clients to send UTF-8 (RFC 7617 §2.1), as the configuration is.
pub(super) const CHALLENGE: &[u8] = b"Basic realm=\"mule-realm\", charset=\"UTF-8\"";

/// Longer ones are refused: on the stack, so that a wrong answer allocates nothing.
pub(super) const MAX_CREDENTIALS: usize = 1024;
