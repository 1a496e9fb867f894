//! Content from socket to pipe to socket (splice(2)), called directly: the ring's own splice goes through worker
//! threads, which costs more than the copy it saves. Each call moves what is there and never waits; the waiting is
//! the driver's, for readiness.
//!
//! Whatever is unusual about the sender (its end, urgent data, a kernel or a sandbox that will not splice) is left
//! to the next read to find out, so that there is one place which judges how a body ends.

use crate::{
    net::{Lent, Net, Reader, SMALL, Writer},
    runtime::{self, Socket},
};
use std::{io, time::Duration};

/// A splice that moves less than this does not pay: two calls for references to a few packets against one read and
/// one write of a few KiB. The other way round, a read that fills a small buffer says that splicing would have paid.
pub(super) const WORTH: usize = SMALL;

/// What became of an attempt to take content without copying it.
pub(super) enum Taken<'p> {
    /// The pipe, with something in it.
    Pipe(Lent<'p>),
    /// Read, and copy, once.
    Read,
    /// Not on these sockets, or not now: copy from here on.
    Never,
    /// The sender's connection failed.
    Failed,
}

/// Waits until the sender has something and moves it, `at_most` bytes of it, into a pipe. No pipe is held while it
/// waits. `at_once`: the last time there was more than a pipe holds, so it is tried before it is waited for.
pub(super) async fn take<'n>(
    net: &'n Net,
    from: &Reader<'_>,
    to: &Writer<'_>,
    at_most: usize,
    at_once: bool,
) -> Taken<'n> {
    // What is secured on either side has to be seen by us.
    let (Some(from), Some(_)) = (from.plain_socket(), to.plain_socket()) else {
        return Taken::Never;
    };
    if from.make_nonblocking().is_err() {
        return Taken::Never;
    }
    if at_once {
        match fill(net, from, at_most) {
            Taken::Read => {}
            taken => return taken,
        }
    }
    match from.readable_now().await {
        Ok(()) => fill(net, from, at_most),
        Err(_) => Taken::Read,
    }
}

fn fill<'n>(net: &'n Net, from: &Socket, at_most: usize) -> Taken<'n> {
    let Some(mut pipe) = net.pipes.take() else {
        return Taken::Never;
    };
    match pipe.fill(from.descriptor(), at_most) {
        Ok(1..) => Taken::Pipe(pipe),
        Ok(0) => Taken::Read,
        Err(error) => match error.raw_os_error() {
            Some(libc::EAGAIN) => Taken::Read,
            Some(libc::EINVAL | libc::ENOSYS | libc::EPERM | libc::EOPNOTSUPP) => Taken::Never,
            _ => Taken::Failed,
        },
    }
}

/// A receiver that does not take the rest.
pub(super) struct Stuck {
    pub written: usize,
}

/// Moves all that is in the pipe to the receiver. It may be silent for `idle` (ms) at a time; its deadline is set
/// only while it is waited for.
pub(super) async fn put(net: &Net, pipe: &mut Lent<'_>, to: &Writer<'_>, idle: u64) -> Result<usize, Stuck> {
    let Some(socket) = to.plain_socket() else {
        return Err(Stuck { written: 0 }); // `take` never fills a pipe for it
    };
    let mut written = 0;
    let mut refused_in_vain = false;
    let mut result = socket.make_nonblocking();
    while result.is_ok() && pipe.held() > 0 {
        result = match pipe.drain(socket.descriptor()) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(moved) => {
                written += moved;
                refused_in_vain = false;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if refused_in_vain {
                    // Writable and yet refused: the kernel is short of memory for sockets. Boxed: rare, and a timer
                    // would be the largest part of every body's future.
                    Box::pin(runtime::sleep(MEMORY_PAUSE)).await;
                } else {
                    // Only what it takes begins its time anew.
                    to.deadline.set(net.clock.now() + idle);
                }
                refused_in_vain = true;
                let ready = socket.writable().await;
                net.clock.refresh();
                ready
            }
            Err(error) => Err(error),
        };
    }
    to.deadline.clear_both_ends();
    match result {
        Ok(()) => Ok(written),
        Err(_) => Err(Stuck { written }),
    }
}

/// Between two attempts while the kernel has no memory for the receiver's socket.
const MEMORY_PAUSE: Duration = Duration::from_millis(5);
