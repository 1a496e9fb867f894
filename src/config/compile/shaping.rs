//! Policies that are no step of a chain: time limits of an API or of some of its requests, time limits and circuit
//! breakers of a Service.

use super::{
    super::{
        catalogue::{self, Policy as Known, Shaping as Kind},
        model::{Service, Shape, Shaping},
        resource::{
            ApiSpec, BindingSpec, CircuitBreakerSpec, Id, IdleTimeoutSpec, InlinePolicy, Object,
            ResponseTimeoutSpec, Rule, StreamIdleTimeoutSpec, TargetKind,
        },
    },
    policies::selects,
    routes::{DEFAULT_ORDER, Target},
};
use crate::{
    located::{Decode, Located, Node, Problems},
    upstream::cluster::Timeouts,
};
use std::time::Duration;

/// Those among each API's inline policies.
pub(super) fn inline(apis: &[Object<ApiSpec>], problems: &mut Problems) -> Vec<Vec<Shaping>> {
    let of = |api: &Object<ApiSpec>, problems: &mut Problems| {
        let written = api.spec.as_ref().and_then(|spec| spec.policies.as_ref());
        let mut shaping = Vec::new();
        for (position, policy) in written.map_or(&[][..], |policies| &policies.0) {
            let Ok(Known::Shaping(kind)) = catalogue::find(&policy.policy.name) else {
                continue;
            };
            problems.set_object(api.label());
            let place = format!("spec.policies[{position}]");
            shaping.extend(problems.within(&place, |problems| {
                inline_one(api, *position, policy, kind, problems)
            }));
        }
        shaping
    };
    apis.iter().map(|api| of(api, problems)).collect()
}

fn inline_one(
    api: &Object<ApiSpec>,
    position: usize,
    policy: &InlinePolicy,
    kind: Kind,
    problems: &mut Problems,
) -> Option<Shaping> {
    let name = &policy.policy.name;
    if kind.is_of_service() {
        let message = format!("`{}` binds to a Service: write a PolicyBinding", name.value);
        problems.within("policyRef.name", |problems| {
            problems.report(&name.origin, message)
        });
        return None;
    }
    let shape = problems.within("config", |problems| {
        shape(kind, name, policy.config.as_ref(), problems)
    })?;
    let written = policy.rules.clone().unwrap_or_default();
    Some(Shaping {
        id: Id::new(
            &api.id.namespace,
            &format!("{}-{}-{}", api.id.name, name.value, position + 1),
        ),
        name: name.value.clone(),
        order: DEFAULT_ORDER,
        rules: written.iter().filter_map(Rule::take).collect(),
        written,
        shape,
    })
}

/// Where the bound ones go.
pub(super) struct Bound<'r> {
    pub(super) apis: &'r [Object<ApiSpec>],
    /// By API.
    pub(super) shaping: &'r mut [Vec<Shaping>],
    pub(super) services: &'r mut [Service],
}

impl Bound<'_> {
    /// `target` is what it is bound to by name.
    pub(super) fn add(
        &mut self,
        binding: &Object<BindingSpec>,
        spec: &BindingSpec,
        kind: Kind,
        target: Option<Target>,
        problems: &mut Problems,
    ) {
        let name = &spec.policy.name;
        let label = binding.label();
        let target_kind = spec.target.kind.unwrap_or(TargetKind::ApiInstance);
        if kind.is_of_service() != (target_kind == TargetKind::Service) {
            let targets = if kind.is_of_service() {
                "a Service"
            } else {
                "an ApiInstance or a Selector"
            };
            let message = format!("`{}` binds to {targets}, not to {}", name.value, of(target_kind));
            problems.report_at(&spec.target.origin, &label, "spec.targetRef", message);
            return;
        }
        let shape = problems.within("spec.config", |problems| {
            shape(kind, name, spec.config.as_ref(), problems)
        });
        let written = spec.rules.clone().unwrap_or_default();
        if kind.is_of_service() && !written.is_empty() {
            let message = format!(
                "`{}` takes no rules: it is about connections, which serve all requests",
                name.value
            );
            problems.report_at(&name.origin, &label, "spec.rules", message);
        }
        let Some(shape) = shape else { return };
        let rules = written.iter().filter_map(Rule::take).collect();
        let shaping = Shaping {
            id: binding.id.clone(),
            name: name.value.clone(),
            order: spec.order.as_ref().map_or(DEFAULT_ORDER, |order| order.get()),
            written,
            rules,
            shape,
        };
        match (target, &spec.target.selector) {
            (Some(Target::Api(api)), _) => self.shaping[api].push(shaping),
            (Some(Target::Service(service)), _) => {
                self.add_to_service(binding, spec, shaping, service, problems)
            }
            (None, Some(selector)) if target_kind == TargetKind::Selector => {
                for (api, list) in self.apis.iter().zip(self.shaping.iter_mut()) {
                    if selects(selector, api) {
                        list.push(shaping.copy());
                    }
                }
            }
            // What is not there was told.
            (None, _) => {}
        }
    }

    fn add_to_service(
        &mut self,
        binding: &Object<BindingSpec>,
        spec: &BindingSpec,
        shaping: Shaping,
        service: usize,
        problems: &mut Problems,
    ) {
        let service = &mut self.services[service];
        let same =
            |other: &&Shaping| std::mem::discriminant(&other.shape) == std::mem::discriminant(&shaping.shape);
        if let Some(first) = service.shaping.iter().find(same) {
            let message = format!(
                "Service/{} has `{}` already, bound by {}",
                service.id.name, first.name, first.id.name
            );
            problems.report_at(&spec.target.origin, &binding.label(), "spec.targetRef", message);
            return;
        }
        service.shaping.push(shaping);
    }
}

impl Shaping {
    fn copy(&self) -> Self {
        Self {
            id: self.id.clone(),
            name: self.name.clone(),
            order: self.order,
            written: self.written.clone(),
            rules: self.rules.clone(),
            shape: self.shape,
        }
    }
}

/// Lower orders first; equal ones: inline before bound, each in the order of the files.
pub(super) fn sort(shaping: &mut [Shaping]) {
    shaping.sort_by_key(|shaping| shaping.order);
}

fn shape(
    kind: Kind,
    name: &Located<String>,
    config: Option<&Node>,
    problems: &mut Problems,
) -> Option<Shape> {
    let default = Timeouts::default();
    let seconds = |written: Option<u64>, default: Duration| written.map_or(default, Duration::from_secs);
    let Some(config) = config else {
        return match kind {
            Kind::ResponseTimeout => Some(Shape::ResponseTimeout(default.response)),
            Kind::StreamIdleTimeout => Some(Shape::StreamIdleTimeout(default.stream_idle)),
            Kind::IdleTimeout => Some(Shape::IdleTimeout(default.idle)),
            Kind::CircuitBreaker => {
                problems.report(&name.origin, "needs `config`".to_owned());
                None
            }
        };
    };
    Some(match kind {
        Kind::ResponseTimeout => {
            let spec = ResponseTimeoutSpec::decode(config, problems)?;
            let timeout = spec.timeout.map(|timeout| timeout.unsigned());
            Shape::ResponseTimeout(seconds(timeout, default.response))
        }
        Kind::StreamIdleTimeout => {
            let spec = StreamIdleTimeoutSpec::decode(config, problems)?;
            let timeout = spec.timeout.map(|timeout| timeout.unsigned());
            Shape::StreamIdleTimeout(seconds(timeout, default.stream_idle))
        }
        Kind::IdleTimeout => {
            let spec = IdleTimeoutSpec::decode(config, problems)?;
            let timeout = spec.timeout.map(|timeout| timeout.unsigned());
            Shape::IdleTimeout(seconds(timeout, default.idle))
        }
        Kind::CircuitBreaker => {
            let spec = CircuitBreakerSpec::decode(config, problems)?;
            Shape::CircuitBreaker(spec.thresholds.thresholds())
        }
    })
}

fn of(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::ApiInstance => "an ApiInstance",
        TargetKind::Service => "a Service",
        TargetKind::Selector => "a Selector",
    }
}
