//! Socket options and the few system calls that never wait: bind, accept, connect, shut down, look.

use crate::runtime::Driver;
use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, Type};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd},
    path::Path,
};

/// Connections the kernel completes for one listener before we accept them; the kernel caps it at
/// `net.core.somaxconn`. Per shard, since each has its own listener.
pub const BACKLOG: i32 = 1024;

/// A listener that shares its address with this process's other shards. Nodelay is inherited by what it
/// accepts. IPv6 listeners are IPv6 only, so that `0.0.0.0` and `[::]` can stand side by side.
///
/// # Errors
/// The kernel's; `AddrInUse` when someone without SO_REUSEPORT has it.
pub fn bind(address: SocketAddr, shared: bool) -> io::Result<OwnedFd> {
    let socket = socket2::Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&SockAddr::from(address))?;
    if shared {
        socket.set_tcp_nodelay(true)?;
        socket.listen(BACKLOG)?;
    }
    Ok(socket.into())
}

/// A connection just accepted.
#[derive(Debug)]
pub struct Accepted {
    pub descriptor: OwnedFd,
    pub client: SocketAddr,
}

/// Accepts one connection if there is one. A system call of our own and not the ring's accept: that one sets
/// no CLOEXEC in monoio 0.2.4 and, dropped at the wrong moment, leaks a connection.
///
/// # Errors
/// `WouldBlock` when the queue is empty; EMFILE and its like.
pub fn accept(listener: RawFd, driver: Driver) -> io::Result<Accepted> {
    let flags = libc::SOCK_CLOEXEC
        | if driver.wants_nonblocking() {
            libc::SOCK_NONBLOCK
        } else {
            0
        };
    let mut made = -1;
    let accept = |storage: *mut SockAddrStorage, size: *mut libc::socklen_t| {
        // SAFETY: `try_init` gives valid pointers to storage and its length; the listener is borrowed alive.
        made = unsafe { libc::accept4(listener, storage.cast(), size, flags) };
        if made < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    };
    // SAFETY: where `accept` succeeds the kernel has written an address of the length it says.
    let ((), address) = unsafe { SockAddr::try_init(accept) }?;
    // SAFETY: accept4 just made this descriptor; nobody else owns it.
    let descriptor = unsafe { OwnedFd::from_raw_fd(made) };
    let client = address
        .as_socket()
        .unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0));
    Ok(Accepted { descriptor, client })
}

/// Another descriptor of the same socket, for a connection that changes threads: what the driver still knows of
/// the first one ends with the first one. Flags of the socket, such as non-blocking, are those of both.
///
/// # Errors
/// No descriptors left.
pub fn duplicate(descriptor: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the caller's socket owns the descriptor and lives through the call.
    unsafe { BorrowedFd::borrow_raw(descriptor) }.try_clone_to_owned()
}

/// Begins a TCP connection without waiting; writable means decided, `connect_result` says how.
///
/// # Errors
/// No descriptor, or refused at once.
pub fn connect(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = socket2::Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    socket.set_tcp_nodelay(true)?;
    begin(&socket, &SockAddr::from(address))?;
    Ok(socket.into())
}

/// The same to a UNIX socket.
///
/// # Errors
/// As [`connect`]; a full queue (EAGAIN) counts as refused.
pub fn connect_unix(path: &Path) -> io::Result<OwnedFd> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    match begin(&socket, &SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(io::ErrorKind::ConnectionRefused.into())
        }
        other => other.map(|()| socket.into()),
    }
}

fn begin(socket: &socket2::Socket, address: &SockAddr) -> io::Result<()> {
    match socket.connect(address) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
        other => other,
    }
}

/// How a connection attempt ended, and the socket made fit for the driver: a ring waits on blocking sockets.
///
/// # Errors
/// Refused, unreachable, or shut by its deadline.
pub fn connect_result(descriptor: RawFd, driver: Driver) -> io::Result<()> {
    let socket = std::mem::ManuallyDrop::new(
        // SAFETY: borrowed for the calls below and never dropped, so the owner's descriptor stays open.
        unsafe { socket2::Socket::from_raw_fd(descriptor) },
    );
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    // A socket whose attempt was shut has no error to take and no peer.
    socket.peer_addr()?;
    if !driver.wants_nonblocking() {
        socket.set_nonblocking(false)?;
    }
    Ok(())
}

/// Of this end of a connection; None where the kernel does not say, or it has no such address.
pub fn local_address(descriptor: RawFd) -> Option<SocketAddr> {
    // SAFETY: the descriptor is open while its owner lends it, and is not closed by this view of it.
    let socket = unsafe { std::os::fd::BorrowedFd::borrow_raw(descriptor) };
    socket2::SockRef::from(&socket).local_addr().ok()?.as_socket()
}

/// Whether the other end has closed its writing half, or the connection broke.
pub(super) fn is_closed_by_peer(descriptor: RawFd) -> bool {
    let mut asked = libc::pollfd {
        fd: descriptor,
        events: libc::POLLRDHUP,
        revents: 0,
    };
    // SAFETY: one entry, which lives until the call returns; it does not wait.
    let said = unsafe { libc::poll(&raw mut asked, 1, 0) };
    said > 0 && asked.revents & (libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR | libc::POLLNVAL) != 0
}

/// Whether a read would find something: bytes, the end, an error. Takes nothing and never waits.
pub(super) fn has_news(descriptor: RawFd) -> bool {
    let mut byte = 0u8;
    // SAFETY: a valid pointer to one byte; PEEK leaves it in the socket, DONTWAIT never blocks.
    let result = unsafe {
        libc::recv(
            descriptor,
            (&raw mut byte).cast(),
            1,
            libc::MSG_PEEK | libc::MSG_DONTWAIT,
        )
    };
    !(result < 0 && io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock)
}

/// What has come so far, as much as there is room for; it stays in the socket. 0: the other end has closed.
///
/// # Errors
/// `WouldBlock` when nothing has come; else the connection is broken.
pub fn peek_now(descriptor: RawFd, room: &mut [u8]) -> io::Result<usize> {
    receive_now(descriptor, room, libc::MSG_PEEK)
}

/// Takes `length` bytes that have come and were looked at before.
///
/// # Errors
/// They were not all there.
pub fn take_now(descriptor: RawFd, mut length: usize) -> io::Result<()> {
    let mut room = [0; 256];
    while length > 0 {
        let most = length.min(room.len());
        match receive_now(descriptor, &mut room[..most], 0)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            taken => length -= taken,
        }
    }
    Ok(())
}

fn receive_now(descriptor: RawFd, room: &mut [u8], flags: libc::c_int) -> io::Result<usize> {
    // SAFETY: pointer and length are of one slice that lives through the call, which does not wait.
    let received = unsafe {
        libc::recv(
            descriptor,
            room.as_mut_ptr().cast(),
            room.len(),
            flags | libc::MSG_DONTWAIT,
        )
    };
    usize::try_from(received).map_err(|_| io::Error::last_os_error())
}

/// Writes what fits without waiting; for a last word to a connection that is refused. Loss is accepted.
pub fn send_now(descriptor: RawFd, bytes: &[u8]) {
    // SAFETY: pointer and length are of one slice that lives through the call.
    unsafe {
        libc::send(
            descriptor,
            bytes.as_ptr().cast(),
            bytes.len(),
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    };
}

/// Makes a listener ignore new connection attempts (a classic BPF program drops their SYN) while those half
/// way through the handshake complete. Closing a SO_REUSEPORT listener resets what sits in its queue, so a
/// drain does this first, then accepts until the queue is empty, then closes. A client whose SYN was dropped
/// repeats it after a second and finds the port closed, or another process there.
///
/// # Errors
/// The kernel's; the drain then goes on without, as other servers always do.
pub fn refuse_new_connections(listener: RawFd) -> io::Result<()> {
    const LOAD_BYTE: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
    const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
    const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    const TCP_FLAGS_OFFSET: u32 = 13;
    const SYN_AND_ACK: u32 = 0x12;
    const SYN: u32 = 0x02;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut program = [
        step(LOAD_BYTE, 0, 0, TCP_FLAGS_OFFSET),
        step(AND, 0, 0, SYN_AND_ACK),
        step(JUMP_IF_EQUAL, 0, 1, SYN),
        step(RETURN, 0, 0, 0),
        step(RETURN, 0, 0, u32::MAX),
    ];
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the program outlives the call, which copies it; the length is that of the struct passed.
    let result = unsafe {
        libc::setsockopt(
            listener,
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const filter).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Ends both directions; whoever waits on the socket wakes. Errors mean it had ended before.
pub fn shut(descriptor: RawFd) {
    // SAFETY: no memory is involved; a wrong descriptor would be the caller's, and is refused by the kernel.
    unsafe { libc::shutdown(descriptor, libc::SHUT_RDWR) };
}

/// Readers wake with an end of stream; writing goes on.
pub(super) fn shut_read(descriptor: RawFd) {
    // SAFETY: as above.
    unsafe { libc::shutdown(descriptor, libc::SHUT_RD) };
}

pub fn shut_write(descriptor: RawFd) {
    // SAFETY: as above.
    unsafe { libc::shutdown(descriptor, libc::SHUT_WR) };
}

/// Closing will send a reset: the one way to tell an HTTP/1.0 client that a close-delimited body is cut short.
pub(super) fn reset_on_close(descriptor: RawFd) {
    let socket = std::mem::ManuallyDrop::new(
        // SAFETY: borrowed for one call and never dropped.
        unsafe { socket2::Socket::from_raw_fd(descriptor) },
    );
    // An error means the socket is gone, which is what was wanted.
    let _ = socket.set_linger(Some(std::time::Duration::ZERO));
}

/// Raises the soft limit of descriptors to the hard one; gives the limit now in force.
pub fn raise_descriptor_limit() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: a valid pointer to a struct of the right type.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return 1024;
    }
    let raised = libc::rlimit {
        rlim_cur: limit.rlim_max,
        ..limit
    };
    // SAFETY: as above.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } == 0 {
        return raised.rlim_cur;
    }
    limit.rlim_cur
}
