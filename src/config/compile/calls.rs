//! The upstreams of policies' own calls: key sets, introspection, authorisation.

use super::super::{
    model::Service,
    resource::{BalancePolicy, Id, LoadBalancing, Upstream, UpstreamAddress},
};
use crate::{
    located::Origin,
    policy::{Contracts, Upstreams},
    tls::{Client, ClientSpec},
};
use std::{collections::HashMap, sync::Arc};

/// One cluster for each address, in the order in which policies named them.
#[derive(Debug, Default)]
pub(super) struct Calls {
    services: Vec<Service>,
    /// Of each API, by `namespace/name`.
    contracts: HashMap<String, Arc<Contracts>>,
    /// Root certificates are read once, and only if somebody needs them.
    system: Option<Result<Client, String>>,
}

impl Calls {
    pub(super) fn new(contracts: impl Iterator<Item = (String, Arc<Contracts>)>) -> Self {
        Self {
            contracts: contracts.collect(),
            ..Self::default()
        }
    }

    pub(super) fn into_services(self) -> Vec<Service> {
        self.services
    }
}

impl Upstreams for Calls {
    fn contracts(&self, owner: &str) -> Arc<Contracts> {
        self.contracts.get(owner).cloned().unwrap_or_default()
    }

    fn cluster(&mut self, address: &str) -> Result<usize, String> {
        let address = UpstreamAddress::parse(address)?;
        let id = Id::new(NAMESPACE, &address.text());
        if let Some(known) = self.services.iter().position(|service| service.id == id) {
            return Ok(known);
        }
        let target = match address.secure_host() {
            None => None,
            Some(host) => {
                let client = self
                    .system
                    .get_or_insert_with(|| Client::new(ClientSpec::default()));
                Some(client.as_ref().map_err(Clone::clone)?.target(host)?)
            }
        };
        self.services.push(Service {
            id,
            origin: Origin {
                file: "".into(),
                line: 0,
                column: 0,
            },
            upstream: Some(Upstream {
                endpoints: vec![(address, 1)],
                load_balancing: LoadBalancing {
                    policy: BalancePolicy::RoundRobin,
                    hash_on: None,
                },
                preserve_host: None,
            }),
            targets: vec![target],
            policies: Vec::new(),
            shaping: Vec::new(),
        });
        Ok(self.services.len() - 1)
    }
}

/// No document's: names of namespaces have no colon.
const NAMESPACE: &str = "policies:";
