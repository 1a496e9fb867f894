//! The rate limit's bank under every order in which threads may meet, instruction by instruction and with every value
//! that the memory model lets a load return: its files compiled against loom's atomics, with groups of two slots.
//!
//! Up to three preemptions in a run; more find nothing new in programs of this size, and take hours.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::modulo_one,
    reason = "the files are parts of a library"
)]

#[path = "../src/policy/rate_limit"]
mod rate_limit {
    mod atomics {
        pub(super) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};

        pub(super) fn zeroed<T: Default>(length: usize) -> Box<[T]> {
            std::iter::repeat_with(T::default).take(length).collect()
        }

        macro_rules! zeroed_at_start {
            ($($item:item)*) => { $(#[derive(Default)] $item)* };
        }
        pub(super) use zeroed_at_start;

        pub(super) fn prefetch<T>(_: &T) {}

        pub(super) const SLOTS: usize = 2;
    }

    mod bank;
    mod bucket;
    mod keys;
    mod rule;

    use bank::{Bank, Place};
    use bucket::Millis;
    use keys::HashKey;
    use loom::thread::JoinHandle;
    use rule::{Limit, Limits};
    use std::sync::Arc;

    /// One group of two slots, one limit.
    #[derive(Clone)]
    struct World {
        bank: Arc<Bank>,
        limits: Arc<Limits>,
    }

    const WINDOW_MS: u32 = 100;

    impl World {
        fn new(requests: u32) -> Self {
            let key = HashKey::new(&[5; 16]);
            let limit = Limit {
                requests,
                window_ms: WINDOW_MS,
            };
            Self {
                bank: Bank::new(1, key),
                limits: Arc::new(Limits::new("model", &[limit], &key)),
            }
        }

        /// Whether admitted, and by the rule's overflow bucket.
        fn take(&self, key: &str, now: Millis) -> (bool, bool) {
            let key = self.bank.hash_key().value(key.as_bytes());
            let taken = self.bank.take(&self.limits.rules[0], key, now, |_| 1);
            (taken.tokens == 1, taken.place == Place::Overflow)
        }

        fn admits(&self, key: &str, now: Millis) -> bool {
            self.take(key, now).0
        }

        fn beside<T: 'static>(&self, work: impl FnOnce(Self) -> T + 'static) -> JoinHandle<T> {
            let world = self.clone();
            loom::thread::spawn(move || work(world))
        }
    }

    fn every_order(run: impl Fn() + Sync + Send + 'static) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.max_branches = 100_000;
        model.check(run);
    }

    /// Both find no bucket and begin one.
    #[test]
    fn a_new_key_gets_one_bucket() {
        every_order(|| {
            let world = World::new(1);
            let other = world.beside(|world| world.admits("a", 1000));
            let mine = world.admits("a", 1000);
            assert_eq!(u8::from(mine) + u8::from(other.join().unwrap()), 1);
            assert_eq!(world.bank.keys(), 1);
        });
    }

    #[test]
    fn three_shards_share_what_there_is() {
        every_order(|| {
            let world = World::new(3);
            assert!(world.admits("a", 998));
            let others = [1000, 1001].map(|now| world.beside(move |world| world.admits("a", now)));
            let mine = world.admits("a", 999);
            let others = others.map(|other| other.join().unwrap());
            assert_eq!(
                [mine, others[0], others[1]]
                    .iter()
                    .filter(|admitted| **admitted)
                    .count(),
                2
            );
            assert!(!world.admits("a", 1050));
        });
    }

    #[test]
    fn two_keys_at_once_both_get_their_own() {
        every_order(|| {
            let world = World::new(1);
            let other = world.beside(|world| world.take("b", 1000));
            assert_eq!(world.take("a", 1000), (true, false));
            assert_eq!(other.join().unwrap(), (true, false));
            assert!(!world.admits("a", 1001) && !world.admits("b", 1001));
            assert_eq!(world.bank.keys(), 2);
        });
    }

    #[test]
    fn the_next_window_begins_once() {
        every_order(|| {
            let world = World::new(1);
            assert!(world.admits("a", 1000));
            let other = world.beside(|world| world.admits("a", 1100));
            let mine = world.admits("a", 1101);
            assert_eq!(u8::from(mine) + u8::from(other.join().unwrap()), 1);
            // A shard whose clock lags meets the window that runs, whichever began it.
            assert!(!world.admits("a", 1099));
        });
    }

    /// Its window is over: one removes the key, two want it.
    #[test]
    fn a_key_that_is_removed_and_wanted_gets_one_bucket() {
        every_order(|| {
            let world = World::new(1);
            assert!(world.admits("a", 1000));
            world.bank.sweep(59_000);
            let sweeper = world.beside(|world| world.bank.sweep(61_000));
            let other = world.beside(|world| world.admits("a", 61_000));
            let mine = world.admits("a", 61_000);
            sweeper.join().unwrap();
            assert_eq!(u8::from(mine) + u8::from(other.join().unwrap()), 1);
            assert!(!world.admits("a", 61_001));
        });
    }

    /// Two slots hold keys that are over. One comes back while a third key wants a slot.
    #[test]
    fn a_slot_changes_hands_while_its_key_comes_back() {
        every_order(|| {
            let world = World::new(1);
            assert!(world.admits("a", 1000) && world.admits("b", 1000));
            let other = world.beside(|world| world.take("c", 1200));
            let (mine, overflowed) = world.take("a", 1200);
            assert!(mine && !overflowed);
            assert_eq!(other.join().unwrap(), (true, false));
            assert!(!world.admits("a", 1201) && !world.admits("c", 1201));
        });
    }

    /// A sweeper whose clock is far ahead of the shard that fills a slot: it must not take the slot away unfinished.
    #[test]
    fn a_slot_that_is_being_filled_is_left_alone() {
        every_order(|| {
            let world = World::new(1);
            assert!(world.admits("a", 1000) && world.admits("b", 1000));
            world.bank.sweep(59_000);
            let other = world.beside(|world| world.admits("c", 1200));
            world.bank.sweep(61_000);
            assert_eq!(world.take("d", 61_000), (true, false));
            assert!(other.join().unwrap());
            assert!(!world.admits("d", 61_001));
        });
    }

    /// Two slots whose keys are over, two new keys.
    #[test]
    fn two_keys_take_over_from_two() {
        every_order(|| {
            let world = World::new(1);
            assert!(world.admits("a", 1000) && world.admits("b", 1000));
            let other = world.beside(|world| world.take("c", 1200));
            let mine = world.take("d", 1200);
            assert_eq!((mine.0, other.join().unwrap().0), (true, true));
            assert!(!world.admits("c", 1201) && !world.admits("d", 1201));
        });
    }

    /// Tokens given back count for the window they were taken in, or not at all.
    #[test]
    fn what_is_given_back_late_is_nothing() {
        every_order(|| {
            let world = World::new(1);
            let key = world.bank.hash_key().value(b"a");
            let taken = world.bank.take(&world.limits.rules[0], key, 1000, |_| 1);
            let other = world.beside(move |world| {
                let start = taken.window.start();
                world
                    .bank
                    .give_back(taken.place, &world.limits.rules[0], start, 1);
            });
            assert!(world.admits("a", 1100));
            other.join().unwrap();
            assert!(!world.admits("a", 1101));
        });
    }

    #[test]
    fn what_is_given_back_in_time_is_taken_once() {
        every_order(|| {
            let world = World::new(1);
            let key = world.bank.hash_key().value(b"a");
            let taken = world.bank.take(&world.limits.rules[0], key, 1000, |_| 1);
            let giver = world.beside(move |world| {
                let start = taken.window.start();
                world
                    .bank
                    .give_back(taken.place, &world.limits.rules[0], start, 1);
            });
            let other = world.beside(|world| world.admits("a", 1001));
            let admitted = u8::from(world.admits("a", 1001)) + u8::from(other.join().unwrap());
            giver.join().unwrap();
            assert_eq!(admitted + u8::from(world.admits("a", 1002)), 1);
        });
    }

    /// The overflow bucket is one for all keys that found no slot.
    #[test]
    fn keys_without_a_slot_share_one_bucket() {
        every_order(|| {
            let world = World::new(1);
            assert!(world.admits("a", 1000) && world.admits("b", 1000));
            let other = world.beside(|world| world.take("c", 1001));
            let mine = world.take("d", 1001);
            let other = other.join().unwrap();
            assert!(mine.1 && other.1 && mine.0 != other.0);
        });
    }
}
