//! Requests that two readers could understand differently: refused, the connection closed, nothing forwarded.

use crate::support::{
    Gateway, Origin, both_drivers, config,
    message::{get_request, ok},
};

/// Why, and the bytes. Each is followed by a request that must never be answered.
const REFUSED: &[(&str, &str)] = &[
    (
        "length and chunks",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunks and length",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    ),
    (
        "two lengths",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ),
    (
        "a list of lengths",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 2\r\n\r\nab",
    ),
    (
        "a signed length",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\na",
    ),
    (
        "a negative length",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\na",
    ),
    (
        "a hexadecimal length",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x1\r\n\r\na",
    ),
    (
        "a length with a space",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1 0\r\n\r\n0123456789",
    ),
    (
        "an empty length",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \r\n\r\n",
    ),
    (
        "a length past 64 bits",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551617\r\n\r\na",
    ),
    (
        "an unknown coding",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked is not last",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked twice",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "two codings, two lines",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    ),
    (
        "a quoted coding",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    ),
    (
        "an empty coding",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \r\nContent-Length: 1\r\n\r\na",
    ),
    (
        "a control byte in the coding",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunks in HTTP/1.0",
        "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "a look-alike of a coding",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer_Encoding: chunked\r\nContent-Length: 1\r\n\r\na",
    ),
    (
        "a look-alike of a length",
        "POST / HTTP/1.1\r\nHost: h\r\nContent_Length: 1\r\n\r\n",
    ),
    (
        "space before the colon",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length : 1\r\n\r\na",
    ),
    (
        "tab before the colon",
        "GET / HTTP/1.1\r\nHost: h\r\nX-A\t: 1\r\n\r\n",
    ),
    (
        "a folded line",
        "GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n 2\r\n\r\n",
    ),
    ("a folded first line", "GET / HTTP/1.1\r\n Host: h\r\n\r\n"),
    (
        "a line without a colon",
        "GET / HTTP/1.1\r\nHost: h\r\nX-A\r\n\r\n",
    ),
    ("an empty name", "GET / HTTP/1.1\r\nHost: h\r\n: 1\r\n\r\n"),
    (
        "a name that is no token",
        "GET / HTTP/1.1\r\nHost: h\r\nX(A): 1\r\n\r\n",
    ),
    (
        "a bare LF in the head",
        "GET / HTTP/1.1\r\nHost: h\nX-A: 1\r\n\r\n",
    ),
    ("a bare LF at its end", "GET / HTTP/1.1\r\nHost: h\r\n\n"),
    ("bare LFs only", "GET / HTTP/1.1\nHost: h\n\n"),
    (
        "a bare CR in a value",
        "GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r2\r\n\r\n",
    ),
    (
        "NUL in a value",
        "GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\x002\r\n\r\n",
    ),
    (
        "a control byte in a value",
        "GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\x012\r\n\r\n",
    ),
    (
        "DEL in a value",
        "GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\x7f2\r\n\r\n",
    ),
    (
        "a control byte in the target",
        "GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n",
    ),
    ("a space in the target", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("a fragment in the target", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("a target without a slash", "GET a HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("a method that is no token", "GE{T / HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("two spaces", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("a tab for a space", "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("no version", "GET /\r\nHost: h\r\n\r\n"),
    ("a version in lower case", "GET / http/1.1\r\nHost: h\r\n\r\n"),
    ("a long version", "GET / HTTP/1.1.1\r\nHost: h\r\n\r\n"),
    ("HTTP/2 in plain text", "GET / HTTP/2.0\r\nHost: h\r\n\r\n"),
    ("no Host", "GET / HTTP/1.1\r\nX-A: 1\r\n\r\n"),
    ("two Hosts", "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"),
    ("a Host with a path", "GET / HTTP/1.1\r\nHost: h/x\r\n\r\n"),
    ("a Host with a user", "GET / HTTP/1.1\r\nHost: a@h\r\n\r\n"),
    ("a Host with a space", "GET / HTTP/1.1\r\nHost: h i\r\n\r\n"),
    ("a list of Hosts", "GET / HTTP/1.1\r\nHost: h, i\r\n\r\n"),
    ("a Host with a bad port", "GET / HTTP/1.1\r\nHost: h:8x\r\n\r\n"),
    (
        "an authority that disagrees",
        "GET http://other/ HTTP/1.1\r\nHost: h\r\n\r\n",
    ),
    (
        "an authority with a user",
        "GET http://a@h/ HTTP/1.1\r\nHost: h\r\n\r\n",
    ),
];

/// A chunked body's bytes: the head was good, so the refusal may come when the origin has seen a part of it.
const BAD_CHUNKS: &[(&str, &str)] = &[
    ("no size", "\r\nabc\r\n0\r\n\r\n"),
    ("a size that is not hexadecimal", "xyz\r\nabc\r\n0\r\n\r\n"),
    ("a size with 0x", "0x3\r\nabc\r\n0\r\n\r\n"),
    ("a signed size", "+3\r\nabc\r\n0\r\n\r\n"),
    ("a negative size", "-3\r\nabc\r\n0\r\n\r\n"),
    ("a size past 64 bits", "10000000000000003\r\nabc\r\n0\r\n\r\n"),
    ("a space before the size", " 3\r\nabc\r\n0\r\n\r\n"),
    ("a size that ends with LF", "3\nabc\r\n0\r\n\r\n"),
    ("a bare CR in an extension", "3;a\rb\r\nabc\r\n0\r\n\r\n"),
    ("NUL in an extension", "3;a\x00\r\nabc\r\n0\r\n\r\n"),
    ("data longer than its size", "2\r\nabc\r\n0\r\n\r\n"),
    ("data that ends with LF", "3\r\nabc\n0\r\n\r\n"),
    ("a trailer without a colon", "3\r\nabc\r\n0\r\nX\r\n\r\n"),
    ("a trailer that ends with LF", "3\r\nabc\r\n0\r\nX: 1\n\r\n"),
    ("a folded trailer", "3\r\nabc\r\n0\r\nX: 1\r\n 2\r\n\r\n"),
];

both_drivers! {
    fn ambiguous_heads_are_refused_and_reach_nobody(driver) {
        let origin = Origin::answering(ok("the origin saw it"));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        for (why, bytes) in REFUSED {
            let mut client = gateway.client();
            client.send(bytes).send_what_it_takes(get_request("/smuggled", "")).half_close();
            let answer = client.try_response("GET").unwrap_or_else(|broken| panic!("{why}: {broken:?}"));
            assert!(matches!(answer.status, 400 | 501 | 505), "{why}: {}", answer.status);
            assert!(answer.says_close(), "{why}: the answer does not say that the connection ends");
            client.expect_close();
            let seen = origin.requests();
            assert!(seen.is_empty(), "{why}: {seen:#?}");
        }
        assert_eq!(gateway.get("/").status, 200, "still serving");
    }

    /// Refused although the client never ends its head: waiting for an end would hold a connection for nothing.
    fn a_bad_byte_is_refused_as_soon_as_it_is_seen(driver) {
        let origin = Origin::answering(ok(""));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        for start in ["GET / HTTP/1.1\nHost:", "GET / HTTP/1.1\r\nX-A: \0", "GET / HTTP/1.1\r\nX: a\rb"] {
            assert_eq!(gateway.client().send(start).response().status, 400, "{start:?}");
        }
        origin.expect_nothing();
    }

    /// The origin must see either the whole of a valid body or a body cut short, never a made-up end.
    fn malformed_chunks_never_become_a_whole_request(driver) {
        let origin = Origin::answering(ok("the origin saw all of it"));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        for (why, chunks) in BAD_CHUNKS {
            let mut client = gateway.client();
            client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
            client.send_what_it_takes(chunks).send_what_it_takes(get_request("/smuggled", "")).half_close();
            match client.try_response("POST") {
                Ok(answer) => assert!(matches!(answer.status, 400 | 501), "{why}: {}", answer.status),
                Err(broken) => panic!("{why}: {broken:?}"),
            }
            client.expect_close();
            let seen = origin.requests();
            assert!(seen.is_empty(), "{why}: {seen:#?}");
        }
        assert_eq!(gateway.get("/").status, 200, "still serving");
    }

    /// Two equal lengths say one thing (RFC 9110 §8.6): refused, or forwarded as one.
    fn equal_lengths_are_one_or_refused(driver) {
        let origin = Origin::echoing();
        let gateway = Gateway::start(driver, config::api(&origin.url));
        for fields in ["Content-Length: 2\r\nContent-Length: 2\r\n", "Content-Length: 2, 2\r\n"] {
            let answer = gateway.client().send(format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\nab")).response();
            assert!(answer.status == 400 || answer.text() == "ab", "{fields:?}: {}", answer.status);
        }
    }

    fn unknown_codings_are_501(driver) {
        let origin = Origin::answering(ok(""));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let request = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n";
        let mut client = gateway.client();
        assert_eq!(client.send(request).response().status, 501);
        client.expect_close();
        origin.expect_nothing();
    }

    /// Nothing of what a refused client sent may come back to it: an error page is no mirror.
    fn a_refusal_repeats_nothing_of_the_request(driver) {
        let origin = Origin::answering(ok(""));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let answer = gateway.client().send("GET /<script>mirror</script> HTTP/1.1\r\nHost : h\r\n\r\n").response();
        assert_eq!(answer.status, 400);
        assert!(!String::from_utf8_lossy(&answer.head.raw).contains("mirror") && !answer.text().contains("mirror"));
    }

    /// What the gateway sends is written anew: odd spelling in, one spelling out.
    fn what_is_forwarded_is_framed_anew(driver) {
        let origin = Origin::echoing();
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let odd = "POST / HTTP/1.1\r\nhOST:\t h \t\r\ntransfer-encoding:  Chunked \r\n\r\n0002;x=y\r\nab\r\n000\r\n\r\n";
        assert_eq!(gateway.client().send(odd).response().text(), "ab");
        let seen = origin.request();
        assert_eq!(seen.head.all("transfer-encoding"), ["chunked"]);
        assert_eq!(seen.head.all("host").len(), 1);
    }
}
