//! A cluster as one shard has it: its hosts, the choice among them, and idle connections kept for reuse.

use super::{
    Host, HostAddress, HostKey, Hosts,
    balance::{self, Balancer, HashOn, Policy},
    breaker::Open,
    cluster::{EndpointAddress, Spec},
    connect,
    host::Idle,
};
use crate::{
    clock::Tick,
    fault::{Fault, Kind, Phase},
    net::{Net, Watch, Wire},
    runtime::{Driver, RingFlags},
};
use std::{
    cell::RefCell,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::Duration,
};

/// Idle connections kept per host and shard. Past it a connection that comes back is closed: a burst's
/// connections do not stay.
const IDLE_PER_HOST: usize = 1024;

/// As many of them, on a ring, wait with a buffer (1 MiB in all).
const BUFFERED_PER_HOST: usize = 64;

/// A pooled connection is not reused past this age, so that changes behind an address (a load balancer's own
/// DNS) are followed.
const LIFETIME_MS: Tick = 30 * 60 * 1000;

/// Tries of one request at most, the first included.
pub const TRIES: usize = 3;

pub struct Cluster {
    pub spec: Spec,
    /// All of this shard.
    shared: Rc<Hosts>,
    hosts: RefCell<Own>,
}

struct Own {
    list: Vec<Rc<Host>>,
    balancer: Balancer,
    /// Last good answer for each endpoint's name; None: never resolved.
    resolved: Vec<Option<Vec<IpAddr>>>,
}

/// Hosts this request was refused by; it does not go there again.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tried {
    addresses: [usize; TRIES],
    count: usize,
}

impl Tried {
    fn add(&mut self, host: &Rc<Host>) {
        if self.count < TRIES {
            self.addresses[self.count] = Rc::as_ptr(host).addr();
            self.count += 1;
        }
    }

    fn has(&self, host: &Rc<Host>) -> bool {
        self.addresses[..self.count].contains(&Rc::as_ptr(host).addr())
    }
}

/// A connection for one exchange. Dropped, it is closed; given back, it may be reused.
pub struct Lease {
    /// The wait for the answer, begun when the connection became idle. Before the wire: dropped first.
    pub watch: Option<Watch>,
    pub wire: Wire,
    in_flight: InFlight,
    /// It came from the pool: a failure before a byte of the answer may be age, not the origin.
    pub reused: bool,
    born: Tick,
    open: Option<Open>,
}

impl Cluster {
    pub fn new(spec: Spec, shared: Rc<Hosts>) -> Self {
        let resolved = spec
            .endpoints
            .iter()
            .map(|endpoint| match &endpoint.address {
                EndpointAddress::Tcp { host, .. } => host.parse::<IpAddr>().ok().map(|address| vec![address]),
                EndpointAddress::Unix { .. } => None,
            })
            .collect();
        let hosts = Own {
            list: Vec::new(),
            balancer: Balancer::new(spec.balance.clone(), &[]),
            resolved,
        };
        let cluster = Self {
            spec,
            shared,
            hosts: RefCell::new(hosts),
        };
        cluster.rebuild();
        cluster
    }

    /// A name's addresses, as control found them. Hosts that stay keep their connections.
    pub fn resolved(&self, name: &str, addresses: &[IpAddr]) {
        let mut changed = false;
        {
            let mut hosts = self.hosts.borrow_mut();
            for (index, endpoint) in self.spec.endpoints.iter().enumerate() {
                if matches!(&endpoint.address, EndpointAddress::Tcp { host, .. } if host == name)
                    && hosts.resolved[index].as_deref() != Some(addresses)
                {
                    hosts.resolved[index] = Some(addresses.to_vec());
                    changed = true;
                }
            }
        }
        if changed {
            self.rebuild();
        }
    }

    fn rebuild(&self) {
        let mut hosts = self.hosts.borrow_mut();
        let mut wanted: Vec<(HostKey, u32)> = Vec::new();
        let idle = self.spec.timeouts.idle;
        // An endpoint's share does not grow with the number of addresses behind its name.
        let addresses =
            |resolved: &Option<Vec<IpAddr>>| resolved.as_ref().map_or(1, |list| list.len().max(1)) as u32;
        let scale = hosts.resolved.iter().map(addresses).max().unwrap_or(1);
        for (endpoint, resolved) in self.spec.endpoints.iter().zip(&hosts.resolved) {
            match &endpoint.address {
                EndpointAddress::Unix { path } => {
                    let weight = endpoint.weight * scale;
                    let key = HostKey {
                        address: HostAddress::Unix(path.clone()),
                        authority: "localhost".to_owned(),
                        tls: endpoint.tls.clone(),
                        idle,
                        breaker: self.spec.breaker.clone(),
                    };
                    wanted.push((key, weight));
                }
                EndpointAddress::Tcp { host, port } => {
                    let weight = (endpoint.weight * scale / addresses(resolved)).max(1);
                    for address in resolved.iter().flatten() {
                        let key = HostKey {
                            address: HostAddress::Tcp(SocketAddr::new(*address, *port)),
                            authority: authority(host, *port, endpoint.tls.is_some()),
                            tls: endpoint.tls.clone(),
                            idle,
                            breaker: self.spec.breaker.clone(),
                        };
                        wanted.push((key, weight));
                    }
                }
            }
        }
        let list: Vec<Rc<Host>> = wanted
            .iter()
            .map(|(key, _)| self.shared.get(key.clone()))
            .collect();
        // A ring has points per unit of weight: the smallest whole numbers keep it small.
        let divisor = wanted
            .iter()
            .fold(0, |divisor, (_, weight)| {
                greatest_common_divisor(divisor, *weight)
            })
            .max(1);
        let weights: Vec<(u64, u32)> = wanted
            .iter()
            .map(|(HostKey { address, .. }, weight)| {
                (balance::hash(format!("{address:?}").as_bytes()), weight / divisor)
            })
            .collect();
        hosts.balancer = Balancer::new(self.spec.balance.clone(), &weights);
        hosts.list = list;
    }

    /// What the hash of a consistent choice is taken of, if this cluster's choice wants one.
    pub fn hash_on(&self) -> Option<&HashOn> {
        match &self.spec.balance {
            Policy::ConsistentHash(on) => Some(on),
            _ => None,
        }
    }

    /// Chooses a host for an exchange, which counts there until the value returned is dropped.
    ///
    /// # Errors
    /// `Unavailable` when no host is left to try.
    pub fn choose(&self, random: u64, hash: u64, tried: &Tried) -> Result<InFlight, Fault> {
        self.choose_host(random, hash, tried)
            .map(InFlight::new)
            .ok_or(Fault::gateway(
                Kind::Unavailable,
                Phase::Connect,
                "no endpoint of the upstream is available",
            ))
    }

    /// Closes one idle connection of this shard, so that another may be opened. False: there is none.
    pub fn close_idle(&self) -> bool {
        let hosts = self.hosts.borrow();
        hosts.list.iter().any(|host| host.take_idle().is_some())
    }

    fn choose_host(&self, random: u64, hash: u64, tried: &Tried) -> Option<Rc<Host>> {
        let mut hosts = self.hosts.borrow_mut();
        let Own { list, balancer, .. } = &mut *hosts;
        // One host, never refused: nearly every request.
        if let [only] = list.as_slice() {
            return (!tried.has(only)).then(|| only.clone());
        }
        let chosen = balancer.choose(random, hash, &|index| list[index].in_flight.get(), &|index| {
            !tried.has(&list[index])
        })?;
        Some(list[chosen].clone())
    }
}

impl Lease {
    /// The exchange ended in order and the origin keeps the connection: for the next one. `bodiless`: the answer had
    /// no body by definition (HEAD, 204, 304).
    pub fn give_back(self, net: &Net, bodiless: bool) {
        let Self {
            wire,
            in_flight,
            born,
            open,
            ..
        } = self;
        if !wire.is_sound() || wire.has_unread() || wire.deadline.expired() {
            return;
        }
        let breaker = in_flight.0.key.breaker.as_ref();
        if breaker.is_some_and(|breaker| in_flight.0.owes(breaker.starving())) {
            return;
        }
        let mut idle = in_flight.0.idle.borrow_mut();
        if idle.len() >= IDLE_PER_HOST {
            return;
        }
        wire.deadline.clear();
        // What has something to say already is not kept.
        // A read under way takes what comes off the socket, where `has_news` would look for it; only a ring that gathers
        // when it is asked (DEFER_TASKRUN) tells of both in one.
        let tells = net.driver == Driver::IoUring(RingFlags::DeferTaskrun) && !bodiless;
        if let Some(watch) = wire.watch(net, tells && idle.len() < BUFFERED_PER_HOST) {
            idle.push(Idle {
                wire,
                watch,
                doubtful: bodiless,
                since: net.clock.now(),
                born,
                open,
            });
        }
    }

    pub fn host(&self) -> &Host {
        &self.in_flight.0
    }

    /// Counts for as long as the connection is open.
    #[must_use]
    pub fn counted(mut self, open: Open) -> Self {
        self.open = Some(open);
        self
    }
}

/// Counts an exchange on its host, also one that is abandoned or panics.
pub struct InFlight(Rc<Host>);

impl InFlight {
    fn new(host: Rc<Host>) -> Self {
        host.in_flight.set(host.in_flight.get() + 1);
        Self(host)
    }

    /// A pooled connection, the one used last, that neither closed nor spoke since; itself when there is none.
    ///
    /// `once`: the request cannot be sent again should the connection turn out to have ended. What is known of a
    /// connection is as old as the shard's last turn, and one that was used in this turn is the first to be used again;
    /// so the kernel is asked as of now, one system call.
    ///
    /// # Errors
    /// None is an error: without a connection the choice comes back, to [`connect`](Self::connect).
    pub fn reuse(self, net: &Net, once: bool) -> Result<Lease, Self> {
        let oldest = net.clock.now().saturating_sub(LIFETIME_MS);
        while let Some(mut idle) = self.0.take_idle() {
            let old = idle.born < oldest && oldest > 0;
            if old
                || !idle.wire.is_quiet(net, &mut idle.watch)
                || ((idle.doubtful || once) && idle.wire.has_news())
            {
                continue;
            }
            return Ok(Lease {
                wire: idle.wire,
                watch: Some(idle.watch),
                in_flight: self,
                reused: true,
                born: idle.born,
                open: idle.open,
            });
        }
        Err(self)
    }

    pub fn has_idle(&self) -> bool {
        !self.0.idle.borrow().is_empty()
    }

    /// To be held while a request waits for a connection of this host; see [`Host::owes`].
    pub fn waiting(&self) -> Waiting {
        self.0.waiting.set(self.0.waiting.get() + 1);
        Waiting(self.0.clone())
    }

    /// A new connection.
    ///
    /// # Errors
    /// Connect faults, to be tried again elsewhere: `tried` then has the host.
    pub async fn connect(self, net: &Net, timeout: Duration, tried: &mut Tried) -> Result<Lease, Fault> {
        match connect::open(net, &self.0, timeout).await {
            Ok(wire) => Ok(Lease {
                wire,
                watch: None,
                in_flight: self,
                reused: false,
                born: net.clock.now(),
                open: None,
            }),
            Err(fault) => {
                tried.add(&self.0);
                Err(fault)
            }
        }
    }
}

/// A request that waits for a connection.
#[must_use]
pub struct Waiting(Rc<Host>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get() - 1);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get() - 1);
    }
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

fn authority(host: &str, port: u16, secure: bool) -> String {
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    if port == if secure { 443 } else { 80 } {
        host
    } else {
        format!("{host}:{port}")
    }
}
