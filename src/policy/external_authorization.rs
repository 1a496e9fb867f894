//! `native-ext-authz-flex`: a service of the user's decides, as Envoy's HTTP external authorisation has it. No answer is a
//! no.

use super::{Answer, Destination, Event, Refusal, Request, Response, Site, State, Step, Wait, headers};
use crate::{
    choice,
    fault::Kind,
    located::{Bounded, Located, Problems},
    object,
    outcall::{Outcall, Reply},
};
use std::time::Duration;

object! {
    /// Configuration of `native-ext-authz-flex`.
    pub(super) struct ExternalAuthorizationSpec {
        /// `http(s)://host[:port]` of the service.
        required "uri" uri: Located<String>,
        /// `http`; `grpc` is not to be had yet.
        required "serverType" server_type: Located<AuthorizationServer>,
        /// A version of the gRPC interface, and so of nothing here.
        optional "serverVersion" server_version: Located<String>,
        /// Milliseconds for an answer. Default 5000.
        optional "requestTimeout" timeout: Bounded<1, 600000>,
        /// Whether the service sees the client's certificate: not yet, so false.
        optional "includePeerCertificate" peer_certificate: Located<bool>,
        /// The client's headers that the service sees, beside `Authorization`. Default none.
        optional "allowedHeaders" allowed: Vec<Located<String>>,
        /// Headers that the service gets.
        optional "serviceRequestHeadersToAdd" added: Vec<AuthorizationHeaderSpec>,
        /// Headers of the service's yes that the upstream gets, instead of the client's of that name.
        optional "serviceResponseUpstreamHeaders" upstream: Vec<Located<String>>,
        /// Headers of the service's yes that the upstream gets, beside the client's of that name.
        optional "serviceResponseUpstreamHeadersToAppend" upstream_appended: Vec<Located<String>>,
        /// Headers of the service's no that the client gets, beside `WWW-Authenticate`, `Location` and `Content-Type`.
        /// Default all.
        optional "serviceResponseClientHeaders" client: Vec<Located<String>>,
        /// Headers of the service's yes that the client gets with the upstream's answer. Default none.
        optional "serviceResponseClientHeadersOnSuccess" client_on_success: Vec<Located<String>>,
        /// What stands in front of the client's path when the service is asked. Default none.
        optional "pathPrefix" prefix: Located<String>,
    }
}

object! {
    /// A header line.
    pub(super) struct AuthorizationHeaderSpec {
        /// Its name.
        required "key" key: Located<String>,
        /// Its value.
        required "value" value: Located<String>,
    }
}

choice! {
    pub(super) enum AuthorizationServer { Http = "http", Grpc = "grpc" }
}

#[derive(Debug)]
pub struct ExternalAuthorization {
    cluster: usize,
    /// In front of the client's path; empty or without a slash at its end.
    prefix: String,
    timeout: Duration,
    allowed: Vec<String>,
    added: Vec<(String, Vec<u8>)>,
    upstream: Vec<String>,
    upstream_appended: Vec<String>,
    /// None: all.
    client: Option<Vec<String>>,
    client_on_success: Vec<String>,
}

impl ExternalAuthorization {
    pub(super) fn compile(
        spec: &ExternalAuthorizationSpec,
        site: &mut Site<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        if spec.server_type.value == AuthorizationServer::Grpc {
            let message = "Ringway knows `grpc` but does not have it yet: it needs HTTP/2; use `http`";
            problems.within("serverType", |problems| {
                problems.report(&spec.server_type.origin, message)
            });
            return None;
        }
        if let Some(version) = &spec.server_version {
            let message = "is the version of a gRPC interface; leave it out for `serverType: http`";
            problems.within("serverVersion", |problems| {
                problems.report(&version.origin, message)
            });
        }
        if let Some(include) = spec.peer_certificate.as_ref().filter(|include| include.value) {
            let message = "Ringway does not ask clients for certificates yet: leave it out, or write false";
            problems.within("includePeerCertificate", |problems| {
                problems.report(&include.origin, message)
            });
        }
        let mut names = |key: &str, written: &Option<Vec<Located<String>>>| -> Vec<String> {
            let written = written.iter().flatten();
            problems.within(key, |problems| {
                let name = |(index, name): (usize, &Located<String>)| {
                    check(index, "", name, problems);
                    name.value.clone()
                };
                written.enumerate().map(name).collect()
            })
        };
        let allowed = names("allowedHeaders", &spec.allowed);
        let upstream = names("serviceResponseUpstreamHeaders", &spec.upstream);
        let upstream_appended = names("serviceResponseUpstreamHeadersToAppend", &spec.upstream_appended);
        let client = names("serviceResponseClientHeaders", &spec.client);
        let client_on_success = names("serviceResponseClientHeadersOnSuccess", &spec.client_on_success);
        let added = spec.added.iter().flatten().enumerate().map(|(index, header)| {
            problems.within("serviceRequestHeadersToAdd", |problems| {
                check(index, "key", &header.key, problems);
                if !header
                    .value
                    .bytes()
                    .all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7F))
                {
                    problems.within_element(index, |problems| {
                        problems.report(&header.value.origin, "is no value of a header");
                    });
                }
            });
            (header.key.value.clone(), header.value.trim().as_bytes().to_vec())
        });
        let added = added.collect();
        let written = spec.prefix.as_ref().map_or("", |prefix| prefix.as_str());
        let bad = |byte: u8| !matches!(byte, b'!'..=b'~') || b"?#".contains(&byte);
        if let Some(prefix) = &spec.prefix
            && (!(written.is_empty() || written.starts_with('/')) || written.bytes().any(bad))
        {
            let message = "must be a path: it begins with `/` and has no query";
            problems.within("pathPrefix", |problems| problems.report(&prefix.origin, message));
        }
        let Destination { cluster, path } = site.destination("uri", &spec.uri, problems)?;
        if path.contains('?') {
            problems.within("uri", |problems| {
                problems.report(&spec.uri.origin, "must have no query")
            });
        }
        let base = path.trim_end_matches('/');
        Some(Self {
            cluster,
            prefix: format!("{base}{}", written.trim_end_matches('/')),
            timeout: Duration::from_millis(spec.timeout.map_or(5_000, |millis| millis.unsigned())),
            allowed,
            added,
            upstream,
            upstream_appended,
            client: spec.client.is_some().then_some(client),
            client_on_success,
        })
    }

    pub(super) fn on_request(&self, request: &Request<'_>) -> Step {
        let (head, bytes) = (&*request.head, request.bytes);
        let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
        let mut path = self.prefix.clone();
        path.push_str(&text(request.context.path));
        if let Some(query) = head.query {
            path.push('?');
            path.push_str(&text(query.of(bytes)));
        }
        // Without what the client's `Connection` keeps from the origin: it is not to be judged by what the origin won't see.
        let mut headers: Vec<(String, Vec<u8>)> = (head.headers.end_to_end(bytes))
            .filter(|(name, _)| self.is_allowed(name) && !self.is_added(name))
            .map(|(name, value)| (text(name), value.to_vec()))
            .collect();
        // `Host` is the service's own; what the client wrote there decides what is asked for, so it is told.
        for (name, value) in [
            ("X-Forwarded-Host", head.host.map(|host| host.of(bytes).to_vec())),
            (
                "X-Forwarded-For",
                Some(request.context.client.ip().to_string().into_bytes()),
            ),
            (
                "X-Forwarded-Proto",
                Some(request.context.scheme.as_bytes().to_vec()),
            ),
            (
                "X-Forwarded-Client-Cert",
                (request.context.peer)
                    .and_then(|peer| peer.forwarded.as_deref())
                    .map(|forwarded| forwarded.as_bytes().to_vec()),
            ),
        ] {
            // Nor by another spelling, which the service may take for the same.
            headers.retain(|(written, _)| !written.replace('_', "-").eq_ignore_ascii_case(name));
            if !self.is_added(name.as_bytes()) {
                headers.extend(value.map(|value| (name.to_owned(), value)));
            }
        }
        headers.extend(self.added.iter().cloned());
        Step::Wait(Wait::Call(Box::new(Outcall {
            cluster: self.cluster,
            method: text(head.method.of(bytes)),
            path,
            headers,
            body: Vec::new(),
            timeout: self.timeout,
            max_reply_bytes: MAX_ANSWER,
        })))
    }

    pub(super) fn on_resume(&self, event: Event, request: &mut Request<'_>, state: &mut State) -> Step {
        let Event::Replied(Ok(reply)) = event else {
            return Step::Refuse(NO_ANSWER);
        };
        match reply.status {
            200 => self.admit(&reply, request, state),
            // A service that fails has not decided; one that says another kind of yes has not said this one.
            201..=299 | 500.. => Step::Refuse(NO_ANSWER),
            _ => self.deny(reply, request),
        }
    }

    fn admit(&self, reply: &Reply, request: &mut Request<'_>, state: &mut State) -> Step {
        let bytes = request.bytes;
        let lines = &mut request.head.headers;
        for name in &self.upstream {
            let mut values = of(reply, name).peekable();
            // Without one of the service's the client's own is not in its place: nobody has vouched for it.
            lines.remove(bytes, |written, _| headers::is_read_as(written, name.as_bytes()));
            if !values.all(|value| lines.append(name.as_bytes(), value).is_ok()) {
                return Step::Refuse(NO_ANSWER);
            }
        }
        for name in &self.upstream_appended {
            if !of(reply, name).all(|value| lines.append(name.as_bytes(), value).is_ok()) {
                return Step::Refuse(NO_ANSWER);
            }
        }
        let told = self.client_on_success.iter();
        let told: Vec<_> = told
            .flat_map(|name| of(reply, name).map(|value| (name.clone(), value.to_vec())))
            .collect();
        if !told.is_empty() {
            *state = State::ExternalAuthorization(told);
        }
        Step::Continue
    }

    fn deny(&self, reply: Reply, request: &mut Request<'_>) -> Step {
        for (name, value) in &reply.headers {
            let given = match &self.client {
                None => !is_one_of(name.as_bytes(), &headers::FRAMING),
                Some(names) => is_one_of(name.as_bytes(), names) || is_one_of(name.as_bytes(), &ALWAYS_TOLD),
            };
            if given {
                request.reply(name, value);
            }
        }
        Step::Answer(Answer {
            status: reply.status,
            body: (!reply.body.is_empty()).then(|| reply.body.into()),
            refusal: Some(Refusal::new(Kind::Forbidden, "the authorization service refuses")),
        })
    }

    pub(super) fn on_response(&self, response: &mut Response<'_>, state: &State) {
        if let State::ExternalAuthorization(told) = state {
            for (name, value) in told {
                let _ = response.headers.append(name.as_bytes(), value);
            }
        }
    }

    pub(super) fn sees_responses(&self) -> bool {
        !self.client_on_success.is_empty()
    }

    fn is_allowed(&self, name: &[u8]) -> bool {
        name.eq_ignore_ascii_case(b"authorization") || is_one_of(name, &self.allowed)
    }

    fn is_added(&self, name: &[u8]) -> bool {
        self.added
            .iter()
            .any(|(added, _)| added.as_bytes().eq_ignore_ascii_case(name))
    }
}

fn check(index: usize, key: &str, name: &Located<String>, problems: &mut Problems) {
    problems.within_element(index, |problems| headers::check_forwarded(key, name, problems));
}

fn of<'r>(reply: &'r Reply, name: &'r str) -> impl Iterator<Item = &'r [u8]> + 'r {
    (reply.headers.iter())
        .filter(move |(written, _)| written.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_slice())
}

fn is_one_of<N: AsRef<str>>(name: &[u8], names: &[N]) -> bool {
    names
        .iter()
        .any(|known| known.as_ref().as_bytes().eq_ignore_ascii_case(name))
}

/// Without them a denial can't be understood.
const ALWAYS_TOLD: [&str; 3] = ["www-authenticate", "location", "content-type"];

/// Bytes: a page that says why.
const MAX_ANSWER: usize = 256 * 1024;

const NO_ANSWER: Refusal = Refusal::new(Kind::Forbidden, "the authorization service gave no usable answer");
