//! Ports from the kernel.

use socket2::{Domain, Socket, Type};
use std::{
    collections::HashSet,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Mutex,
};

/// An address nobody listens on at this moment. Somebody else may take it before it is used (the caller retries),
/// but no other test of this process is given it.
pub fn free() -> SocketAddr {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port from the kernel");
        let address = listener.local_addr().expect("bound");
        if GIVEN
            .lock()
            .unwrap()
            .get_or_insert_default()
            .insert(address.port())
        {
            return address;
        }
    }
}

/// An address that refuses connections for as long as this lives: bound, never listening.
pub struct Refusing {
    _socket: Socket,
    pub address: SocketAddr,
}

impl Refusing {
    pub fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM.cloexec(), None).expect("socket");
        socket
            .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
            .expect("a port from the kernel");
        let address = socket
            .local_addr()
            .expect("bound")
            .as_socket()
            .expect("an IP address");
        Self {
            _socket: socket,
            address,
        }
    }
}
