//! A connection to a cluster with a circuit breaker: what of it there may be, and the wait for what there may be.

use crate::{
    clock::millis,
    fault::{Fault, Kind, Phase},
    runtime,
    shard::Shard,
    upstream::{
        Cluster, InFlight, Lease, Tried,
        breaker::{Breaker, Permit},
        cluster::Timeouts,
    },
};
use std::time::Duration;

/// What an attempt asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'t> {
    /// No pooled connection: one was tried.
    pub fresh: bool,
    /// The request cannot be sent again; see [`InFlight::reuse`].
    pub once: bool,
    pub timeouts: &'t Timeouts,
}

/// The permit counts the request for as long as it has the connection.
///
/// Waiting is looking again every few milliseconds: what ends the wait may happen on another shard, and a shard wakes
/// no other for it. It costs 200 looks a second for each request that waits, of which there are as many as the
/// threshold says; a connection stands unused for half a look on average.
///
/// # Errors
/// `Overflow` past a threshold, `TimedOut` when no connection came free within the response's time, and those of
/// connecting.
pub(super) async fn lease<'b>(
    shard: &Shard,
    cluster: &Cluster,
    breaker: &'b Breaker,
    mut host: InFlight,
    wish: Wish<'_>,
    tried: &mut Tried,
) -> Result<(Lease, Permit<'b>), Fault> {
    let net = &shard.net;
    if !wish.fresh {
        match breaker.request() {
            Some(active) => match host.reuse(net, wish.once) {
                Ok(lease) => return Ok((lease, active)),
                Err(back) => host = back,
            },
            // One is ready, and the request may not have it. Without one it may still wait, as long as others end.
            None if host.has_idle() => return Err(overflow("the upstream has too many requests")),
            None => {}
        }
    }
    let pending = breaker
        .pending()
        .ok_or(overflow("too many requests wait for the upstream"))?;
    let waiting = host.waiting();
    let end = net.clock.now() + millis(wish.timeouts.response);
    let lease = loop {
        if let Some(open) = breaker.connection() {
            let lease = host.connect(net, wish.timeouts.connect, tried).await?;
            break lease.counted(open);
        }
        // One that is idle here serves nobody else meanwhile: another host's, as its own would have been taken.
        if cluster.close_idle() {
            continue;
        }
        // A timer of the runtime's is aligned more than what the slab's blocks are.
        Box::pin(runtime::sleep(LOOK)).await;
        net.clock.refresh();
        if net.clock.now() >= end {
            return Err(Fault::upstream(
                Kind::TimedOut,
                Phase::Connect,
                "no connection to the upstream came free in time",
            ));
        }
        if !wish.fresh {
            match host.reuse(net, wish.once) {
                Ok(lease) => break lease,
                Err(back) => host = back,
            }
        }
    };
    drop((pending, waiting));
    let active = breaker
        .request()
        .ok_or(overflow("the upstream has too many requests"))?;
    Ok((lease, active))
}

const fn overflow(detail: &'static str) -> Fault {
    Fault::gateway(Kind::Overflow, Phase::Connect, detail)
}

/// The longest a shard waits before it looks again at what others do.
const LOOK: Duration = Duration::from_millis(5);
