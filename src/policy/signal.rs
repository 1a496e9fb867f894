//! Something of one shard that has not happened yet, and who waits for it.

use std::{
    cell::{Cell, RefCell},
    fmt,
    future::poll_fn,
    rc::Rc,
    task::{Poll, Waker},
};

/// Happens once. Cloning shares it; one waits for it at a time.
#[derive(Clone, Default)]
pub struct Signal(Rc<Inner>);

#[derive(Default)]
struct Inner {
    given: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

impl Signal {
    pub fn give(&self) {
        self.0.given.set(true);
        if let Some(waker) = self.0.waiting.take() {
            waker.wake();
        }
    }

    /// Until it is given, which it may have been already.
    pub async fn given(&self) {
        poll_fn(|context| {
            if self.0.given.get() {
                return Poll::Ready(());
            }
            *self.0.waiting.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl PartialEq for Signal {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Signal {}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signal({})", self.0.given.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        pin::pin,
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering::Relaxed},
        },
        task::{Context, Wake},
    };

    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn whoever_waits_is_woken_and_whoever_comes_late_does_not_wait() {
        let count = Arc::new(Count(AtomicU32::new(0)));
        let waker = Waker::from(count.clone());
        let mut context = Context::from_waker(&waker);
        let signal = Signal::default();
        let other = signal.clone();
        let mut waiting = pin!(signal.given());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        other.give();
        assert_eq!(count.0.load(Relaxed), 1);
        assert!(waiting.as_mut().poll(&mut context).is_ready());
        assert!(pin!(other.given()).poll(&mut context).is_ready());
        assert!(signal == other && signal != Signal::default());
    }
}
