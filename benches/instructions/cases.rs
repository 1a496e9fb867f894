//! What is counted.

use crate::samples::{
    ANSWER, ANSWERING, BROWSER, EXPRESSION_SCOPE, EXPRESSIONS, Exchange as Sample, FORWARDING, MINIMAL,
    NoHeaders, SMALL_ANSWER, catch_all, chunked, thousand_apis,
};
use ringway::expr::Template;
use ringway::http1::{
    BodyDecoder, Event, Framing, HeadScanner, Limits, RequestHead, ResponseHead, Scan,
    encode::{self, Answering, Forwarding},
};
use ringway::observe::{
    access_log::render_json,
    counters::Counters,
    queue::{RecordSender, queue},
    record::Record,
};
use ringway::policy::rate_limit::{self, Bank, HashKey, Leases, Limit};
use ringway::route::{Found, Lookup, Scratch, Table, join_upstream_path};
use std::hint::black_box;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::rc::Rc;

/// Says under which features of the processor the libraries chose their loops, then each case's name as it ran.
pub(crate) fn run_each() -> ExitCode {
    println!("{}", processor());
    for (name, mut work) in all() {
        // What is done once for all time (buffers that grow, loops chosen by CPU) is no request's cost.
        work();
        work();
        measured(&mut *work);
        println!("{name}");
    }
    ExitCode::SUCCESS
}

/// The one function inside which valgrind counts.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    work();
    // Without anything after it the call would become a jump, and valgrind would see no way out of here.
    black_box(());
}

type Case = (&'static str, Box<dyn FnMut()>);

fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    heads(&mut cases);
    encoding(&mut cases);
    bodies(&mut cases);
    // Made once: compiling ten thousand rules is what takes time under valgrind.
    let (one, thousand) = (Rc::new(catch_all()), Rc::new(thousand_apis()));
    routing(&mut cases, &one, &thousand);
    rate_limits(&mut cases);
    observing(&mut cases);
    expressions(&mut cases);
    exchanges(&mut cases, &one, &thousand);
    cases
}

fn heads(cases: &mut Vec<Case>) {
    for (name, bytes) in [
        ("head: request, minimal", MINIMAL),
        ("head: request, browser", BROWSER),
    ] {
        let bytes = aligned(bytes);
        let mut head = RequestHead::default();
        cases.push((name, Box::new(move || read_request(black_box(bytes), &mut head))));
    }
    for (name, bytes) in [
        ("head: response, small", SMALL_ANSWER),
        ("head: response, usual", ANSWER),
    ] {
        let bytes = aligned(bytes);
        let mut head = ResponseHead::default();
        cases.push((name, Box::new(move || read_response(black_box(bytes), &mut head))));
    }
}

fn encoding(cases: &mut Vec<Case>) {
    for (name, bytes) in [
        ("encode: request, minimal", MINIMAL),
        ("encode: request, browser", BROWSER),
    ] {
        let bytes = aligned(bytes);
        let mut head = RequestHead::default();
        read_request(bytes, &mut head);
        let mut out = Vec::new();
        cases.push((
            name,
            Box::new(move || {
                out.clear();
                encode::request(&mut out, black_box(bytes), &head, &FORWARDING);
            }),
        ));
    }
    let bytes = aligned(ANSWER);
    let mut head = ResponseHead::default();
    read_response(bytes, &mut head);
    let mut out = Vec::new();
    cases.push((
        "encode: response",
        Box::new(move || {
            out.clear();
            encode::response(&mut out, black_box(bytes), &head, &ANSWERING);
        }),
    ));
}

fn bodies(cases: &mut Vec<Case>) {
    for (name, size) in [
        ("body: 64 KiB in chunks of 16", 16),
        ("body: 64 KiB in chunks of 1 KiB", 1024),
        ("body: 64 KiB in chunks of 16 KiB", 16 * 1024),
    ] {
        let body = chunked(size);
        cases.push((
            name,
            Box::new(move || {
                let mut decoder = BodyDecoder::new(Framing::Chunked);
                let mut rest = black_box(body.as_slice());
                while let Ok(Event::Data { skip, length }) = decoder.decode(rest) {
                    rest = &rest[skip + length..];
                }
                assert!(decoder.is_complete());
            }),
        ));
    }
}

fn routing(cases: &mut Vec<Case>, one: &Rc<Table<(), usize>>, thousand: &Rc<Table<(), usize>>) {
    let in_one_of_thousand = "/team-17/api-527/resource-7/4711/items";
    for (name, table, path, payload) in [
        ("route: 1 catch-all route", one, "/orders/4711/items/3", 0),
        ("route: 1,000 APIs x 10 routes", thousand, in_one_of_thousand, 7),
        (
            "route: 1,000 APIs x 10 routes, path rewritten",
            thousand,
            "/team-17/api-527/./resource-7//4711/%69tems",
            7,
        ),
    ] {
        let mut scratch = Scratch::default();
        let table = table.clone();
        cases.push((
            name,
            Box::new(move || assert_eq!(find(&table, b"GET", path.as_bytes(), &mut scratch), payload)),
        ));
    }
}

/// Hashing of the key included.
fn rate_limits(cases: &mut Vec<Case>) {
    for (name, shards, requests, admitted) in [
        ("rate limit: from the bank", 1, 1_000_000, true),
        ("rate limit: of a lease", 2, 1_000_000, true),
        ("rate limit: refused", 1, 1, false),
    ] {
        let hash_key = HashKey::new(&[3; 16]);
        let shards = NonZeroU32::new(shards).expect("a shard");
        let leases = Leases::new(Bank::new(1000, hash_key), shards);
        let limit = Limit {
            requests,
            window_ms: 60_000,
        };
        let limits = rate_limit::Limits::new("counted", &[limit], &hash_key);
        let take = move || {
            let key = hash_key.value(black_box(b"client-00000000-00000000"));
            leases.take(&limits, key, 1000).admitted
        };
        // So that the one that is counted has tokens in hand, or is refused.
        for _ in 0..6 {
            take();
        }
        cases.push((name, Box::new(move || assert_eq!(take(), admitted))));
    }
}

fn observing(cases: &mut Vec<Case>) {
    let (sender, receiver) = queue(1024 * 1024);
    cases.push((
        "record: into the queue",
        Box::new(move || {
            let _open = &receiver;
            assert!(sender.push(black_box(&a_record())));
        }),
    ));
    let mut line = Vec::new();
    cases.push((
        "record: log line",
        Box::new(move || {
            line.clear();
            render_json(black_box(&a_record()), &mut line);
        }),
    ));
    let counters = Counters::default();
    cases.push((
        "counters of one exchange",
        Box::new(move || count(black_box(&counters))),
    ));
}

fn expressions(cases: &mut Vec<Case>) {
    let (_, longest, _) = EXPRESSIONS[3];
    cases.push((
        "expression: parse",
        Box::new(move || assert!(Template::parse(black_box(longest), &EXPRESSION_SCOPE).is_ok())),
    ));
    let names = [
        "expression: a header",
        "expression: splitBy and an index",
        "expression: a query parameter",
        "expression: if, else and ++",
        "expression: contains of a list, with default",
    ];
    for (name, (_, expression, _)) in names.into_iter().zip(EXPRESSIONS) {
        let template = Template::parse(expression, &EXPRESSION_SCOPE).expect("it parses");
        cases.push((
            name,
            Box::new(move || {
                black_box(template.text(black_box(&Sample)).map_or(0, |text| text.len()));
            }),
        ));
    }
}

/// Everything above in the order of a request: what an exchange costs beside sockets and the runtime.
fn exchanges(cases: &mut Vec<Case>, one: &Rc<Table<(), usize>>, thousand: &Rc<Table<(), usize>>) {
    for (name, table, request) in [
        (
            "exchange: 1 catch-all route",
            one,
            "/team-17/api-527/resource-7/4711",
        ),
        (
            "exchange: 1,000 APIs x 10 routes",
            thousand,
            "/team-17/api-527/resource-7/4711",
        ),
    ] {
        let request = aligned(format!("GET {request} HTTP/1.1\r\nHost: localhost:8081\r\n\r\n").as_bytes());
        let answer = aligned(SMALL_ANSWER);
        let mut exchange = Exchange::new(table.clone());
        cases.push((
            name,
            Box::new(move || exchange.pass(black_box(request), black_box(answer))),
        ));
    }
}

struct Exchange {
    table: Rc<Table<(), usize>>,
    request: RequestHead,
    response: ResponseHead,
    scratch: Scratch,
    target: Vec<u8>,
    out: Vec<u8>,
    counters: Counters,
    records: RecordSender,
    /// A queue whose other end is gone is another queue.
    _control: ringway::observe::queue::RecordReceiver,
}

impl Exchange {
    fn new(table: Rc<Table<(), usize>>) -> Self {
        let (records, control) = queue(1024 * 1024);
        Self {
            table,
            request: RequestHead::default(),
            response: ResponseHead::default(),
            scratch: Scratch::default(),
            target: Vec::new(),
            out: Vec::new(),
            counters: Counters::default(),
            records,
            _control: control,
        }
    }

    fn pass(&mut self, request: &[u8], answer: &[u8]) {
        let head = &mut self.request;
        read_request(request, head);
        let method = head.method.of(request);
        find(&self.table, method, head.path.of(request), &mut self.scratch);
        self.target.clear();
        join_upstream_path(&mut self.target, "/", self.scratch.suffix());
        self.out.clear();
        let forwarding = Forwarding {
            method,
            target: &self.target,
            ..FORWARDING
        };
        encode::request(&mut self.out, request, head, &forwarding);
        black_box(&self.out);

        read_response(answer, &mut self.response);
        self.out.clear();
        let answering = Answering {
            framing: self.response.framing,
            ..ANSWERING
        };
        encode::response(&mut self.out, answer, &self.response, &answering);
        black_box(&self.out);
        count(&self.counters);
        assert!(self.records.push(&a_record()));
    }
}

fn read_request(bytes: &[u8], head: &mut RequestHead) {
    let limits = black_box(Limits::default());
    let Scan::Complete { start, end } = HeadScanner::default().scan(bytes, &limits) else {
        panic!("not a whole head")
    };
    head.parse(&bytes[start..end], &limits).expect("a proper head");
}

fn read_response(bytes: &[u8], head: &mut ResponseHead) {
    let limits = black_box(Limits::default());
    let Scan::Complete { start, end } = HeadScanner::response().scan(bytes, &limits) else {
        panic!("not a whole head")
    };
    head.parse(&bytes[start..end], false, &limits)
        .expect("a proper head");
}

fn find(table: &Table<(), usize>, method: &[u8], path: &[u8], scratch: &mut Scratch) -> usize {
    let lookup = Lookup {
        method,
        path,
        host: b"api.example.com:8081",
        headers: &NoHeaders,
    };
    match table.find(black_box(&lookup), scratch) {
        Found::Route { route, .. } => route.payload,
        _ => panic!("no route"),
    }
}

fn count(counters: &Counters) {
    counters.requests.add(1);
    counters.upstream_reuses.add(1);
    counters.bytes_in.add(120);
    counters.bytes_out.add(300);
    counters.count_response(200);
}

fn a_record() -> Record<'static> {
    Record {
        unix_millis: 784_111_777_123,
        client: ([192, 0, 2, 33], 50_123).into(),
        api: "default/shop",
        cluster: "default/catalogue",
        endpoint: Some(([192, 0, 2, 7], 8080).into()),
        method: b"GET",
        target: b"/shop/products/42?color=blue&size=m",
        host: b"www.shop.example",
        request_id: b"0a1b2c3d4e5f4a6b8c7d9e0f1a2b3c4d",
        status: 200,
        bytes_in: 120,
        bytes_out: 1300,
        duration_micros: 812,
        upstream_micros: 640,
        keep_alive: true,
        ..Record::default()
    }
}

/// Where in a cache line the bytes begin decides how many steps a vector loop takes.
fn aligned(bytes: &[u8]) -> &'static [u8] {
    let mut room = vec![0; bytes.len() + 64];
    let start = room.as_ptr().align_offset(64);
    room[start..start + bytes.len()].copy_from_slice(bytes);
    &room.leak()[start..start + bytes.len()]
}

#[cfg(target_arch = "x86_64")]
fn processor() -> &'static str {
    if std::arch::is_x86_feature_detected!("avx2") {
        "x86-64 with AVX2"
    } else {
        "x86-64 without AVX2"
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn processor() -> &'static str {
    std::env::consts::ARCH
}
