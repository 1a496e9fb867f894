use super::{
    scripted::{A, NXDOMAIN, Reply, Server},
    *,
};
use std::time::Instant;

/// The real pace, a thousand times faster.
const FAST: Pace = Pace {
    shortest: Duration::from_millis(5),
    longest: Duration::from_millis(300),
    first_retry: Duration::from_millis(1),
    longest_retry: Duration::from_millis(30),
};

fn names(server: &Server, hosts: &[&str], pace: Pace) -> Names {
    let lookup = Lookup::with(server.address, "/nonexistent/hosts".into());
    Names::new(hosts.iter().map(ToString::to_string).collect(), lookup, pace)
}

fn resolution(host: &str, addresses: &[&str]) -> Resolution {
    Resolution {
        host: host.into(),
        addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
    }
}

/// A reply for the n-th time the name's A records are asked for, counted from 0.
fn nth(mut script: impl FnMut(u32) -> Reply + Send + 'static) -> Server {
    let mut asked = 0;
    Server::start(move |_, kind| {
        if kind == A {
            asked += 1;
            script(asked - 1)
        } else {
            Reply::with(0, &[])
        }
    })
}

#[tokio::test]
async fn a_name_is_looked_up_again_when_its_ttl_is_over() {
    let server = nth(|n| {
        Reply::with(
            0,
            if n < 3 {
                &["192.0.2.1"]
            } else {
                &["192.0.2.2", "192.0.2.3"]
            },
        )
    });
    let mut names = names(&server, &["api.example"], FAST);
    assert_eq!(names.next().await, resolution("api.example", &["192.0.2.1"]));
    assert_eq!(
        names.next().await,
        resolution("api.example", &["192.0.2.2", "192.0.2.3"])
    );
    assert!(
        server.asked() >= 8,
        "four times two families: the same answer again is no news"
    );
}

#[tokio::test]
async fn a_ttl_that_is_not_over_asks_nobody() {
    let server = nth(|_| Reply::with(3600, &["192.0.2.1"]));
    let mut names = names(&server, &["api.example"], PACE);
    names.next().await;
    let asked = server.asked();
    assert!(timeout(Duration::from_millis(50), names.next()).await.is_err());
    assert_eq!(server.asked(), asked);
}

#[tokio::test]
async fn a_name_that_fails_keeps_its_last_good_answer() {
    let server = nth(|n| match n {
        0 => Reply::with(0, &["192.0.2.1"]),
        1..=4 => Reply::Failure(NXDOMAIN),
        5 => Reply::with(0, &["192.0.2.1"]),
        _ => Reply::with(0, &["192.0.2.2"]),
    });
    let mut names = names(&server, &["api.example"], FAST);
    assert_eq!(names.next().await, resolution("api.example", &["192.0.2.1"]));
    for failures in 1..=4 {
        assert_eq!(names.step().await, None);
        assert_eq!(names.states[0].failures, failures);
        assert_eq!(names.states[0].addresses.len(), 1);
    }
    assert_eq!(names.step().await, None, "back with the same address: no news");
    assert_eq!(names.states[0].failures, 0);
    assert_eq!(names.next().await, resolution("api.example", &["192.0.2.2"]));
}

#[tokio::test]
async fn a_server_that_rotates_its_answer_makes_no_news() {
    let server = nth(|n| match n {
        0 => Reply::with(0, &["192.0.2.1", "192.0.2.2"]),
        1 => Reply::with(0, &["192.0.2.2", "192.0.2.1", "192.0.2.2"]),
        _ => Reply::with(0, &["192.0.2.3"]),
    });
    let mut names = names(&server, &["api.example"], FAST);
    assert_eq!(
        names.next().await,
        resolution("api.example", &["192.0.2.1", "192.0.2.2"])
    );
    assert_eq!(names.next().await, resolution("api.example", &["192.0.2.3"]));
}

#[tokio::test]
async fn the_start_takes_what_it_gets_in_time() {
    let server = Server::start(|name, kind| match (name, kind) {
        ("silent.example", _) => Reply::Silence,
        ("good.example", A) => Reply::with(60, &["192.0.2.1"]),
        ("good.example", _) => Reply::with(60, &[]),
        _ => Reply::Failure(NXDOMAIN),
    });
    let good = [resolution("good.example", &["192.0.2.1"])];
    // A name that fails is an answer too: nothing is waited for.
    let mut two = names(
        &server,
        &["good.example", "unknown.example", "good.example"],
        PACE,
    );
    assert_eq!(two.first_answers(Duration::from_secs(60)).await, good);

    let mut three = names(&server, &["silent.example", "good.example", "127.0.0.1"], PACE);
    let start = Instant::now();
    let mut answers = three.first_answers(Duration::from_millis(300)).await;
    assert!(start.elapsed() < Duration::from_secs(2));
    answers.sort_by(|a, b| a.host.cmp(&b.host));
    assert_eq!(
        answers,
        [resolution("127.0.0.1", &["127.0.0.1"]), good[0].clone()]
    );
}

#[tokio::test]
async fn a_thousand_names_do_not_flood_a_server_that_is_silent() {
    let server = Server::start(|_, _| Reply::Silence);
    let hosts: Vec<String> = (0..1000).map(|n| format!("host-{n}.example")).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let mut names = names(&server, &hosts, PACE);
    assert!(names.first_answers(Duration::from_millis(300)).await.is_empty());
    assert_eq!(names.permits.available_permits(), 0);
    // Two families a name, and leave for a repetition; all names would be two thousand.
    assert!(server.asked() as usize <= 4 * AT_ONCE, "{}", server.asked());
}

#[tokio::test]
async fn run_publishes_and_ends_when_told() {
    let (stop, shutdown) = watch::channel(false);
    let (sender, mut published) = tokio::sync::mpsc::unbounded_channel();
    let publish = move |resolution| sender.send(resolution).unwrap();
    let running = tokio::spawn(run(
        vec!["localhost".into(), "192.0.2.1".into()],
        publish,
        shutdown,
    ));
    let mut all = [published.recv().await.unwrap(), published.recv().await.unwrap()];
    all.sort_by(|a, b| a.host.cmp(&b.host));
    assert_eq!(
        all,
        [
            resolution("192.0.2.1", &["192.0.2.1"]),
            resolution("localhost", &["127.0.0.1", "::1"])
        ]
    );
    // Nothing is left that could change; it stays all the same, until it is told.
    stop.send(true).unwrap();
    running.await.unwrap();
}

#[test]
fn a_ttl_has_bounds() {
    for (ttl, expected) in [(0, 5), (4, 5), (5, 5), (60, 60), (300, 300), (86_400, 300)] {
        assert_eq!(
            PACE.refresh(Duration::from_secs(ttl)),
            Duration::from_secs(expected)
        );
    }
}

#[test]
fn retries_back_off_to_half_a_minute_with_a_quarter_of_jitter() {
    for (failures, seconds) in [
        (1, 1),
        (2, 2),
        (3, 4),
        (5, 16),
        (6, 30),
        (1000, 30),
        (u32::MAX, 30),
    ] {
        let nominal = Duration::from_secs(seconds);
        let delays: Vec<Duration> = (0..2048).map(|random| PACE.retry(failures, random)).collect();
        assert!(
            delays
                .iter()
                .all(|delay| *delay >= nominal * 3 / 4 && *delay <= nominal * 5 / 4)
        );
        assert!(delays.iter().min() < delays.iter().max());
    }
}
