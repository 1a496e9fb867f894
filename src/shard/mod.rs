//! What one shard owns: a thread, pinned, with everything a request needs on it. Shared by its tasks through
//! `Rc<Shard>`; nothing here is locked, because nothing here is shared with another thread.

mod balance;
mod handshakes;
mod inbox;
mod live;
mod peers;
mod run;
pub mod snapshot;

pub use balance::Pace;
pub use handshakes::{Handshake, Handshakes};
pub use inbox::{Inbox, Letter, Message, Outbox, inbox};
pub use live::Live;
pub use peers::{Board, Move, Peers};
pub use run::{Start, run};

use crate::{
    clock::Clock,
    connection::{self, Arrival},
    http1,
    listener::Admission,
    net::Buffer,
    net::Net,
    observe::{counters::Counters, queue::RecordSender},
    policy::{
        self, ShardParts,
        rate_limit::{Bank, Leases},
        shared::{Desk, Post, Told},
    },
    route,
    runtime::{self, Driver},
    tls,
    upstream::Hosts,
};
use snapshot::Snapshot;
use std::{
    cell::{Cell, RefCell},
    num::NonZeroU32,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

pub struct Shard {
    pub net: Net,
    pub counters: Arc<Counters>,
    pub admission: Arc<Admission>,
    /// How this process names itself in `Via`; the same on all shards, another in every process, so that a
    /// request that comes back is known.
    pub pseudonym: Arc<str>,
    live: RefCell<Rc<Live>>,
    /// Upstream hosts and their idle connections; they outlive a configuration.
    pub hosts: Rc<Hosts>,
    /// None: nobody wants records.
    pub records: Option<RecordSender>,
    #[allow(
        clippy::vec_box,
        reason = "a scratch is some hundred bytes and moves twice an exchange"
    )]
    scratches: RefCell<Vec<Box<Scratch>>>,
    draining: Cell<bool>,
    open: Cell<u32>,
    /// None: this shard is alone.
    peers: Option<Peers>,
    random: Cell<u64>,
    /// This shard's share of all rate limits.
    pub leases: Leases,
    /// A task is under way that gives back what of it is not spent.
    lending: Cell<bool>,
    /// Where answers of shared storage are waited for; None: there is none.
    desk: Option<Rc<Desk>>,
    /// Of clients that are not in yet.
    pub handshakes: Handshakes,
    /// For the acceptors of whatever configuration comes next: tickets outlive one.
    pub tickets: Arc<tls::Tickets>,
}

/// What an exchange writes into while it runs; recycled, so that a warm shard parses and routes without
/// allocating.
#[derive(Default)]
pub struct Scratch {
    pub request: http1::RequestHead,
    pub response: http1::ResponseHead,
    pub route: route::Scratch,
    /// The normal form of the request's path, of its own because rules are matched while policies look at it.
    pub path: Vec<u8>,
    /// What the API's policies remember of the request.
    pub policies: policy::Progress,
    /// The same of the service's.
    pub outbound: policy::Progress,
    pub authentication: policy::Authentication,
    /// The request's content, where a policy asked for it.
    pub content: Option<Buffer>,
    /// Lines that policies add to a reply of the gateway's own.
    pub reply: http1::Headers,
    pub target: Vec<u8>,
    /// Given to requests that bring none: 32 hexadecimal digits.
    pub request_id: [u8; 32],
}

/// How long tokens of a rate limit may lie with a shard that does not spend them (`policy::rate_limit`'s promise).
const LEASE_TICK: Duration = Duration::from_millis(10);

/// Scratches kept for reuse; one exchange uses one.
const KEPT_SCRATCHES: usize = 64;

/// What the start gives every shard.
pub struct Parts {
    pub driver: Driver,
    pub snapshot: Arc<Snapshot>,
    pub counters: Arc<Counters>,
    pub admission: Arc<Admission>,
    pub records: Option<RecordSender>,
    pub pseudonym: Arc<str>,
    pub peers: Option<Peers>,
    /// How many shards the process has.
    pub shards: NonZeroU32,
    /// The process's.
    pub bank: Arc<Bank>,
    /// The way to shared storage, and which of the shards this is.
    pub storage: Option<(Arc<dyn Post>, usize)>,
    /// The process's ticket keys; they outlive a configuration.
    pub tickets: Arc<tls::Tickets>,
    /// Any number that differs between shards and processes.
    pub seed: u64,
}

impl Shard {
    pub fn new(parts: Parts) -> Rc<Self> {
        let hosts = Rc::new(Hosts::default());
        let desk = parts.storage.map(|(post, index)| Desk::new(post, index));
        let for_policies = ShardParts {
            shards: parts.shards,
            hash_key: parts.bank.hash_key(),
            name: "",
            desk: desk.as_ref(),
        };
        // Each shard has its share: together they have no more than the process may.
        let handshakes = parts.snapshot.limits.handshakes.div_ceil(parts.shards.get());
        let live = Live::new(parts.snapshot, &hosts, &for_policies, &parts.tickets);
        Rc::new(Self {
            net: Net::new(parts.driver, Clock::new()),
            counters: parts.counters,
            admission: parts.admission,
            pseudonym: parts.pseudonym,
            live: RefCell::new(Rc::new(live)),
            hosts,
            records: parts.records,
            scratches: RefCell::default(),
            draining: Cell::new(false),
            open: Cell::new(0),
            peers: parts.peers,
            random: Cell::new(parts.seed | 1),
            leases: Leases::new(parts.bank, parts.shards),
            lending: Cell::new(false),
            desk,
            handshakes: Handshakes::new(handshakes as usize),
            tickets: parts.tickets,
        })
    }

    /// What shared storage had.
    pub fn told(&self, told: Told) {
        if let Some(desk) = &self.desk {
            desk.told(told);
        }
    }

    /// The configuration in force. An exchange takes it once and keeps it to its end.
    pub fn live(&self) -> Rc<Live> {
        self.live.borrow().clone()
    }

    pub fn draining(&self) -> bool {
        self.draining.get()
    }

    /// Connections are not given to other shards any more.
    pub fn begin_drain(&self) {
        self.draining.set(true);
        if let Some(peers) = &self.peers {
            peers.seal();
        }
    }

    /// No connection is on its way from another shard, and none will be.
    pub fn nothing_comes(&self) -> bool {
        self.peers.as_ref().is_none_or(Peers::nothing_comes)
    }

    /// Connections open on this shard.
    pub fn open(&self) -> u32 {
        self.open.get()
    }

    pub fn connection_opened(&self) {
        self.open.set(self.open.get() + 1);
        self.counters.connections_open.add(1);
        if let Some(peers) = &self.peers {
            peers.opened();
        }
    }

    /// Ended, or given to another shard.
    pub fn connection_closed(&self) {
        self.open.set(self.open.get() - 1);
        self.counters.connections_open.subtract(1);
        if let Some(peers) = &self.peers {
            peers.closed();
        }
    }

    /// The shard that should serve a connection accepted here; None for this one.
    pub fn lighter_for_new(&self) -> Option<usize> {
        let peers = self.peers.as_ref()?;
        // This connection has been admitted, and counts among them already.
        peers.lighter(self.admission.open().saturating_sub(1))
    }

    /// To be called after each request, when the connection will be kept. Some: it should move.
    pub fn served(&self, pace: &mut Pace) -> Option<Move> {
        self.peers.as_ref()?.served(pace)
    }

    /// Gives an accepted connection to another shard. What comes back is to be served here.
    pub fn hand_over_new(&self, to: usize, connection: Arrival) -> Option<Arrival> {
        let back = self.hand_over(to, connection);
        self.counters
            .connections_handed_over
            .add(u64::from(back.is_none()));
        back
    }

    /// Gives an idle connection to another shard. What comes back is to be served here.
    pub fn hand_over_idle(&self, done: Move, connection: Arrival) -> Option<Arrival> {
        let back = self.hand_over(done.to, connection);
        self.counters.connections_moved.add(u64::from(back.is_none()));
        if let Some(peers) = &self.peers {
            peers.moved(done);
        }
        back
    }

    fn hand_over(&self, to: usize, connection: Arrival) -> Option<Arrival> {
        match &self.peers {
            Some(peers) => peers.hand_over(to, connection).err(),
            None => Some(connection),
        }
    }

    /// Serves what another shard has handed over.
    fn take_over(self: &Rc<Self>, connection: Arrival) {
        connection::spawn(self, connection);
        if let Some(peers) = &self.peers {
            peers.taken();
        }
    }

    /// xorshift64*: for balancing and request ids, which need to differ, not to be secret.
    pub fn random(&self) -> u64 {
        let mut x = self.random.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.random.set(x);
        x.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// To be called after policies ran: tokens of rate limits that this shard took in advance go back within a tick.
    pub fn tend_leases(self: &Rc<Self>) {
        let overflowed = self.leases.take_overflowed();
        if overflowed > 0 {
            self.counters.rate_limit_overflows.add(overflowed);
        }
        if self.leases.holds() && !self.lending.replace(true) {
            let shard = self.clone();
            runtime::spawn(async move {
                runtime::sleep(LEASE_TICK).await;
                shard.lending.set(false);
                shard.leases.tick();
            });
        }
    }

    pub fn take_scratch(&self) -> Box<Scratch> {
        self.scratches.borrow_mut().pop().unwrap_or_default()
    }

    pub fn give_scratch(&self, mut scratch: Box<Scratch>) {
        scratch.policies.clear();
        scratch.outbound.clear();
        scratch.authentication.clear();
        scratch.reply.clear();
        if let Some(content) = scratch.content.take() {
            self.net.buffers.give(content);
        }
        let mut kept = self.scratches.borrow_mut();
        if kept.len() < KEPT_SCRATCHES {
            kept.push(scratch);
        }
    }
}
