//! What the benchmarks read: heads and tables like those of real traffic, the same for time and for instructions.

#![allow(dead_code, reason = "each benchmark is a crate of its own and uses a part")]

use ringway::expr::{Attribute, Scope, View};
use ringway::http1::encode::{Answering, Forwarding, LAST_CHUNK, chunk_prefix};
use ringway::http1::{Framing, Version};
use ringway::route::{Api, HeaderSource, Route, Rule, RuleSource, Table};
use std::borrow::Cow;

/// What load generators send.
pub(crate) const MINIMAL: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost:8081\r\n\r\n";

/// What a browser sends for a page of a site with a session.
pub(crate) const BROWSER: &[u8] = b"GET /shop/products/42?color=blue&size=m HTTP/1.1\r\n\
    Host: www.shop.example\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Connection: keep-alive\r\n\
    Referer: https://www.shop.example/shop/products?page=2\r\n\
    Cookie: session=3f1c9a7be2d84d0f9a4c1e7b5d6f8a90; theme=dark; consent=all; cart=a1b2c3d4\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-User: ?1\r\n\
    Cache-Control: max-age=0\r\n\
    Priority: u=0, i\r\n\
    \r\n";

/// What a plain web server says of a few bytes.
pub(crate) const SMALL_ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Server: nginx\r\n\
    Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
    Content-Type: text/plain\r\n\
    Content-Length: 13\r\n\
    Connection: keep-alive\r\n\
    \r\n";

pub(crate) const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Server: nginx\r\n\
    Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
    Content-Type: application/json; charset=utf-8\r\n\
    Content-Length: 1024\r\n\
    Connection: keep-alive\r\n\
    Cache-Control: no-store\r\n\
    ETag: \"5e9d-1a2b3c\"\r\n\
    Vary: Accept-Encoding\r\n\
    \r\n";

pub(crate) const FORWARDING: Forwarding<'_> = Forwarding {
    method: b"GET",
    target: b"/products/42?color=blue&size=m",
    host: b"catalogue.internal:8080",
    client_address: b"192.0.2.33",
    scheme: b"http",
    client_certificate: b"",
    original_host: b"www.shop.example",
    request_id: b"0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d",
    via: b"ringway-1",
    framing: Framing::None,
    max_forwards: None,
    upgrade: false,
};

pub(crate) const ANSWERING: Answering<'_> = Answering {
    version_of_client: Version::Http11,
    framing: Framing::Length(1024),
    keep_alive: true,
    date: b"Thu, 01 Jan 1970 00:00:00 GMT",
    via: b"ringway-1",
    upgrade: false,
};

/// 64 KiB of content in chunks of `size`, with its end.
pub(crate) fn chunked(size: usize) -> Vec<u8> {
    let mut body = Vec::new();
    for _ in 0..64 * 1024 / size {
        let (prefix, length) = chunk_prefix(size);
        body.extend_from_slice(&prefix[..length]);
        body.resize(body.len() + size, b'x');
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(LAST_CHUNK);
    body
}

pub(crate) struct NoHeaders;

impl HeaderSource for NoHeaders {
    fn any_value(&self, _: &str, _: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        false
    }
}

/// Routes in the order of `patterns`, each with its number for a payload.
pub(crate) fn api(base_path: String, patterns: impl Iterator<Item = String>) -> Api<(), usize> {
    let route = |(payload, pattern): (usize, String)| {
        let source = RuleSource {
            path: Some(&pattern),
            methods: Some("GET|POST"),
            ..RuleSource::default()
        };
        Route {
            rules: vec![Rule::compile(&source).expect("a valid pattern")],
            payload,
        }
    };
    Api {
        base_path,
        payload: (),
        routes: patterns.enumerate().map(route).collect(),
    }
}

/// One API at the root with one route that takes every path.
pub(crate) fn catch_all() -> Table<(), usize> {
    Table::new(vec![api(String::new(), std::iter::once(".*".to_owned()))])
}

/// 1,000 APIs of 10 routes.
pub(crate) fn thousand_apis() -> Table<(), usize> {
    let apis = (0..1000).map(|n| {
        api(
            format!("/team-{}/api-{n}", n % 30),
            (0..10).map(|route| format!("/resource-{route}(/.*)?")),
        )
    });
    Table::new(apis.collect())
}

/// Name, expression, what it comes to for [`Exchange`].
pub(crate) const EXPRESSIONS: [(&str, &str, &str); 5] = [
    (
        "a header",
        "#[attributes.headers['x-client-id']]",
        "3f1c9a7be2d84d0f",
    ),
    (
        "splitBy and an index",
        "#[splitBy(attributes.headers['x-forwarded-for'], ',')[0]]",
        "203.0.113.9",
    ),
    ("a query parameter", "#[attributes.queryParams.size]", "m"),
    (
        "if, else and ++",
        "#[if (attributes.method == 'GET' or attributes.method == 'HEAD') attributes.headers['x-client-id'] ++ ':' ++ \
         attributes.requestPath else 'none']",
        "3f1c9a7be2d84d0f:/shop/products/42",
    ),
    (
        "contains of a list, with default",
        "#[['GET', 'HEAD'] contains (attributes.headers['x-http-method-override'] default attributes.method)]",
        "true",
    ),
];

pub(crate) const EXPRESSION_SCOPE: Scope = Scope::REQUEST;

/// A request with the headers of a browser and two more, in a list as a gateway keeps them.
pub(crate) struct Exchange;

const EXCHANGE_HEADERS: [(&str, &[u8]); 12] = [
    ("Host", b"www.shop.example"),
    (
        "User-Agent",
        b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    ),
    (
        "Accept",
        b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    ("Accept-Language", b"en-US,en;q=0.5"),
    ("Accept-Encoding", b"gzip, deflate, br, zstd"),
    ("Referer", b"https://www.shop.example/shop/products?page=2"),
    (
        "Cookie",
        b"session=3f1c9a7be2d84d0f9a4c1e7b5d6f8a90; theme=dark; consent=all; cart=a1b2c3d4",
    ),
    ("Sec-Fetch-Dest", b"document"),
    ("Sec-Fetch-Mode", b"navigate"),
    ("Cache-Control", b"max-age=0"),
    ("X-Forwarded-For", b"203.0.113.9, 198.51.100.7, 192.0.2.33"),
    ("X-Client-Id", b"3f1c9a7be2d84d0f"),
];

impl View for Exchange {
    fn text(&self, attribute: Attribute) -> Option<Cow<'_, [u8]>> {
        let text: &[u8] = match attribute {
            Attribute::Method => b"GET",
            Attribute::QueryString => b"color=blue&size=m",
            Attribute::RequestPath => b"/shop/products/42",
            Attribute::RequestUri => b"/shop/products/42?color=blue&size=m",
            Attribute::LocalAddress => b"192.0.2.1:8081",
            Attribute::RemoteAddress => b"192.0.2.33:50000",
            Attribute::Scheme => b"http",
            Attribute::Version => b"HTTP/1.1",
            Attribute::TlsVersion => b"TLSv1.3",
            Attribute::TlsCipherSuite => b"TLS_AES_256_GCM_SHA384",
        };
        Some(Cow::Borrowed(text))
    }

    fn header<'v>(&'v self, name: &str, visit: &mut dyn FnMut(&'v [u8])) {
        for (known, value) in &EXCHANGE_HEADERS {
            if known.eq_ignore_ascii_case(name) {
                visit(value);
            }
        }
    }

    fn headers<'v>(&'v self, visit: &mut dyn FnMut(&'v [u8], &'v [u8])) {
        for (name, value) in &EXCHANGE_HEADERS {
            visit(name.as_bytes(), value);
        }
    }

    fn random(&self) -> u64 {
        0x0123_4567_89AB_CDEF
    }
}
