//! A snapshot with the state one shard built for it.

use super::snapshot::Snapshot;
use crate::{
    policy::{Local, ShardParts, jwt::KeySet},
    tls,
    upstream::{Cluster, Hosts},
};
use std::{net::IpAddr, rc::Rc, sync::Arc};

pub struct Live {
    pub snapshot: Arc<Snapshot>,
    /// In the order of `snapshot.clusters`.
    pub clusters: Vec<Cluster>,
    /// What policies keep on this shard: in the order of `snapshot.chains`, one for each policy.
    pub locals: Vec<Vec<Local>>,
    /// In the order of `snapshot.listeners`; None for those in plain text.
    pub acceptors: Vec<Option<tls::Acceptor>>,
}

impl Live {
    /// `parts.name` is of no account.
    pub fn new(
        snapshot: Arc<Snapshot>,
        hosts: &Rc<Hosts>,
        parts: &ShardParts<'_>,
        tickets: &Arc<tls::Tickets>,
    ) -> Self {
        let clusters = snapshot.clusters.iter().cloned();
        let clusters = clusters.map(|spec| Cluster::new(spec, hosts.clone())).collect();
        let chains = snapshot.chains.iter();
        let locals = chains
            .map(|chain| chain.policies.locals(&chain.owner, parts))
            .collect();
        let servers = snapshot.listeners.iter().map(|listener| listener.tls.as_ref());
        let acceptors = servers
            .map(|server| server.map(|server| server.acceptor(tickets)))
            .collect();
        Self {
            snapshot,
            clusters,
            locals,
            acceptors,
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
