//! Sends requests when the schedule says and counts what becomes of them: one thread, one epoll set.
//!
//! It never spins. The origin shares its CPU in every comparison, and a spinning generator would make answers late and
//! then measure it. It sleeps to the nanosecond instead (epoll_pwait2(2), timer slack of 1 ns) and wakes some
//! microseconds after the intended time; that and whatever else keeps it are inside the latencies, never outside. Nor
//! does it raise its priority: it would then interrupt the origin at each answer, and a request cost more than twice
//! the CPU.
//!
//! Requests are alike, so those that wait for a connection need no queue: `next` is the first of them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;

use super::connection::{Connection, Event, Loss};
use super::measured::{Errors, Measured};
use super::punctuality::Punctuality;
use super::schedule::Schedule;
use crate::Outcome;

/// All that a run depends on.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    pub address: SocketAddr,
    pub request: &'a [u8],
    pub connections: u32,
    pub schedule: Schedule,
    /// How long answers are waited for after the schedule's end.
    pub grace: Duration,
}

impl Plan<'_> {
    /// Connects, then keeps to the schedule until each request is answered or given up. Takes no longer than
    /// `CONNECT_PATIENCE`, the schedule and the grace together. An error: the address cannot be connected to, or the
    /// kernel gives no epoll set.
    pub fn run(&self) -> Outcome<Measured> {
        let mut generator = Generator::new(self)?;
        generator.connect()?;
        generator.begin();
        generator.keep_to_schedule()?;
        Ok(generator.finish())
    }
}

struct Generator<'a> {
    plan: &'a Plan<'a>,
    epoll: OwnedFd,
    /// What all times are counted from, in nanoseconds: the first request's intended start, once `begun`.
    start: Instant,
    /// The schedule runs. Before that connections are opened and nothing is sent.
    begun: bool,
    slots: Vec<Slot>,
    /// Idle connections, the one that waited longest first, so that all are used alike and none is idle for long.
    free: VecDeque<usize>,
    /// Slots that could not connect, and when to try again; in order of time, since each waits equally long.
    absent: VecDeque<(u64, usize)>,
    /// The number of the first request that has not been sent.
    next: u64,
    in_flight: u64,
    punctuality: Punctuality,
    measured: Measured,
    scratch: Vec<u8>,
}

/// A place for a connection.
#[derive(Default)]
struct Slot {
    connection: Option<Connection>,
    /// Goes up with each connection, so that an event left over from the one before is known.
    generation: u32,
    /// The request under way, where one is.
    request: u64,
}

impl<'a> Generator<'a> {
    fn new(plan: &'a Plan<'a>) -> Outcome<Self> {
        let longest = Duration::from_nanos(plan.schedule.intended(plan.schedule.total())) + plan.grace;
        let highest = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX).max(2);
        Ok(Self {
            plan,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            start: Instant::now(),
            begun: false,
            slots: (0..plan.connections).map(|_| Slot::default()).collect(),
            free: VecDeque::with_capacity(plan.connections as usize),
            absent: VecDeque::new(),
            next: 0,
            in_flight: 0,
            punctuality: Punctuality::new(plan.schedule),
            measured: Measured::empty(Histogram::new_with_max(highest, SIGNIFICANT_DIGITS)?),
            scratch: vec![0; SCRATCH_BYTES],
        })
    }

    /// Opens all connections before the clock starts: how long that takes belongs to no request.
    fn connect(&mut self) -> Outcome<()> {
        for slot in 0..self.slots.len() {
            self.open(slot);
        }
        let deadline = nanoseconds(CONNECT_PATIENCE);
        let mut ready = Vec::with_capacity(EVENTS_MAX);
        while self.free.len() < self.slots.len() {
            let (now, address) = (self.now(), self.plan.address);
            if self.measured.kinds != Errors::default() {
                return Err(format!("cannot connect to {address}").into());
            }
            if now >= deadline {
                let (there, all) = (self.free.len(), self.slots.len());
                return Err(format!("{address} took {there} of {all} connections in time").into());
            }
            self.wait(&mut ready, deadline - now)?;
            for event in &ready {
                self.on_event(*event);
            }
        }
        Ok(())
    }

    fn begin(&mut self) {
        self.start = Instant::now();
        self.begun = true;
    }

    fn keep_to_schedule(&mut self) -> Outcome<()> {
        let schedule = self.plan.schedule;
        let end = schedule.intended(schedule.total()) + nanoseconds(self.plan.grace);
        let mut ready = Vec::with_capacity(EVENTS_MAX);
        while self.next < schedule.total() || self.in_flight > 0 {
            let mut now = self.now();
            if now >= end {
                break;
            }
            while let Some(&(when, slot)) = self.absent.front()
                && when <= now
            {
                self.absent.pop_front();
                self.open(slot);
            }
            while let Some(slot) = self.take_free(now) {
                self.send(slot, now);
                now = self.now();
            }
            ready.clear();
            if self.is_due(now) {
                // No connection is free. Asked without waiting: that nothing is there tells a slow gateway from a late
                // generator.
                self.wait(&mut ready, 0)?;
                if ready.is_empty() {
                    self.punctuality.idle(now);
                }
            }
            if ready.is_empty() {
                self.wait(&mut ready, self.until(now, end) - now)?;
            }
            for event in &ready {
                self.on_event(*event);
            }
        }
        Ok(())
    }

    /// When to wake if nothing happens.
    fn until(&self, now: u64, end: u64) -> u64 {
        let mut until = end;
        if self.next < self.plan.schedule.total() {
            let due = self.plan.schedule.intended(self.next);
            // Due and not sent: no connection is free. Then the wake-ups serve `punctuality` alone.
            until = until.min(if due > now { due } else { now + TICK });
        }
        if let Some(&(when, _)) = self.absent.front() {
            until = until.min(when);
        }
        until.max(now)
    }

    /// A connection for the next request, if that is due and one is free.
    fn take_free(&mut self, now: u64) -> Option<usize> {
        if self.is_due(now) {
            self.free.pop_front()
        } else {
            None
        }
    }

    /// Whether the next request should have been sent by now.
    fn is_due(&self, now: u64) -> bool {
        let schedule = self.plan.schedule;
        self.begun && self.next < schedule.total() && schedule.intended(self.next) <= now
    }

    fn send(&mut self, slot: usize, now: u64) {
        let request = self.next;
        self.next += 1;
        self.in_flight += 1;
        self.punctuality.sent(request, now);
        if self.plan.schedule.counts(request) {
            self.measured.sent += 1;
        }
        let place = &mut self.slots[slot];
        place.request = request;
        let Some(connection) = &mut place.connection else {
            return;
        };
        match connection.send(self.plan.request) {
            Ok(true) => {}
            Ok(false) => self.watch(slot),
            Err(_) => self.lose(slot, Loss::Closed, true),
        }
    }

    fn on_event(&mut self, event: epoll::Event) {
        let (slot, generation) = split(event.data.u64());
        let place = &mut self.slots[slot];
        if place.generation != generation {
            return;
        }
        let Some(connection) = &mut place.connection else {
            return;
        };
        let before = connection.interest(self.plan.request);
        match connection.advance(event.flags, self.plan.request, &mut self.scratch) {
            Event::Pending => {
                if connection.interest(self.plan.request) != before {
                    self.watch(slot);
                }
            }
            Event::Connected => {
                self.watch(slot);
                self.reuse(slot);
            }
            Event::Answered(done) => {
                let request = place.request;
                self.settle(request, (done.status != 200).then_some(Kind::Status));
                if done.close {
                    self.open(slot);
                } else {
                    self.reuse(slot);
                }
            }
            Event::Lost { why, mid_request } => self.lose(slot, why, mid_request),
        }
    }

    /// Gives a connection that is idle the next request at once if one waits.
    fn reuse(&mut self, slot: usize) {
        self.free.push_back(slot);
        let now = self.now();
        if let Some(slot) = self.take_free(now) {
            self.send(slot, now);
        }
    }

    fn lose(&mut self, slot: usize, why: Loss, mid_request: bool) {
        let kind = Kind::from(why);
        if mid_request {
            self.settle(self.slots[slot].request, Some(kind));
        } else {
            // It cost no request of its own, yet a client would have had to cope.
            self.free.retain(|&free| free != slot);
            // Before the schedule begins it ends the run (`connect`); in the warm-up it is not counted.
            if !self.begun || self.plan.schedule.counts(self.next) {
                self.measured.count(kind);
            }
        }
        if why == Loss::Connect {
            self.leave(slot);
        } else {
            self.open(slot);
        }
    }

    /// Puts a new connection in the place of what was there.
    fn open(&mut self, slot: usize) {
        let place = &mut self.slots[slot];
        place.generation = place.generation.wrapping_add(1);
        // The old one is closed first, which takes it out of the epoll set.
        place.connection = None;
        let head_only = self.plan.request.starts_with(b"HEAD ");
        let Ok(connection) = Connection::open(self.plan.address, head_only) else {
            self.lose(slot, Loss::Connect, false);
            return;
        };
        let data = epoll::EventData::new_u64(join(slot, place.generation));
        let interest = connection.interest(self.plan.request);
        if epoll::add(&self.epoll, connection.stream(), data, interest).is_err() {
            self.lose(slot, Loss::Connect, false);
            return;
        }
        place.connection = Some(connection);
    }

    /// Tries again a little later: at once would be a busy loop while a gateway restarts.
    fn leave(&mut self, slot: usize) {
        self.slots[slot].connection = None;
        self.absent
            .push_back((self.now() + nanoseconds(CONNECT_AGAIN), slot));
    }

    /// Waits for what the connection waits for now.
    fn watch(&mut self, slot: usize) {
        let place = &self.slots[slot];
        let Some(connection) = &place.connection else {
            return;
        };
        let data = epoll::EventData::new_u64(join(slot, place.generation));
        let interest = connection.interest(self.plan.request);
        if epoll::modify(&self.epoll, connection.stream(), data, interest).is_err() {
            let mid_request = connection.is_busy();
            self.lose(slot, Loss::Closed, mid_request);
        }
    }

    /// Writes down how a request under way ended; None is well.
    fn settle(&mut self, request: u64, wrong: Option<Kind>) {
        self.in_flight -= 1;
        let now = self.now();
        self.write_down(request, now, wrong);
    }

    fn write_down(&mut self, request: u64, now: u64, wrong: Option<Kind>) {
        if !self.plan.schedule.counts(request) {
            return;
        }
        let latency = now.saturating_sub(self.plan.schedule.intended(request));
        self.measured.histogram.saturating_record(latency);
        match wrong {
            None => self.measured.answered += 1,
            Some(kind) => self.measured.count(kind),
        }
    }

    /// What is not answered by now has waited at least until now.
    fn finish(mut self) -> Measured {
        let now = self.now();
        for slot in 0..self.slots.len() {
            let place = &self.slots[slot];
            if place.connection.as_ref().is_some_and(Connection::is_busy) {
                self.write_down(place.request, now, Some(Kind::Unanswered));
            }
        }
        for request in self.next..self.plan.schedule.total() {
            self.write_down(request, now, Some(Kind::Unanswered));
        }
        self.punctuality.idle(now);
        self.measured.behind = self.punctuality.behind();
        self.measured
    }

    fn wait(&self, ready: &mut Vec<epoll::Event>, nanoseconds: u64) -> Outcome<()> {
        ready.clear();
        let timeout = Timespec {
            tv_sec: (nanoseconds / SECOND) as i64,
            tv_nsec: (nanoseconds % SECOND) as _,
        };
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(ready), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(format!("epoll_pwait2(2), Linux 5.11 and later: {error}").into()),
        }
    }

    fn now(&self) -> u64 {
        nanoseconds(self.start.elapsed())
    }
}

/// What became of a request that was not answered well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Connect,
    Closed,
    Malformed,
    Status,
    Unanswered,
}

impl From<Loss> for Kind {
    fn from(loss: Loss) -> Self {
        match loss {
            Loss::Connect => Self::Connect,
            Loss::Closed => Self::Closed,
            Loss::Malformed => Self::Malformed,
        }
    }
}

fn join(slot: usize, generation: u32) -> u64 {
    (u64::from(generation) << 32) | slot as u64
}

fn split(data: u64) -> (usize, u32) {
    ((data & 0xffff_ffff) as usize, (data >> 32) as u32)
}

fn nanoseconds(duration: Duration) -> u64 {
    // 584 years.
    duration.as_nanos() as u64
}

const SECOND: u64 = 1_000_000_000;
/// How often to look up while every connection is busy; well below the millisecond that `punctuality` allows.
const TICK: u64 = 250_000;
/// A value is kept to a thousandth of itself.
const SIGNIFICANT_DIGITS: u8 = 3;
const EVENTS_MAX: usize = 1024;
const SCRATCH_BYTES: usize = 256 * 1024;
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
const CONNECT_AGAIN: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_names_slot_and_generation() {
        for (slot, generation) in [(0, 0), (63, 1), (59_999, u32::MAX)] {
            assert_eq!(split(join(slot, generation)), (slot, generation));
        }
    }
}
