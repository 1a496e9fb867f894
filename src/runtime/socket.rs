//! A connected (or listening) stream socket of either family on this thread's driver.
//!
//! monoio's stream types differ by family and split through reference counts; recv(2) and send(2) do not care.
//! One type over the descriptor serves TCP, UNIX sockets and a listener's readiness alike.

use monoio::{
    buf::{IoBuf, IoBufMut},
    io::{AsyncReadRent, AsyncWriteRent},
    net::TcpStream,
};
use std::{
    cell::{Cell, UnsafeCell},
    future::poll_fn,
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd},
    pin::pin,
    rc::Rc,
    task::Poll,
};

/// A buffer the kernel may fill behind what it already holds.
///
/// # Safety
/// `spare` stays valid, writable memory for as long as the value lives, also when the value is moved.
pub unsafe trait ReadBuffer: Unpin + 'static {
    /// Start and length of the free space.
    fn spare(&mut self) -> (*mut u8, usize);
    /// The first `length` bytes of the free space now hold data.
    ///
    /// # Safety
    /// They were written.
    unsafe fn filled(&mut self, length: usize);
}

/// A buffer whose bytes the kernel may read.
///
/// # Safety
/// `bytes` stays valid, unchanged memory for as long as the value lives, also when the value is moved.
pub unsafe trait WriteBuffer: Unpin + 'static {
    fn bytes(&self) -> (*const u8, usize);
}

struct Reading<B>(B);
struct Writing<B>(B);

// SAFETY: the contract of `ReadBuffer` is monoio's own, word for word.
unsafe impl<B: ReadBuffer> IoBufMut for Reading<B> {
    fn write_ptr(&mut self) -> *mut u8 {
        self.0.spare().0
    }
    fn bytes_total(&mut self) -> usize {
        self.0.spare().1
    }
    unsafe fn set_init(&mut self, length: usize) {
        // SAFETY: monoio calls this once, with what the kernel wrote.
        unsafe { self.0.filled(length) }
    }
}

// SAFETY: the contract of `WriteBuffer` is monoio's own, word for word.
unsafe impl<B: WriteBuffer> IoBuf for Writing<B> {
    fn read_ptr(&self) -> *const u8 {
        self.0.bytes().0
    }
    fn bytes_init(&self) -> usize {
        self.0.bytes().1
    }
}

/// A socket on this thread's driver. Reading and writing may be under way at the same time, one of each.
pub struct Socket {
    /// Counted, so that [`Socket::read_ahead`] can outlive a move of this value.
    stream: Rc<UnsafeCell<TcpStream>>,
    descriptor: RawFd,
    nonblocking: Cell<bool>,
}

impl Socket {
    /// Takes the descriptor. It must be blocking on io_uring, where the ring waits, and non-blocking on
    /// epoll: `Driver::wants_nonblocking` says which.
    ///
    /// # Errors
    /// epoll refused to watch it.
    pub fn new(descriptor: OwnedFd) -> io::Result<Self> {
        let raw = descriptor.as_raw_fd();
        let stream = TcpStream::from_std(std::net::TcpStream::from(descriptor))?;
        Ok(Self {
            stream: Rc::new(UnsafeCell::new(stream)),
            descriptor: raw,
            nonblocking: Cell::new(monoio::utils::is_legacy()),
        })
    }

    pub fn descriptor(&self) -> RawFd {
        self.descriptor
    }

    /// For system calls of one's own that must not wait (splice(2) has no flag for it); for good. A ring goes on
    /// waiting for such a socket, but for the rare operation it hands to a worker thread after many retries: that
    /// one comes back refused, and is then made again.
    ///
    /// # Errors
    /// The kernel's.
    pub fn make_nonblocking(&self) -> io::Result<()> {
        if !self.nonblocking.get() {
            // SAFETY: our own descriptor, open for as long as `self` lives.
            let descriptor = unsafe { BorrowedFd::borrow_raw(self.descriptor) };
            socket2::SockRef::from(&descriptor).set_nonblocking(true)?;
            self.nonblocking.set(true);
        }
        Ok(())
    }

    /// Waits until a read would not block, without holding a buffer.
    ///
    /// On epoll readiness is remembered until a read finds nothing, so after a read that found all there was
    /// the memory is wrong, and whoever believed it would take a buffer and sit on it. There the socket is asked
    /// once, which also mends the memory; what comes after that is news and is believed. That one system call
    /// takes the place of the read that would have found nothing.
    pub async fn readable(&self) -> io::Result<()> {
        if monoio::utils::is_legacy() {
            if self.readable_at_once().await {
                return Ok(());
            }
            // Having asked is to wait: the driver knows whom to wake. A wait of its own begins after that.
            wake().await;
        }
        self.stream().readable(true).await
    }

    /// A read that is begun in one exchange and awaited in the next: not bound to this value, so that the socket may
    /// be moved meanwhile. On a ring it is the read itself, into the buffer if one is given; else, and on epoll, where
    /// holding one would gain nothing, the wait for it, and `None` means: read now.
    pub fn read_ahead<B: ReadBuffer>(
        &self,
        buffer: Option<impl FnOnce() -> B>,
    ) -> impl Future<Output = (io::Result<usize>, Option<B>)> + 'static {
        let stream = self.stream.clone();
        let legacy = monoio::utils::is_legacy();
        let buffer = buffer.filter(|_| !legacy).map(|make| make());
        async move {
            let Some(buffer) = buffer else {
                // SAFETY: as in `stream`: the exclusive borrows of `stream_mut` change nothing in the stream.
                let stream = unsafe { &*stream.get() };
                if legacy {
                    if at_once(stream.readable(false)).await {
                        return (Ok(0), None);
                    }
                    wake().await;
                }
                return (stream.readable(true).await.map(|()| 0), None);
            };
            // SAFETY: as in `stream_mut`: the one who holds this read is the one reader.
            let stream = unsafe { &mut *stream.get() };
            let (result, buffer) = stream.read(Reading(buffer)).await;
            (result, Some(buffer.0))
        }
    }

    /// Reads what is there, behind what the buffer holds, when `readable` has said that something is; `WouldBlock` when
    /// nothing is after all.
    ///
    /// On a ring this is one more operation among those the shard submits together: a system call of its own for each
    /// request would leave the processor's caches to the kernel in the middle of our work (measured: 5 % of a request's
    /// cost). On epoll it is a system call either way, and a direct one spares the driver's bookkeeping.
    pub async fn receive_ready<B: ReadBuffer>(&self, mut buffer: B) -> (io::Result<usize>, B) {
        if monoio::utils::is_legacy() {
            return (self.receive_now(&mut buffer), buffer);
        }
        self.receive(buffer).await
    }

    /// epoll only: whether something was there and was read. What is not (bytes, the end, an error) is left to whoever
    /// waits for it.
    pub fn receive_at_once<B: ReadBuffer>(&self, buffer: &mut B) -> bool {
        monoio::utils::is_legacy() && matches!(self.receive_now(buffer), Ok(1..))
    }

    /// Reads what is there without waiting, by a system call of its own on either driver; `WouldBlock` when nothing is.
    pub fn receive_now<B: ReadBuffer>(&self, buffer: &mut B) -> io::Result<usize> {
        let (room, length) = buffer.spare();
        loop {
            // SAFETY: `spare` gives `length` bytes of writable memory; DONTWAIT never blocks, on either driver.
            let read = unsafe { libc::recv(self.descriptor, room.cast(), length, libc::MSG_DONTWAIT) };
            if let Ok(read) = usize::try_from(read) {
                // SAFETY: the kernel wrote that many.
                unsafe { buffer.filled(read) };
                return Ok(read);
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }

    /// epoll only, where most writes find room: what goes at once, without the driver's bookkeeping. None: nothing
    /// did, or this is a ring, which writes what all requests of a turn have to say together.
    pub fn send_at_once(&self, bytes: &[u8]) -> Option<usize> {
        if !monoio::utils::is_legacy() {
            return None;
        }
        loop {
            // SAFETY: pointer and length are of one slice that lives through the call; DONTWAIT never blocks.
            let sent = unsafe {
                libc::send(
                    self.descriptor,
                    bytes.as_ptr().cast(),
                    bytes.len(),
                    libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
                )
            };
            if let Ok(sent) = usize::try_from(sent) {
                return Some(sent);
            }
            // An error is left to the write that follows.
            if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                return None;
            }
        }
    }

    /// epoll only: asks the socket whether a read would find something (bytes, the end, an error), without
    /// waiting. A no also corrects what the driver remembers, so the next read waits instead of trying in vain.
    pub async fn readable_at_once(&self) -> bool {
        at_once(self.stream().readable(false)).await
    }

    /// As `readable`, but asks the socket itself: for callers that then use a system call of their own.
    pub async fn readable_now(&self) -> io::Result<()> {
        self.stream().readable(false).await
    }

    pub async fn writable(&self) -> io::Result<()> {
        self.stream().writable(false).await
    }

    /// Reads once, behind what the buffer holds. 0 is the peer's end of stream (or a buffer without room).
    /// Dropping this future loses bytes: the kernel may already have filled the buffer.
    pub async fn receive<B: ReadBuffer>(&self, buffer: B) -> (io::Result<usize>, B) {
        let mut buffer = Reading(buffer);
        loop {
            // SAFETY: see `stream_mut`: one reader at a time, which the callers' `&mut` wire gives.
            let stream = unsafe { self.stream_mut() };
            let (result, returned) = stream.read(buffer).await;
            buffer = returned;
            if !refused(&result) {
                return (result, buffer.0);
            }
            if let Err(error) = self.readable_now().await {
                return (Err(error), buffer.0);
            }
        }
    }

    /// Writes once; may write less than all.
    pub async fn send<B: WriteBuffer>(&self, buffer: B) -> (io::Result<usize>, B) {
        let mut buffer = Writing(buffer);
        loop {
            // SAFETY: see `stream_mut`: one writer at a time, which the callers' `&mut` wire gives.
            let stream = unsafe { self.stream_mut() };
            let (result, returned) = stream.write(buffer).await;
            buffer = returned;
            if !refused(&result) {
                return (result, buffer.0);
            }
            if let Err(error) = self.writable().await {
                return (Err(error), buffer.0);
            }
        }
    }

    fn stream(&self) -> &TcpStream {
        // SAFETY: the exclusive borrows of `stream_mut` change nothing in the stream.
        unsafe { &*self.stream.get() }
    }

    /// # Safety
    /// At most one read and one write are under way. monoio's `TcpStream` says of itself (`Split`) that
    /// reading and writing through two exclusive halves at once is sound: both only clone its descriptor.
    #[allow(
        clippy::mut_from_ref,
        reason = "what monoio's own split halves do, without their reference count"
    )]
    unsafe fn stream_mut(&self) -> &mut TcpStream {
        // SAFETY: the caller's promise; the type is not Sync, so this is one thread.
        unsafe { &mut *self.stream.get() }
    }
}

/// Whether it is ready when polled once.
async fn at_once(asked: impl Future) -> bool {
    let mut asked = pin!(asked);
    poll_fn(|context| Poll::Ready(asked.as_mut().poll(context).is_ready())).await
}

/// Until polled again.
async fn wake() {
    let mut asleep = false;
    poll_fn(|_| {
        if std::mem::replace(&mut asleep, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// Only a ring's operation on a socket that was made non-blocking ends like this.
fn refused(result: &io::Result<usize>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use crate::{
        net::Buffer,
        runtime::{Driver, DriverChoice, First, Socket, block_on, choose, join},
    };
    use std::{
        os::{fd::OwnedFd, unix::net::UnixStream},
        pin::pin,
    };

    fn on_both_drivers(test: impl AsyncFn(Driver)) {
        for choice in [DriverChoice::Epoll, DriverChoice::Auto] {
            let driver = choose(choice).expect("both choices always give one").driver;
            block_on(driver, test(driver)).expect("a runtime");
        }
    }

    fn pair(driver: Driver) -> (Socket, Socket) {
        let (a, b) = UnixStream::pair().expect("a socket pair");
        for side in [&a, &b] {
            side.set_nonblocking(driver.wants_nonblocking()).expect("a flag");
        }
        (
            Socket::new(OwnedFd::from(a)).expect("a"),
            Socket::new(OwnedFd::from(b)).expect("b"),
        )
    }

    #[test]
    fn reads_and_writes_at_once() {
        on_both_drivers(async |driver| {
            let (a, b) = pair(driver);
            let reading = async {
                let (result, buffer) = a.receive(Buffer::with_capacity(16)).await;
                assert_eq!((result.expect("bytes"), buffer.filled()), (5, &b"hello"[..]));
            };
            let writing = async {
                let mut out = Buffer::with_capacity(16);
                out.vector().extend_from_slice(b"hello");
                let (sent, _) = a.send(Buffer::from(b"other way".to_vec())).await;
                assert_eq!(sent.expect("room"), 9);
                assert_eq!(b.send(out).await.0.expect("room"), 5);
            };
            join(reading, writing).await;
            b.readable().await.expect("readable");
            assert_eq!(
                b.receive(Buffer::with_capacity(64)).await.1.filled(),
                b"other way"
            );
        });
    }

    #[test]
    fn a_socket_that_was_read_empty_is_not_readable() {
        on_both_drivers(async |driver| {
            let (a, b) = pair(driver);
            for _ in 0..2 {
                let word = Buffer::from(b"word".to_vec());
                assert_eq!(b.send(word).await.0.expect("room"), 4);
                a.readable().await.expect("readable");
                assert_eq!(a.receive(Buffer::with_capacity(64)).await.0.expect("bytes"), 4);
                let mut waiting = pin!(a.readable());
                let mut pause = pin!(crate::runtime::sleep(std::time::Duration::from_millis(5)));
                let first = crate::runtime::race(waiting.as_mut(), pause.as_mut()).await;
                assert!(matches!(first, First::Right(())), "nothing is there to be read");
            }
        });
    }

    #[test]
    fn a_non_blocking_socket_waits_all_the_same() {
        on_both_drivers(async |driver| {
            let (a, b) = pair(driver);
            for socket in [&a, &b] {
                socket.make_nonblocking().expect("a flag");
            }
            let late = async {
                crate::runtime::sleep(std::time::Duration::from_millis(5)).await;
                b.send(Buffer::from(b"late".to_vec())).await.0.expect("room")
            };
            let (got, sent) = join(a.receive(Buffer::with_capacity(16)), late).await;
            assert_eq!((got.0.expect("bytes"), sent), (4, 4));

            let more_than_fits = 4 << 20;
            let sending = async {
                let mut rest = Buffer::from(vec![7; more_than_fits]);
                while !rest.is_empty() {
                    let (sent, returned) = a.send(rest).await;
                    rest = returned;
                    rest.consume(sent.expect("room, in the end"));
                }
            };
            let receiving = async {
                let mut got = 0;
                while got < more_than_fits {
                    got += b.receive(Buffer::with_capacity(65_536)).await.0.expect("bytes");
                }
            };
            join(sending, receiving).await;
        });
    }

    #[test]
    fn a_shut_socket_wakes_its_reader() {
        on_both_drivers(async |driver| {
            let (a, _b) = pair(driver);
            let wake = async {
                crate::runtime::sleep(std::time::Duration::from_millis(1)).await;
                crate::net::shut(a.descriptor());
            };
            let (ended, ()) = join(a.receive(Buffer::with_capacity(16)), wake).await;
            assert_eq!(ended.0.expect("an end of stream"), 0);
        });
    }
}
