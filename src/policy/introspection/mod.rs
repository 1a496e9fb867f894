//! `oauth2-token-introspection-flex`: whose token an authorisation server calls active (RFC 7662, RFC 6750).

mod cache;
mod verdict;

use super::{
    Contracts, Destination, Event, Local, Refusal, Request, ShardParts, Site, State, Step, Wait, bearer,
    headers,
    jwt::{clients, with},
};
use crate::{
    choice,
    expr::{Tree, Value},
    fault::Kind,
    http1::is_token,
    located::{Bounded, Located, Origin, Problems},
    object,
    outcall::Outcall,
};
use cache::{Cache, Hash};
use std::{cell::RefCell, fmt, rc::Rc, sync::Arc, time::Duration};
use verdict::{Failed, Verdict};

object! {
    /// Configuration of `oauth2-token-introspection-flex`.
    pub(super) struct TokenIntrospectionSpec {
        /// `http(s)://host[:port]/path` of the authorisation server's introspection.
        required "introspectionURL" url: Located<String>,
        /// What `Authorization` says to it, such as `Basic …`.
        required "authorizationValue" authorization: Located<String>,
        /// Seconds an active token is believed without asking again, unless it ends before. Default 600; 0 asks each time.
        optional "validatedTokenTTL" ttl: Bounded<0, 86400>,
        /// Milliseconds for an introspection. Default 10000.
        optional "authenticationTimeout" timeout: Bounded<1, 600000>,
        /// Whether clients must have a contract: not yet, so it must be true.
        required "skipClientIdValidation" skip_client_id: Located<bool>,
        /// The member of the answer that is the client's id. Default `client_id`.
        optional "consumerBy" consumer_by: Located<String>,
        /// Whether the upstream gets what the answer says, each member as a header `X-AGW-…`. Default false.
        optional "exposeHeaders" expose: bool,
        /// Scopes the token must have, with spaces between. Default none.
        optional "scopes" scopes: Located<String>,
        /// Whether it must have all of them (`AND`) or one (`OR`). Default `AND`.
        optional "scopeValidationCriteria" criteria: ScopeCriteria,
        /// Tokens remembered, over all shards. Default 1000.
        optional "maxCacheEntries" entries: Bounded<0, 1000000>,
    }
}

choice! {
    pub(super) enum ScopeCriteria { And = "AND", Or = "OR" }
}

pub struct TokenIntrospection {
    destination: Destination,
    authorization: Box<[u8]>,
    /// Milliseconds.
    ttl: u64,
    timeout: Duration,
    consumer_by: String,
    clients: Option<Arc<Contracts>>,
    expose: bool,
    scopes: Vec<Box<[u8]>>,
    all_scopes: bool,
    entries: usize,
    /// Of a token without the scopes, which are named to its sender.
    out_of_scope: Box<[u8]>,
}

/// Says nothing of what it holds.
impl fmt::Debug for TokenIntrospection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenIntrospection").finish_non_exhaustive()
    }
}

/// One shard's verdicts.
pub struct IntrospectionLocal(RefCell<Cache<Verdict>>);

impl fmt::Debug for IntrospectionLocal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IntrospectionLocal").finish()
    }
}

impl TokenIntrospection {
    pub(super) fn compile(
        spec: &TokenIntrospectionSpec,
        origin: &Origin,
        site: &mut Site<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let clients = clients(
            "skipClientIdValidation",
            Some(&spec.skip_client_id),
            origin,
            site,
            problems,
        );
        let authorization = &spec.authorization;
        if !authorization.bytes().all(|byte| matches!(byte, b' '..=b'~')) || authorization.trim().is_empty() {
            let message = "must be the value of a header, such as `Basic …`";
            problems.within("authorizationValue", |problems| {
                problems.report(&authorization.origin, message)
            });
        }
        let scopes: Vec<&str> = spec
            .scopes
            .as_ref()
            .map_or("", |scopes| scopes.as_str())
            .split_ascii_whitespace()
            .collect();
        if let Some(written) = &spec.scopes
            && !scopes.iter().all(|scope| scope.bytes().all(is_of_scope))
        {
            let message = "must be scopes with spaces between (RFC 6749 §3.3)";
            problems.within("scopes", |problems| problems.report(&written.origin, message));
        }
        let out_of_scope = format!(
            "Bearer realm=\"mule-realm\", error=\"insufficient_scope\", scope=\"{}\"",
            scopes.join(" ")
        );
        Some(Self {
            destination: site.destination("introspectionURL", &spec.url, problems)?,
            authorization: authorization.trim().as_bytes().into(),
            ttl: spec.ttl.map_or(600, |seconds| seconds.unsigned()) * 1000,
            timeout: Duration::from_millis(spec.timeout.map_or(10_000, |millis| millis.unsigned())),
            clients,
            consumer_by: spec
                .consumer_by
                .as_ref()
                .map_or("client_id", |member| member.as_str())
                .to_owned(),
            expose: spec.expose.unwrap_or(false),
            scopes: scopes.iter().map(|scope| scope.as_bytes().into()).collect(),
            all_scopes: spec.criteria != Some(ScopeCriteria::Or),
            entries: spec.entries.map_or(1000, |entries| entries.unsigned()) as usize,
            out_of_scope: out_of_scope.into_bytes().into(),
        })
    }

    pub(super) fn local(&self, parts: &ShardParts<'_>) -> Local {
        let share = self.entries.div_ceil(parts.shards.get() as usize);
        Local::Introspection(IntrospectionLocal(RefCell::new(Cache::new(share))))
    }

    pub(super) fn on_request(&self, request: &mut Request<'_>, local: &Local, state: &mut State) -> Step {
        let Some(token) = bearer::token(request.values("authorization")) else {
            return refuse_without_token(request);
        };
        let hash = cache::hash(token);
        let known = match local {
            Local::Introspection(local) if self.ttl > 0 => {
                local.0.borrow_mut().get(&hash, request.context.now)
            }
            _ => None,
        };
        if let Some(verdict) = known {
            return self.admit(&verdict, request);
        }
        let mut body = b"token=".to_vec();
        encode(token, &mut body);
        body.extend_from_slice(b"&token_type_hint=access_token");
        let Destination { cluster, path } = &self.destination;
        let mut call = Outcall::post(*cluster, path.clone(), "application/x-www-form-urlencoded", body);
        call.headers
            .push(("Authorization".to_owned(), self.authorization.to_vec()));
        call.headers
            .push(("Accept".to_owned(), b"application/json".to_vec()));
        call.timeout = self.timeout;
        call.max_reply_bytes = MAX_ANSWER;
        *state = State::Introspection(Box::new(hash));
        Step::Wait(Wait::Call(Box::new(call)))
    }

    pub(super) fn on_resume(
        &self,
        event: Event,
        request: &mut Request<'_>,
        local: &Local,
        state: &mut State,
    ) -> Step {
        let (Event::Replied(Ok(reply)), State::Introspection(hash)) = (event, &*state) else {
            return Step::Refuse(NO_ANSWER);
        };
        match Verdict::read(&reply, request.context.unix_millis) {
            Ok(verdict) => {
                let verdict = Rc::new(verdict);
                self.remember(**hash, &verdict, request.context.now, local);
                self.admit(&verdict, request)
            }
            Err(Failed::Inactive) => {
                request.reply("WWW-Authenticate", INVALID_TOKEN);
                Step::Refuse(Refusal::new(Kind::Unauthorized, "the token is not valid"))
            }
            Err(Failed::NoAnswer) => Step::Refuse(NO_ANSWER),
        }
    }

    /// Only what is active: a flood of made-up tokens must not push the real ones out.
    fn remember(&self, hash: Hash, verdict: &Rc<Verdict>, now: u64, local: &Local) {
        let Local::Introspection(local) = local else {
            return;
        };
        let lifetime = verdict.lifetime.unwrap_or(u64::MAX).min(self.ttl);
        if lifetime > 0 {
            local
                .0
                .borrow_mut()
                .put(hash, verdict.clone(), now.saturating_add(lifetime));
        }
    }

    fn admit(&self, verdict: &Verdict, request: &mut Request<'_>) -> Step {
        let mut scopes = self.scopes.iter().map(|scope| &**scope);
        let has = |scope: &[u8]| verdict.has_scope(scope);
        let in_scope = match self.all_scopes {
            true => scopes.all(has),
            false => self.scopes.is_empty() || scopes.any(has),
        };
        if !in_scope {
            request.reply("WWW-Authenticate", &self.out_of_scope);
            return Step::Refuse(Refusal::new(Kind::Forbidden, "the token lacks a scope"));
        }
        let id = verdict.text(&self.consumer_by);
        let known = self
            .clients
            .as_ref()
            .map(|clients| clients.find(id.unwrap_or_default()));
        if matches!(known, Some(None)) {
            return Step::Refuse(Refusal::new(
                Kind::Forbidden,
                "the token's client has no contract",
            ));
        }
        if self.expose && self.expose_to_upstream(verdict, request).is_none() {
            return Step::Refuse(NO_ANSWER);
        }
        let authentication = &mut *request.authentication;
        let client = id.map(Into::into);
        let name = known.flatten().and_then(|client| client.name.as_deref());
        if let Some(name) = name {
            authentication.client_name = Some(name.as_bytes().into());
        }
        authentication.client_id = client.or(authentication.client_id.take());
        let principal = verdict.text("sub").or_else(|| verdict.text("username"));
        authentication.principal = principal.map(Into::into).or(authentication.principal.take());
        authentication.properties = merged(
            std::mem::take(&mut authentication.properties),
            &verdict.properties,
        );
        Step::Continue
    }

    /// None where the answer has what is no header's.
    fn expose_to_upstream(&self, verdict: &Verdict, request: &mut Request<'_>) -> Option<()> {
        let bytes = request.bytes;
        let is_ours = |written: &[u8]| {
            written
                .get(..PREFIX.len())
                .is_some_and(|start| headers::is_read_as(start, PREFIX.as_bytes()))
        };
        request.head.headers.remove(bytes, |written, _| is_ours(written));
        let Tree::Object(members) = &verdict.properties else {
            return None;
        };
        for (name, value) in members.iter() {
            if matches!(value, Tree::Null | Tree::Array(_) | Tree::Object(_)) || !is_token(name) {
                continue;
            }
            let value = Value::from(value).into_text().ok()?;
            let name = [PREFIX.as_bytes(), name].concat();
            request.head.headers.append(&name, &value).ok()?;
        }
        Some(())
    }
}

/// RFC 6750 §3.1: who sends nothing is told how, who sends nonsense that it is.
fn refuse_without_token(request: &mut Request<'_>) -> Step {
    let tried = request.values("authorization").any(|value| {
        value
            .get(..6)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer"))
    });
    if tried {
        request.reply("WWW-Authenticate", INVALID_REQUEST);
        return Step::Refuse(Refusal::new(Kind::Rejected, "the token cannot be read"));
    }
    request.reply("WWW-Authenticate", CHALLENGE);
    Step::Refuse(Refusal::new(Kind::Unauthorized, "a token is required"))
}

fn merged(properties: Tree, answer: &Tree) -> Tree {
    match (&properties, answer) {
        (Tree::Object(_), Tree::Object(members)) => {
            let mut all = properties;
            for (name, value) in members.iter() {
                if let Ok(name) = std::str::from_utf8(name) {
                    all = with(all, [(name, value.clone())]);
                }
            }
            all
        }
        _ => answer.clone(),
    }
}

/// As forms have it; a token's letters mostly stay.
fn encode(token: &[u8], out: &mut Vec<u8>) {
    for &byte in token {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte);
        } else {
            let digit = |value: u8| b"0123456789ABCDEF"[usize::from(value)];
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// RFC 6749 §3.3.
fn is_of_scope(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)
}

const PREFIX: &str = "X-AGW-";

/// Bytes. Answers have some hundred.
const MAX_ANSWER: usize = 64 * 1024;

const CHALLENGE: &[u8] = b"Bearer realm=\"mule-realm\"";
const INVALID_REQUEST: &[u8] = b"Bearer realm=\"mule-realm\", error=\"invalid_request\"";
const INVALID_TOKEN: &[u8] = b"Bearer realm=\"mule-realm\", error=\"invalid_token\"";
const NO_ANSWER: Refusal = Refusal::new(Kind::Internal, "the authorization server gave no usable answer");
