//! Pipes: content passes from one socket to another inside the kernel, by splice(2), as references to the pages it
//! arrived in. What read(2) and write(2) would copy out and in again never becomes ours.
//!
//! A pipe with content in it is one exchange's and nobody else's: it only comes back to the pool empty, and one
//! that is dropped on the way (a peer went, the exchange was abandoned) is closed with all that is in it.

use std::{
    cell::{Cell, RefCell},
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    ptr,
};

/// What one pipe takes at most. The kernel gives it a slot for each 4 KiB, and a slot holds one fragment of a
/// packet, large or small: 64 of them hold 256 KiB of full pages, or some 90 KiB of bare Ethernet frames.
pub const PIPE: usize = 256 * 1024;

#[derive(Debug)]
pub struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    /// Bytes in it. Only the two calls below change it, and they know exactly.
    held: usize,
}

impl Pipe {
    fn new() -> io::Result<Self> {
        let mut ends = [-1; 2];
        // SAFETY: a valid pointer to two integers.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: pipe2 just made both; nobody else owns them.
        let [read, write] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
        // SAFETY: no memory is involved. A user who has too much in pipes gets EPERM here (pipe-user-pages-soft in
        // pipe(7)), and a pipe of one or two slots that would be slower than copying.
        if unsafe { libc::fcntl(write.as_raw_fd(), libc::F_SETPIPE_SZ, PIPE as libc::c_int) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { read, write, held: 0 })
    }

    /// Bytes that are in it.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Moves what the socket has, `at_most` bytes of it, into the pipe, which must be empty. 0: the end of the
    /// stream, or so it seems (urgent data can look like it). Never waits if the socket is non-blocking.
    ///
    /// # Errors
    /// `WouldBlock`: nothing is there. `InvalidInput`: not a socket that can be spliced. Or the socket's own.
    pub fn fill(&mut self, from: RawFd, at_most: usize) -> io::Result<usize> {
        debug_assert_eq!(self.held, 0, "content of two reads would be told apart by nobody");
        let moved = splice(from, self.write.as_raw_fd(), at_most.min(PIPE))?;
        self.held += moved;
        Ok(moved)
    }

    /// Moves what is in the pipe into the socket, as far as that has room. Never waits if the socket is
    /// non-blocking.
    ///
    /// # Errors
    /// `WouldBlock`: no room at all. Or the socket's own.
    pub fn drain(&mut self, to: RawFd) -> io::Result<usize> {
        // Exactly what is there: asked for more, older kernels keep the last packet back for what never comes.
        let moved = splice(self.read.as_raw_fd(), to, self.held)?;
        self.held -= moved;
        Ok(moved)
    }
}

fn splice(from: RawFd, to: RawFd, at_most: usize) -> io::Result<usize> {
    loop {
        // No SPLICE_F_MORE: the kernel would hold back the last, partial packet until more comes or 200 ms are
        // over, and a body may pause where this call ends.
        // SAFETY: no memory is passed: neither end has an offset.
        let moved = unsafe {
            libc::splice(
                from,
                ptr::null_mut(),
                to,
                ptr::null_mut(),
                at_most,
                libc::SPLICE_F_NONBLOCK | libc::SPLICE_F_MOVE,
            )
        };
        if let Ok(moved) = usize::try_from(moved) {
            return Ok(moved);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// One shard's pipes. An exchange takes one when there is something to move and gives it back as soon as it is
/// empty, so the number in use is that of receivers who are slower than their senders.
#[derive(Debug, Default)]
pub struct Pipes {
    free: RefCell<Vec<Pipe>>,
    lent: Cell<usize>,
    /// None until the first is asked for.
    most: Cell<Option<usize>>,
}

/// A pipe on loan.
#[derive(Debug)]
pub struct Lent<'p> {
    pipes: &'p Pipes,
    /// None only while it is being dropped.
    pipe: Option<Pipe>,
}

impl Pipes {
    /// A pipe, empty; None where copying has to do: no descriptor is left for it, or the user's share of pipe
    /// memory is used up, or enough are in use already.
    pub fn take(&self) -> Option<Lent<'_>> {
        if self.lent.get() >= self.most() {
            return None;
        }
        let free = self.free.borrow_mut().pop();
        let pipe = free.or_else(|| Pipe::new().ok())?;
        self.lent.set(self.lent.get() + 1);
        Some(Lent {
            pipes: self,
            pipe: Some(pipe),
        })
    }

    fn most(&self) -> usize {
        self.most.get().unwrap_or_else(|| {
            let share = descriptor_limit() / DESCRIPTORS_PER_PIPE;
            let most = usize::try_from(share).unwrap_or(MOST).min(MOST);
            self.most.set(Some(most));
            most
        })
    }
}

impl std::ops::Deref for Lent<'_> {
    type Target = Pipe;
    fn deref(&self) -> &Pipe {
        self.pipe.as_ref().expect("it is there until it is dropped")
    }
}

impl std::ops::DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut Pipe {
        self.pipe.as_mut().expect("it is there until it is dropped")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.pipes.lent.set(self.pipes.lent.get() - 1);
        let mut free = self.pipes.free.borrow_mut();
        if let Some(pipe) = self.pipe.take()
            && pipe.held == 0
            && free.len() < KEPT
        {
            free.push(pipe);
        }
    }
}

/// Descriptors this process may have; 0 if the kernel does not say.
fn descriptor_limit() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: a valid pointer to a struct of the right type.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit.rlim_cur
}

/// In use at once, per shard: 16 MiB at most in them. Beyond that bodies are copied.
const MOST: usize = 64;

/// Kept open for reuse, per shard.
const KEPT: usize = 8;

/// One pipe, two descriptors, for each 64 the process may have: where they are scarce, connections need them
/// more, and copying needs none.
const DESCRIPTORS_PER_PIPE: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{Read, Write},
        os::unix::net::UnixStream,
    };

    fn pair() -> (UnixStream, UnixStream) {
        let (a, b) = UnixStream::pair().expect("a pair");
        a.set_nonblocking(true).expect("a flag");
        b.set_nonblocking(true).expect("a flag");
        (a, b)
    }

    #[test]
    fn bytes_go_through_in_order_and_no_more_than_asked() {
        let pipes = Pipes::default();
        let ((mut sender, source), (sink, mut receiver)) = (pair(), pair());
        sender.write_all(b"content|next").expect("room");
        let mut pipe = pipes.take().expect("a pipe");
        assert_eq!(pipe.fill(source.as_raw_fd(), 7).expect("bytes"), 7);
        assert_eq!(pipe.drain(sink.as_raw_fd()).expect("room"), 7);
        let mut got = [0; 16];
        assert_eq!(receiver.read(&mut got).expect("bytes"), 7);
        assert_eq!(&got[..7], b"content");
        assert_eq!((&source).read(&mut got).expect("what was not asked for"), 5);
    }

    #[test]
    fn nothing_there_and_no_room_are_told_and_never_waited_for() {
        let pipes = Pipes::default();
        let ((mut sender, source), (sink, receiver)) = (pair(), pair());
        let mut pipe = pipes.take().expect("a pipe");
        let nothing = pipe.fill(source.as_raw_fd(), PIPE).expect_err("nothing is there");
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        let mut moved = 0;
        let full = loop {
            if pipe.held() == 0 {
                sender.write_all(&[7; 4096]).expect("room");
                pipe.fill(source.as_raw_fd(), PIPE).expect("bytes");
            }
            match pipe.drain(sink.as_raw_fd()) {
                Ok(length) => moved += length,
                Err(error) => break error,
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        assert!(pipe.held() > 0 && moved > 0);
        drop(receiver);
        assert!(pipe.drain(sink.as_raw_fd()).is_err(), "nobody takes it any more");
    }

    #[test]
    fn a_pipe_with_content_in_it_never_comes_back() {
        let pipes = Pipes::default();
        let (mut sender, source) = pair();
        sender.write_all(b"secret").expect("room");
        let mut pipe = pipes.take().expect("a pipe");
        pipe.fill(source.as_raw_fd(), PIPE).expect("bytes");
        drop(pipe);
        assert!(pipes.free.borrow().is_empty());
        drop(pipes.take());
        assert_eq!((pipes.free.borrow().len(), pipes.lent.get()), (1, 0));
    }

    #[test]
    fn there_are_so_many_and_no_more() {
        let pipes = Pipes::default();
        pipes.most.set(Some(KEPT + 1));
        let all: Vec<_> = std::iter::from_fn(|| pipes.take()).collect();
        assert_eq!(all.len(), KEPT + 1);
        drop(all);
        assert_eq!((pipes.free.borrow().len(), pipes.lent.get()), (KEPT, 0));
        assert!(pipes.take().is_some());
    }
}
