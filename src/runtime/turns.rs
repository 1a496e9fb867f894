//! Letting others have their turn.
//!
//! Not by waking oneself, as is usual: monoio puts a task that does so before all others, and as long as any task can
//! go on it looks at no timer and, on a ring, gathers no completion. So who yields waits for something that is ready as
//! soon as the driver looks, and only then: on a ring an operation that is done at once, on epoll a descriptor that is
//! new to it.

use super::sleep;
use monoio::net::UnixStream;
use std::{cell::RefCell, io, rc::Rc, time::Duration};

/// One shard's.
#[derive(Default)]
pub struct Turns {
    /// Made when first needed, on the driver's own thread.
    ready: RefCell<Option<Rc<AlwaysReady>>>,
}

/// A socket that can always be written to: known to the driver on a ring, unknown to it on epoll.
struct AlwaysReady {
    socket: Either,
    /// Kept open: without it the other would be broken.
    _peer: std::os::unix::net::UnixStream,
}

enum Either {
    Known(UnixStream),
    Unknown(std::os::unix::net::UnixStream),
}

impl Turns {
    /// Lets all other tasks that can go on do so, and the driver look for news and at its timers, before this one goes
    /// on. An operation on a ring; on epoll a descriptor made and closed, some 1 µs. Without descriptors it is a pause
    /// of a millisecond.
    pub async fn give(&self) {
        let looked = match self.ready() {
            Ok(ready) => match &ready.socket {
                Either::Known(stream) => stream.writable(false).await,
                Either::Unknown(stream) => match stream.try_clone().and_then(UnixStream::from_std) {
                    Ok(new) => new.writable(true).await,
                    Err(error) => Err(error),
                },
            },
            Err(error) => Err(error),
        };
        if looked.is_err() {
            // Boxed: rare, and a timer would be the largest part of this future.
            Box::pin(sleep(Duration::from_millis(1))).await;
        }
    }

    fn ready(&self) -> io::Result<Rc<AlwaysReady>> {
        let mut kept = self.ready.borrow_mut();
        if let Some(ready) = &*kept {
            return Ok(ready.clone());
        }
        let (stream, peer) = std::os::unix::net::UnixStream::pair()?;
        let socket = if monoio::utils::is_legacy() {
            stream.set_nonblocking(true)?;
            Either::Unknown(stream)
        } else {
            Either::Known(UnixStream::from_std(stream)?)
        };
        let ready = Rc::new(AlwaysReady { socket, _peer: peer });
        *kept = Some(ready.clone());
        Ok(ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{DriverChoice, block_on, choose, spawn};
    use std::cell::Cell;

    /// Two tasks that never wait for anything, and a third that needs a timer.
    #[test]
    fn those_who_yield_hold_up_nobody() {
        for choice in [DriverChoice::Epoll, DriverChoice::Auto] {
            let driver = choose(choice).expect("both choices always give one").driver;
            let turns = block_on(driver, async {
                let (turns, stop) = (Rc::new(RefCell::new([0u64; 2])), Rc::new(Cell::new(false)));
                for index in 0..2 {
                    let (turns, stop) = (turns.clone(), stop.clone());
                    spawn(async move {
                        let own = Turns::default();
                        while !stop.get() {
                            turns.borrow_mut()[index] += 1;
                            own.give().await;
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
}
