use super::*;
use crate::{
    listener::Admission,
    observe::counters::Counters,
    policy::rate_limit::{Bank, HashKey},
    route,
    runtime::{Driver, DriverChoice, choose},
    shard::{
        Message, Parts, Start, inbox, run,
        snapshot::{Api, Listener, Snapshot},
    },
};
use std::{
    io::{Read, Write},
    net::TcpStream,
    num::NonZeroU32,
    sync::{Arc, mpsc},
};

/// A request for this target panics where exchanges are served; in this test build only.
pub(super) const PANICS: &[u8] = b"/panics";

#[test]
fn every_address_fits() {
    for text in [
        "1.2.3.4",
        "255.255.255.255",
        "::1",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ] {
        let client = SocketAddr::new(text.parse().expect("an address"), 1);
        assert_eq!(AddressText::new(client).as_bytes(), text.as_bytes());
    }
}

#[test]
fn a_waiting_connection_is_small() {
    fn size_of_future<F: Future>(_: impl Fn(Open, Box<Arrival>) -> F) -> usize {
        size_of::<F>()
    }
    let size = size_of_future(task);
    assert!(size <= 1024, "{size} bytes");
}

#[test]
fn a_panic_closes_its_own_connection_on_epoll() {
    a_panic_closes_its_own_connection(Driver::Epoll);
}

#[test]
fn a_panic_closes_its_own_connection_on_io_uring() {
    match choose(DriverChoice::IoUring) {
        Ok(chosen) => a_panic_closes_its_own_connection(chosen.driver),
        Err(unavailable) => eprintln!("skipped: {}", unavailable.0),
    }
}

/// A whole shard on a thread of its own, one listener, no API: every good request is a 404.
fn a_panic_closes_its_own_connection(driver: Driver) {
    let listener = net::bind("127.0.0.1:0".parse().expect("an address"), true).expect("a port");
    let address = std::net::TcpListener::from(listener.try_clone().expect("a copy"))
        .local_addr()
        .expect("it");
    let snapshot = Snapshot {
        listeners: vec![Listener {
            address,
            tls: None,
            routes: route::Table::<Api, _>::new(Vec::new()),
        }],
        ..Snapshot::default()
    };
    let counters = Arc::new(Counters::default());
    let (outbox, inbox) = inbox().expect("descriptors");
    let (ready, is_ready) = mpsc::channel();
    let parts = Parts {
        driver,
        snapshot: Arc::new(snapshot),
        counters: counters.clone(),
        admission: Arc::new(Admission::new(10, None)),
        records: None,
        pseudonym: "ringway-test".into(),
        peers: None,
        shards: NonZeroU32::MIN,
        bank: Bank::new(1, HashKey::new(&[1; 16])),
        storage: None,
        tickets: crate::tls::Tickets::new(None, std::time::SystemTime::now()).expect("random numbers"),
        seed: 1,
    };
    let ready = Box::new(move || ready.send(()).expect("the test waits"));
    let start = Start {
        parts,
        listeners: vec![listener],
        inbox,
        cpu: None,
        ready,
    };
    let shard = std::thread::spawn(move || run(start));
    is_ready.recv().expect("the shard starts");

    let mut bystander = TcpStream::connect(address).expect("a connection");
    assert!(ask(&mut bystander, "/before").starts_with("HTTP/1.1 404"));
    let mut unlucky = TcpStream::connect(address).expect("a connection");
    assert_eq!(
        ask(&mut unlucky, std::str::from_utf8(PANICS).expect("ASCII")),
        "",
        "closed without an answer"
    );
    assert!(
        ask(&mut bystander, "/after").starts_with("HTTP/1.1 404"),
        "another connection is untouched"
    );
    assert!(ask(&mut TcpStream::connect(address).expect("new ones"), "/new").starts_with("HTTP/1.1 404"));
    assert_eq!(counters.panics.get(), 1);

    drop((bystander, unlucky));
    outbox.send(Message::Drain);
    shard
        .join()
        .expect("no panic of the shard")
        .expect("an orderly end");
    assert_eq!(
        counters.connections_open.get(),
        0,
        "the one that panicked is counted out as well"
    );
}

/// One request; what comes back in one read, or nothing when the connection ends.
fn ask(stream: &mut TcpStream, target: &str) -> String {
    stream
        .set_read_timeout(Some(std::time::Duration::from_secs(10)))
        .expect("a time-out");
    write!(stream, "GET {target} HTTP/1.1\r\nHost: test\r\n\r\n").expect("room");
    let mut reply = [0; 1024];
    loop {
        match stream.read(&mut reply) {
            // The kernel interrupts waits of a process in which a ring is at work.
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            result => return String::from_utf8_lossy(&reply[..result.unwrap_or_default()]).into_owned(),
        }
    }
}
