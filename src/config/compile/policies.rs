//! The policies of each API's chain: bound to it, written inside of it, or bound to a selection that it is part of.

use super::{
    super::{
        catalogue::{self, Policy as Known},
        model::{Policy, Service},
        resource::{ApiSpec, BindingSpec, Id, InlinePolicy, Object, Rule, Selector, TargetKind},
    },
    calls::Calls,
    routes::{DEFAULT_ORDER, Target},
};
use crate::{
    located::{Located, Problems},
    policy::{Direction, Kind, Site},
    route,
};
use std::sync::Arc;

/// Each API's inline policies, named `<api>-<policy>-<position>`.
pub(super) fn inline(
    apis: &[Object<ApiSpec>],
    calls: &mut Calls,
    problems: &mut Problems,
) -> Vec<Vec<Policy>> {
    let mut of = |api: &Object<ApiSpec>, problems: &mut Problems| {
        let written = api.spec.as_ref().and_then(|spec| spec.policies.as_ref());
        let mut policies = Vec::new();
        for (position, policy) in written.map_or(&[][..], |policies| &policies.0) {
            problems.set_object(api.label());
            let place = format!("spec.policies[{position}]");
            policies.extend(problems.within(&place, |problems| {
                inline_one(api, *position, policy, calls, problems)
            }));
        }
        policies
    };
    apis.iter().map(|api| of(api, problems)).collect()
}

fn inline_one(
    api: &Object<ApiSpec>,
    position: usize,
    policy: &InlinePolicy,
    calls: &mut Calls,
    problems: &mut Problems,
) -> Option<Policy> {
    let name = &policy.policy.name;
    let kind = match catalogue::find(name) {
        Ok(Known::Chained(kind)) => kind,
        Ok(Known::Shaping(_) | Known::Tls) => return None,
        Ok(Known::TlsOutbound) => {
            let message = format!(
                "`{}` secures connections to a Service: bind it to one with a PolicyBinding",
                name.value
            );
            problems.within("policyRef.name", |problems| {
                problems.report(&name.origin, message)
            });
            return None;
        }
        Ok(_) => {
            let message = format!(
                "`{}` is not an inline policy: write services.<name>.routes, or a PolicyBinding",
                name.value
            );
            problems.within("policyRef.name", |problems| {
                problems.report(&name.origin, message)
            });
            return None;
        }
        Err(message) => {
            problems.within("policyRef.name", |problems| {
                problems.report(&name.origin, message)
            });
            return None;
        }
    };
    if kind.direction() == Direction::Outbound {
        let message = format!(
            "`{}` is for what leaves for a service: bind it to a Service with a PolicyBinding",
            name.value
        );
        problems.within("policyRef.name", |problems| {
            problems.report(&name.origin, message)
        });
        return None;
    }
    let written = policy.rules.clone().unwrap_or_default();
    check_rules(kind, name, &written, problems);
    let config = policy.config.as_ref();
    let owner = api.id.to_string();
    let id = Id::new(
        &api.id.namespace,
        &format!("{}-{}-{}", api.id.name, name.value, position + 1),
    );
    let mut site = Site::new(&owner, calls).of_binding(id.to_string());
    let compiled = problems.within("config", |problems| {
        kind.compile(config, &name.origin, &mut site, problems)
    })?;
    Some(Policy {
        id,
        name: name.value.clone(),
        order: DEFAULT_ORDER,
        rules: rules(&written),
        written,
        compiled,
        config: policy.config.clone(),
    })
}

/// The policies a binding makes, with what each is bound to. Each API has its own: what one counts is of its API alone.
#[allow(clippy::too_many_arguments, reason = "a binding meets all that there is")]
pub(super) fn bound(
    binding: &Object<BindingSpec>,
    spec: &BindingSpec,
    kind: Kind,
    apis: &[Object<ApiSpec>],
    services: &[Service],
    target: Option<Target>,
    calls: &mut Calls,
    problems: &mut Problems,
) -> Vec<(Target, Policy)> {
    let name = &spec.policy.name;
    let label = binding.label();
    let target_kind = spec.target.kind.unwrap_or(TargetKind::ApiInstance);
    let outbound = kind.direction() == Direction::Outbound;
    let wrong = match (outbound, target_kind) {
        (false, TargetKind::Service) => Some("binds to an ApiInstance or a Selector, not to a Service"),
        (true, TargetKind::ApiInstance | TargetKind::Selector) => Some(
            "is for what leaves for a service: bind it to a Service (`targetRef: {kind: Service, name: …}`)",
        ),
        _ => None,
    };
    if let Some(wrong) = wrong {
        let message = format!("`{}` {wrong}", name.value);
        problems.report_at(&spec.target.origin, &label, "spec.targetRef", message);
    }
    let targets: Vec<Target> = match (target_kind, &spec.target.selector) {
        _ if wrong.is_some() => Vec::new(),
        (TargetKind::ApiInstance | TargetKind::Service, _) => target.into_iter().collect(),
        (TargetKind::Selector, Some(selector)) => (apis.iter().enumerate())
            .filter(|(_, api)| selects(selector, api))
            .map(|(index, _)| Target::Api(index))
            .collect(),
        (TargetKind::Selector, None) => Vec::new(),
    };
    let written = spec.rules.clone().unwrap_or_default();
    problems.within("spec", |problems| check_rules(kind, name, &written, problems));
    if let Some(order) = spec.order.as_ref().filter(|_| kind.is_first()) {
        let message = format!("`{}` always runs first and takes no order", name.value);
        problems.report_at(&order.origin, &label, "spec.order", message);
    }
    let rules = rules(&written);
    // Once more than there are APIs: a binding that selects none is checked all the same.
    let mut policies = Vec::new();
    for bound_to in targets.iter().copied().map(Some).chain([None]) {
        let owner = match bound_to {
            Some(Target::Api(index)) => apis[index].id.to_string(),
            Some(Target::Service(index)) => services[index].id.to_string(),
            None if !targets.is_empty() => break,
            None => String::new(),
        };
        let mut site = Site::new(&owner, calls).of_binding(binding.id.to_string());
        let compiled = problems.within("spec.config", |problems| {
            kind.compile(spec.config.as_ref(), &name.origin, &mut site, problems)
        });
        // The next would say the same again.
        let Some(compiled) = compiled else { break };
        policies.extend(bound_to.map(|bound_to| {
            let policy = Policy {
                id: binding.id.clone(),
                name: name.value.clone(),
                order: spec.order.as_ref().map_or(DEFAULT_ORDER, |order| order.get()),
                written: written.clone(),
                rules: rules.clone(),
                compiled,
                config: spec.config.clone(),
            };
            (bound_to, policy)
        }));
    }
    policies
}

/// CORS first; then by order, lower first. Equal ones: inline before bound, each in the order of the files.
pub(super) fn sort(policies: &mut [Policy]) {
    policies.sort_by_key(|policy| (!policy.compiled.is_first(), policy.order));
}

pub(super) fn selects(selector: &Selector, api: &Object<ApiSpec>) -> bool {
    let wanted = selector.labels.as_ref().map_or(&[][..], |labels| &labels.0);
    wanted.iter().all(|(key, value)| {
        api.labels
            .iter()
            .any(|(label, text)| *label == key.value && text == value)
    })
}

fn check_rules(kind: Kind, name: &Located<String>, written: &[Rule], problems: &mut Problems) {
    if kind.is_first() && !written.is_empty() {
        let message = format!("`{}` takes no rules: it answers for the whole API", name.value);
        problems.within("rules", |problems| problems.report(&name.origin, message));
    }
}

fn rules(written: &[Rule]) -> Arc<[route::Rule]> {
    written.iter().filter_map(Rule::take).collect()
}
