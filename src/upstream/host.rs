//! One address that serves clusters, and this shard's idle connections to it.
//!
//! Clusters that send to the same address share it: a thousand APIs before one origin would otherwise keep a thousand
//! pools, each with connections too rarely used to be warm (measured with 1,000 APIs: a third of a request's cost).

use super::breaker::{Breaker, Open};
use crate::{
    clock::{Tick, millis},
    net::{Net, Watch, Wire},
    tls,
};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::SocketAddr,
    path::PathBuf,
    rc::{Rc, Weak},
    time::Duration,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostAddress {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// What clusters must agree in to share a host's connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostKey {
    pub address: HostAddress,
    /// What `Host` says to it: the endpoint as configured, without a default port. Names that meet at one address
    /// stay apart: who is behind a connection may depend on the first request's.
    pub authority: String,
    /// None: plain HTTP. A connection that was checked less, or against somebody else, is never another's.
    pub tls: Option<tls::Target>,
    /// How long an idle connection is kept.
    pub idle: Duration,
    /// What counts its connections. They are nobody else's then.
    pub breaker: Option<Breaker>,
}

pub struct Host {
    pub key: HostKey,
    /// There exactly where `key.tls` is.
    pub(super) connector: Option<tls::Connector>,
    /// Exchanges of this shard that use it now, whichever cluster sent them; least-request compares these.
    pub in_flight: Cell<u32>,
    pub(super) idle: RefCell<Vec<Idle>>,
    /// Requests of this shard that wait for one of its connections, where a breaker bounds them.
    pub(super) waiting: Cell<u32>,
    /// What other shards' waiters are owed of the connections given back here, in parts of `starving`.
    owed: Cell<u32>,
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
    pub open: Option<Open>,
}

/// The hosts of one shard. They live as long as a cluster names them, also from one configuration to the next.
#[derive(Default)]
pub struct Hosts {
    known: RefCell<HashMap<HostKey, Weak<Host>>>,
}

impl Hosts {
    pub fn get(&self, key: HostKey) -> Rc<Host> {
        let mut known = self.known.borrow_mut();
        if let Some(host) = known.get(&key).and_then(Weak::upgrade) {
            return host;
        }
        let host = Rc::new(Host {
            key: key.clone(),
            connector: key.tls.as_ref().map(tls::Target::connector),
            in_flight: Cell::new(0),
            idle: RefCell::default(),
            waiting: Cell::new(0),
            owed: Cell::new(0),
        });
        known.insert(key, Rc::downgrade(&host));
        host
    }

    /// Closes what has been idle for too long, and what the origin has closed.
    pub fn sweep(&self, net: &Net, now: Tick) {
        self.known.borrow_mut().retain(|key, host| {
            let Some(host) = host.upgrade() else {
                return false;
            };
            let limit = millis(key.idle);
            // Requests wait elsewhere for what is idle here.
            let mut starving = key.breaker.as_ref().map_or(0, Breaker::starving);
            if starving > 0 {
                let mut idle = host.idle.borrow_mut();
                while starving > 0 && idle.pop().is_some() {
                    starving -= 1;
                }
            }
            host.idle.borrow_mut().retain_mut(|idle| {
                now.saturating_sub(idle.since) < limit && idle.wire.is_quiet(net, &mut idle.watch)
            });
            true
        });
    }
}

impl Host {
    pub(super) fn take_idle(&self) -> Option<Idle> {
        self.idle.borrow_mut().pop()
    }

    /// Whether the connection that comes back now is for those who wait on other shards, or for another host: each of
    /// all who wait has the same chance, else a busy shard would keep all connections to itself.
    pub(super) fn owes(&self, starving: u32) -> bool {
        let elsewhere = starving.saturating_sub(self.waiting.get());
        if elsewhere == 0 {
            return false;
        }
        let owed = self.owed.get() + elsewhere;
        let owes = owed >= starving;
        self.owed.set(if owes { owed - starving } else { owed });
        owes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Clock, runtime::Driver};

    #[test]
    fn those_who_agree_share_a_host_and_nobody_keeps_it_alive_in_vain() {
        let key = |port: u16, authority: &str, seconds| HostKey {
            address: HostAddress::Tcp(([127, 0, 0, 1], port).into()),
            authority: authority.to_owned(),
            tls: None,
            idle: Duration::from_secs(seconds),
            breaker: None,
        };
        let net = Net::new(Driver::Epoll, Clock::new());
        let hosts = Hosts::default();
        let first = hosts.get(key(1, "a", 60));
        assert!(Rc::ptr_eq(&first, &hosts.get(key(1, "a", 60))));
        for other in [key(2, "a", 60), key(1, "b", 60), key(1, "a", 61)] {
            assert!(!Rc::ptr_eq(&first, &hosts.get(other)));
        }
        hosts.sweep(&net, 0);
        assert_eq!(hosts.known.borrow().len(), 1, "the others have gone");
        drop(first);
        hosts.sweep(&net, 0);
        assert!(hosts.known.borrow().is_empty());
    }
}
