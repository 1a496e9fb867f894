//! `rate-limiting-sla-based-flex`: each client application has the limits of its contract.

use super::{
    Local, Request, Response, ShardParts, Site, State, Step,
    client::{self, Clients},
    client_id_enforcement,
    quota::{Fields, Told},
    rate_limit::Limits,
    rate_limiting,
};
use crate::{
    located::{Located, Origin, Problems},
    object,
};
use std::{fmt, sync::OnceLock};

object! {
    /// Configuration of `rate-limiting-sla-based-flex`.
    pub(super) struct RateLimitingSlaSpec {
        /// An expression. Default `#[attributes.headers['client_id']]`.
        optional "clientIdExpression" id: Located<String>,
        /// An expression. None: the id alone is enough.
        optional "clientSecretExpression" secret: Located<String>,
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

pub struct RateLimitingSla {
    clients: Clients,
    told: Told,
    /// By tier.
    fields: Vec<Fields>,
    /// By tier; made once the process's hash key is known, and shared by the shards as the bank is.
    made: OnceLock<Vec<Limits>>,
}

impl RateLimitingSla {
    /// `origin` stands for what is left out.
    pub(super) fn compile(
        spec: Option<&RateLimitingSlaSpec>,
        origin: &Origin,
        site: &mut Site<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let (id, secret) = (
            spec.and_then(|spec| spec.id.as_ref()),
            spec.and_then(|spec| spec.secret.as_ref()),
        );
        let source = client_id_enforcement::expressions(id, secret, origin, problems)?;
        let contracts = site.contracts();
        // Somebody without a limit is not what a limit for everybody says.
        if let Some(client) = contracts.without_limits() {
            let message = format!(
                "the contract of the client `{client}` for {} has no `sla`: this policy would not know its limits",
                site.owner()
            );
            problems.report(origin, message);
            return None;
        }
        let told = Told {
            vendor: spec.is_some_and(|spec| spec.expose_headers == Some(true)),
            fields: spec.is_some_and(|spec| spec.ietf_headers == Some(true)),
        };
        let tiers = contracts.tiers().iter().filter(|_| told.fields);
        Some(Self {
            fields: tiers.map(|tier| Fields::new(tier)).collect(),
            clients: Clients { source, contracts },
            told,
            made: OnceLock::new(),
        })
    }

    /// The first shard makes the limits that all use.
    pub(super) fn local(&self, parts: &ShardParts<'_>) -> Local {
        self.made.get_or_init(|| {
            // All under one name: a client is of one tier, and one that changes it goes on where it was.
            let tiers = self.clients.contracts.tiers().iter();
            tiers
                .map(|tier| Limits::new(parts.name, tier, parts.hash_key))
                .collect()
        });
        Local::None
    }

    pub(super) fn on_request(&self, request: &mut Request<'_>, state: &mut State) -> Step {
        let Some(client) = self.clients.find(request) else {
            return self.clients.refuse(request);
        };
        client::remember(request, client);
        let limits = client
            .tier
            .and_then(|tier| self.made.get().and_then(|made| made.get(tier)));
        let Some(limits) = limits else {
            return rate_limiting::not_live();
        };
        let key = request
            .context
            .leases
            .bank()
            .hash_key()
            .value(client.id.as_bytes());
        rate_limiting::take(request, limits, key, self.told, state)
    }

    pub(super) fn on_response(&self, response: &mut Response<'_>, state: &State) {
        let fields = self.fields_of(response);
        rate_limiting::tell(response, state, self.told, fields);
    }

    pub(super) fn sees_responses(&self) -> bool {
        self.told.anything()
    }

    /// Of the client that this policy found.
    fn fields_of(&self, response: &Response<'_>) -> Option<&Fields> {
        let id = response.authentication.client_id.as_deref()?;
        self.fields.get(self.clients.contracts.find(id)?.tier?)
    }
}

impl fmt::Debug for RateLimitingSla {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitingSla")
            .field("clients", &self.clients)
            .finish_non_exhaustive()
    }
}
