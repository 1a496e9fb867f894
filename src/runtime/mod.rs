//! The only place that names monoio: which driver runs, tasks, sleep, sockets. Everything above speaks of
//! `Socket`, `spawn` and `sleep`, so that another runtime would be a change of this folder.

mod driver;
mod socket;

pub use driver::{Chosen, Driver, DriverChoice, RingFlags, Unavailable, choose};
pub use socket::{ReadBuffer, Socket, WriteBuffer};

use monoio::net::UnixStream;
use std::{
    cell::RefCell,
    future::Future,
    io,
    pin::Pin,
    rc::Rc,
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
            Ok(runtime.block_on(to_its_end(main)))
        }
        Driver::Epoll => {
            let mut runtime = monoio::RuntimeBuilder::<monoio::LegacyDriver>::new()
                .enable_timer()
                .build()?;
            Ok(runtime.block_on(to_its_end(main)))
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

/// Lets all other tasks that can go on do so, and the driver look for news and at its timers, before this one does.
///
/// Not by waking itself, as is usual: monoio puts a task that does so before all others, and as long as any task can go
/// on it looks at no timer and, on a ring, gathers no completion. So this waits for something that is ready as soon as
/// the driver looks, and only then: on a ring an operation that is done at once, on epoll a descriptor that is new to it
/// (some 1 µs for making one). Without descriptors it is a pause of a millisecond.
pub async fn yield_now() {
    let looked = match (always_ready(), monoio::utils::is_legacy()) {
        (Some(ready), false) => ready.registered.writable(false).await,
        (Some(ready), true) => match ready.stream.try_clone().and_then(UnixStream::from_std) {
            Ok(new) => new.writable(true).await,
            Err(error) => Err(error),
        },
        (None, _) => Err(io::ErrorKind::Other.into()),
    };
    if looked.is_err() {
        // Boxed: rare, and a timer would be the largest part of this future.
        Box::pin(sleep(Duration::from_millis(1))).await;
    }
}

/// A socket of this thread that can always be written to.
struct AlwaysReady {
    stream: std::os::unix::net::UnixStream,
    registered: UnixStream,
    /// Kept open: without it the others would be broken.
    _peer: std::os::unix::net::UnixStream,
}

thread_local! {
    static ALWAYS_READY: RefCell<Option<Rc<AlwaysReady>>> = const { RefCell::new(None) };
}

/// None without descriptors.
fn always_ready() -> Option<Rc<AlwaysReady>> {
    ALWAYS_READY.with_borrow_mut(|kept| {
        if kept.is_none() {
            *kept = make_always_ready().ok().map(Rc::new);
        }
        kept.clone()
    })
}

fn make_always_ready() -> io::Result<AlwaysReady> {
    let (stream, peer) = std::os::unix::net::UnixStream::pair()?;
    stream.set_nonblocking(monoio::utils::is_legacy())?;
    Ok(AlwaysReady {
        registered: UnixStream::from_std(stream.try_clone()?)?,
        stream,
        _peer: peer,
    })
}

/// Runs `main`, and closes what belongs to the thread while the driver is still there to do so.
async fn to_its_end<F: Future>(main: F) -> F::Output {
    let output = main.await;
    ALWAYS_READY.take();
    output
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

    /// Two tasks that never wait for anything, and a third that needs a timer.
    #[test]
    fn those_who_yield_hold_up_nobody() {
        for choice in [DriverChoice::Epoll, DriverChoice::Auto] {
            let driver = choose(choice).expect("both choices always give one").driver;
            let turns = block_on(driver, async {
                let (turns, stop) = (
                    Rc::new(RefCell::new([0u64; 2])),
                    Rc::new(std::cell::Cell::new(false)),
                );
                for index in 0..2 {
                    let (turns, stop) = (turns.clone(), stop.clone());
                    spawn(async move {
                        while !stop.get() {
                            turns.borrow_mut()[index] += 1;
                            yield_now().await;
                        }
                    });
                }
                sleep(Duration::from_millis(20)).await;
                stop.set(true);
                *turns.borrow()
            });
            let [one, other] = turns.expect("a runtime");
            assert!(
                one.abs_diff(other) <= 1 && one > 1,
                "{one} and {other} turns on {driver}"
            );
        }
    }

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
