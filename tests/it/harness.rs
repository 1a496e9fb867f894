//! The tests' own client and origin, against each other: a harness that forgives proves nothing.

use crate::support::{
    Broken, Client, Framing, Gate, Origin,
    message::{Head, get_request, ok, post_request},
    ports,
};

fn to(origin: &Origin) -> Client {
    Client::connect(origin.address.expect("tcp"))
}

#[test]
fn client_and_origin_agree_on_a_request_and_its_answer() {
    let origin = Origin::echoing();
    let mut client = to(&origin);
    assert_eq!(
        client
            .send(post_request("/a?b", "X-C: d\r\n", "hello"))
            .response()
            .text(),
        "hello"
    );
    assert_eq!(client.send(get_request("/second", "")).response().body, b"");
    let seen = origin.requests();
    assert_eq!((seen[0].target.as_str(), seen[0].get("x-c")), ("/a?b", Some("d")));
    assert_eq!((seen[1].connection, seen[1].framing), (0, Framing::None));
}

#[test]
fn chunks_and_trailers_are_read_in_any_pieces() {
    let gate = Gate::new();
    let wait = gate.clone();
    let origin = Origin::start(move |peer| {
        peer.request();
        peer.send_and_wait(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
            &wait,
        );
        peer.send("c\r\n0\r\nX-Sum: 1\r\n\r\n");
        peer.until_closed();
    });
    let mut client = to(&origin);
    client.drip(get_request("/", ""));
    let head = client.response_head("GET").expect("a head");
    assert_eq!(head.framing, Framing::Chunked);
    gate.open();
    let (body, trailers) = client.wire.body(head.framing).expect("a body");
    assert_eq!((body.as_slice(), trailers.len()), (b"abc".as_slice(), 1));
}

#[test]
fn a_short_body_is_truncated_and_a_silent_close_is_a_close() {
    let origin = Origin::start(|peer| {
        if peer.request().is_some_and(|request| request.target == "/short") {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        }
    });
    let short = to(&origin).send(get_request("/short", "")).try_response("GET");
    assert!(
        matches!(&short, Err(Broken::Truncated(body)) if body == b"abc"),
        "{short:?}"
    );
    let silent = to(&origin).send(get_request("/silent", "")).try_response("GET");
    assert!(matches!(silent, Err(Broken::Closed)), "{silent:?}");
}

#[test]
fn what_is_not_clean_http_is_not_read() {
    for fields in [
        "Content-Length: 1\r\nContent-Length: 1\r\n",
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: +1\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
    ] {
        let head = Head::parse(format!("GET / HTTP/1.1\r\n{fields}\r\n").as_bytes()).expect("fields");
        assert!(head.stated_framing().is_err(), "{fields:?}");
    }
    for head in [
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\n a: b\r\n\r\n",
    ] {
        assert!(Head::parse(head.as_bytes()).is_err(), "{head:?}");
    }
}

#[test]
#[should_panic(expected = "not HTTP/1.1")]
fn an_origin_that_saw_dirt_fails_the_test() {
    let origin = Origin::answering(ok(""));
    let mut client = to(&origin);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n");
    client.expect_close();
}

#[test]
fn a_refusing_address_refuses() {
    let refusing = ports::Refusing::new();
    let error = Client::try_connect(refusing.address).err().expect("refused");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}
