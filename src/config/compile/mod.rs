//! Documents → model → snapshot, or every problem.

mod addresses;
mod calls;
mod contracts;
mod names;
mod notes;
mod policies;
mod routes;
mod settings;
mod shaping;
mod shared_storage;
mod snapshot;
mod tls;

pub(super) use notes::notes;
pub(super) use snapshot::build;

use super::{
    catalogue,
    environment::Variables,
    model::{Api, Model, Policy, Service},
    resource::{CheckedService, Object, Resources},
};
use crate::located::Problems;
use calls::Calls;
use names::{Index, check_unique};
use routes::Target;
use tls::{Listening, Secured};

/// The model is only to be used if no problem was reported, now or before. `complete` is false when part of a
/// source could not be read: a name that is missing may stand there.
pub(super) fn compile(
    mut resources: Resources,
    variables: &Variables,
    complete: bool,
    problems: &mut Problems,
) -> Model {
    check_unique(&resources, problems);
    let settings = settings::compile(&resources.configurations, variables, problems);

    let mut services: Vec<Service> = std::mem::take(&mut resources.services)
        .into_iter()
        .map(standalone)
        .collect();
    let written = services.len();
    let inline = routes::inline(&resources.apis, &mut services, problems);
    // Without the inline ones: their names are made up, and nobody's to refer to.
    let names: Vec<_> = services[..written]
        .iter()
        .map(|service| service.id.clone())
        .collect();
    let service_index = Index::new("Service", names.iter());
    let api_index = Index::new("ApiInstance", resources.apis.iter().map(|api| &api.id));

    let (clients, contracts) = contracts::compile(
        std::mem::take(&mut resources.contracts),
        &resources.apis,
        &api_index,
        complete,
        problems,
    );

    // A binding that could not be read may be meant for any API.
    let targets_known = complete && resources.bindings.iter().all(|binding| binding.spec.is_some());
    let mut bound: Vec<Vec<_>> = resources.apis.iter().map(|_| Vec::new()).collect();
    let owners = resources.apis.iter().map(|api| api.id.to_string());
    let secrets = std::mem::take(&mut resources.secrets);
    let mut secured = Secured::new(&secrets, &resources.apis, targets_known, problems);
    let policy_calls = secured.policy_calls(&resources.configurations, problems);
    let client = policy_calls.as_ref().map(|(client, _)| client.clone());
    let mut calls = Calls::new(owners.zip(clients), client, settings.shared_storage.clone());
    let mut chains = policies::inline(&resources.apis, &mut calls, problems);
    let mut outbound: Vec<(usize, Policy)> = Vec::new();
    let mut shapings = shaping::inline(&resources.apis, problems);
    for binding in &resources.bindings {
        if let Some(spec) = &binding.spec
            && let Ok(catalogue::Policy::Chained(kind)) = catalogue::find(&spec.policy.name)
        {
            problems.set_object(binding.label());
            let target = routes::target(binding, spec, &api_index, &service_index, complete, problems);
            let apis = &resources.apis;
            for (target, policy) in
                policies::bound(binding, spec, kind, apis, &services, target, &mut calls, problems)
            {
                match target {
                    Target::Api(api) => chains[api].push(policy),
                    Target::Service(service) => outbound.push((service, policy)),
                }
            }
            continue;
        }
        if let Some(spec) = &binding.spec
            && let Ok(catalogue::Policy::Shaping(kind)) = catalogue::find(&spec.policy.name)
        {
            problems.set_object(binding.label());
            let target = routes::target(binding, spec, &api_index, &service_index, complete, problems);
            let mut bound = shaping::Bound {
                apis: &resources.apis,
                shaping: &mut shapings,
                services: &mut services,
            };
            bound.add(binding, spec, kind, target, problems);
            continue;
        }
        if let Some(spec) = &binding.spec
            && let Ok(catalogue::Policy::Tls | catalogue::Policy::TlsOutbound) =
                catalogue::find(&spec.policy.name)
        {
            problems.set_object(binding.label());
            let target = routes::target(binding, spec, &api_index, &service_index, complete, problems);
            secured.add(binding, spec, &resources.apis, &services, target, problems);
            continue;
        }
        let (api, route) = routes::bound(
            binding,
            &resources.apis,
            &api_index,
            &service_index,
            complete,
            problems,
        );
        if let Some(api) = api {
            bound[api].push(route);
        }
    }
    for (service, policy) in outbound {
        services[service].policies.push(policy);
    }
    services
        .iter_mut()
        .for_each(|service| policies::sort(&mut service.policies));
    let parts = calls.into_parts();
    secured.secure(&mut services, problems);
    let listening: Vec<_> = (resources.apis.iter())
        .map(|api| {
            let address = &api.spec.as_ref()?.address;
            Some(Listening {
                id: &api.id,
                socket: address.socket,
                secure: address.secure,
                origin: &address.origin,
            })
        })
        .collect();
    let servers = secured.servers(&listening, problems);
    let securing: Vec<_> = (0..resources.apis.len()).map(|api| secured.of_api(api)).collect();
    let idle = resources.bindings.iter().filter_map(|binding| {
        let target = &binding.spec.as_ref()?.target;
        let selector = target.selector.as_ref()?;
        let none = !resources.apis.iter().any(|api| policies::selects(selector, api));
        none.then(|| (target.origin.clone(), binding.label()))
    });
    let idle = idle.collect();
    let mut model = Model {
        idle,
        apis: Vec::new(),
        services,
        contracts,
        calls: parts.calls,
        key_sources: parts.key_sources,
        shared_caches: parts.shared_caches,
        settings,
        secrets: secrets.iter().map(|secret| secret.id.clone()).collect(),
        servers,
        policy_calls,
        surprises: secured.into_surprises(),
    };
    let apis = (resources.apis.into_iter().zip(inline).zip(bound))
        .zip(chains.into_iter().zip(shapings).zip(securing));
    for (((object, inline), mut bound), ((mut chain, mut shaping), tls)) in apis {
        policies::sort(&mut chain);
        shaping::sort(&mut shaping);
        // A binding that went wrong was still meant for it.
        let none_meant = bound.is_empty();
        // Stable: equal orders keep the order of the files.
        bound.sort_by_key(|route| route.as_ref().map(|route| route.order));
        let mut routes = inline;
        routes.extend(bound.into_iter().flatten());
        let label = object.label();
        let Some(spec) = object.spec else { continue };
        if routes.is_empty() && none_meant && targets_known && !problems.concern(&label) {
            let message = "has no route: give it `services`, or bind the policy `route` to it";
            problems.report_at(&object.origin, &label, "spec", message);
        }
        model.apis.push(Api {
            id: object.id,
            labels: object.labels,
            socket: spec.address.socket,
            base_path: spec.address.base_path.clone(),
            origin: spec.address.origin.clone(),
            routes,
            policies: chain,
            shaping,
            secure: spec.address.secure,
            tls,
        });
    }
    addresses::check(&model.apis, problems);
    model
}

fn standalone(object: Object<CheckedService>) -> Service {
    Service {
        id: object.id,
        origin: object.origin,
        upstream: object.spec.map(|spec| spec.0),
        targets: Vec::new(),
        shaping: Vec::new(),
        policies: Vec::new(),
        tls: None,
    }
}
