//! Spike control's window under every order in which threads may meet, and with every value the memory model lets a load
//! return: its file compiled against loom's atomics.

#![allow(dead_code, unreachable_pub, reason = "the file is a part of a library")]

#[path = "../src/policy/spike_control"]
mod spike_control {
    mod atomics {
        pub(super) use loom::sync::atomic::{AtomicU64, Ordering};
    }

    mod window;

    use loom::thread;
    use std::sync::Arc;
    use window::Window;

    /// Each thread asks at its times; how many were admitted in all.
    fn admitted(window: &Arc<Window>, threads: &[&'static [u64]]) -> usize {
        let ask =
            |window: &Window, times: &'static [u64]| times.iter().filter(|&&now| window.take(now)).count();
        let handles: Vec<_> = threads[1..]
            .iter()
            .map(|&times| {
                let window = window.clone();
                thread::spawn(move || ask(&window, times))
            })
            .collect();
        let own = ask(window, threads[0]);
        own + handles
            .into_iter()
            .map(|handle| handle.join().unwrap())
            .sum::<usize>()
    }

    fn model(check: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(check);
    }

    #[test]
    fn never_more_than_the_window_has_and_never_fewer() {
        model(|| {
            let window = Arc::new(Window::new(2, 100));
            assert_eq!(admitted(&window, &[&[1000, 1000], &[1000, 1000]]), 2);
            // All have left: the ring comes round.
            assert_eq!(admitted(&window, &[&[1100, 1100], &[1100]]), 2);
            assert!(!window.take(1199));
        });
    }

    #[test]
    fn three_threads_and_one_place() {
        model(|| {
            let window = Arc::new(Window::new(1, 100));
            assert_eq!(admitted(&window, &[&[1000], &[1000], &[1000]]), 1);
            assert!(!window.take(1099) && window.take(1100));
        });
    }

    /// A shard whose look at the clock is older does not make room early.
    #[test]
    fn an_older_clock_admits_no_more() {
        model(|| {
            let window = Arc::new(Window::new(2, 100));
            assert_eq!(admitted(&window, &[&[1005], &[1000]]), 2);
            assert!(!window.take(1099));
            assert_eq!(admitted(&window, &[&[1105], &[1105]]), 2);
        });
    }
}
