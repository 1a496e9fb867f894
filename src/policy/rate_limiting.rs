//! `rate-limiting-flex`: so many requests in a window of time, for each value of an expression or for all together.

use super::{
    Local, Refusal, Request, Response, ShardParts, State, Step, expression,
    quota::{self, Fields, Quota, Told},
    rate_limit::{Decision, Fingerprint, Limit, LimitSpec, Limits},
};
use crate::{
    expr::{Scope, Template},
    fault::Kind,
    located::{Located, Problems},
    object,
};
use std::{fmt, sync::OnceLock};

object! {
    /// Configuration of `rate-limiting-flex`.
    pub(super) struct RateLimitingSpec {
        /// At least one; all of them must have quota for a request to pass.
        required "rateLimits" rate_limits: Located<Vec<LimitSpec>>,
        /// An expression, each of whose values has a count of its own. Default: one for all requests.
        optional "keySelector" key_selector: Located<String>,
        /// Answers say how the limit stands. Default false.
        optional "exposeHeaders" expose_headers: bool,
        /// Answers say it in the fields that are to become a standard, too. Default false.
        optional "ietfHeaders" ietf_headers: bool,
        /// Counted together with other replicas, where there is shared storage. Default true.
        optional "clusterizable" clusterizable: bool,
        /// Means something with shared storage only. Default true.
        optional "blockOnUnknownQuota" block_on_unknown_quota: bool,
    }
}

pub struct RateLimiting {
    limits: Box<[Limit]>,
    key: Option<Template>,
    told: Told,
    fields: Option<Fields>,
    /// Made once the process's hash key is known, and shared by the shards as the bank is.
    made: OnceLock<Limits>,
}

impl RateLimiting {
    pub(super) fn compile(spec: &RateLimitingSpec, problems: &mut Problems) -> Option<Self> {
        if spec.rate_limits.is_empty() {
            problems.within("rateLimits", |problems| {
                problems.report(&spec.rate_limits.origin, "must not be empty");
            });
        }
        let key = match &spec.key_selector {
            None => None,
            Some(written) => Some(expression("keySelector", written, &Scope::REQUEST, problems)?),
        };
        let limits: Box<[Limit]> = spec.rate_limits.iter().map(LimitSpec::limit).collect();
        let told = Told {
            vendor: spec.expose_headers.unwrap_or(false),
            fields: spec.ietf_headers.unwrap_or(false),
        };
        (!limits.is_empty()).then(|| Self {
            fields: told.fields.then(|| Fields::new(&limits)),
            limits,
            key,
            told,
            made: OnceLock::new(),
        })
    }

    /// The first shard makes the limits that all use.
    pub(super) fn local(&self, parts: &ShardParts<'_>) -> Local {
        (self.made).get_or_init(|| Limits::new(parts.name, &self.limits, parts.hash_key));
        Local::None
    }

    pub(super) fn on_request(&self, request: &mut Request<'_>, state: &mut State) -> Step {
        let Some(limits) = self.made.get() else {
            return not_live();
        };
        let key = self.fingerprint(request);
        take(request, limits, key, self.told, state)
    }

    pub(super) fn on_response(&self, response: &mut Response<'_>, state: &State) {
        tell(response, state, self.told, self.fields.as_ref());
    }

    pub(super) fn sees_responses(&self) -> bool {
        self.told.anything()
    }

    /// A value that is missing, or that the expression has no value for, is the empty text: such requests share one
    /// count, rather than to have none.
    fn fingerprint(&self, request: &Request<'_>) -> Fingerprint {
        let hash_key = request.context.leases.bank().hash_key();
        let Some(template) = &self.key else {
            return hash_key.value(b"");
        };
        let view = request.view();
        match template.text(&view) {
            Ok(text) => hash_key.value(&text),
            Err(_) => hash_key.value(b""),
        }
    }
}

/// One request of `key`.
pub(super) fn take(
    request: &mut Request<'_>,
    limits: &Limits,
    key: Fingerprint,
    told: Told,
    state: &mut State,
) -> Step {
    let context = request.context;
    // The bank's lines are fetched together, not one after the other.
    context.leases.prepare(limits, key);
    let decision = context.leases.take(limits, key, context.now);
    if told.anything() {
        *state = State::RateLimited(decision);
    }
    if decision.admitted {
        return Step::Continue;
    }
    quota::retry_after(request, decision.reset_ms.into());
    REFUSED.into()
}

pub(super) fn tell(response: &mut Response<'_>, state: &State, told: Told, fields: Option<&Fields>) {
    let State::RateLimited(decision) = state else {
        return;
    };
    let quota = Quota::from(decision as &Decision);
    if told.vendor {
        quota.tell(response.headers, response.bytes);
    }
    if let Some(fields) = fields {
        fields.tell(&quota, response.headers);
    }
}

/// Every policy goes live before a request meets it.
pub(super) fn not_live() -> Step {
    Refusal::new(Kind::Internal, "the rate limit is not ready").into()
}

pub(super) const REFUSED: Refusal = Refusal::new(Kind::RateLimited, "the rate limit is used up");

impl fmt::Debug for RateLimiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiting")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
