//! Contracts: each finds its API, each API its clients.

use super::{
    super::{
        model::Contract,
        resource::{ApiSpec, ContractSpec, Id, Object},
    },
    names::Index,
};
use crate::{
    located::{Origin, Problems},
    policy::{self, Terms, rate_limit::Limit},
};
use std::{collections::HashMap, sync::Arc};

/// For each API its clients, and the contracts as they go into the model. One whose API is not there is told, not left
/// unenforced.
pub(super) fn compile(
    contracts: Vec<Object<ContractSpec>>,
    apis: &[Object<ApiSpec>],
    api_index: &Index<'_>,
    complete: bool,
    problems: &mut Problems,
) -> (Vec<Arc<policy::Contracts>>, Vec<Contract>) {
    let mut terms: Vec<Vec<Terms>> = apis.iter().map(|_| Vec::new()).collect();
    let mut first: HashMap<(usize, String), Origin> = HashMap::new();
    let mut kept = Vec::with_capacity(contracts.len());
    for object in contracts {
        let label = object.label();
        let Some(spec) = object.spec else { continue };
        let api_id = Id::new(&object.id.namespace, spec.api.as_str());
        let limits = spec.sla.as_ref().map(|sla| {
            // One that could not be read is told already, and left out.
            if sla.rate_limits.is_empty() && !problems.concern(&label) {
                let message = "must not be empty: leave `sla` out where nothing is limited";
                problems.report_at(&sla.rate_limits.origin, &label, "spec.sla.rateLimits", message);
            }
            sla.rate_limits.iter().map(|limit| limit.limit()).collect()
        });
        let Some(api) = api_index.find(&api_id) else {
            if complete {
                let message = api_index.missing(&api_id);
                problems.report_at(&spec.api.origin, &label, "spec.apiId", message);
            }
            continue;
        };
        let client = &spec.client;
        let id = client.id.as_str();
        if let Some(earlier) = first.get(&(api, id.to_owned())) {
            let message = format!(
                "the client `{id}` has another contract for ApiInstance/{} at {earlier}",
                api_id.name
            );
            problems.report_at(&client.id.origin, &label, "spec.client.id", message);
            continue;
        }
        first.insert((api, id.to_owned()), client.id.origin.clone());
        terms[api].push(Terms {
            id: id.to_owned(),
            name: client.name.clone(),
            secret: client.secret.as_str().to_owned(),
            limits: limits.filter(|limits: &Vec<Limit>| !limits.is_empty()),
        });
        kept.push(Contract {
            id: object.id,
            client: id.to_owned(),
            client_name: spec.client.name,
            sla: spec.sla.map(|sla| {
                let limits = sla.rate_limits.iter().map(|limit| limit.limit()).collect();
                (sla.name, limits)
            }),
            api: api_id,
        });
    }
    let mut random = [0; 32];
    if let (Some(api), Err(error)) = (apis.first(), getrandom::fill(&mut random)) {
        let message = format!("clients' secrets can't be kept: the system gives no random numbers: {error}");
        problems.report_at(&api.origin, &api.label(), "", message);
    }
    let clients = terms
        .into_iter()
        .map(|terms| Arc::new(policy::Contracts::new(terms, &random)));
    (clients.collect(), kept)
}
