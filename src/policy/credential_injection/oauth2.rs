//! `credential-injection-oauth2`: an access token for the upstream, got from an authorisation server with the gateway's own
//! credentials (RFC 6749 §4.4, §4.3).
//!
//! Each shard keeps one token until shortly before it expires. Of the requests of a shard that need one at the same time
//! the first asks for it; the others look again every few milliseconds. What went wrong is remembered for a second, so
//! that a server that is down is not asked by every request.

use crate::{
    choice,
    clock::Tick,
    fault::Kind,
    http1::is_field_value,
    located::{Bounded, Located, Origin, Problems},
    object,
    outcall::{CallError, Outcall, Reply},
    policy::{Destination, Event, Local, Refusal, Request, Site, Step, Wait},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use std::{cell::RefCell, time::Duration};

object! {
    /// Configuration of `credential-injection-oauth2`.
    pub(in crate::policy) struct CredentialInjectionOauth2Spec {
        /// The server's token endpoint.
        required "oauthService" service: Located<String>,
        /// The gateway's name there.
        required "clientId" id: Located<String>,
        /// Its password there.
        required "clientSecret" secret: Located<String>,
        /// How the token is asked for. Default `clientCredentials`.
        optional "grantType" grant: Located<Oauth2Grant>,
        /// For `password`.
        optional "username" username: Located<String>,
        /// For `password`.
        optional "password" password: Located<String>,
        /// Where identifier and secret stand. Default `header`, as HTTP's basic authentication.
        optional "credentialLocation" location: Oauth2Location,
        /// How the request for a token is written. Default `urlEncoded`, as the standard has it.
        optional "tokenRequestBodyFormat" format: Oauth2Format,
        /// What the token is for.
        optional "scope" scope: Vec<Located<String>>,
        /// Replaces what the client sent; false leaves a request alone that brings the header. Default true.
        optional "overwrite" overwrite: bool,
        /// Seconds. Default 10.
        optional "tokenFetchTimeout" timeout: Bounded<1, 300>,
        /// Lets requests go on without a token when there is none. Default false: 503.
        optional "allowRequestWithoutCredential" without: bool,
        /// The header that carries the token. Default `Authorization`.
        optional "upstreamTokenHeaderName" header: Located<String>,
        /// What stands before it there. Default `Bearer`.
        optional "upstreamTokenPrefixName" prefix: Located<String>,
        /// Seconds that a token is used at most. Default as long as the server says, 60 where it says nothing.
        optional "cachingTtl" ttl: Bounded<1, 31_536_000>,
    }
    later ["customRequestHeaders"]
}

choice! {
    pub(in crate::policy) enum Oauth2Grant { Client = "clientCredentials", Password = "password" }
}

choice! {
    pub(in crate::policy) enum Oauth2Location { Header = "header", Body = "body" }
}

choice! {
    pub(in crate::policy) enum Oauth2Format { UrlEncoded = "urlEncoded", Json = "json" }
}

pub struct CredentialInjectionOauth2 {
    /// The request for a token, whole.
    call: Outcall,
    header: Box<[u8]>,
    /// With its space.
    prefix: String,
    overwrite: bool,
    without: bool,
    /// Milliseconds.
    ttl: Option<u64>,
}

/// Says nothing of what it holds.
impl std::fmt::Debug for CredentialInjectionOauth2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CredentialInjectionOauth2")
            .finish_non_exhaustive()
    }
}

/// What one shard knows.
#[derive(Default)]
pub struct Token {
    known: Known,
}

#[derive(Default)]
enum Known {
    #[default]
    Nothing,
    /// A request of this shard asks. Should it never come back, another one asks after this.
    Asked {
        until: Tick,
    },
    /// The header's whole value.
    Token {
        value: Box<[u8]>,
        until: Tick,
    },
    Failed {
        until: Tick,
    },
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

impl CredentialInjectionOauth2 {
    pub(in crate::policy) fn compile(
        spec: &CredentialInjectionOauth2Spec,
        origin: &Origin,
        site: &mut Site<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let before = problems.len();
        let destination = site.destination("oauthService", &spec.service, problems);
        let key = "upstreamTokenHeaderName";
        let header = super::header(key, spec.header.as_ref(), "Authorization", problems);
        let prefix = spec.prefix.as_ref().map_or("Bearer", |prefix| prefix.trim());
        if let Some(written) = spec
            .prefix
            .as_ref()
            .filter(|prefix| !is_field_value(prefix.as_bytes()))
        {
            problems.within("upstreamTokenPrefixName", |problems| {
                problems.report(&written.origin, "has a character that no header may hold")
            });
        }
        let mut fields: Vec<(&str, String)> = Vec::new();
        let owner = [("username", &spec.username), ("password", &spec.password)];
        match spec
            .grant
            .as_ref()
            .map_or(Oauth2Grant::Client, |grant| grant.value)
        {
            Oauth2Grant::Client => {
                fields.push(("grant_type", "client_credentials".to_owned()));
                for (key, written) in owner {
                    if let Some(written) = written {
                        let message = "does not belong to `grantType: clientCredentials`";
                        problems.within(key, |problems| problems.report(&written.origin, message));
                    }
                }
            }
            Oauth2Grant::Password => {
                fields.push(("grant_type", "password".to_owned()));
                for (key, written) in owner {
                    match written {
                        Some(written) => fields.push((key, written.value.clone())),
                        None => problems.report(origin, format!("`{key}` is required")),
                    }
                }
            }
        }
        let scope = spec.scope.as_deref().unwrap_or_default();
        if !scope.is_empty() {
            let words: Vec<&str> = scope.iter().map(|word| word.as_str()).collect();
            fields.push(("scope", words.join(" ")));
        }
        let call = call(spec, destination?, fields);
        if let Err(message) = call.check() {
            problems.report(origin, message);
        }
        let policy = Self {
            call,
            header: header?,
            prefix: if prefix.is_empty() {
                String::new()
            } else {
                format!("{prefix} ")
            },
            overwrite: spec.overwrite.unwrap_or(true),
            without: spec.without.unwrap_or(false),
            ttl: spec.ttl.map(|ttl| ttl.unsigned() * 1000),
        };
        (problems.len() == before).then_some(policy)
    }

    pub(in crate::policy) fn local() -> Local {
        Local::Oauth2(RefCell::default())
    }

    pub(in crate::policy) fn on_request(&self, request: &mut Request<'_>, local: &Local) -> Step {
        if !self.overwrite
            && request
                .head
                .headers
                .values(request.bytes, &self.header)
                .next()
                .is_some()
        {
            return Step::Continue;
        }
        let Local::Oauth2(token) = local else {
            return self.none(request);
        };
        let now = request.context.now;
        let mut token = token.borrow_mut();
        match &token.known {
            Known::Token { value, until } if now < *until => {
                return super::inject(request, &self.header, value, true);
            }
            Known::Failed { until } if now < *until => return self.none(request),
            Known::Asked { until } if now < *until => return Step::Wait(Wait::Sleep(LOOK_AGAIN)),
            _ => {}
        }
        let until = now + millis(self.call.timeout) + LOOK_AGAIN;
        token.known = Known::Asked { until };
        Step::Wait(Wait::Call(Box::new(self.call.clone())))
    }

    pub(in crate::policy) fn on_resume(
        &self,
        event: Event,
        request: &mut Request<'_>,
        local: &Local,
    ) -> Step {
        let reply = match event {
            Event::Slept => return self.on_request(request, local),
            Event::Replied(reply) => reply,
        };
        let Local::Oauth2(token) = local else {
            return self.none(request);
        };
        let now = request.context.now;
        match self.token(&reply) {
            Some((value, lifetime)) => {
                let injected = super::inject(request, &self.header, &value, true);
                let until = now + lifetime;
                token.borrow_mut().known = Known::Token { value, until };
                injected
            }
            None => {
                let until = now + FAILED_FOR;
                token.borrow_mut().known = Known::Failed { until };
                self.none(request)
            }
        }
    }

    /// The header's value, and how long it may be used, milliseconds. None for what is no answer with a token.
    fn token(&self, reply: &Result<Reply, CallError>) -> Option<(Box<[u8]>, u64)> {
        let reply = reply.as_ref().ok().filter(|reply| reply.status == 200)?;
        let reply: serde_json::Value = serde_json::from_slice(&reply.body).ok()?;
        let token = reply.get("access_token")?.as_str()?;
        // RFC 6749 §A.12; what is more could end the line.
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        // RFC 6749 §7.1: a type that is not understood is not used.
        let kind = reply.get("token_type").and_then(|kind| kind.as_str());
        if kind.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return None;
        }
        // A number; some servers write it as text.
        let seconds = reply.get("expires_in").and_then(|seconds| match seconds {
            serde_json::Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        });
        let lifetime = seconds.map_or(NO_LIFETIME, |seconds: u64| {
            let whole = seconds.min(MAX_LIFETIME) * 1000;
            // Long enough before its end that it does not expire on the way.
            whole - (whole / 10).min(MARGIN)
        });
        let value = format!("{}{token}", self.prefix).into_bytes();
        Some((value.into(), self.ttl.map_or(lifetime, |ttl| ttl.min(lifetime))))
    }

    /// There is no token.
    fn none(&self, request: &mut Request<'_>) -> Step {
        if !self.without {
            return Refusal::new(Kind::Unavailable, "there is no credential for the upstream").into();
        }
        if self.overwrite {
            // What the client sent is not what the upstream is to see, also where there is nothing in its place.
            super::take_out(request, &self.header);
        }
        Step::Continue
    }
}

fn call(
    spec: &CredentialInjectionOauth2Spec,
    destination: Destination,
    mut fields: Vec<(&str, String)>,
) -> Outcall {
    let (id, secret) = (&spec.id.value, &spec.secret.value);
    let in_body = spec.location == Some(Oauth2Location::Body);
    if in_body {
        fields.push(("client_id", id.clone()));
        fields.push(("client_secret", secret.clone()));
    }
    let (content_type, body) = match spec.format.unwrap_or(Oauth2Format::UrlEncoded) {
        Oauth2Format::UrlEncoded => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{name}={}", form(value)))
                .collect();
            ("application/x-www-form-urlencoded", fields.join("&"))
        }
        Oauth2Format::Json => {
            let fields: serde_json::Map<String, serde_json::Value> = fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect();
            ("application/json", serde_json::Value::from(fields).to_string())
        }
    };
    let mut call = Outcall::post(
        destination.cluster,
        destination.path,
        content_type,
        body.into_bytes(),
    );
    call.headers
        .push(("Accept".to_owned(), b"application/json".to_vec()));
    if !in_body {
        // RFC 6749 §2.3.1: each is form-encoded first.
        let credentials = BASE64_STANDARD.encode(format!("{}:{}", form(id), form(secret)));
        let value = format!("Basic {credentials}").into_bytes();
        call.headers.push(("Authorization".to_owned(), value));
    }
    call.timeout = Duration::from_secs(spec.timeout.map_or(10, |timeout| timeout.unsigned()));
    call.max_reply_bytes = MAX_REPLY;
    call
}

/// As `application/x-www-form-urlencoded`.
fn form(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 2)
}

/// Milliseconds, as all below.
const LOOK_AGAIN: u64 = 5;
const FAILED_FOR: u64 = 1000;
const MARGIN: u64 = 30_000;
const NO_LIFETIME: u64 = 60_000;

/// Seconds: a year.
const MAX_LIFETIME: u64 = 31_536_000;

/// Bytes. Tokens are a few thousand.
const MAX_REPLY: usize = 64 * 1024;
