//! What secures connections: `tls` of an address, `tls-outbound` of a service, and the pairs both name.

mod client;
mod port;
mod terms;

pub(super) use port::Listening;
pub(super) use terms::{protection, trust};

use super::{policies::selects, routes::Target};
use crate::{
    config::{
        catalogue,
        model::{Securing, Service},
        resource::{
            Alpn, ApiSpec, BindingSpec, CertificateSpec, Id, InlinePolicy, Object, SecretSpec, TargetKind,
        },
    },
    located::{Located, Origin, Problems},
    tls::{KeyPair, Part},
};
use client::Outbound;
use port::Port;
use std::{collections::HashMap, rc::Rc, time::SystemTime};

/// Policies that secure something, as the bindings and the APIs say them.
pub(super) struct Secured<'r> {
    secrets: HashMap<&'r Id, Option<KeyPair>>,
    /// A Secret that is missing may stand in a source that could not be read.
    complete: bool,
    now: SystemTime,
    /// Of each API, in the order of the files.
    ports: Vec<Vec<Rc<Port>>>,
    /// Of services, by index: one each.
    clients: HashMap<usize, Outbound>,
    surprises: Vec<String>,
}

impl<'r> Secured<'r> {
    /// Reads each Secret, used or not: one that is broken is best known before it is needed.
    pub(super) fn new(
        secrets: &'r [Object<SecretSpec>],
        apis: &[Object<ApiSpec>],
        complete: bool,
        problems: &mut Problems,
    ) -> Self {
        let now = SystemTime::now();
        let mut all = Self {
            secrets: HashMap::new(),
            complete,
            now,
            ports: apis.iter().map(|_| Vec::new()).collect(),
            clients: HashMap::new(),
            surprises: Vec::new(),
        };
        for object in secrets {
            let pair = object.spec.as_ref().and_then(|spec| {
                problems.set_object(object.label());
                let (crt, key) = (&spec.tls.crt, &spec.tls.key);
                let read = KeyPair::read(crt.as_str(), key.as_str(), now);
                problems.within("spec.tls", |problems| {
                    told(read, &crt.origin, &key.origin, problems)
                })
            });
            all.secrets.insert(&object.id, pair);
        }
        for (index, api) in apis.iter().enumerate() {
            all.inline(index, api, problems);
        }
        all
    }

    fn inline(&mut self, index: usize, api: &Object<ApiSpec>, problems: &mut Problems) {
        let written = api.spec.as_ref().and_then(|spec| spec.policies.as_ref());
        for (position, policy) in written.map_or(&[][..], |policies| &policies.0) {
            let InlinePolicy {
                policy: reference,
                config,
                rules,
            } = policy;
            let name = &reference.name;
            let known = catalogue::find(name);
            if !matches!(known, Ok(catalogue::Policy::Tls)) {
                continue;
            }
            problems.set_object(api.label());
            let place = format!("spec.policies[{position}]");
            let port = problems.within(&place, |problems| {
                no_rules(name, rules.is_some(), problems);
                let id = Id::new(
                    &api.id.namespace,
                    &format!("{}-{}-{}", api.id.name, name.value, position + 1),
                );
                let read = problems.within("config", |problems| {
                    self.read_port(config.as_ref(), name, &api.id.namespace, problems)
                });
                Port {
                    securing: Securing {
                        id,
                        name: name.value.clone(),
                        config: config.clone(),
                    },
                    order: super::routes::DEFAULT_ORDER,
                    origin: name.origin.clone(),
                    label: api.label(),
                    read,
                }
            });
            self.ports[index].push(Rc::new(port));
        }
    }

    /// `target` is what it is bound to by name.
    pub(super) fn add(
        &mut self,
        binding: &Object<BindingSpec>,
        spec: &BindingSpec,
        apis: &[Object<ApiSpec>],
        services: &[Service],
        target: Option<Target>,
        problems: &mut Problems,
    ) {
        let name = &spec.policy.name;
        let label = binding.label();
        let outbound = matches!(catalogue::find(name), Ok(catalogue::Policy::TlsOutbound));
        let kind = spec.target.kind.unwrap_or(TargetKind::ApiInstance);
        if outbound != (kind == TargetKind::Service) {
            let message = if outbound {
                "secures connections to a Service: bind it to one (`targetRef: {kind: Service, name: …}`)"
            } else {
                "secures the address of APIs: bind it to an ApiInstance or a Selector; for a Service there is `tls-outbound`"
            };
            let message = format!("`{}` {message}", name.value);
            problems.report_at(&spec.target.origin, &label, "spec.targetRef", message);
            return;
        }
        problems.within("spec", |problems| no_rules(name, spec.rules.is_some(), problems));
        let securing = Securing {
            id: binding.id.clone(),
            name: name.value.clone(),
            config: spec.config.clone(),
        };
        let namespace = &binding.id.namespace;
        if outbound {
            let client = problems.within("spec.config", |problems| {
                self.read_client(spec.config.as_ref(), name, namespace, problems)
            });
            let Some(Target::Service(service)) = target else {
                return;
            };
            if let Some(first) = self.clients.get(&service) {
                let message = format!(
                    "Service/{} has `{TLS_OUTBOUND}` already, bound by {}",
                    services[service].id.name,
                    first.securing.id.name,
                    TLS_OUTBOUND = catalogue::TLS_OUTBOUND,
                );
                problems.report_at(&spec.target.origin, &label, "spec.targetRef", message);
                return;
            }
            let origin = spec.target.origin.clone();
            let bound = Outbound {
                securing,
                origin,
                label,
                client,
            };
            self.clients.insert(service, bound);
            return;
        }
        let read = problems.within("spec.config", |problems| {
            self.read_port(spec.config.as_ref(), name, namespace, problems)
        });
        let port = Rc::new(Port {
            securing,
            order: spec
                .order
                .as_ref()
                .map_or(super::routes::DEFAULT_ORDER, |order| order.get()),
            origin: name.origin.clone(),
            label,
            read,
        });
        match (target, &spec.target.selector) {
            (Some(Target::Api(api)), _) => self.ports[api].push(port),
            (None, Some(selector)) if kind == TargetKind::Selector => {
                for (api, ports) in apis.iter().zip(&mut self.ports) {
                    if selects(selector, api) {
                        ports.push(port.clone());
                    }
                }
            }
            // What is not there was told.
            _ => {}
        }
    }

    /// The policies of an API, for the model.
    pub(super) fn of_api(&self, api: usize) -> Vec<Securing> {
        self.ports[api].iter().map(|port| port.securing.clone()).collect()
    }

    pub(super) fn into_surprises(self) -> Vec<String> {
        self.surprises
    }

    fn look_at_alpn(&mut self, alpn: Option<&[Located<Alpn>]>) {
        let http2 = alpn
            .unwrap_or_default()
            .iter()
            .find(|word| word.value == Alpn::Http2);
        if let Some(word) = http2 {
            self.surprises.push(format!(
                "{}: `h2` is not offered yet: what is negotiated is http/1.1",
                word.origin
            ));
        }
    }

    /// The pair that is written, or that of the Secret. What is missing is told only if `whole`, or it may be there and
    /// wrong, which was told.
    fn pair(
        &self,
        written: &Located<CertificateSpec>,
        namespace: &str,
        whole: bool,
        problems: &mut Problems,
    ) -> Option<KeyPair> {
        let CertificateSpec { key, crt, secret } = &written.value;
        match (crt, key, secret) {
            (Some(crt), Some(key), None) => told(
                KeyPair::read(crt.as_str(), key.as_str(), self.now),
                &crt.origin,
                &key.origin,
                problems,
            ),
            (None, None, Some(reference)) => {
                let namespace = reference
                    .namespace
                    .as_ref()
                    .map_or(namespace, |name| name.as_str());
                let id = Id::new(namespace, reference.name.as_str());
                let found = self.secrets.get(&id);
                if found.is_none() && self.complete {
                    let message = format!("there is no Secret `{}` in namespace `{namespace}`", id.name);
                    problems.within("secretRef.name", |problems| {
                        problems.report(&reference.name.origin, message)
                    });
                }
                found.cloned().flatten()
            }
            (_, _, Some(reference)) => {
                problems.report(
                    &reference.origin,
                    "`secretRef` stands instead of `key` and `crt`: use either",
                );
                None
            }
            _ if whole => {
                problems.report(&written.origin, "needs `key` and `crt`, or `secretRef`");
                None
            }
            _ => None,
        }
    }
}

/// A pair, or what is wrong with which of the two.
pub(super) fn told(
    read: Result<KeyPair, (Part, String)>,
    crt: &Origin,
    key: &Origin,
    problems: &mut Problems,
) -> Option<KeyPair> {
    match read {
        Ok(pair) => Some(pair),
        Err((Part::Certificate, message)) => {
            problems.within("crt", |problems| problems.report(crt, message));
            None
        }
        Err((Part::Key, message)) => {
            problems.within("key", |problems| problems.report(key, message));
            None
        }
    }
}

fn no_rules(name: &Located<String>, written: bool, problems: &mut Problems) {
    if written {
        let message = format!(
            "`{}` takes no rules: it is about connections, which serve all requests",
            name.value
        );
        problems.within("rules", |problems| problems.report(&name.origin, message));
    }
}
