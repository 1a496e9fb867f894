//! A limit is what is written, at full speed: 1, 2 and 4 shards, 200 connections. What is admitted is answered by the gateway
//! itself (403, of a policy behind the limit), so that nothing slows it down; what is refused, 429.

use crate::support::{
    DEADLINE, Driver, Gateway, Origin, both_drivers, config, gateway::run_to_end, message::ok, say,
    tools::present,
};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::Command,
    sync::{
        Barrier,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

both_drivers! {
    /// Each key is a window of its own, too long to end meanwhile: no clock decides.
    fn every_window_admits_exactly_the_limit(driver) {
        for shards in [1, 2, 4] {
            for (limit, windows) in [(1, 5), (50, 5), (100_000, 1)] {
                let gateway = limited(driver, shards, limit, 600_000, BLOCKED);
                for window in 0..windows {
                    let request = format!("GET / HTTP/1.1\r\nHost: h\r\nX-Window: {window}\r\n\r\n");
                    let (admitted, asked) = all_that_are_admitted(gateway.address, &request, limit);
                    say(&format!(
                        "{} shards {shards} limit {limit:>6}: {admitted} admitted of {asked} on 200 connections",
                        driver.name()
                    ));
                    assert_eq!(admitted, limit);
                }
            }
        }
    }

    /// The same by a client of somebody else's. What is admitted is sent elsewhere here, which wrk takes for success. What
    /// is under way when it stops it does not count; by then there is nothing left to be admitted.
    fn wrk_is_admitted_exactly_so_often(driver) {
        if !present(&["wrk"]) {
            return;
        }
        for (shards, limit) in [(1, 1), (2, 50), (4, 50), (2, 100_000)] {
            let mut seconds = if limit > 50 { 12 } else { 1 };
            // Where it was too slow to come to the limit, it gets another one and twice the time.
            let (admitted, asked) = loop {
                let gateway = limited(driver, shards, limit, 600_000, ELSEWHERE);
                match what_wrk_says(&gateway.url("/"), seconds) {
                    (asked, Some(refused)) => break (asked - refused, asked),
                    (asked, None) => assert!(asked <= limit && seconds < 100, "nobody refused of {asked}"),
                }
                seconds *= 2;
            };
            say(&format!("{} shards {shards} limit {limit:>6}: {admitted} admitted of {asked}, says wrk", driver.name()));
            assert_eq!(admitted, limit);
        }
    }

    /// Windows one after the other, as the clock has it. A limit is used up in milliseconds and the rest of its window is
    /// silence, so that windows are told from each other by that.
    fn window_after_window_admits_exactly_the_limit(driver) {
        for shards in [1, 2, 4] {
            let gateway = limited(driver, shards, 50, WINDOW_MS, BLOCKED);
            let times = admitted_during(gateway.address, Duration::from_millis(WINDOW_MS * 5 / 2));
            let windows: Vec<usize> = times
                .chunk_by(|one, next| *next - *one < Duration::from_millis(WINDOW_MS / 2))
                .map(<[Instant]>::len)
                .collect();
            say(&format!("{} shards {shards} limit 50: {windows:?} admitted window by window", driver.name()));
            assert_eq!(windows, [50, 50, 50]);
        }
    }
}

/// Answers, and those of them that wrk takes for failures, if there were any.
fn what_wrk_says(url: &str, seconds: u32) -> (u64, Option<u64>) {
    let duration = format!("{seconds}s");
    let arguments = ["-t", "1", "-c", "200", "-d", &duration, url];
    let said = run_to_end(
        Command::new("wrk").args(arguments),
        2 * DEADLINE + Duration::from_secs(120),
    )
    .stdout;
    let mut lines = said.lines().map(str::trim);
    let asked = lines.find_map(|line| Some(line.split_once(" requests in ")?.0.parse::<u64>()));
    let refused = lines.find_map(|line| {
        Some(
            line.strip_prefix("Non-2xx or 3xx responses:")?
                .trim()
                .parse::<u64>(),
        )
    });
    match (asked, refused) {
        (Some(Ok(asked)), None) => (asked, None),
        (Some(Ok(asked)), Some(Ok(refused))) => (asked, Some(refused)),
        _ => panic!("{said}"),
    }
}

const CONNECTIONS: usize = 200;
const THREADS: usize = 4;
/// Requests on their way on one connection.
const BATCH: usize = 8;
const WINDOW_MS: u64 = 2000;

const BLOCKED: &str = "policyRef: { name: access-block }";
const ELSEWHERE: &str = "policyRef: { name: redirect }\nconfig: { path: /elsewhere }";

/// `answer` is the policy that answers what is admitted.
fn limited(driver: Driver, shards: usize, limit: u64, window_ms: u64, answer: &str) -> Gateway {
    // Never asked.
    let origin = Origin::answering(ok(""));
    let bind = |name: &str, order: u32, policy: &str| {
        let target = "targetRef: { kind: ApiInstance, name: test }";
        config::document(
            "PolicyBinding",
            name,
            &format!("{target}\norder: {order}\n{policy}\n"),
        )
    };
    let limits = format!(
        "  config:\n    rateLimits: [ {{ maximumRequests: {limit}, timePeriodInMilliseconds: {window_ms} }} ]\n    \
         keySelector: \"#[attributes.headers['x-window']]\"\n"
    );
    let yaml = [
        config::api(&origin.url),
        bind("limit", 1, "policyRef: { name: rate-limiting-flex }") + &limits,
        bind("answer", 2, answer),
    ];
    Gateway::setup(driver, yaml.concat()).shards(shards).start()
}

/// Asks until nobody has been admitted for a while: tokens on loan to a shard come back within 10 ms. And how many asked.
fn all_that_are_admitted(address: SocketAddr, request: &str, limit: u64) -> (u64, u64) {
    let (admitted, asked, last) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let begun = Instant::now();
    let millis = || u64::try_from(begun.elapsed().as_millis()).expect("a test");
    blast(address, request, |batch| {
        asked.fetch_add(BATCH as u64, Ordering::Relaxed);
        if batch > 0 {
            admitted.fetch_add(batch, Ordering::Relaxed);
            last.fetch_max(millis(), Ordering::Relaxed);
        }
        // Beyond the limit there is all the time to be admitted in that an error would need.
        let quiet = millis() - last.load(Ordering::Relaxed).min(millis());
        let patience = if admitted.load(Ordering::Relaxed) < limit {
            5000
        } else {
            200
        };
        quiet < patience
    });
    (admitted.into_inner(), asked.into_inner())
}

/// When each was, in order.
fn admitted_during(address: SocketAddr, duration: Duration) -> Vec<Instant> {
    let times = std::sync::Mutex::new(Vec::new());
    let begun = Instant::now();
    blast(address, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", |batch| {
        let now = Instant::now();
        let mut times = times.lock().unwrap();
        (0..batch).for_each(|_| times.push(now));
        begun.elapsed() < duration
    });
    let mut times = times.into_inner().unwrap();
    times.sort_unstable();
    times
}

/// As fast as it goes on all connections, until `goes_on` says no; it is told how many of each batch were admitted.
fn blast(address: SocketAddr, request: &str, goes_on: impl Fn(u64) -> bool + Sync) {
    let batch = request.repeat(BATCH);
    let together = Barrier::new(THREADS);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let connect = |_| TcpStream::connect(address).expect("the gateway accepts");
                let mut connections: Vec<_> = (0..CONNECTIONS / THREADS).map(connect).collect();
                together.wait();
                let mut more = true;
                while more {
                    for connection in &mut connections {
                        connection.write_all(batch.as_bytes()).expect("it reads");
                    }
                    for connection in &mut connections {
                        more &= goes_on(admitted(connection));
                    }
                }
            });
        }
    });
}

/// Of one batch's answers.
fn admitted(connection: &mut TcpStream) -> u64 {
    connection
        .set_read_timeout(Some(crate::support::DEADLINE))
        .expect("a socket");
    let (mut answers, mut piece) = (Vec::new(), [0; 16 * 1024]);
    // Each has a body that ends so, and nothing else does.
    while count(&answers, b"\"}") < BATCH {
        let length = connection.read(&mut piece).expect("it answers");
        assert!(length > 0, "it closed");
        answers.extend_from_slice(&piece[..length]);
    }
    let (admitted, refused) = (count(&answers, b"HTTP/1.1 403"), count(&answers, b"HTTP/1.1 429"));
    assert_eq!(admitted + refused, BATCH, "{}", String::from_utf8_lossy(&answers));
    admitted as u64
}

fn count(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes
        .windows(wanted.len())
        .filter(|window| window == &wanted)
        .count()
}
