//! The upstreams of policies' own calls: key sets, introspection, authorisation.

use super::super::{
    model::{Service, SharedStorage as Configured},
    resource::{BalancePolicy, Id, LoadBalancing, Upstream, UpstreamAddress},
};
use crate::{
    located::Origin,
    policy::{
        Contracts, SharedStorage, Upstreams,
        jwt::{KeySource, Place},
        shared::SharedCache,
    },
    tls::{Client, ClientSpec, Target},
    upstream::cluster::EndpointAddress,
};
use std::{collections::HashMap, sync::Arc};

/// One cluster for each address, in the order in which policies named them.
#[derive(Debug, Default)]
pub(super) struct Calls {
    services: Vec<Service>,
    key_sources: Vec<Arc<KeySource>>,
    /// Of each API, by `namespace/name`.
    contracts: HashMap<String, Arc<Contracts>>,
    /// Root certificates are read once, and only if somebody needs them.
    client: Option<Result<Client, String>>,
    storage: Option<Configured>,
    shared_caches: Vec<Arc<SharedCache>>,
}

/// What policies asked for on the way.
pub(super) struct Parts {
    pub(super) calls: Vec<Service>,
    pub(super) key_sources: Vec<Arc<KeySource>>,
    pub(super) shared_caches: Vec<Arc<SharedCache>>,
}

impl Calls {
    pub(super) fn into_parts(self) -> Parts {
        Parts {
            calls: self.services,
            key_sources: self.key_sources,
            shared_caches: self.shared_caches,
        }
    }

    fn target(&mut self, address: &UpstreamAddress) -> Result<Option<Target>, String> {
        let Some(host) = address.secure_host() else {
            return Ok(None);
        };
        let client = self
            .client
            .get_or_insert_with(|| Client::new(ClientSpec::default()));
        client.as_ref().map_err(Clone::clone)?.target(host).map(Some)
    }

    /// `client`: whom the calls believe; None for the operating system's roots.
    pub(super) fn new(
        contracts: impl Iterator<Item = (String, Arc<Contracts>)>,
        client: Option<Client>,
        storage: Option<Configured>,
    ) -> Self {
        Self {
            contracts: contracts.collect(),
            client: client.map(Ok),
            storage,
            ..Self::default()
        }
    }
}

impl Upstreams for Calls {
    fn contracts(&self, owner: &str) -> Arc<Contracts> {
        self.contracts.get(owner).cloned().unwrap_or_default()
    }

    fn shared_storage(&self) -> SharedStorage {
        match &self.storage {
            Some(Configured::Redis(settings)) => SharedStorage::Redis(settings.clone()),
            Some(Configured::Local) => SharedStorage::Local,
            None => SharedStorage::None,
        }
    }

    fn shared_cache(&mut self, cache: &Arc<SharedCache>) {
        self.shared_caches.push(cache.clone());
    }

    fn cluster(&mut self, address: &str) -> Result<usize, String> {
        let address = UpstreamAddress::parse(address)?;
        let id = Id::new(NAMESPACE, &address.text());
        if let Some(known) = self.services.iter().position(|service| service.id == id) {
            return Ok(known);
        }
        let target = self.target(&address)?;
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
            tls: None,
        });
        Ok(self.services.len() - 1)
    }

    fn place(&mut self, address: &str, path: String) -> Result<Place, String> {
        let address = UpstreamAddress::parse(address)?;
        // Control makes its own; whether it can is to be known at load.
        self.target(&address)?;
        let text = address.text();
        let authority = text.split_once("://").map_or("", |(_, authority)| authority);
        // As clients write it: a scheme's own port is not said.
        let usual = if address.secure { ":443" } else { ":80" };
        let authority = authority.strip_suffix(usual).unwrap_or(authority).to_owned();
        let EndpointAddress::Tcp { host, port } = address.endpoint else {
            return Err("must be http://host/path or https://host/path".to_owned());
        };
        Ok(Place {
            secure: address.secure,
            host,
            port,
            authority,
            path,
        })
    }

    fn key_source(&mut self, source: KeySource) -> (usize, Arc<KeySource>) {
        let known = self.key_sources.iter().position(|known| known.is_same(&source));
        let index = known.unwrap_or_else(|| {
            self.key_sources.push(Arc::new(source));
            self.key_sources.len() - 1
        });
        (index, self.key_sources[index].clone())
    }
}

/// No document's: names of namespaces have no colon.
const NAMESPACE: &str = "policies:";
