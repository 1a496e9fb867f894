//! Routes: those written inside of an API, and those bound to it.

use super::{
    super::{
        catalogue::{self, Policy},
        model::{Destination, Route, Service},
        resource::{
            ApiSpec, BindingSpec, DestinationPath, DestinationRef, Id, InlineRouteConfig, InlineService,
            NAME_RULE, Name, Object, RouteConfig, Rule, TargetKind, WeightedConfig,
        },
    },
    names::Index,
};
use crate::{
    located::{Decode, Located, Origin, Problems, Value},
    route,
};
use std::collections::{HashMap, HashSet};

/// Writes out the inline services of every API as services of their own, `<api>-<service>`, and returns each
/// API's inline routes. A service without routes takes every request that comes to it.
pub(super) fn inline(
    apis: &[Object<ApiSpec>],
    services: &mut Vec<Service>,
    problems: &mut Problems,
) -> Vec<Vec<Route>> {
    let mut all = Vec::with_capacity(apis.len());
    let mut places: HashMap<Id, Origin> = services
        .iter()
        .map(|service| (service.id.clone(), service.origin.clone()))
        .collect();
    let mut seen = HashSet::new();
    for api in apis {
        // Written twice, it was told; that its services come twice follows from that.
        let repeated = !seen.insert(&api.id);
        let mut routes = Vec::new();
        let written = api.spec.as_ref().and_then(|spec| spec.services.as_ref());
        for (key, service) in written.map_or(&[][..], |services| &services.0) {
            let index = services.len();
            let id = Id {
                namespace: api.id.namespace.clone(),
                name: format!("{}-{}", api.id.name, key.value),
            };
            let path = format!("spec.services.{}", key.value);
            if !Name::is_valid(key) {
                problems.report_at(&key.origin, &api.label(), &path, NAME_RULE);
            }
            if let Some(other) = places
                .insert(id.clone(), key.origin.clone())
                .filter(|_| !repeated)
            {
                let message = format!(
                    "becomes the Service `{}`, which is also defined at {other}",
                    id.name
                );
                problems.report_at(&key.origin, &api.label(), &path, message);
            }
            routes.extend(inline_routes(api, key, service, &id, index, problems));
            services.push(Service {
                id,
                origin: key.origin.clone(),
                upstream: Some(service.upstream.clone()),
                targets: Vec::new(),
                shaping: Vec::new(),
                policies: Vec::new(),
                tls: None,
            });
        }
        all.push(routes);
    }
    all
}

fn inline_routes(
    api: &Object<ApiSpec>,
    key: &Located<String>,
    service: &InlineService,
    id: &Id,
    index: usize,
    problems: &mut Problems,
) -> Vec<Route> {
    let route = |number: usize, written: Vec<Rule>, rules, path: String, config| Route {
        id: Id::new(&id.namespace, &format!("{}-route-{number}", id.name)),
        order: DEFAULT_ORDER,
        weighted: false,
        written,
        rules,
        destinations: vec![Destination {
            service: index,
            weight: 1,
            path,
        }],
        config,
    };
    if service.routes.0.is_empty() {
        return vec![route(1, Vec::new(), Vec::new(), String::new(), None)];
    }
    let mut routes = Vec::with_capacity(service.routes.0.len());
    for (position, inline) in &service.routes.0 {
        problems.set_object(api.label());
        let place = format!("spec.services.{}.routes[{position}].config", key.value);
        let config = inline.config.as_ref();
        let decoded = config.and_then(|config| {
            problems.within(&place, |problems| InlineRouteConfig::decode(config, problems))
        });
        let path = decoded
            .and_then(|config| config.destination_path)
            .map(path_text)
            .unwrap_or_default();
        let written = inline.rules.clone().unwrap_or_default();
        let rules = compiled(&written);
        routes.push(route(position + 1, written, rules, path, inline.config.clone()));
    }
    routes
}

/// The API a binding is bound to, and the route it makes there if it is one of a routing policy and nothing is
/// wrong with it.
pub(super) fn bound(
    binding: &Object<BindingSpec>,
    apis: &[Object<ApiSpec>],
    api_index: &Index<'_>,
    service_index: &Index<'_>,
    complete: bool,
    problems: &mut Problems,
) -> (Option<usize>, Option<Route>) {
    let Some(spec) = &binding.spec else {
        return (None, None);
    };
    let label = binding.label();
    let before = problems.len();
    problems.set_object(label.clone());
    let policy = catalogue::find(&spec.policy.name)
        .map_err(|message| {
            problems.report_at(&spec.policy.name.origin, &label, "spec.policyRef.name", message)
        })
        .ok();
    let target = target(binding, spec, api_index, service_index, complete, problems).and_then(Target::api);
    let written = spec.rules.clone().unwrap_or_default();
    let rules = compiled(&written);
    let Some(policy) = policy else {
        return (target, None);
    };
    let kind = spec.target.kind.unwrap_or(TargetKind::ApiInstance);
    if kind != TargetKind::ApiInstance {
        let message = format!(
            "`{}` binds to one ApiInstance, not to a {}",
            spec.policy.name.value,
            kind.word()
        );
        problems.report_at(&spec.target.origin, &label, "spec.targetRef", message);
    } else if let Some(api) = target {
        check_style(&apis[api], spec, &label, problems);
    }
    let destinations = destinations(policy, binding, spec, service_index, complete, problems);
    let Some(destinations) = destinations.filter(|_| problems.len() == before) else {
        return (target, None);
    };
    let route = Route {
        id: binding.id.clone(),
        order: spec.order.as_ref().map_or(DEFAULT_ORDER, |order| order.get()),
        weighted: policy == Policy::RouteWeighted,
        written,
        rules,
        destinations,
        config: spec.config.clone(),
    };
    (target, Some(route))
}

/// What a binding is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Api(usize),
    Service(usize),
}

impl Target {
    pub(super) fn api(self) -> Option<usize> {
        match self {
            Self::Api(index) => Some(index),
            Self::Service(_) => None,
        }
    }
}

/// None for a selection, and for what there is not.
pub(super) fn target(
    binding: &Object<BindingSpec>,
    spec: &BindingSpec,
    api_index: &Index<'_>,
    service_index: &Index<'_>,
    complete: bool,
    problems: &mut Problems,
) -> Option<Target> {
    let target = &spec.target;
    let label = binding.label();
    let kind = target.kind.unwrap_or(TargetKind::ApiInstance);
    let index = match kind {
        TargetKind::ApiInstance => api_index,
        TargetKind::Service => service_index,
        TargetKind::Selector => {
            if target.selector.is_none() {
                problems.report_at(
                    &target.origin,
                    &label,
                    "spec.targetRef",
                    "a Selector needs `selector`",
                );
            }
            return None;
        }
    };
    if target.selector.is_some() {
        let message = "`selector` means something for the kind Selector only";
        problems.report_at(&target.origin, &label, "spec.targetRef", message);
    }
    let Some(name) = &target.name else {
        problems.report_at(&target.origin, &label, "spec.targetRef", "`name` is required");
        return None;
    };
    let namespace = target
        .namespace
        .as_ref()
        .map_or(binding.id.namespace.as_str(), |name| name.as_str());
    let id = Id::new(namespace, name.as_str());
    let found = index.find(&id);
    if found.is_none() && complete {
        problems.report_at(&name.origin, &label, "spec.targetRef.name", index.missing(&id));
    }
    found.map(if kind == TargetKind::Service {
        Target::Service
    } else {
        Target::Api
    })
}

/// The two styles of an API's routes don't mix: which of them would be tried first is nobody's guess.
fn check_style(api: &Object<ApiSpec>, spec: &BindingSpec, label: &str, problems: &mut Problems) {
    let services = api.spec.as_ref().and_then(|spec| spec.services.as_ref());
    if let Some(services) = services.filter(|services| !services.0.is_empty()) {
        let message = format!(
            "ApiInstance/{} has inline services ({}): routes are either inline or bound, not both",
            api.id.name, services.origin
        );
        problems.report_at(&spec.target.origin, label, "spec.targetRef", message);
    }
}

fn destinations(
    policy: Policy,
    binding: &Object<BindingSpec>,
    spec: &BindingSpec,
    service_index: &Index<'_>,
    complete: bool,
    problems: &mut Problems,
) -> Option<Vec<Destination>> {
    let label = binding.label();
    let Some(config) = &spec.config else {
        let message = format!("`{}` needs `config`", spec.policy.name.value);
        problems.report_at(&spec.policy.name.origin, &label, "spec", message);
        return None;
    };
    let resolve = |reference: &DestinationRef,
                   place: &str,
                   weight,
                   path: Option<DestinationPath>,
                   problems: &mut Problems| {
        let namespace = reference
            .namespace
            .as_ref()
            .map_or(binding.id.namespace.as_str(), |name| name.as_str());
        let id = Id::new(namespace, reference.name.as_str());
        let found = service_index.find(&id);
        if found.is_none() && complete {
            problems.report_at(
                &reference.name.origin,
                &label,
                &format!("{place}.destinationRef.name"),
                service_index.missing(&id),
            );
        }
        found.map(|service| Destination {
            service,
            weight,
            path: path.map(path_text).unwrap_or_default(),
        })
    };
    // As written: elements that could not be read have been told and are left out.
    let written_empty =
        matches!(config.get("routes").map(|node| &node.value), Some(Value::List(items)) if items.is_empty());
    match policy {
        // Not a policy that routes: the caller keeps those apart.
        Policy::Chained(_) | Policy::Shaping(_) | Policy::Tls | Policy::TlsOutbound => None,
        Policy::Route => {
            let config: RouteConfig = problems.within(CONFIG, |problems| Decode::decode(config, problems))?;
            resolve(&config.destination, CONFIG, 1, config.destination_path, problems).map(|one| vec![one])
        }
        Policy::RouteWeighted => {
            let config: WeightedConfig =
                problems.within(CONFIG, |problems| Decode::decode(config, problems))?;
            if written_empty {
                problems.report_at(
                    &config.routes.origin,
                    &label,
                    &format!("{CONFIG}.routes"),
                    "must not be empty",
                );
            }
            let routes = config.routes.value.0.into_iter();
            let resolved: Vec<_> = routes
                .map(|(index, route)| {
                    let weight = u32::try_from(route.weight.unsigned()).unwrap_or(1);
                    let place = format!("{CONFIG}.routes[{index}]");
                    resolve(
                        &route.destination,
                        &place,
                        weight,
                        route.destination_path,
                        problems,
                    )
                })
                .collect();
            resolved.into_iter().collect()
        }
    }
}

fn compiled(written: &[Rule]) -> Vec<route::Rule> {
    written.iter().filter_map(Rule::take).collect()
}

fn path_text(path: DestinationPath) -> String {
    path.as_str().to_owned()
}

/// What a binding has that doesn't say; lower is tried first.
pub(in crate::config) const DEFAULT_ORDER: i64 = 50;

const CONFIG: &str = "spec.config";
