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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Clock,
        net::Wire,
        runtime::{DriverChoice, block_on, choose},
        tls::tests::Authority,
    };
    use std::{
        io::{Read, Write},
        os::unix::net::UnixStream,
    };

    /// Spliced, a secured sender's ciphertext would be taken for content, and content would leave us in the clear.
    #[test]
    fn what_is_secured_on_either_side_is_never_spliced() {
        const CONTENT: &[u8] = b"content";
        for choice in [DriverChoice::Epoll, DriverChoice::Auto] {
            let driver = choose(choice).expect("both choices always give one").driver;
            let test = async {
                let net = Net::new(driver, Clock::new());
                let pair = || {
                    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
                    ours.set_nonblocking(driver.wants_nonblocking()).expect("a flag");
                    (Wire::new(&net, ours.into()).expect("a wire"), theirs)
                };
                let authority = Authority::new();
                let ((mut plain, mut peer), (mut secured, server)) = (pair(), pair());
                let (mut other, _kept) = pair();
                peer.write_all(CONTENT).expect("room");
                let server = authority.serve("origin.test", server, |stream| {
                    let mut question = [0];
                    stream.read_exact(&mut question).expect("a byte");
                    stream.write_all(CONTENT).expect("room");
                    let mut answer = Vec::new();
                    stream.read_to_end(&mut answer).expect("an end that is said");
                    assert_eq!(answer, CONTENT);
                });
                let target = authority.client().target("origin.test").expect("a name");
                let session = target.connector().session().expect("random numbers");
                secured.secure(&net, session).await.expect("a handshake");

                let (from, to) = secured.split();
                let taken = take(&net, &from, &other.writer(), usize::MAX, false).await;
                assert!(matches!(taken, Taken::Never), "a secured sender");
                let taken = take(&net, &plain.reader(), &to, usize::MAX, false).await;
                assert!(matches!(taken, Taken::Never), "a secured receiver");
                let taken = take(&net, &plain.reader(), &other.writer(), usize::MAX, false).await;
                let Taken::Pipe(mut pipe) = taken else {
                    panic!("two plain ones are");
                };
                assert_eq!(pipe.held(), CONTENT.len());
                assert!(put(&net, &mut pipe, &to, 1_000).await.is_err());

                // What it says is read and written by the session.
                let question = crate::net::Buffer::from(b"?".to_vec());
                secured
                    .writer()
                    .write_all(&net, 1_000, question)
                    .await
                    .0
                    .expect("room");
                let mut reader = secured.reader();
                assert_eq!(
                    reader.fill(&net.buffers, false).await.expect("content"),
                    CONTENT.len()
                );
                assert_eq!(reader.buffered(), CONTENT);
                let content = reader.take().expect("it");
                secured
                    .writer()
                    .write_all(&net, 1_000, content)
                    .await
                    .0
                    .expect("room");
                drop(secured);
                server.join().expect("the server saw it all");
            };
            block_on(driver, test).expect("a runtime");
        }
    }
}
