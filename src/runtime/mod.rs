//! The only place that names monoio: which driver runs, tasks, sleep, sockets. Everything above speaks of
//! `Socket`, `spawn` and `sleep`, so that another runtime would be a change of this folder.

mod driver;
mod socket;
mod turns;

pub use driver::{Chosen, Driver, DriverChoice, RingFlags, Unavailable, choose};
pub use socket::{ReadBuffer, Socket, WriteBuffer};
pub use turns::Turns;

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// Completion entries of one shard's ring. Operations queue in user space when it is full, so this bounds
/// batching, not the number of connections.
const RING_ENTRIES: u32 = 4096;

/// Runs `main` on this thread's own runtime until it returns. Tasks still running then are dropped with it.
///
/// # Errors
/// The driver could not be set up on this thread (descriptor or memory limits).
pub fn block_on<F: Future>(driver: Driver, main: F) -> io::Result<F::Output> {
    match driver {
        Driver::IoUring(flags) => {
            let mut runtime = monoio::RuntimeBuilder::<monoio::IoUringDriver>::new()
                .uring_builder(driver::ring(flags))
                .with_entries(RING_ENTRIES)
                .enable_timer()
                .build()?;
            Ok(runtime.block_on(main))
        }
        Driver::Epoll => {
            let mut runtime = monoio::RuntimeBuilder::<monoio::LegacyDriver>::new()
                .enable_timer()
                .build()?;
            Ok(runtime.block_on(main))
        }
    }
}

/// Starts a task on this thread; it runs to its end whether or not anyone waits.
pub fn spawn<F: Future<Output = ()> + 'static>(task: F) {
    drop(monoio::spawn(task));
}

/// At least `duration`; whole milliseconds, rounded up.
pub async fn sleep(duration: Duration) {
    monoio::time::sleep(duration).await;
}

/// Runs a task to its end, or to its panic: `Err` carries nothing, because the panic hook has already told
/// the log where it was. monoio does not catch, and one connection's fault must not end its shard.
///
/// Not an `async fn`: that would hold the task twice, once as its argument and once as what it awaits.
pub fn catch_panic<F: Future>(task: F) -> CatchPanic<F> {
    CatchPanic(task)
}

pub struct CatchPanic<F>(F);

impl<F: Future> Future for CatchPanic<F> {
    type Output = Result<F::Output, Panicked>;
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: `CatchPanic` is the only holder of the field, which is never moved: a plain pin projection.
        let inner = unsafe { self.map_unchecked_mut(|this| &mut this.0) };
        let poll = std::panic::AssertUnwindSafe(|| inner.poll(context));
        match std::panic::catch_unwind(poll) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    }
}

/// A task ended by panicking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panicked;

/// How [`race`] ended.
pub enum First<A, B> {
    Left(A),
    Right(B),
}

/// Polls both, left first, until one of them ends. The other is not dropped: it is the caller's, who may go on with it.
pub async fn race<A: Future, B: Future>(
    mut left: Pin<&mut A>,
    mut right: Pin<&mut B>,
) -> First<A::Output, B::Output> {
    std::future::poll_fn(move |context| {
        if let Poll::Ready(output) = left.as_mut().poll(context) {
            return Poll::Ready(First::Left(output));
        }
        if let Poll::Ready(output) = right.as_mut().poll(context) {
            return Poll::Ready(First::Right(output));
        }
        Poll::Pending
    })
    .await
}

/// Both, to their ends.
#[cfg(test)]
pub async fn join<A: Future, B: Future>(left: A, right: B) -> (A::Output, B::Output) {
    let mut left = std::pin::pin!(left);
    let mut right = std::pin::pin!(right);
    let (mut a, mut b) = (None, None);
    std::future::poll_fn(move |context| {
        if a.is_none()
            && let Poll::Ready(output) = left.as_mut().poll(context)
        {
            a = Some(output);
        }
        if b.is_none()
            && let Poll::Ready(output) = right.as_mut().poll(context)
        {
            b = Some(output);
        }
        match (a.take(), b.take()) {
            (Some(x), Some(y)) => Poll::Ready((x, y)),
            (x, y) => {
                a = x;
                b = y;
                Poll::Pending
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_its_own_task_only() {
        let outcome = block_on(Driver::Epoll, async {
            let caught = catch_panic(async { panic!("on purpose") }).await;
            (caught, catch_panic(async { 7 }).await)
        });
        assert_eq!(
            outcome.expect("epoll is always there"),
            (Err::<(), _>(Panicked), Ok(7))
        );
    }
}
