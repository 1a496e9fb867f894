//! The client against scripted servers: what it counts as lost, and what it does not.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;

/// Lets one client meet a server that gives each accepted connection one of `answers`, is asked to end, and goes.
fn meet(answers: &'static [&'static [u8]]) -> Tally {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    let address = listener.local_addr().expect("it is bound");
    let asked = Arc::new(AtomicBool::new(false));
    let announce = Arc::clone(&asked);
    let server = thread::spawn(move || {
        // The clients' connections outlive the listener, so that the last one is refused and not reset.
        let mut listener = Some(listener);
        for (number, answer) in answers.iter().enumerate() {
            let (mut stream, _) = listener
                .as_ref()
                .expect("kept until the last")
                .accept()
                .expect("a client comes");
            let _ = stream.read(&mut [0; 1024]).expect("it asks");
            if number + 1 == answers.len() {
                announce.store(true, Ordering::SeqCst);
                listener = None;
            }
            stream.write_all(answer).expect("it listens");
        }
    });
    let tally = client(address, Duration::ZERO, &asked, &AtomicBool::new(false));
    server.join().expect("the server ends well");
    tally
}

#[test]
fn answers_that_announce_the_end_and_a_refusal_are_no_failure() {
    const LAST: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    let tally = meet(&[LAST, LAST, LAST]);
    assert_eq!((tally.connections, tally.told_to_close), (3, 3));
    assert_eq!((tally.answered_before, tally.answered_after), (2, 1));
    assert!(tally.failures.is_empty(), "{:?}", tally.failures);
}

#[test]
fn a_connection_that_ends_unannounced_loses_a_request() {
    // The first answer keeps the connection, which then ends; the second ends in the middle; the third never begins.
    let tally = meet(&[
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        b"",
    ]);
    assert_eq!(tally.failures.values().sum::<u64>(), 3, "{:?}", tally.failures);
    assert_eq!(tally.answered_before + tally.answered_after, 1);
}

#[test]
fn another_status_is_a_failure() {
    let tally = meet(&[b"HTTP/1.1 503 Away\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"]);
    assert_eq!(tally.failures.get("status 503"), Some(&1), "{:?}", tally.failures);
}
