//! A snapshot with the state one shard built for it.

use super::snapshot::Snapshot;
use crate::{
    policy::{Local, ShardParts, jwt::KeySet},
    upstream::{Cluster, Hosts},
};
use std::{net::IpAddr, rc::Rc, sync::Arc};

pub struct Live {
    pub snapshot: Arc<Snapshot>,
    /// In the order of `snapshot.clusters`.
    pub clusters: Vec<Cluster>,
    /// What policies keep on this shard: in the order of `snapshot.chains`, one for each policy.
    pub locals: Vec<Vec<Local>>,
}

impl Live {
    /// `parts.name` is of no account.
    pub fn new(snapshot: Arc<Snapshot>, hosts: &Rc<Hosts>, parts: &ShardParts<'_>) -> Self {
        let clusters = snapshot.clusters.iter().cloned();
        let clusters = clusters.map(|spec| Cluster::new(spec, hosts.clone())).collect();
        let chains = snapshot.chains.iter();
        let locals = chains
            .map(|chain| chain.policies.locals(&chain.owner, parts))
            .collect();
        Self {
            snapshot,
            clusters,
            locals,
        }
    }

    /// The keys of a source have come.
    pub fn keys_arrived(&self, source: usize, keys: &Arc<KeySet>) {
        for (chain, locals) in self.snapshot.chains.iter().zip(&self.locals) {
            chain.policies.keys_arrived(locals, source, keys);
        }
    }

    pub fn resolved(&self, name: &str, addresses: &[IpAddr]) {
        for cluster in &self.clusters {
            cluster.resolved(name, addresses);
        }
    }
}
