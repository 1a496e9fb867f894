//! The other shards, as one shard sees them: what each publishes about its work, and the way to hand it a
//! connection. With one shard there is none of this.
//!
//! No shard waits for another. A published number has one writer and is looked at without order; one that is
//! a little old costs a worse choice, never a connection. Only the end of a shard is ordered, because it must
//! not miss a connection on its way ([`Peers::nothing_comes`]).

use super::{
    Outbox,
    balance::{self, LEVELS, Pace, Plan, WINDOW, Work},
};
use crate::{clock::Tick, connection::Arrival};
use std::{
    cell::{Cell, RefCell},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

/// New connections one shard gives away: so many at once, and so many a window in the long run. A hand-over costs
/// some 10 µs of CPU on the two shards. Few long connections need no more of them; a stream of short ones would be
/// handed over without end, gains nothing by it, and so pays a third of a thousandth of a CPU.
const HAND_OVERS: u32 = 256;
const HAND_OVERS_A_WINDOW: u32 = 32;

/// Into a window, milliseconds: then all shards have published the last one. Twice a sweep.
const PUBLISHED: Tick = 200;

/// What the shards of a process publish.
#[derive(Debug)]
pub struct Board {
    places: Box<[Place]>,
}

/// One shard's lines on the board. Aligned to a pair of cache lines, so that publishing disturbs no other shard.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Place {
    /// Connections it serves. Written by it alone.
    open: AtomicU32,
    /// Connections given to it that it has not taken yet. The one number with several writers: added to by the
    /// giver, before it gives.
    coming: AtomicU32,
    /// The window that the rest is about. Written by it alone.
    window: AtomicU32,
    reached: [AtomicU32; LEVELS],
    /// It gives nothing away any more. Set once, by it alone.
    sealed: AtomicBool,
}

/// One shard's view.
#[derive(Debug)]
pub struct Peers {
    me: usize,
    board: Arc<Board>,
    outboxes: Arc<[Outbox]>,
    open: Cell<u32>,
    window: Cell<u32>,
    work: RefCell<Work>,
    /// New connections that may be handed over.
    allowed: Cell<u32>,
    planned: Cell<bool>,
    /// What the last window says; what it and the one before say is the plan.
    wish: Cell<Option<Plan>>,
    plan: Cell<Option<Plan>>,
    /// It gave idle connections away in this window, so the window says nothing about the next.
    gave: Cell<bool>,
    gave_before: Cell<bool>,
}

/// An idle connection that another shard should have.
#[derive(Debug, Clone, Copy)]
pub struct Move {
    pub to: usize,
    weight: u32,
}

impl Board {
    pub fn new(shards: usize) -> Arc<Self> {
        Arc::new(Self {
            places: (0..shards).map(|_| Place::default()).collect(),
        })
    }
}

impl Peers {
    /// Shard `me` among those behind `outboxes`, which are in the order of the board. None where it is alone.
    pub fn new(me: usize, board: Arc<Board>, outboxes: Arc<[Outbox]>) -> Option<Self> {
        (outboxes.len() > 1).then(|| Self {
            me,
            board,
            outboxes,
            open: Cell::new(0),
            window: Cell::new(0),
            work: RefCell::default(),
            allowed: Cell::new(HAND_OVERS),
            planned: Cell::new(false),
            wish: Cell::new(None),
            plan: Cell::new(None),
            gave: Cell::new(false),
            gave_before: Cell::new(false),
        })
    }

    pub(super) fn opened(&self) {
        self.set_open(self.open.get() + 1);
    }

    pub(super) fn closed(&self) {
        self.set_open(self.open.get() - 1);
    }

    fn set_open(&self, open: u32) {
        self.open.set(open);
        self.mine().open.store(open, Ordering::Relaxed);
    }

    /// Where a connection just accepted should go; None to keep it. `total`: connections open in the process,
    /// without this one.
    pub(super) fn lighter(&self, total: u32) -> Option<usize> {
        let allowed = self.allowed.get().checked_sub(1)?;
        let to = balance::place(self.me, self.board.places.len(), total, |shard| {
            let place = &self.board.places[shard];
            let open = place.open.load(Ordering::Relaxed);
            open.saturating_add(place.coming.load(Ordering::Relaxed))
        })?;
        self.allowed.set(allowed);
        Some(to)
    }

    /// Counts a request of a connection that is kept open; says where the connection should go now, if it
    /// should. Whoever does it says so with [`Self::hand_over`] and [`Self::moved`].
    pub(super) fn served(&self, pace: &mut Pace) -> Option<Move> {
        let served = pace.count(self.window.get());
        if served.is_power_of_two() {
            self.work.borrow_mut().add(served);
        }
        let plan = self.plan.get()?;
        let weight = pace.weight(plan.whole);
        plan.wants(weight).then_some(Move { to: plan.to, weight })
    }

    pub(super) fn moved(&self, done: Move) {
        self.gave.set(true);
        if let Some(plan) = self.plan.get() {
            self.plan.set(Some(Plan {
                left: plan.left.saturating_sub(done.weight),
                ..plan
            }));
        }
    }

    /// # Errors
    /// That shard has ended; the connection comes back.
    pub(super) fn hand_over(&self, to: usize, connection: Arrival) -> Result<(), Arrival> {
        let coming = &self.board.places[to].coming;
        coming.fetch_add(1, Ordering::Relaxed);
        self.outboxes[to].hand_over(connection).inspect_err(|_| {
            coming.fetch_sub(1, Ordering::Relaxed);
        })
    }

    /// A connection that was coming is counted as open here now.
    pub(super) fn taken(&self) {
        self.mine().coming.fetch_sub(1, Ordering::Relaxed);
    }

    /// Gives nothing away from now on.
    pub(super) fn seal(&self) {
        self.plan.set(None);
        self.allowed.set(0);
        // Release: whoever sees it sees what was given before.
        self.mine().sealed.store(true, Ordering::Release);
    }

    /// Nobody will give this shard a connection, and none is on its way.
    pub(super) fn nothing_comes(&self) -> bool {
        let sealed = |place: &Place| place.sealed.load(Ordering::Acquire);
        self.board.places.iter().all(sealed) && self.mine().coming.load(Ordering::Relaxed) == 0
    }

    /// At every sweep: ends the window when its time has come, and plans once the others have done so too.
    pub(super) fn sweep(&self, now: Tick) {
        // Wraps after 136 years of running.
        let window = (now / WINDOW) as u32;
        if window != self.window.get() {
            self.begin_window(window);
        } else if !self.planned.get() && now % WINDOW >= PUBLISHED {
            self.planned.set(true);
            self.look_at_the_others();
        }
    }

    fn begin_window(&self, window: u32) {
        let (mine, work) = (self.mine(), self.work.take());
        for (place, reached) in mine.reached.iter().zip(work.reached) {
            place.store(reached, Ordering::Relaxed);
        }
        // Release: whoever sees the window sees its numbers.
        mine.window.store(self.window.get(), Ordering::Release);
        self.window.set(window);
        self.planned.set(false);
        self.plan.set(None);
        self.gave_before.set(self.gave.replace(false));
        if !self.is_sealed() {
            let allowed = self.allowed.get() + HAND_OVERS_A_WINDOW;
            self.allowed.set(allowed.min(HAND_OVERS));
        }
    }

    fn look_at_the_others(&self) {
        if self.gave_before.get() || self.is_sealed() {
            // What was given away shows in part of the last window only.
            self.wish.set(None);
            return;
        }
        let last = self.window.get().wrapping_sub(1);
        let read = |reached: &AtomicU32| reached.load(Ordering::Relaxed);
        // A shard that was too busy to publish is left out, as giver and as receiver.
        let works: Vec<(usize, Work)> = (self.board.places.iter().enumerate())
            .filter(|(_, place)| place.window.load(Ordering::Acquire) == last)
            .map(|(shard, place)| {
                let reached = std::array::from_fn(|level| read(&place.reached[level]));
                (shard, Work { reached })
            })
            .collect();
        let wish = balance::plan(self.me, &works);
        self.plan.set(balance::lasting(self.wish.replace(wish), wish));
    }

    fn is_sealed(&self) -> bool {
        self.mine().sealed.load(Ordering::Relaxed)
    }

    fn mine(&self) -> &Place {
        &self.board.places[self.me]
    }
}
