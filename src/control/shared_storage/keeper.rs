//! Keeps one connection: makes it, notices its end, makes the next.

use super::{Connected, Inner, Shared, State, dial};
use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, time::sleep};

/// Until the end of the process.
pub(super) async fn keep(
    shared: Arc<Shared>,
    link: Arc<Inner>,
    mut broken: mpsc::UnboundedReceiver<(u64, String)>,
) {
    let mut shutdown = shared.shutdown.clone();
    tokio::select! {
        () = connections(&shared, &link, &mut broken) => {}
        _ = shutdown.wait_for(|stop| *stop) => {}
    }
    *link.connection.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

async fn connections(shared: &Shared, link: &Inner, broken: &mut mpsc::UnboundedReceiver<(u64, String)>) {
    let seeds = RandomState::new();
    let (mut number, mut failures) = (0, 0u32);
    loop {
        let reason = match dial::dial(shared, failures).await {
            Ok(dialled) => {
                number += 1;
                link.counters.connects.add(1);
                let since = Instant::now();
                let driver = Driver(tokio::spawn(dialled.driver));
                *link.connection.lock().unwrap_or_else(PoisonError::into_inner) = Some(Connected {
                    number,
                    connection: dialled.connection,
                });
                link.state.send_replace(State::Up {
                    connection: number,
                    since,
                });
                shared.came(link.purpose);
                let reason = ended(driver, number, broken).await;
                // One that never stays is no better than none: each is a little later than the one before.
                failures = if since.elapsed() >= STEADY {
                    0
                } else {
                    failures.saturating_add(1)
                };
                reason
            }
            Err(reason) => {
                link.counters.connect_failures.add(1);
                failures = failures.saturating_add(1);
                reason
            }
        };
        *link.connection.lock().unwrap_or_else(PoisonError::into_inner) = None;
        shared.went(link.purpose, &reason);
        link.state.send_if_modified(|state| {
            let was_down = matches!(state, State::Down { .. });
            let since = match state {
                State::Down { since, .. } => *since,
                State::Starting | State::Up { .. } => Instant::now(),
            };
            *state = State::Down { reason, since };
            !was_down
        });
        sleep(delay(failures, seeds.hash_one((number, failures)))).await;
    }
}

/// Why the connection is over.
async fn ended(
    mut driver: Driver,
    number: u64,
    broken: &mut mpsc::UnboundedReceiver<(u64, String)>,
) -> String {
    loop {
        tokio::select! {
            _ = &mut driver.0 => return "the connection ended".to_owned(),
            Some((which, reason)) = broken.recv() => {
                if which == number {
                    return reason;
                }
            }
        }
    }
}

/// A connection that was given up leaves nothing running.
struct Driver(tokio::task::JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// After so many failures in a row; none: a connection that served has ended. A quarter up or down, so that a fleet does
/// not come back in step.
fn delay(failures: u32, random: u64) -> Duration {
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let delay = doubled.min(LONGEST);
    delay * 3 / 4 + delay.mul_f64((random % 1024) as f64 / 2048.0)
}

const FIRST: Duration = Duration::from_millis(50);

/// The longest that a server which is back is not noticed, less a quarter.
const LONGEST: Duration = Duration::from_secs(2);

/// A connection that lived so long was a good one.
const STEADY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_and_end() {
        for random in [0, 511, 1023] {
            assert!(delay(0, random) < Duration::from_millis(70));
            let delays: Vec<_> = (1..12).map(|failures| delay(failures, random)).collect();
            assert!(delays.is_sorted(), "{delays:?}");
            assert!(delays[10] >= LONGEST * 3 / 4 && delays[10] < LONGEST * 5 / 4);
        }
        assert!(delay(u32::MAX, 7) <= LONGEST * 5 / 4);
    }
}
