//! `spike-control-flex`: at most so many requests in any stretch of time; what is too much waits a while, a bounded number
//! of times and of requests, and is then refused.
//!
//! What waits is a request's head and nothing else: no buffer of the pool, no connection to anybody. Counts and waiting
//! requests are those of the process, over all shards.

mod atomics {
    pub(super) use std::sync::atomic::{AtomicU64, Ordering};
}
mod window;

use super::{
    Event, Refusal, Request, Response, State, Step, Wait,
    quota::{self, Quota},
};
use crate::{fault::Kind, located::Bounded, object};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use window::Window;

object! {
    /// Configuration of `spike-control-flex`.
    pub(super) struct SpikeControlSpec {
        /// Requests let through in any stretch of the period's length. Default 1.
        optional "maximumRequests" maximum_requests: Bounded<1, 1_000_000>,
        /// The period's length. Default 1000.
        optional "timePeriodInMilliseconds" time_period: Bounded<1, 5000>,
        /// How long a request waits before it asks again. Default 1000.
        optional "delayTimeInMillis" delay_time: Bounded<1, 60_000>,
        /// How often it asks again before it is refused. Default 1.
        optional "delayAttempts" delay_attempts: Bounded<0, 1000>,
        /// Requests that wait at a time; past it they are refused at once. Default 0.
        optional "queuingLimit" queuing_limit: Bounded<0, 1_000_000>,
        /// Answers say how the limit stands. Default false.
        optional "exposeHeaders" expose_headers: bool,
    }
}

pub struct SpikeControl {
    window: Window,
    delay_ms: u64,
    attempts: u32,
    queuing_limit: u32,
    /// Requests that wait.
    parked: Arc<AtomicU32>,
    expose: bool,
}

/// A request that waits, until this is dropped.
#[derive(Debug)]
pub struct Parked {
    all: Arc<AtomicU32>,
    asked: u32,
}

impl Drop for Parked {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::Relaxed);
    }
}

impl SpikeControl {
    pub(super) fn compile(spec: Option<&SpikeControlSpec>) -> Self {
        let number = |written: Option<u64>, default: u32| {
            // The bounds are far below 2^32.
            written.map_or(default, |number| number as u32)
        };
        let of = |read: fn(&SpikeControlSpec) -> Option<u64>| spec.and_then(read);
        let requests = of(|spec| spec.maximum_requests.map(Bounded::unsigned));
        let period = of(|spec| spec.time_period.map(Bounded::unsigned));
        let delay = of(|spec| spec.delay_time.map(Bounded::unsigned));
        let attempts = of(|spec| spec.delay_attempts.map(Bounded::unsigned));
        let queuing = of(|spec| spec.queuing_limit.map(Bounded::unsigned));
        Self {
            window: Window::new(number(requests, 1), number(period, 1000)),
            delay_ms: delay.unwrap_or(1000),
            attempts: number(attempts, 1),
            queuing_limit: number(queuing, 0),
            parked: Arc::default(),
            expose: spec.is_some_and(|spec| spec.expose_headers == Some(true)),
        }
    }

    pub(super) fn on_request(&self, request: &mut Request<'_>, state: &mut State) -> Step {
        if self.window.take(request.context.now) {
            return Step::Continue;
        }
        match self.park() {
            Some(parked) => {
                *state = State::Parked(parked);
                Step::Wait(Wait::Sleep(self.delay_ms))
            }
            None => self.refuse(request),
        }
    }

    pub(super) fn on_resume(&self, event: &Event, request: &mut Request<'_>, state: &mut State) -> Step {
        let (Event::Slept, State::Parked(parked)) = (event, &mut *state) else {
            return self.refuse(request);
        };
        parked.asked += 1;
        let asked = parked.asked;
        if self.window.take(request.context.now) {
            // Its place is another's.
            *state = State::Ran;
            return Step::Continue;
        }
        if asked < self.attempts {
            return Step::Wait(Wait::Sleep(self.delay_ms));
        }
        *state = State::Ran;
        self.refuse(request)
    }

    pub(super) fn on_response(&self, response: &mut Response<'_>) {
        if self.expose {
            self.quota(response.context.now)
                .tell(response.headers, response.bytes);
        }
    }

    pub(super) fn sees_responses(&self) -> bool {
        self.expose
    }

    fn park(&self) -> Option<Parked> {
        if self.attempts == 0 {
            return None;
        }
        let next = |parked| (parked < self.queuing_limit).then_some(parked + 1);
        (self.parked)
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .ok()?;
        Some(Parked {
            all: self.parked.clone(),
            asked: 0,
        })
    }

    fn refuse(&self, request: &mut Request<'_>) -> Step {
        let quota = self.quota(request.context.now);
        quota::retry_after(request, quota.reset_ms.max(1));
        Refusal::new(Kind::RateLimited, "too many requests at once").into()
    }

    fn quota(&self, now: u64) -> Quota {
        let quota = self.window.quota(now);
        Quota {
            limit: self.window.requests(),
            remaining: quota.remaining,
            reset_ms: quota.reset_ms,
        }
    }
}

impl fmt::Debug for SpikeControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpikeControl")
            .field("requests", &self.window.requests())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
