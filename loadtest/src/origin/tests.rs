//! The origin as a client sees it: over a socket, in one piece and byte by byte.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;

use super::*;

fn origin(body_bytes: u64) -> TcpStream {
    delaying_origin(body_bytes, Duration::ZERO)
}

/// An origin on a thread that ends with the test process.
fn delaying_origin(body_bytes: u64, delay: Duration) -> TcpStream {
    let (sender, receiver) = mpsc::channel();
    let options = Options { body_bytes, delay };
    std::thread::spawn(move || {
        serve(0, options, move |address| {
            sender.send(address).map_err(io::Error::other)
        })
    });
    let stream = TcpStream::connect(receiver.recv().expect("the origin says where")).expect("it accepts");
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a socket takes a time-out");
    stream
}

fn answer(body_bytes: u64) -> Vec<u8> {
    let mut expected =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {body_bytes}\r\n\r\n")
            .into_bytes();
    expected.extend(body(body_bytes));
    expected
}

fn expect(stream: &mut TcpStream, expected: &[u8]) {
    let mut got = vec![0; expected.len()];
    stream.read_exact(&mut got).expect("a whole answer");
    assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(expected));
}

fn expect_end(stream: &mut TcpStream) {
    assert_eq!(stream.read(&mut [0; 1]).expect("an orderly end"), 0);
}

#[test]
fn keeps_the_connection_and_answers_the_same() {
    let mut stream = origin(13);
    for _ in 0..3 {
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .expect("it is sent");
        expect(&mut stream, &answer(13));
    }
}

#[test]
fn reads_bodies_and_pipelined_requests_however_they_are_cut() {
    let bytes = b"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\n\r\n\r\nxGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for step in 1..=bytes.len() {
        let mut connection_answers = 0;
        let mut stream = origin(13);
        for piece in bytes.chunks(step) {
            stream.write_all(piece).expect("it is sent");
        }
        while connection_answers < 2 {
            expect(&mut stream, &answer(13));
            connection_answers += 1;
        }
        stream.shutdown(std::net::Shutdown::Write).expect("it was open");
        expect_end(&mut stream);
    }
}

#[test]
fn closes_when_asked_and_after_http_1_0() {
    for request in [
        "GET / HTTP/1.1\r\nConnection: Close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
    ] {
        let mut stream = origin(13);
        stream.write_all(request.as_bytes()).expect("it is sent");
        expect(&mut stream, &answer(13));
        expect_end(&mut stream);
    }
}

#[test]
fn head_has_the_length_and_no_body() {
    let mut stream = origin(1000);
    stream.write_all(b"HEAD / HTTP/1.1\r\n\r\n").expect("it is sent");
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n";
    expect(&mut stream, head);
    stream.shutdown(std::net::Shutdown::Write).expect("it was open");
    expect_end(&mut stream);
}

#[test]
fn a_large_answer_arrives_whole_and_several_keep_their_order() {
    let large = 8 * 1024 * 1024;
    let mut stream = origin(large);
    stream
        .write_all(&b"GET / HTTP/1.1\r\n\r\n".repeat(3))
        .expect("it is sent");
    let expected = answer(large);
    let mut got = vec![0; expected.len()];
    for _ in 0..3 {
        stream.read_exact(&mut got).expect("a whole answer");
        assert!(got == expected, "every byte of 8 MiB");
    }
}

#[test]
fn a_body_of_several_blocks_and_a_bit_has_no_seam() {
    let bytes = BLOCK_BYTES * 3 + 7;
    let mut stream = origin(bytes);
    for _ in 0..2 {
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("it is sent");
        expect(&mut stream, &answer(bytes));
    }
}

#[test]
fn a_body_is_known_and_one_with_a_wrong_byte_is_not() {
    let mut bytes = body(BLOCK_BYTES * 2 + 7);
    assert!(is_body(&bytes) && is_body(&bytes[..13]) && is_body(b""));
    *bytes.last_mut().expect("it is long") = b'?';
    assert!(!is_body(&bytes));
}

#[test]
fn a_delayed_answer_comes_late_and_pipelined_ones_all_come() {
    let delay = Duration::from_millis(50);
    let mut stream = delaying_origin(13, delay);
    let began = Instant::now();
    stream
        .write_all(&b"GET / HTTP/1.1\r\n\r\n".repeat(2))
        .expect("it is sent");
    stream
        .write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        .expect("it is sent");
    for _ in 0..3 {
        expect(&mut stream, &answer(13));
    }
    assert!(began.elapsed() >= delay, "{:?}", began.elapsed());
    expect_end(&mut stream);
}

#[test]
fn what_it_does_not_do_ends_the_connection() {
    for request in [
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ] {
        let mut stream = origin(13);
        stream.write_all(request.as_bytes()).expect("it is sent");
        expect_end(&mut stream);
    }
}
