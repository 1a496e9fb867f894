//! The generator against scripted origins on real sockets. A busy machine only ever makes answers later, so every bound
//! on a latency is a lower one, and every count is exact.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::measured::Errors;
use super::*;

/// Serves each connection on a thread of its own, for as long as the test process lives. `serve` is called with the
/// connection, the request's number over all connections, from 0, and whether it is the connection's first; it returns
/// whether the connection goes on.
fn origin(serve: impl Fn(&mut TcpStream, u32, bool) -> bool + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    let address = listener.local_addr().expect("it is bound");
    let serve = Arc::new(serve);
    let requests = Arc::new(AtomicU32::new(0));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (serve, requests) = (serve.clone(), requests.clone());
            let mut stream = stream.expect("a client comes");
            stream.set_nodelay(true).expect("a socket takes it");
            thread::spawn(move || {
                let mut first = true;
                while read_request(&mut stream).is_some() {
                    let number = requests.fetch_add(1, Ordering::Relaxed);
                    if !serve(&mut stream, number, first) {
                        return;
                    }
                    first = false;
                }
            });
        }
    });
    address
}

/// Reads one request with the body its `Content-Length` announces; None at the connection's end.
fn read_request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read(&mut byte), Ok(1)) {
            return None;
        }
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
    if let Some((_, rest)) = head.split_once("content-length: ") {
        let length: usize = rest.lines().next()?.parse().expect("a length");
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
    }
    Some(bytes)
}

fn answer(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    stream.write_all(bytes).is_ok()
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: origin\r\n\r\n";

fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

/// 500 requests a second over 4 connections: 50 of warm-up, then 250 that count.
fn plan(address: SocketAddr, request: &[u8]) -> Plan<'_> {
    Plan {
        address,
        request,
        connections: 4,
        schedule: Schedule::new(500, milliseconds(100), milliseconds(500)),
        grace: Duration::from_secs(10),
    }
}

const COUNTED: u64 = 250;

fn run(address: SocketAddr) -> Measured {
    plan(address, GET).run().expect("it runs")
}

/// Requests whose latency is at least `latency`, up to a histogram's precision of a thousandth.
fn at_least(measured: &Measured, latency: Duration) -> u64 {
    let nanoseconds = latency.as_nanos() as u64;
    let from = nanoseconds - nanoseconds / 500;
    measured.histogram.count_between(from, u64::MAX)
}

#[test]
fn every_request_of_the_schedule_is_counted_once() {
    let measured = run(origin(|stream, _, _| answer(stream, OK)));
    assert_eq!(measured.histogram.len(), COUNTED);
    assert_eq!((measured.sent, measured.answered), (COUNTED, COUNTED));
    measured.ensure_clean().expect("each was answered");
}

#[test]
fn it_does_not_run_ahead_of_the_schedule() {
    let address = origin(|stream, _, _| answer(stream, OK));
    let begun = Instant::now();
    run(address);
    // The last request is due 598 ms after the first.
    assert!(begun.elapsed() >= milliseconds(598), "{:?}", begun.elapsed());
}

/// Coordinated omission: the origin answers nothing for 300 ms. Requests of 150 ms' worth of schedule began while at
/// least 150 ms of the stall were left. A closed loop of 4 connections would have seen 4 slow requests.
#[test]
fn a_stall_is_in_the_latency_of_all_that_should_have_been_sent() {
    let stall = Mutex::new(());
    let measured = run(origin(move |stream, number, _| {
        let held = stall.lock().expect("nobody panics");
        if number == 100 {
            // Before the lock is given back: every other connection waits behind it.
            thread::sleep(milliseconds(300));
        }
        drop(held);
        answer(stream, OK)
    }));
    measured.ensure_clean().expect("each was answered in the end");
    assert_eq!(measured.histogram.len(), COUNTED);
    assert!(measured.max() >= 299_000.0, "{}", measured.max());
    for (left, begun) in [(150, 75), (250, 25), (50, 125)] {
        let slow = at_least(&measured, milliseconds(left));
        assert!(slow >= begun - 1, "{slow} of at least {left} ms");
    }
}

#[test]
fn too_few_connections_make_requests_wait_and_that_counts() {
    // One connection, 5 ms each, asked for 500/s: the queue grows by 60 % of the requests.
    let address = origin(|stream, _, _| {
        thread::sleep(milliseconds(5));
        answer(stream, OK)
    });
    let measured = Plan {
        connections: 1,
        ..plan(address, GET)
    }
    .run()
    .expect("it runs");
    measured.ensure_clean().expect("each was answered in the end");
    // The last of 300 starts at 598 ms and cannot end before 300 × 5 ms.
    assert!(measured.max() >= 900_000.0, "{}", measured.max());
    assert!(measured.p50() >= 400_000.0, "{}", measured.p50());
}

#[test]
fn chunked_answers_are_read_to_their_end() {
    let measured = run(origin(|stream, number, _| {
        let bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n4\r\nmore\r\n0\r\n\r\n";
        // Cut at another place each time.
        let (first, second) = bytes.split_at(number as usize % bytes.len());
        answer(stream, first) && answer(stream, second)
    }));
    assert_eq!(measured.answered, COUNTED);
    measured.ensure_clean().expect("each was answered");
}

#[test]
fn statuses_other_than_200_are_errors() {
    // Of the 250 that count, each fifth.
    let measured = Plan {
        connections: 1,
        ..plan(
            origin(|stream, number, _| {
                let refused = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
                answer(stream, if number % 5 == 0 { refused } else { OK })
            }),
            GET,
        )
    }
    .run()
    .expect("it runs");
    assert_eq!((measured.errors, measured.kinds.status), (50, 50));
    assert_eq!(measured.answered, 200);
    assert_eq!(measured.histogram.len(), COUNTED);
    assert!(measured.ensure_clean().is_err());
}

#[test]
fn an_announced_close_is_no_error() {
    let measured = run(origin(|stream, _, _| {
        answer(
            stream,
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        );
        false
    }));
    measured.ensure_clean().expect("each close was announced");
    assert_eq!(measured.answered, COUNTED);
    // An answer that the connection's end delimits announces it by that.
    let measured = run(origin(|stream, _, _| {
        answer(stream, b"HTTP/1.1 200 OK\r\n\r\nok");
        false
    }));
    measured.ensure_clean().expect("each close was announced");
}

#[test]
fn a_close_without_a_word_is_an_error_and_the_rest_goes_on() {
    // A connection's second request is answered by its end.
    let measured = run(origin(|stream, _, first| first && answer(stream, OK)));
    assert!(measured.kinds.closed > 0, "{:?}", measured.kinds);
    assert_eq!(measured.errors, measured.kinds.closed);
    assert_eq!(measured.answered + measured.errors, COUNTED);
    assert_eq!(measured.histogram.len(), COUNTED);
}

#[test]
fn an_idle_connection_that_is_lost_is_an_error() {
    let measured = Plan {
        connections: 1,
        ..plan(
            origin(|stream, number, _| {
                let goes_on = answer(stream, OK);
                // The answer announced nothing.
                goes_on && number != 200 || stream.shutdown(Shutdown::Both).is_err()
            }),
            GET,
        )
    }
    .run()
    .expect("it runs");
    // Whether the next request was already on its way is a matter of timing; that it is one error is not.
    assert_eq!(
        measured.kinds,
        Errors {
            closed: 1,
            ..Errors::default()
        }
    );
}

#[test]
fn what_is_not_an_answer_is_an_error() {
    let measured = run(origin(|stream, _, _| answer(stream, b"pardon?\r\n\r\n")));
    assert_eq!((measured.answered, measured.errors), (0, COUNTED));
    assert_eq!(measured.kinds.malformed, COUNTED);
}

#[test]
fn it_ends_although_nothing_is_answered_and_counts_the_wait() {
    let address = origin(|_, _, _| true);
    let measured = Plan {
        grace: milliseconds(300),
        ..plan(address, GET)
    }
    .run()
    .expect("it runs");
    assert_eq!((measured.answered, measured.errors), (0, COUNTED));
    assert_eq!(measured.kinds.unanswered, COUNTED);
    // Four lie with the origin since the warm-up, so none that counts was ever sent.
    assert_eq!(measured.sent, 0);
    assert_eq!(at_least(&measured, milliseconds(300)), COUNTED);
    assert!(measured.max() >= 790_000.0, "{}", measured.max());
}

#[test]
fn bodies_larger_than_the_socket_takes_at_once_arrive() {
    let body = vec![b'x'; 8 << 20];
    let mut request = format!(
        "POST / HTTP/1.1\r\nHost: origin\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend(&body);
    let address = origin(|stream, _, _| {
        let large = vec![b'y'; 3 << 20];
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", large.len());
        answer(stream, head.as_bytes()) && answer(stream, &large)
    });
    let measured = Plan {
        connections: 2,
        schedule: Schedule::new(50, Duration::ZERO, milliseconds(200)),
        grace: Duration::from_secs(60),
        ..plan(address, &request)
    }
    .run()
    .expect("it runs");
    measured.ensure_clean().expect("each was answered");
    assert_eq!(measured.answered, 10);
}

#[test]
fn the_command_understands_what_load_asks_of_it() {
    use clap::Parser;
    let load = Load {
        connections: 7,
        rate: 20_000,
        seconds: 3,
        cpu: 0,
    };
    let address = SocketAddr::from(([127, 0, 0, 1], 8081));
    let arguments = load.arguments(address);
    let program = ["loadtest".to_owned()].into_iter();
    let parsed = crate::Arguments::try_parse_from(program.chain(arguments)).expect("it is a command");
    let crate::Subject::OpenLoop(options) = parsed.command else {
        panic!("another command");
    };
    assert_eq!((options.address, options.rate), (address, 20_000));
    assert_eq!((options.connections, options.seconds), (7, 3));
    assert!(options.json && options.request.is_none());
}

#[test]
fn nobody_there_is_said_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    let error = plan(address, GET).run().expect_err("nobody listens");
    assert!(error.to_string().contains("cannot connect"), "{error}");
}
