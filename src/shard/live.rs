//! A snapshot with the state one shard built for it.

use super::snapshot::Snapshot;
use crate::upstream::{Cluster, Hosts};
use std::{net::IpAddr, rc::Rc, sync::Arc};

pub struct Live {
    pub snapshot: Arc<Snapshot>,
    /// In the order of `snapshot.clusters`.
    pub clusters: Vec<Cluster>,
}

impl Live {
    pub fn new(snapshot: Arc<Snapshot>, hosts: &Rc<Hosts>) -> Self {
        let clusters = snapshot.clusters.iter().cloned();
        let clusters = clusters.map(|spec| Cluster::new(spec, hosts.clone())).collect();
        Self { snapshot, clusters }
    }

    pub fn resolved(&self, name: &str, addresses: &[IpAddr]) {
        for cluster in &self.clusters {
            cluster.resolved(name, addresses);
        }
    }
}
