//! The window by itself: simulated time against a plain list of times, and real threads.

use super::{
    SpikeControl, SpikeControlSpec,
    window::{Quota, Window},
};
use crate::located::Bounded;
use proptest::prelude::*;
use std::{
    sync::{Arc, Barrier, Mutex},
    thread,
};

#[test]
fn slides() {
    let window = Window::new(3, 100);
    assert!(window.take(10) && window.take(50) && window.take(90));
    assert!(!window.take(90) && !window.take(109));
    assert_eq!(
        window.quota(109),
        Quota {
            remaining: 0,
            reset_ms: 1
        }
    );
    assert_eq!(
        window.quota(110),
        Quota {
            remaining: 1,
            reset_ms: 0
        }
    );
    assert!(
        window.take(110) && !window.take(110),
        "the first has left, the second not"
    );
    assert!(window.take(150) && !window.take(189) && window.take(190));
    assert_eq!(window.quota(10_000).remaining, 3);
    assert_eq!(Window::new(3, 100).quota(0).remaining, 3);
}

proptest! {
    /// As a list of all times of admission would have it.
    #[test]
    fn as_a_plain_list_has_it(
        size in 1u32..6,
        length in 1u32..50,
        steps in proptest::collection::vec(0u64..20, 1..200),
    ) {
        let window = Window::new(size, length);
        let mut admitted: Vec<u64> = Vec::new();
        let mut now = 1000;
        for step in steps {
            now += step;
            let inside = |time: &&u64| now - **time < u64::from(length);
            let within: Vec<u64> = admitted.iter().filter(inside).copied().collect();
            let room = within.len() < size as usize;
            let quota = window.quota(now);
            prop_assert_eq!(quota.remaining as usize, size as usize - within.len());
            let reset = if room { 0 } else { within[0] + u64::from(length) - now };
            prop_assert_eq!(quota.reset_ms, reset);
            prop_assert_eq!(window.take(now), room);
            if room {
                admitted.push(now);
            }
        }
    }
}

/// All threads ask as fast as they can while time runs on; afterwards no stretch of the window's length has more than it
/// may, and every one that could be full is.
#[test]
fn exact_over_all_threads() {
    const LENGTH: u32 = 20;
    for threads in [1, 2, 4, 8] {
        for size in [1, 50, 1000] {
            let window = Arc::new(Window::new(size, LENGTH));
            let admitted = Arc::new(Mutex::new(Vec::new()));
            let together = Arc::new(Barrier::new(threads));
            let ask = || {
                let (window, admitted, together) = (window.clone(), admitted.clone(), together.clone());
                thread::spawn(move || {
                    let mut own = Vec::new();
                    // Every thread asks until nothing is left, then time goes on for all.
                    for now in 5000..5100u64 {
                        together.wait();
                        while window.take(now) {
                            own.push(now);
                        }
                    }
                    admitted.lock().unwrap().extend(own);
                })
            };
            let handles: Vec<_> = (0..threads).map(|_| ask()).collect();
            handles.into_iter().for_each(|handle| handle.join().unwrap());
            let mut times = admitted.lock().unwrap().clone();
            times.sort_unstable();
            let size = size as usize;
            let most = times
                .iter()
                .map(|start| {
                    times
                        .iter()
                        .filter(|time| *time >= start && **time - start < u64::from(LENGTH))
                        .count()
                })
                .max();
            assert_eq!(
                (times.len(), most),
                (5 * size, Some(size)),
                "{threads} threads, {size}"
            );
        }
    }
}

#[test]
fn a_place_in_the_queue_is_free_when_its_request_is_over() {
    let spec = SpikeControlSpec {
        maximum_requests: None,
        time_period: None,
        delay_time: None,
        delay_attempts: None,
        queuing_limit: Bounded::parse("2").ok(),
        expose_headers: None,
    };
    let policy = SpikeControl::compile(Some(&spec));
    let (first, second) = (policy.park(), policy.park());
    assert!(first.is_some() && second.is_some() && policy.park().is_none());
    drop(first);
    let third = policy.park();
    assert!(third.is_some() && policy.park().is_none());
    drop((second, third));
    assert!(
        SpikeControl::compile(None).park().is_none(),
        "nobody waits by default"
    );
}
