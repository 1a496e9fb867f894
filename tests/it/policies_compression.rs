//! `compression` through the real binary.

use crate::{
    policies::{binding, with},
    support::{
        Gate, Gateway, Origin, both_drivers,
        message::{get_request, response},
    },
};
use std::io::Read;

fn plain(coding: Option<&str>, body: &[u8]) -> String {
    let mut text = String::new();
    match coding {
        Some("gzip") => flate2::read::GzDecoder::new(body).read_to_string(&mut text),
        Some("br") => brotli::Decompressor::new(body, 4096).read_to_string(&mut text),
        Some("zstd") => {
            zstd::stream::read::Decoder::new(body).and_then(|mut decoder| decoder.read_to_string(&mut text))
        }
        Some(other) => panic!("{other} is not ours"),
        None => {
            text = String::from_utf8_lossy(body).into_owned();
            Ok(0)
        }
    }
    .expect("what the gateway made of it");
    text
}

const JSON: &str = "Content-Type: application/json; charset=utf-8\r\nETag: \"x\"\r\nAccept-Ranges: bytes\r\n";

both_drivers! {
    fn answers_come_in_the_coding_the_client_takes(driver) {
        let text = "[\"the same again\"],".repeat(20_000);
        let body = text.clone();
        let origin = Origin::start(move |peer| {
            while peer.request().is_some() {
                peer.send(response("200 OK", JSON, &body));
            }
        });
        let gateway = Gateway::start(driver, with(&origin, &[binding("small", "compression", "", "")]));
        let mut client = gateway.client();
        for (accept, coding) in [
            ("gzip, deflate, br, zstd", Some("zstd")), ("gzip, deflate, br", Some("br")), ("gzip", Some("gzip")),
            ("gzip;q=0.5, br;q=0.1", Some("gzip")), ("identity", None), ("gzip;q=0, *;q=0", None), ("", None),
        ] {
            let line = if accept.is_empty() { String::new() } else { format!("Accept-Encoding: {accept}\r\n") };
            let answer = client.send(get_request("/", &line)).response();
            assert_eq!(answer.get("content-encoding"), coding, "{accept}");
            assert_eq!(answer.get("vary"), Some("Accept-Encoding"));
            assert!(plain(coding, &answer.body) == text, "{accept}");
            if coding.is_some() {
                assert!(answer.body.len() < text.len() / 10, "{} bytes of {}", answer.body.len(), text.len());
                assert_eq!((answer.get("etag"), answer.get("accept-ranges"), answer.get("content-length")), (Some("W/\"x\""), None, None));
            } else {
                assert_eq!((answer.get("etag"), answer.get("accept-ranges")), (Some("\"x\""), Some("bytes")));
            }
        }
        let head = client.send("HEAD / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n").response_to_head();
        assert_eq!((head.get("content-encoding"), head.get("content-length")), (None, Some(text.len().to_string().as_str())));
        // A client of HTTP/1.0 reads to the end of the connection.
        let mut old = gateway.client();
        let answer = old.send("GET / HTTP/1.0\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n").response();
        assert_eq!(answer.get("transfer-encoding"), None);
        assert!(plain(Some("gzip"), &answer.body) == text);
    }

    fn what_is_better_left_alone_is(driver) {
        let large = "x".repeat(5000);
        for (status, lines, body) in [
            ("200 OK", "Content-Type: image/png\r\n", large.as_str()),
            ("200 OK", "", large.as_str()),
            ("200 OK", "Content-Type: application/json\r\n", "{}"),
            ("200 OK", "Content-Type: application/json\r\nContent-Encoding: br\r\n", large.as_str()),
            ("200 OK", "Content-Type: text/plain\r\nContent-Encoding: identity\r\nContent-Encoding: br\r\n", large.as_str()),
            ("200 OK", "Content-Type: text/plain\r\nCache-Control: public, no-transform\r\n", large.as_str()),
            ("206 Partial Content", "Content-Type: text/plain\r\nContent-Range: bytes 0-4999/9999\r\n", large.as_str()),
            ("200 OK", "Content-Type: text/event-stream\r\n", large.as_str()),
        ] {
            let origin = Origin::answering(response(status, lines, body));
            let gateway = Gateway::start(driver, with(&origin, &[binding("small", "compression", "", "")]));
            let answer = gateway.client().send(get_request("/", "Accept-Encoding: gzip\r\n")).response();
            assert_eq!(answer.text(), body, "{status} {lines}");
            assert_eq!(answer.get("content-length"), Some(body.len().to_string().as_str()));
        }
    }

    /// The origin goes on only when the client has read what it said before: held back for better compression it would
    /// wait for ever.
    fn what_streams_is_not_held_back(driver) {
        let gate = Gate::new();
        let opened = gate.clone();
        let origin = Origin::start(move |peer| {
            peer.request();
            peer.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":1,\r\n");
            opened.wait();
            peer.send("6\r\n\"b\":2}\r\n0\r\n\r\n");
            peer.request();
        });
        let config = "encodings: [ gzip ]\ncontentTypes: [ 'application/*' ]\neffort: fast";
        let gateway = Gateway::start(driver, with(&origin, &[binding("small", "compression", config, "")]));
        let mut client = gateway.client();
        client.send(get_request("/", "Accept-Encoding: gzip\r\n"));
        let head = client.response_head("GET").expect("a head");
        assert_eq!((head.get("content-encoding"), head.get("transfer-encoding")), (Some("gzip"), Some("chunked")));
        let mut seen = Vec::new();
        let text = |seen: &[u8]| {
            let mut out = Vec::new();
            let _ = flate2::read::GzDecoder::new(seen).read_to_end(&mut out);
            String::from_utf8_lossy(&out).into_owned()
        };
        while !text(&seen).contains("\"a\":1") {
            seen.extend(client.wire.chunk().expect("a chunk"));
        }
        gate.open();
        loop {
            let chunk = client.wire.chunk().expect("a chunk");
            if chunk.is_empty() {
                break;
            }
            seen.extend(chunk);
        }
        assert_eq!(text(&seen), "{\"a\":1,\"b\":2}");
    }

    /// An answer kept compressed is given to those alone who take it so.
    fn a_cache_keeps_each_coding_apart(driver) {
        let text = "words, ".repeat(2000);
        let origin = Origin::answering(response("200 OK", "Content-Type: text/plain\r\n", &text));
        let yaml = with(&origin, &[
            binding("cache", "http-caching-flex", "", "order: 1\n"),
            binding("small", "compression", "", "order: 2\n"),
        ]);
        let gateway = Gateway::setup(driver, yaml).shards(1).start();
        let mut client = gateway.client();
        for _ in 0..2 {
            for coding in [Some("gzip"), None, Some("br")] {
                let line = coding.map_or(String::new(), |coding| format!("Accept-Encoding: {coding}\r\n"));
                let answer = client.send(get_request("/", &line)).response();
                assert_eq!(answer.get("content-encoding"), coding);
                assert!(plain(coding, &answer.body) == text);
            }
        }
        assert_eq!(origin.requests().len(), 3);
    }
}
