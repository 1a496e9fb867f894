//! What secures connections: `tls` of an address, `tls-outbound` of a service, and the pairs both name.

use super::{policies::selects, routes::Target};
use crate::{
    config::{
        catalogue,
        model::{Securing, Service},
        resource::{
            Alpn, ApiSpec, BindingSpec, CertificateSpec, CipherName, ConfigurationSpec, Id, InlinePolicy,
            Object, SecretSpec, TargetKind, TlsOutboundSpec, TlsSpec, VersionWord,
        },
    },
    located::{Decode, Located, Node, Origin, Problems, Value},
    tls::{
        Client, ClientSpec, Clients, KeyPair, Part, Protection, Server, ServerSpec, ServerTerms, Trust,
        Version,
    },
};
use std::{collections::HashMap, net::SocketAddr, rc::Rc, time::SystemTime};

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

/// One policy `tls`.
struct Port {
    securing: Securing,
    order: i64,
    /// Of the policy's name.
    origin: Origin,
    label: String,
    /// None: what is wrong was told.
    read: Option<ServerSpec>,
}

struct Outbound {
    securing: Securing,
    origin: Origin,
    label: String,
    /// None: what is wrong was told.
    client: Option<Client>,
}

/// What is known of an API when its address is secured.
pub(super) struct Listening<'m> {
    pub(super) id: &'m Id,
    pub(super) socket: SocketAddr,
    pub(super) secure: bool,
    /// Of the address.
    pub(super) origin: &'m Origin,
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

    /// What secures each address, from the policies of all its APIs. `apis` are in the order of [`Secured::new`]'s; None
    /// for those that could not be read.
    pub(super) fn servers(
        &mut self,
        apis: &[Option<Listening<'_>>],
        problems: &mut Problems,
    ) -> Vec<(SocketAddr, Server)> {
        let mut addresses: Vec<(SocketAddr, Vec<usize>)> = Vec::new();
        for (index, api) in apis.iter().enumerate() {
            let Some(api) = api else { continue };
            match addresses.iter_mut().find(|(socket, _)| *socket == api.socket) {
                Some((_, members)) => members.push(index),
                None => addresses.push((api.socket, vec![index])),
            }
        }
        let mut servers = Vec::new();
        for (socket, members) in addresses {
            let mut ports: Vec<Rc<Port>> = Vec::new();
            for port in members.iter().flat_map(|index| &self.ports[*index]) {
                if !ports.iter().any(|known| Rc::ptr_eq(known, port)) {
                    ports.push(port.clone());
                }
            }
            // Stable: equal orders keep the order of the APIs and of the files.
            ports.sort_by_key(|port| port.order);
            let members = members.iter().filter_map(|index| apis[*index].as_ref());
            if ports.is_empty() {
                for api in members.filter(|api| api.secure) {
                    let message = "`https://` needs a certificate: bind the policy `tls` to this API, or to another one \
                                   of the same address";
                    let label = format!("ApiInstance/{}", api.id.name);
                    // A binding that could not be read may be meant for it.
                    if self.complete {
                        problems.report_at(api.origin, &label, "spec.address", message);
                    }
                }
                continue;
            }
            for api in members.filter(|api| !api.secure) {
                self.surprises.push(format!(
                    "{}: ApiInstance/{}: is reached by https alone, though its address says http: TLS is its address's, \
                     and {} secures that",
                    api.origin, api.id.name, ports[0].securing.id.name
                ));
            }
            if let Some(spec) = merged(&ports, problems) {
                self.look_at(&ports[0], &spec);
                match Server::new(&spec) {
                    Ok(server) => servers.push((socket, server)),
                    Err(message) => {
                        problems.report_at(&ports[0].origin, &ports[0].label, "spec.config", message)
                    }
                }
            }
        }
        servers
    }

    /// What is not wrong, and may become it.
    fn look_at(&mut self, port: &Port, spec: &ServerSpec) {
        for (index, pair) in spec.certificates.iter().enumerate() {
            let facts = pair.facts();
            let days = facts.days_left(self.now);
            let (place, label) = (&port.origin, &port.label);
            if days < SOON {
                self.surprises.push(format!(
                    "{place}: {label}: the certificate of `{}` expires in {days} days, on {}",
                    facts.subject, facts.not_after
                ));
            }
            if index > 0 && facts.dns_names.is_empty() {
                self.surprises.push(format!(
                    "{place}: {label}: the certificate of `{}` is shown to nobody: it names no host that a client could \
                     ask for, and is not the first",
                    facts.subject
                ));
            }
        }
    }

    /// Gives each service's addresses what secures connections to them. Root certificates are read once, and only if
    /// somebody needs them.
    pub(super) fn secure(&mut self, services: &mut [Service], problems: &mut Problems) {
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

    pub(super) fn into_surprises(self) -> Vec<String> {
        self.surprises
    }

    /// Of the calls that policies make.
    pub(super) fn policy_calls(
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

    fn read_port(
        &mut self,
        config: Option<&Node>,
        name: &Located<String>,
        namespace: &str,
        problems: &mut Problems,
    ) -> Option<ServerSpec> {
        let Some(config) = config else {
            problems.report(&name.origin, "needs `config`");
            return None;
        };
        let before = problems.len();
        let spec = TlsSpec::decode(config, problems)?;
        let whole = problems.len() == before && !has_refused(config);
        let own = spec.certificate.iter().map(|one| ("certificate".to_owned(), one));
        let others = spec.certificates.iter().flat_map(|all| all.iter().enumerate());
        let others = others.map(|(index, one)| (format!("certificates[{index}]"), one));
        let mut certificates: Vec<KeyPair> = Vec::new();
        for (place, one) in own.chain(others) {
            let pair = problems.within(&place, |problems| self.pair(one, namespace, whole, problems));
            certificates.extend(pair);
        }
        if certificates.is_empty() && whole && problems.len() == before {
            problems.report(
                &config.origin,
                "needs `certificate`, or one of several in `certificates`",
            );
        }
        let clients = clients(&spec, whole, problems);
        let protection = protection(
            spec.minimum.as_ref(),
            spec.maximum.as_ref(),
            spec.ciphers.as_ref().filter(|_| problems.len() == before),
            problems,
        );
        self.look_at_alpn(spec.alpn.as_deref());
        (whole && problems.len() == before).then(|| ServerSpec {
            certificates,
            terms: ServerTerms {
                clients,
                protection,
                forward_certificate: spec.forward.as_ref().is_some_and(|forward| forward.value),
            },
        })
    }

    fn read_client(
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

/// One port's policies as one. APIs of an address share its handshake, which is over before it is known whose API is asked
/// for: what they say of it must be the same, their certificates apart.
fn merged(ports: &[Rc<Port>], problems: &mut Problems) -> Option<ServerSpec> {
    let (first, others) = ports.split_first()?;
    let mut all = first.read.clone()?;
    for port in others {
        let own = port.read.as_ref()?;
        let fields = [
            (
                own.terms.clients != all.terms.clients,
                "requireClientCertificate and trustedCA",
            ),
            (
                own.terms.forward_certificate != all.terms.forward_certificate,
                "forwardClientCertificate",
            ),
            (
                own.terms.protection != all.terms.protection,
                "versions and ciphers",
            ),
        ];
        let differing: Vec<_> = fields.iter().filter(|(differs, _)| *differs).collect();
        if !differing.is_empty() {
            let names: Vec<_> = differing.iter().map(|(_, name)| *name).collect();
            let message = format!(
                "says something else ({}) than {} at {}: APIs of one address share its TLS, their certificates apart",
                names.join(", "),
                first.label,
                first.origin
            );
            problems.report_at(&port.origin, &port.label, "spec.config", message);
            return None;
        }
        for pair in &own.certificates {
            if !all.certificates.contains(pair) {
                all.certificates.push(pair.clone());
            }
        }
    }
    Some(all)
}

fn clients(spec: &TlsSpec, whole: bool, problems: &mut Problems) -> Clients {
    let wanted = |field: &Option<Located<bool>>| field.as_ref().filter(|field| field.value).cloned();
    let (require, forward) = (wanted(&spec.require), wanted(&spec.forward));
    let Some(text) = &spec.trusted_ca else {
        for (key, field) in [
            ("requireClientCertificate", require),
            ("forwardClientCertificate", forward),
        ] {
            if let Some(field) = field.filter(|_| whole) {
                let message = "needs `trustedCA`: who signs the certificates of clients";
                problems.within(key, |problems| problems.report(&field.origin, message));
            }
        }
        return Clients::NotAsked;
    };
    let trust = trust(text, problems);
    if require.is_some() {
        Clients::Required(trust)
    } else {
        Clients::Asked(trust)
    }
}

pub(super) fn trust(text: &Located<String>, problems: &mut Problems) -> Trust {
    let trust = Trust::Pem(text.value.clone());
    if let Err(message) = trust.check() {
        problems.within("trustedCA", |problems| problems.report(&text.origin, message));
    }
    trust
}

pub(super) fn protection(
    minimum: Option<&Located<VersionWord>>,
    maximum: Option<&Located<VersionWord>>,
    ciphers: Option<&Located<Vec<Located<CipherName>>>>,
    problems: &mut Problems,
) -> Protection {
    let mut suites: Vec<_> = ciphers
        .iter()
        .flat_map(|all| all.iter())
        .map(|name| name.value.0)
        .collect();
    suites.sort_unstable();
    suites.dedup();
    let protection = Protection {
        minimum: minimum.map_or(Version::Tls12, |word| word.version()),
        maximum: maximum.map_or(Version::Tls13, |word| word.version()),
        suites,
    };
    if let Some(empty) = ciphers.filter(|all| all.is_empty()) {
        let message = "must not be empty: leave it out for all that there are";
        problems.within("ciphers", |problems| problems.report(&empty.origin, message));
    } else if let Err(message) = protection.check() {
        let backwards = protection.minimum > protection.maximum;
        let (key, origin) = match (backwards, minimum, maximum, ciphers) {
            (true, _, Some(maximum), _) => ("maxversion", &maximum.origin),
            (true, Some(minimum), None, _) => ("minversion", &minimum.origin),
            (_, _, _, Some(ciphers)) => ("ciphers", &ciphers.origin),
            // The defaults are in order.
            _ => return protection,
        };
        problems.within(key, |problems| problems.report(origin, message));
    }
    protection
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

/// What it says could not be put in, which was told; it is not missing.
fn has_refused(node: &Node) -> bool {
    match &node.value {
        Value::Map(map) => map.entries.iter().any(|(_, node)| has_refused(node)),
        Value::List(items) => items.iter().any(has_refused),
        Value::Scalar(_) => node.is_refused(),
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

/// Days before a certificate expires from which on it is worth a note: what renews itself does so before.
const SOON: i64 = 21;
