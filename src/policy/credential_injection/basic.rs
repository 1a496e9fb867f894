//! `credential-injection-basic-auth`: a name and password for the upstream (RFC 7617).

use crate::{
    located::{Located, Problems},
    object,
    policy::{Request, Step},
};
use base64::{Engine, prelude::BASE64_STANDARD};

object! {
    /// Configuration of `credential-injection-basic-auth`.
    pub(in crate::policy) struct CredentialInjectionBasicSpec {
        /// The name the upstream knows. Without a colon: that ends it in what is sent.
        required "username" username: Located<String>,
        /// Its password.
        required "password" password: Located<String>,
        /// Replaces what the client sent; false leaves a request alone that brings the header. Default true.
        optional "overwrite" overwrite: bool,
        /// The header that carries it. Default `Authorization`.
        optional "customHeader" header: Located<String>,
    }
}

pub struct CredentialInjectionBasic {
    header: Box<[u8]>,
    value: Box<[u8]>,
    overwrite: bool,
}

/// Says nothing of what it holds.
impl std::fmt::Debug for CredentialInjectionBasic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CredentialInjectionBasic").finish_non_exhaustive()
    }
}

impl CredentialInjectionBasic {
    pub(in crate::policy) fn compile(
        spec: &CredentialInjectionBasicSpec,
        problems: &mut Problems,
    ) -> Option<Self> {
        if spec.username.contains(':') {
            let message = "must not contain `:`, which ends the name in what is sent (RFC 7617)";
            problems.within("username", |problems| {
                problems.report(&spec.username.origin, message)
            });
            return None;
        }
        let header = super::header("customHeader", spec.header.as_ref(), "Authorization", problems)?;
        let credentials = format!("{}:{}", spec.username.value, spec.password.value);
        Some(Self {
            header,
            value: format!("Basic {}", BASE64_STANDARD.encode(credentials))
                .into_bytes()
                .into(),
            overwrite: spec.overwrite.unwrap_or(true),
        })
    }

    pub(in crate::policy) fn on_request(&self, request: &mut Request<'_>) -> Step {
        super::inject(request, &self.header, &self.value, self.overwrite)
    }
}
