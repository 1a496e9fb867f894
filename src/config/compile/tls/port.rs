//! Addresses: the policies `tls` of all their APIs as one.

use super::{
    Secured,
    terms::{has_refused, protection, trust},
};
use crate::{
    config::{
        model::Securing,
        resource::{Id, TlsSpec},
    },
    located::{Decode, Located, Node, Origin, Problems},
    tls::{Clients, KeyPair, Server, ServerSpec, ServerTerms},
};
use std::{net::SocketAddr, rc::Rc};

/// One policy `tls`.
pub(super) struct Port {
    pub(super) securing: Securing,
    pub(super) order: i64,
    /// Of the policy's name.
    pub(super) origin: Origin,
    pub(super) label: String,
    /// None: what is wrong was told.
    pub(super) read: Option<ServerSpec>,
}

/// What is known of an API when its address is secured.
pub(in super::super) struct Listening<'m> {
    pub(in super::super) id: &'m Id,
    pub(in super::super) socket: SocketAddr,
    pub(in super::super) secure: bool,
    /// Of the address.
    pub(in super::super) origin: &'m Origin,
}

impl Secured<'_> {
    /// What secures each address, from the policies of all its APIs. `apis` are in the order of [`Secured::new`]'s; None
    /// for those that could not be read.
    pub(in super::super) fn servers(
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

    pub(super) fn read_port(
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

/// Days before a certificate expires from which on it is worth a note: what renews itself does so before.
const SOON: i64 = 21;
