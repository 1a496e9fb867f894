//! The life of a shard's thread: pin, start the driver, accept, listen to control, drain, end.

use super::{Inbox, Letter, Message, Parts, Shard};
use crate::{listener::Listener, runtime};
use std::{
    cell::Cell,
    future::poll_fn,
    io,
    os::fd::OwnedFd,
    rc::Rc,
    task::{Poll, Waker},
    time::Duration,
};

/// What the thread is started with.
pub struct Start {
    pub parts: Parts,
    /// One per snapshot listener, in its order.
    pub listeners: Vec<OwnedFd>,
    pub inbox: Inbox,
    pub cpu: Option<core_affinity::CoreId>,
    /// Called once everything listens.
    pub ready: Box<dyn FnOnce() + Send>,
}

/// How often a draining shard looks whether its last connection has ended.
const DRAIN_LOOK: Duration = Duration::from_millis(5);

/// After the drain's limit: time for what was cut to write its record.
const CUT_GRACE: Duration = Duration::from_millis(200);

/// Serves until drained. Runs on a thread of its own.
///
/// # Errors
/// The driver could not be set up on this thread.
pub fn run(start: Start) -> io::Result<()> {
    if let Some(cpu) = start.cpu
        && !core_affinity::set_for_current(cpu)
    {
        tracing::warn!(cpu = cpu.id, "this shard could not be pinned to its CPU");
    }
    runtime::block_on(start.parts.driver, serve(start))?
}

async fn serve(start: Start) -> io::Result<()> {
    let shard = Shard::new(start.parts);
    let listeners = start
        .listeners
        .into_iter()
        .enumerate()
        .map(|(index, descriptor)| Listener::new(descriptor, index))
        .collect::<io::Result<Vec<_>>>()?;
    for listener in &listeners {
        runtime::spawn(listener.clone().run(shard.clone()));
    }
    runtime::spawn(housekeeping(shard.clone()));

    let state = Rc::new(State::default());
    let inbox = {
        let (shard, state) = (shard.clone(), state.clone());
        start.inbox.listen(shard.net.driver, move |letter| match letter {
            Letter::Connection(connection) => shard.take_over(connection),
            Letter::Message(Message::Resolved { name, addresses }) => {
                shard.live().resolved(&name, &addresses);
            }
            Letter::Message(Message::Keys { source, keys }) => shard.live().keys_arrived(source, &keys),
            Letter::Message(Message::Told(told)) => shard.told(told),
            Letter::Message(Message::Drain) => state.end(false),
            Letter::Message(Message::Cut) => state.end(true),
        })
    };
    runtime::spawn(async move {
        if let Err(error) = inbox.await {
            tracing::error!(%error, "a shard lost its connection to control");
        }
    });
    (start.ready)();

    state.ending().await;
    drain(&shard, listeners, &state).await;
    Ok(())
}

#[derive(Default)]
struct State {
    drain: Cell<bool>,
    cut: Cell<bool>,
    waiting: Cell<Option<Waker>>,
}

impl State {
    fn end(&self, cut: bool) {
        self.drain.set(true);
        self.cut.set(self.cut.get() || cut);
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    /// Until it is time to drain. Woken, not looked for: an idle shard must not burn what it could leave.
    async fn ending(&self) {
        poll_fn(|context| {
            if self.drain.get() {
                return Poll::Ready(());
            }
            self.waiting.set(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

async fn drain(shard: &Rc<Shard>, listeners: Vec<Rc<Listener>>, state: &State) {
    shard.begin_drain();
    let closing = Rc::new(Cell::new(listeners.len()));
    for listener in listeners {
        let (shard, closing) = (shard.clone(), closing.clone());
        runtime::spawn(async move {
            listener.close(shard).await;
            closing.set(closing.get() - 1);
        });
    }
    // A shard that has not heard of the drain yet may still give connections to this one; it hears at once.
    while (closing.get() > 0 || !shard.nothing_comes() || shard.open() > 0) && !state.cut.get() {
        runtime::sleep(DRAIN_LOOK).await;
    }
    if shard.open() > 0 {
        tracing::warn!(connections = shard.open(), "the drain limit cuts connections");
        shard.net.deadlines.cut();
        let mut waited = Duration::ZERO;
        while shard.open() > 0 && waited < CUT_GRACE {
            runtime::sleep(DRAIN_LOOK).await;
            waited += DRAIN_LOOK;
        }
    }
}

/// Everything periodic of a shard in one task: deadlines, idle upstream connections, the balance of shards.
async fn housekeeping(shard: Rc<Shard>) {
    loop {
        runtime::sleep(crate::net::SWEEP).await;
        shard.net.clock.refresh();
        let now = shard.net.clock.now();
        shard.net.deadlines.sweep(now);
        shard.hosts.sweep(&shard.net, now);
        shard.leases.bank().sweep(now);
        if let Some(peers) = &shard.peers {
            peers.sweep(now);
        }
    }
}
