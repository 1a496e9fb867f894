//! One address that serves a cluster, and this shard's idle connections to it.

use crate::clock::Tick;
use crate::net::{Watch, Wire};
use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    path::PathBuf,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostAddress {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

pub struct Host {
    pub address: HostAddress,
    /// What `Host` says to it: the endpoint as configured, without a default port.
    pub authority: String,
    /// Exchanges of this shard that use it now; least-request compares these.
    pub in_flight: Cell<u32>,
    pub(super) idle: RefCell<Vec<Idle>>,
}

pub(super) struct Idle {
    pub wire: Wire,
    /// Waits for what it should not say.
    pub watch: Watch,
    /// Its last answer had no body by definition, and origins are known to send one all the same: asked once more,
    /// as of now, before it is used.
    pub doubtful: bool,
    pub since: Tick,
    pub born: Tick,
}

impl Host {
    pub fn new(address: HostAddress, authority: String) -> Self {
        Self {
            address,
            authority,
            in_flight: Cell::new(0),
            idle: RefCell::new(Vec::new()),
        }
    }

    pub(super) fn take_idle(&self) -> Option<Idle> {
        self.idle.borrow_mut().pop()
    }
}
