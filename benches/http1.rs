//! What HTTP/1.1 costs per message: finding and understanding heads, undoing chunks, writing heads.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ringway::http1::encode::{self, chunk_prefix};
use ringway::http1::{BodyDecoder, Event, Framing, HeadScanner, Limits, RequestHead, ResponseHead, Scan};
use samples::{ANSWER, ANSWERING, BROWSER, FORWARDING, MINIMAL, chunked};

mod samples;

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
        let body = chunked(size);
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
    let mut group = c.benchmark_group("encode");
    for (name, bytes) in [("minimal", MINIMAL), ("browser", BROWSER)] {
        let mut head = RequestHead::default();
        head.parse(bytes, &limits).expect("a proper head");
        let mut out = Vec::new();
        group.bench_function(format!("request/{name}"), |b| {
            b.iter(|| {
                out.clear();
                encode::request(&mut out, black_box(bytes), &head, &FORWARDING);
                out.len()
            });
        });
    }
    let mut head = ResponseHead::default();
    head.parse(ANSWER, false, &limits).expect("a proper head");
    let mut out = Vec::new();
    group.bench_function("response", |b| {
        b.iter(|| {
            out.clear();
            encode::response(&mut out, black_box(ANSWER), &head, &ANSWERING);
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
