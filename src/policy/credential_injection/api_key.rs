//! `credential-injection-api-key-flex`: a key, or a client's identifier and secret, for the upstream.

use crate::{
    choice,
    http1::is_field_value,
    located::{Located, Origin, Problems},
    object,
    policy::{Request, Step},
};

object! {
    /// Configuration of `credential-injection-api-key-flex`.
    pub(in crate::policy) struct CredentialInjectionApiKeySpec {
        /// What is sent.
        required "authType" kind: ApiKeyKind,
        /// Replaces what the client sent; false leaves a request alone that brings the header. Default true.
        optional "overwrite" overwrite: bool,
        /// For `apiKey`: the header's whole value.
        optional "apiKey" key: Located<String>,
        /// For `apiKey`: the header that carries it. Default `Authorization`.
        optional "customHeader" header: Located<String>,
        /// For `clientCredentials`.
        optional "clientId" id: Located<String>,
        /// For `clientCredentials`.
        optional "clientSecret" secret: Located<String>,
        /// For `clientCredentials`. Default `client_id`.
        optional "customClientIdHeader" id_header: Located<String>,
        /// For `clientCredentials`. Default `client_secret`.
        optional "customClientSecretHeader" secret_header: Located<String>,
    }
}

choice! {
    pub(in crate::policy) enum ApiKeyKind { Key = "apiKey", Client = "clientCredentials" }
}

pub struct CredentialInjectionApiKey {
    /// One, or two.
    lines: Vec<Line>,
    overwrite: bool,
}

struct Line {
    name: Box<[u8]>,
    value: Box<[u8]>,
}

/// Says nothing of what it holds.
impl std::fmt::Debug for CredentialInjectionApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CredentialInjectionApiKey")
            .finish_non_exhaustive()
    }
}

impl CredentialInjectionApiKey {
    pub(in crate::policy) fn compile(
        spec: &CredentialInjectionApiKeySpec,
        origin: &Origin,
        problems: &mut Problems,
    ) -> Option<Self> {
        let before = problems.len();
        let of_key = [("apiKey", &spec.key), ("customHeader", &spec.header)];
        let of_client = [
            ("clientId", &spec.id),
            ("clientSecret", &spec.secret),
            ("customClientIdHeader", &spec.id_header),
            ("customClientSecretHeader", &spec.secret_header),
        ];
        let strange: &[(&str, &Option<Located<String>>)] = match spec.kind {
            ApiKeyKind::Key => &of_client,
            ApiKeyKind::Client => &of_key,
        };
        for (key, written) in strange {
            if let Some(written) = written {
                let message = format!("does not belong to `authType: {}`", spec.kind.word());
                problems.within(key, |problems| problems.report(&written.origin, message));
            }
        }
        let lines = match spec.kind {
            ApiKeyKind::Key => {
                let header = super::header("customHeader", spec.header.as_ref(), "Authorization", problems);
                vec![(header, value("apiKey", spec.key.as_ref(), origin, problems))]
            }
            ApiKeyKind::Client => {
                let id = super::header(
                    "customClientIdHeader",
                    spec.id_header.as_ref(),
                    "client_id",
                    problems,
                );
                let (key, written) = ("customClientSecretHeader", spec.secret_header.as_ref());
                let secret = super::header(key, written, "client_secret", problems);
                if let (Some(id), Some(secret), Some(written)) = (&id, &secret, written)
                    && id.eq_ignore_ascii_case(secret)
                {
                    let message = "names the header that carries the identifier";
                    problems.within(key, |problems| problems.report(&written.origin, message));
                }
                vec![
                    (id, value("clientId", spec.id.as_ref(), origin, problems)),
                    (
                        secret,
                        value("clientSecret", spec.secret.as_ref(), origin, problems),
                    ),
                ]
            }
        };
        let lines = lines.into_iter().filter_map(|(name, value)| {
            Some(Line {
                name: name?,
                value: value?,
            })
        });
        let policy = Self {
            lines: lines.collect(),
            overwrite: spec.overwrite.unwrap_or(true),
        };
        (problems.len() == before).then_some(policy)
    }

    pub(in crate::policy) fn on_request(&self, request: &mut Request<'_>) -> Step {
        // Half of the client's pair and half of ours would be nobody's.
        let brings = |line: &Line| {
            let mut values = request.head.headers.values(request.bytes, &line.name);
            values.next().is_some()
        };
        if !self.overwrite && self.lines.iter().any(brings) {
            return Step::Continue;
        }
        for line in &self.lines {
            match super::inject(request, &line.name, &line.value, true) {
                Step::Continue => {}
                failed => return failed,
            }
        }
        Step::Continue
    }
}

fn value(
    key: &str,
    written: Option<&Located<String>>,
    origin: &Origin,
    problems: &mut Problems,
) -> Option<Box<[u8]>> {
    let Some(written) = written else {
        problems.report(origin, format!("`{key}` is required"));
        return None;
    };
    if written.is_empty() || !is_field_value(written.as_bytes()) {
        problems.within(key, |problems| {
            problems.report(
                &written.origin,
                "is empty or has a character that no header may hold",
            )
        });
        return None;
    }
    Some(written.as_bytes().into())
}
