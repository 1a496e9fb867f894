//! Where a policy's keys come from, and what a token is verified with.

use super::{
    Algorithm, JwtValidationSpec, Key, KeySet, KeySource, key::Family, spec::JwtKeyOrigin, token::Token,
};
use crate::{
    expr::{Scope, Template},
    fault::Kind,
    located::{Located, Origin, Problems},
    policy::{Local, Refusal, Request, Site, template},
};
use std::{cell::RefCell, sync::Arc, time::Duration};

#[derive(Debug)]
pub(super) enum KeyOrigin {
    /// Tokens are not signed.
    Nowhere,
    Text(Key),
    /// Comes to a key's text.
    Expression(Template),
    /// Index among the snapshot's, and what it is.
    Services(Vec<(usize, Arc<KeySource>)>),
}

/// The key sets that have reached this shard: in the order of the policy's services, None until the first has come.
#[derive(Debug, Default)]
pub struct JwtLocal {
    sets: RefCell<Vec<Option<Arc<KeySet>>>>,
}

impl KeyOrigin {
    pub(super) fn compile(
        spec: &JwtValidationSpec,
        algorithm: Algorithm,
        origin: &Origin,
        site: &mut Site<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        if algorithm == Algorithm::None {
            return Some(Self::Nowhere);
        }
        let jwks = spec
            .key_origin
            .as_ref()
            .filter(|origin| origin.value == JwtKeyOrigin::Jwks);
        match (jwks, &spec.key_expression, &spec.text_key) {
            (Some(written), ..) if matches!(algorithm.family(), Family::Hmac(_)) => {
                let message = "must be `text` for `signingMethod: hmac`: a secret that is published is none";
                problems.within("jwtKeyOrigin", |problems| {
                    problems.report(&written.origin, message)
                });
                None
            }
            (Some(_), ..) => Self::services(spec, algorithm, origin, site, problems),
            (None, Some(expression), _) => {
                // Nothing of the request: whoever sends a token must not choose what it is verified with.
                let scope = Scope {
                    request: false,
                    ..Scope::REQUEST
                };
                template("customKeyExpression", expression, &scope, problems).map(Self::Expression)
            }
            (None, None, Some(text)) => Key::from_text(text, algorithm)
                .map_err(|message| {
                    problems.within("textKey", |problems| problems.report(&text.origin, message))
                })
                .ok()
                .map(Self::Text),
            (None, None, None) => {
                let message = "`textKey` is required, or `jwtKeyOrigin: jwks` with `jwksUrl`";
                problems.report(origin, message);
                None
            }
        }
    }

    fn services(
        spec: &JwtValidationSpec,
        algorithm: Algorithm,
        origin: &Origin,
        site: &mut Site<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let ttl = Duration::from_secs(60 * spec.ttl.map_or(60, |minutes| minutes.unsigned()));
        let timeout = Duration::from_millis(spec.timeout.map_or(10_000, |millis| millis.unsigned()));
        let Some(written) = &spec.jwks_url else {
            problems.report(origin, "`jwksUrl` is required for `jwtKeyOrigin: jwks`");
            return None;
        };
        let urls: Vec<_> = written
            .split(',')
            .map(str::trim)
            .filter(|url| !url.is_empty())
            .collect();
        if urls.is_empty() || urls.len() > MAX_SERVICES {
            let message = format!("must be 1 to {MAX_SERVICES} URLs with commas between");
            problems.within("jwksUrl", |problems| problems.report(&written.origin, message));
            return None;
        }
        let sources: Vec<_> = (urls.into_iter())
            .filter_map(|url| {
                let url = Located::new(url.to_owned(), written.origin.clone());
                site.key_source(
                    "jwksUrl",
                    &url,
                    |place| KeySource::new(algorithm, ttl, timeout, place),
                    problems,
                )
            })
            .collect();
        Some(Self::Services(sources))
    }

    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        token: &Token<'_>,
        request: &Request<'_>,
        local: &Local,
    ) -> Result<(), Refusal> {
        let verifies = |key: &Key| key.verifies(token.signed, token.signature());
        let verified = match self {
            Self::Nowhere => true,
            Self::Text(key) => verifies(key),
            Self::Expression(expression) => {
                let view = request.view();
                // Text that is no key verifies nothing.
                let text = expression.text(&view).ok();
                let text = text.as_deref().and_then(|text| std::str::from_utf8(text).ok());
                text.and_then(|text| Key::from_text(text, algorithm).ok())
                    .is_some_and(|key| verifies(&key))
            }
            Self::Services(services) => match local {
                Local::Jwt(local) => return local.verify(services, token),
                _ => false,
            },
        };
        if verified { Ok(()) } else { Err(NOT_SIGNED) }
    }
}

impl JwtLocal {
    pub(super) fn new(origin: &KeyOrigin) -> Self {
        let count = match origin {
            KeyOrigin::Services(services) => services.len(),
            _ => 0,
        };
        Self {
            sets: RefCell::new(vec![None; count]),
        }
    }

    fn verify(&self, services: &[(usize, Arc<KeySource>)], token: &Token<'_>) -> Result<(), Refusal> {
        let sets = self.sets.borrow();
        let kid = token.kid.as_deref();
        let keys = sets.iter().flatten().flat_map(|set| set.candidates(kid));
        // Without a name any key may be meant: what a forged token may cost is bounded.
        if keys
            .take(MAX_TRIED)
            .any(|key| key.verifies(token.signed, token.signature()))
        {
            return Ok(());
        }
        let missing = sets.iter().any(Option::is_none);
        if missing {
            return Err(NO_KEYS);
        }
        if kid.is_some() && !sets.iter().flatten().any(|set| set.knows(kid)) {
            services.iter().for_each(|(_, source)| source.want());
        }
        Err(NOT_SIGNED)
    }
}

impl super::JwtValidation {
    /// A set has reached the shard.
    pub(in crate::policy) fn keys_arrived(&self, local: &Local, source: usize, keys: &Arc<KeySet>) {
        let (KeyOrigin::Services(services), Local::Jwt(local)) = (&self.keys, local) else {
            return;
        };
        for ((index, _), set) in services.iter().zip(local.sets.borrow_mut().iter_mut()) {
            if *index == source {
                *set = Some(keys.clone());
            }
        }
    }
}

/// Keys a token without a name for its own is tried with: more than any issuer signs with at a time, and 0.2 ms.
const MAX_TRIED: usize = 8;

/// Each is a connection now and then, and a set in memory.
const MAX_SERVICES: usize = 16;

const NOT_SIGNED: Refusal = Refusal::new(Kind::Unauthorized, "the token is not signed by a known key");
const NO_KEYS: Refusal = Refusal::new(
    Kind::Unavailable,
    "the keys to verify tokens with have not come yet",
);
