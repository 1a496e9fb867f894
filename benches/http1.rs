//! What HTTP/1.1 costs per message: finding and understanding heads, undoing chunks, writing heads.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ringway::http1::encode::{self, Answering, Forwarding, LAST_CHUNK, chunk_prefix};
use ringway::http1::{
    BodyDecoder, Event, Framing, HeadScanner, Limits, RequestHead, ResponseHead, Scan, Version,
};

/// What load generators send.
const MINIMAL: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost:8081\r\n\r\n";

/// What a browser sends for a page of a site with a session.
const BROWSER: &[u8] = b"GET /shop/products/42?color=blue&size=m HTTP/1.1\r\n\
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

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Server: nginx\r\n\
    Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
    Content-Type: application/json; charset=utf-8\r\n\
    Content-Length: 1024\r\n\
    Connection: keep-alive\r\n\
    Cache-Control: no-store\r\n\
    ETag: \"5e9d-1a2b3c\"\r\n\
    Vary: Accept-Encoding\r\n\
    \r\n";

fn heads(c: &mut Criterion) {
    let limits = Limits::default();
    let mut group = c.benchmark_group("head");
    for (name, bytes) in [("minimal", MINIMAL), ("browser", BROWSER)] {
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(format!("scan/{name}"), |b| {
            b.iter(|| HeadScanner::default().scan(black_box(bytes), &limits));
        });
        let mut head = RequestHead::default();
        group.bench_function(format!("parse/{name}"), |b| {
            b.iter(|| head.parse(black_box(bytes), &limits));
        });
    }
    group.throughput(Throughput::Bytes(ANSWER.len() as u64));
    let mut head = ResponseHead::default();
    group.bench_function("scan and parse/response", |b| {
        b.iter(|| {
            let Scan::Complete { start, end } = HeadScanner::response().scan(black_box(ANSWER), &limits)
            else {
                panic!("not a whole head")
            };
            head.parse(&ANSWER[start..end], false, &limits)
        });
    });
    // Whether cost stays linear: a client that sends the smallest packets there are.
    group.throughput(Throughput::Bytes(BROWSER.len() as u64));
    group.bench_function("scan byte by byte/browser", |b| {
        b.iter(|| {
            let mut scanner = HeadScanner::default();
            let mut verdict = Scan::NeedMore;
            for end in 1..=BROWSER.len() {
                verdict = scanner.scan(black_box(&BROWSER[..end]), &limits);
            }
            verdict
        });
    });
    group.finish();
}

fn bodies(c: &mut Criterion) {
    let mut group = c.benchmark_group("chunked");
    for size in [16, 1024, 16 * 1024] {
        let mut body = Vec::new();
        for _ in 0..64 * 1024 / size {
            let (prefix, length) = chunk_prefix(size);
            body.extend_from_slice(&prefix[..length]);
            body.resize(body.len() + size, b'x');
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(LAST_CHUNK);
        group.throughput(Throughput::Bytes(64 * 1024));
        group.bench_function(format!("decode 64 KiB in chunks of {size}"), |b| {
            b.iter(|| {
                let mut decoder = BodyDecoder::new(Framing::Chunked);
                let mut rest = black_box(body.as_slice());
                let mut content = 0;
                while let Ok(Event::Data { skip, length }) = decoder.decode(rest) {
                    content += length;
                    rest = &rest[skip + length..];
                }
                assert!(decoder.is_complete());
                content
            });
        });
    }
    group.finish();
}

fn encoding(c: &mut Criterion) {
    let limits = Limits::default();
    let forwarding = Forwarding {
        method: b"GET",
        target: b"/products/42?color=blue&size=m",
        host: b"catalogue.internal:8080",
        client_address: b"192.0.2.33",
        scheme: b"http",
        original_host: b"www.shop.example",
        request_id: b"0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d",
        via: b"ringway-1",
        framing: Framing::None,
        max_forwards: None,
        upgrade: false,
        expect_continue: false,
    };
    let mut group = c.benchmark_group("encode");
    for (name, bytes) in [("minimal", MINIMAL), ("browser", BROWSER)] {
        let mut head = RequestHead::default();
        head.parse(bytes, &limits).expect("a proper head");
        let mut out = Vec::new();
        group.bench_function(format!("request/{name}"), |b| {
            b.iter(|| {
                out.clear();
                encode::request(&mut out, black_box(bytes), &head, &forwarding);
                out.len()
            });
        });
    }
    let mut head = ResponseHead::default();
    head.parse(ANSWER, false, &limits).expect("a proper head");
    let answering = Answering {
        version_of_client: Version::Http11,
        framing: head.framing,
        keep_alive: true,
        date: b"Thu, 01 Jan 1970 00:00:00 GMT",
        via: b"ringway-1",
        upgrade: false,
    };
    let mut out = Vec::new();
    group.bench_function("response", |b| {
        b.iter(|| {
            out.clear();
            encode::response(&mut out, black_box(ANSWER), &head, &answering);
            out.len()
        });
    });
    group.bench_function("chunk prefix", |b| {
        b.iter_batched(|| black_box(4096), chunk_prefix, BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, heads, bodies, encoding);
criterion_main!(benches);
