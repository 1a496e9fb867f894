//! Services, and the calls that policies make: whom connections to them believe, and what they show.

use super::{
    Secured,
    terms::{has_refused, protection, trust},
};
use crate::{
    config::{
        model::{Securing, Service},
        resource::{ConfigurationSpec, Object, TlsOutboundSpec},
    },
    located::{Decode, Located, Node, Origin, Problems},
    tls::{Client, ClientSpec, Trust},
};

pub(super) struct Outbound {
    pub(super) securing: Securing,
    pub(super) origin: Origin,
    pub(super) label: String,
    /// None: what is wrong was told.
    pub(super) client: Option<Client>,
}

impl Secured<'_> {
    /// Gives each service's addresses what secures connections to them. Root certificates are read once, and only if
    /// somebody needs them.
    pub(in super::super) fn secure(&mut self, services: &mut [Service], problems: &mut Problems) {
        let mut system: Option<Result<Client, String>> = None;
        for (index, service) in services.iter_mut().enumerate() {
            let own = self.clients.remove(&index);
            let Some(upstream) = &service.upstream else {
                continue;
            };
            let label = format!("Service/{}", service.id.name);
            let any = (upstream.endpoints.iter()).any(|(address, _)| address.secure_host().is_some());
            if let Some(own) = own.as_ref().filter(|_| !any) {
                let message = format!(
                    "secures nothing: Service/{} has no https:// address",
                    service.id.name
                );
                problems.report_at(&own.origin, &own.label, "spec.targetRef", message);
            }
            for (address, _) in &upstream.endpoints {
                let Some(host) = address.secure_host() else {
                    service.targets.push(None);
                    continue;
                };
                let client = match &own {
                    Some(Outbound {
                        client: Some(client), ..
                    }) => Ok(client.clone()),
                    Some(_) => break,
                    None => system
                        .get_or_insert_with(|| Client::new(ClientSpec::default()))
                        .clone(),
                };
                match client.and_then(|client| client.target(host)) {
                    Ok(target) => service.targets.push(Some(target)),
                    Err(message) => {
                        problems.report_at(&service.origin, &label, "spec.address", message);
                        break;
                    }
                }
            }
            service.tls = own.map(|own| own.securing);
        }
    }

    /// Of the calls that policies make.
    pub(in super::super) fn policy_calls(
        &mut self,
        configurations: &[Object<ConfigurationSpec>],
        problems: &mut Problems,
    ) -> Option<(Client, Option<Node>)> {
        for object in configurations {
            let Some(default) = object.spec.as_ref().and_then(|spec| spec.default_tls.as_ref()) else {
                continue;
            };
            let node = &default.calls.value.0;
            problems.set_object(object.label());
            let client = problems.within("spec.defaultTLS.outboundPolicyCalls", |problems| {
                let before = problems.len();
                let spec = TlsOutboundSpec::decode(node, problems)?;
                let whole = problems.len() == before && !has_refused(node);
                if let Some(name) = &spec.server_name {
                    let message =
                        "has no meaning here: the calls go to several hosts, each of which has its name";
                    problems.within("serverName", |problems| problems.report(&name.origin, message));
                }
                self.client_of(
                    &spec,
                    whole,
                    &object.id.namespace,
                    &default.calls.origin,
                    problems,
                )
            });
            return client.map(|client| (client, Some(node.clone())));
        }
        None
    }

    pub(super) fn read_client(
        &mut self,
        config: Option<&Node>,
        name: &Located<String>,
        namespace: &str,
        problems: &mut Problems,
    ) -> Option<Client> {
        let Some(config) = config else {
            problems.report(&name.origin, "needs `config`");
            return None;
        };
        let before = problems.len();
        let spec = TlsOutboundSpec::decode(config, problems)?;
        let whole = problems.len() == before && !has_refused(config);
        self.client_of(&spec, whole, namespace, &name.origin, problems)
    }

    fn client_of(
        &mut self,
        spec: &TlsOutboundSpec,
        whole: bool,
        namespace: &str,
        origin: &Origin,
        problems: &mut Problems,
    ) -> Option<Client> {
        let before = problems.len() - usize::from(!whole);
        let certificate = (spec.certificate.as_ref()).and_then(|one| {
            problems.within("certificate", |problems| {
                self.pair(one, namespace, whole, problems)
            })
        });
        let trust = match &spec.trusted_ca {
            None => Trust::System,
            Some(text) => trust(text, problems),
        };
        let protection = protection(
            spec.minimum.as_ref(),
            spec.maximum.as_ref(),
            spec.ciphers.as_ref().filter(|_| problems.len() == before),
            problems,
        );
        self.look_at_alpn(spec.alpn.as_deref());
        let skip = spec.skip.as_ref().filter(|skip| skip.value);
        if let Some(skip) = skip {
            self.surprises.push(format!(
                "{}: skipValidation: whoever answers is believed; anybody between here and there can read and change \
                 what is sent",
                skip.origin
            ));
        }
        if problems.len() > before {
            return None;
        }
        let spec = ClientSpec {
            trust,
            verify: skip.is_none(),
            server_name: spec.server_name.as_ref().map(|name| name.value.clone()),
            certificate,
            protection,
            ..ClientSpec::default()
        };
        Client::new(spec)
            .map_err(|message| problems.report(origin, message))
            .ok()
    }
}
