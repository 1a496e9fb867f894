//! What the tests stand on: the real binary, scripted origins, a strict raw client, misbehaving clients.
//!
//! Nothing here decides a result by time: whoever waits has a deadline generous enough for a busy machine, and
//! order between peers is made by a [`gate::Gate`].

pub mod client;
pub mod config;
pub mod gate;
pub mod gateway;
pub mod message;
pub mod origin;
pub mod os;
pub mod ports;
pub mod redis;
pub mod tls;
pub mod tokens;
pub mod tools;
pub mod trouble;
pub mod wire;

pub use client::Client;
pub use gate::Gate;
pub use gateway::{Driver, Gateway, Outcome};
pub use message::{Framing, Response};
pub use origin::{Origin, Peer};
pub use redis::Redis;
pub use wire::{Broken, Wire};

use std::{
    io::Write,
    time::{Duration, Instant},
};

/// The longest any test waits for one step that should happen at once. Reaching it is a failure.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Between two looks at something that cannot notify us (another process' state).
const POLL: Duration = Duration::from_millis(5);

/// Looks until `condition` holds; fails the test with `what` after the deadline.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "did not happen within {DEADLINE:?}: {what}");
        pause();
    }
}

/// Yields between two looks; never what a result depends on.
pub fn pause() {
    std::thread::park_timeout(POLL);
}

/// Said past the test harness' capture: a skipped test must not look like a passed one.
pub fn skipped(reason: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    say(&format!("skipped: {name}: {reason}"));
}

/// A line on stderr past the test harness' capture.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Each function becomes two tests, `name::io_uring` and `name::epoll`; the first is skipped, and says so, only
/// where the kernel refuses a ring.
macro_rules! both_drivers {
    ($( $(#[$attribute:meta])* fn $name:ident($driver:ident) $body:block )*) => { $(
        $(#[$attribute])*
        mod $name {
            #[allow(unused_imports, reason = "a test may need nothing of its module")]
            use super::*;

            fn on($driver: crate::support::Driver) $body

            #[test]
            fn io_uring() {
                match crate::support::os::io_uring_refused() {
                    None => on(crate::support::Driver::IoUring),
                    Some(reason) => crate::support::skipped(&reason),
                }
            }

            #[test]
            fn epoll() {
                on(crate::support::Driver::Epoll);
            }
        }
    )* };
}
pub(crate) use both_drivers;
