use super::*;
use crate::fault::{Kind, Phase, Side};

fn sample() -> Record<'static> {
    Record {
        unix_millis: 784_111_777_123,
        client: "192.0.2.7:50123".parse().unwrap(),
        api: "default/orders",
        cluster: "default/orders-v2",
        endpoint: Some("[2001:db8::1]:8080".parse().unwrap()),
        method: b"POST",
        target: b"/orders?id=1",
        host: b"api.example.com",
        request_id: b"0af7651916cd43dd8448eb211c80319c",
        protocol: Protocol::Http11,
        status: 504,
        bytes_in: 1,
        bytes_out: u64::MAX,
        duration_micros: 15_000_321,
        upstream_micros: 15_000_123,
        retries: 2,
        keep_alive: true,
        ended: Some(Ended {
            side: Side::Upstream,
            kind: Kind::TimedOut,
            phase: Phase::ResponseHead,
        }),
        policy: "default/orders-limit",
        client_id: b"mobile-app",
        tls: "TLSv1.3",
        client_certificate: "CN=client,O=Example",
        truncated: false,
    }
}

fn as_record<'e>(entry: &'e Entry<'_>) -> &'e Record<'e> {
    match entry {
        Entry::Record(record) => record,
        Entry::Message(message) => panic!("{message:?}"),
    }
}

fn through(record: &Record<'_>, check: impl Fn(&Record<'_>)) {
    let (sender, mut receiver) = queue(0);
    assert!(sender.push(record));
    assert_eq!(receiver.drain(|entry| check(as_record(entry))), 1);
}

#[test]
fn a_record_comes_out_as_it_went_in() {
    let record = sample();
    through(&record, |seen| assert_eq!(*seen, record));
    through(&Record::default(), |seen| assert_eq!(*seen, Record::default()));
    let other = Record {
        protocol: Protocol::Http10,
        keep_alive: false,
        endpoint: None,
        ..record
    };
    through(&other, |seen| assert_eq!(*seen, other));
}

#[test]
fn every_fault_survives_the_way() {
    for side in SIDES {
        for kind in KINDS {
            for phase in PHASES {
                let ended = Some(Ended { side, kind, phase });
                through(&Record { ended, ..sample() }, |seen| {
                    assert_eq!(seen.ended, ended)
                });
            }
        }
    }
}

#[test]
fn a_mapped_address_comes_out_as_ipv4() {
    let client = "[::ffff:192.0.2.7]:1".parse().unwrap();
    through(&Record { client, ..sample() }, |seen| {
        assert_eq!(seen.client, "192.0.2.7:1".parse().unwrap())
    });
}

#[test]
fn long_strings_are_cut_and_said_to_be() {
    let long = vec![b'a'; 70_000];
    let name = "é".repeat(300);
    let record = Record {
        target: &long,
        host: &long,
        method: &long,
        request_id: &long,
        api: &name,
        ..sample()
    };
    through(&record, |seen| {
        assert!(seen.truncated);
        assert_eq!(seen.target, &long[..TARGET_LIMIT]);
        assert_eq!(seen.host, &long[..HOST_LIMIT]);
        assert_eq!(seen.method, &long[..METHOD_LIMIT]);
        assert_eq!(seen.request_id, &long[..REQUEST_ID_LIMIT]);
        assert_eq!(seen.api, "é".repeat(253), "never within a character");
        assert_eq!(seen.cluster, "default/orders-v2", "the rest is whole");
    });
    let exact = vec![b'a'; TARGET_LIMIT];
    through(
        &Record {
            target: &exact,
            ..sample()
        },
        |seen| assert!(!seen.truncated),
    );
}

#[test]
fn the_longest_record_fits_the_smallest_queue() {
    let long = vec![b'a'; 70_000];
    let name = "n".repeat(600);
    let record = Record {
        target: &long,
        host: &long,
        method: &long,
        request_id: &long,
        api: &name,
        cluster: &name,
        policy: &name,
        client_id: &long,
        tls: &name,
        client_certificate: &name,
        ..sample()
    };
    let mut bytes = Vec::new();
    encode(&record, &mut bytes);
    assert_eq!(bytes.len(), LONGEST_RECORD);
    through(&record, |seen| {
        assert_eq!((seen.cluster.len(), seen.policy.len()), (NAME_LIMIT, NAME_LIMIT));
        assert_eq!(seen.client_id.len(), CLIENT_ID_LIMIT);
    });
}

#[test]
fn a_full_queue_drops_counts_and_recovers() {
    let (sender, mut receiver) = queue(0);
    let mut pushed = 0;
    while sender.push(&sample()) {
        pushed += 1;
    }
    assert!(pushed > 10);
    assert!(!sender.push(&sample()));
    assert_eq!(receiver.dropped(), 2);
    assert_eq!(
        receiver.drain(|seen| assert_eq!(*as_record(seen), sample())),
        pushed
    );
    assert!(sender.push(&sample()));
    assert_eq!(receiver.drain(|_| ()), 1);
    assert_eq!(receiver.drain(|_| ()), 0);
}

/// Two threads, records of changing lengths, a ring far smaller than what passes through it: every wrap-around
/// position is met, and what was not dropped arrives in order and unharmed.
#[test]
fn order_and_content_hold_across_threads_and_wraps() {
    const COUNT: u64 = 50_000;
    let (sender, mut receiver) = queue(0);
    let target = |n: u64| vec![b'a' + (n % 26) as u8; (n * 7 % 900) as usize];
    let writer = std::thread::spawn(move || {
        for n in 0..COUNT {
            let target = target(n);
            let record = Record {
                unix_millis: n,
                target: &target,
                ..sample()
            };
            // Half of the time insist, so that most arrive; half of the time drop.
            while !sender.push(&record) && n % 2 == 0 {
                std::thread::yield_now();
            }
        }
    });
    let mut last = None;
    let mut received = 0;
    loop {
        let closed = receiver.is_closed();
        received += receiver.drain(|seen| {
            let seen = as_record(seen);
            assert!(last < Some(seen.unix_millis));
            last = Some(seen.unix_millis);
            assert_eq!(seen.target, target(seen.unix_millis));
            assert_eq!(seen.request_id, sample().request_id);
        });
        if closed {
            break;
        }
        std::thread::yield_now();
    }
    writer.join().unwrap();
    assert!(received as u64 >= COUNT / 2 && received as u64 <= COUNT);
}

#[test]
fn a_message_comes_out_as_it_went_in_between_records() {
    let message = Message {
        unix_millis: 784_111_777_123,
        level: Level::Warn,
        api: "default/orders",
        request_id: b"0af7651916cd43dd8448eb211c80319c",
        category: "audit",
        text: b"line\r\nand \xff",
        truncated: false,
    };
    let (sender, mut receiver) = queue(0);
    assert!(sender.push(&sample()) && sender.push_message(&message) && sender.push(&sample()));
    let mut seen = Vec::new();
    receiver.drain(|entry| match entry {
        Entry::Record(record) => seen.push(*record == sample()),
        Entry::Message(came) => seen.push(*came == message),
    });
    assert_eq!(seen, [true; 3]);
}

#[test]
fn long_messages_are_cut_and_said_to_be() {
    let long = vec![b'a'; 70_000];
    let name = "n".repeat(600);
    let message = Message {
        unix_millis: 0,
        level: Level::Error,
        api: &name,
        request_id: &long,
        category: &name,
        text: &long,
        truncated: false,
    };
    let mut bytes = Vec::new();
    encode_message(&message, &mut bytes);
    assert_eq!(bytes.len(), LONGEST_MESSAGE);
    let (sender, mut receiver) = queue(0);
    assert!(sender.push_message(&message));
    assert!(!sender.push_message(&message), "there is no room for a second");
    assert_eq!(receiver.dropped(), 1);
    let drained = receiver.drain(|entry| match entry {
        Entry::Message(seen) => assert!(seen.truncated && seen.text == &long[..TEXT_LIMIT]),
        Entry::Record(record) => panic!("{record:?}"),
    });
    assert_eq!(drained, 1);
}
