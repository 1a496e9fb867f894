//! A request that asks shared storage before it asks the origin.

use super::{
    CacheLocal, Caching, HttpCaching, fill,
    freshness::CacheControl,
    generation::Generation,
    hit,
    shared::{Content, Desk, Entry, Name, Pending, SharedCache, Told},
    store::{Selection, Store, Stored},
};
use crate::{
    clock::Tick,
    policy::{Answer, Request, State, Step, Wait},
};
use std::{cell::RefCell, rc::Rc, sync::Arc};

/// What it waits for, and what it will do without.
#[derive(Debug)]
pub struct Asking {
    key: Box<[u8]>,
    /// Others for the same wait until it is over. None: the answer will not be one to keep.
    fetch: Option<fill::Fetch>,
    pending: Pending,
    control: CacheControl,
    /// Of the front, from before anything was asked: what is invalidated meanwhile is not put there.
    generation: Generation,
    since: Tick,
    /// The name of its key, and the group of keys it is invalidated with.
    name: Name,
    slot: u16,
    /// The answer was that answers are told apart; this is the question for the one.
    again: bool,
}

impl HttpCaching {
    pub(super) fn ask(
        &self,
        request: &mut Request<'_>,
        store: &Rc<RefCell<Store>>,
        (shared, desk): (&Arc<SharedCache>, &Rc<Desk>),
        key: Box<[u8]>,
        control: CacheControl,
        state: &mut State,
    ) -> Step {
        let generation = self.generations.of(&key);
        let name = shared.name(&key, &Selection::new());
        let slot = SharedCache::slot(&name);
        let fetch = self.begin(request, store, key.clone(), &control);
        let Some(pending) = desk.look(shared, name, slot) else {
            return go_on(fetch, &control, state);
        };
        let signal = pending.signal.clone();
        *state = State::Caching(Caching::Asking(Box::new(Asking {
            key,
            fetch,
            pending,
            control,
            generation,
            since: request.context.now,
            name,
            slot,
            again: false,
        })));
        Step::Wait(Wait::Signal {
            signal,
            at_most: shared.patience_ms,
        })
    }

    /// It has been told, or it has waited for long enough.
    pub(super) fn asked(&self, request: &mut Request<'_>, local: &CacheLocal, state: &mut State) -> Step {
        let State::Caching(Caching::Asking(mut asking)) = std::mem::replace(state, State::Ran) else {
            return Step::Continue;
        };
        let (Some(Told { seen, record, .. }), Some((shared, desk))) = (asking.pending.take(), &local.shared)
        else {
            return go_on(asking.fetch, &asking.control, state);
        };
        let mut fetch = asking.fetch.take();
        if let (Some(fetch), Some(seen)) = (&mut fetch, seen) {
            fetch.share(seen, (asking.name, asking.slot), shared, desk);
        }
        let (Some((record, left_ms)), false) = (record, asking.control.no_cache) else {
            return go_on(fetch, &asking.control, state);
        };
        if record.key != asking.key {
            return go_on(fetch, &asking.control, state);
        }
        match &record.content {
            Content::Varies(names) if !asking.again => {
                let now = request.context.now;
                let left = shared
                    .patience_ms
                    .saturating_sub(now.saturating_sub(asking.since));
                let name = shared.name(&asking.key, &fill::chosen(names, request));
                asking.fetch = fetch;
                let pending = (left > 0).then(|| desk.look(shared, name, asking.slot)).flatten();
                let Some(pending) = pending else {
                    return go_on(asking.fetch, &asking.control, state);
                };
                let signal = pending.signal.clone();
                asking.pending = pending;
                asking.again = true;
                *state = State::Caching(Caching::Asking(asking));
                Step::Wait(Wait::Signal {
                    signal,
                    at_most: left,
                })
            }
            Content::Answer(entry) => {
                let now = request.context.now;
                let stored = Rc::new(stored(entry, left_ms));
                let selects = fill::selects(&entry.selection, request);
                let serves = selects && fill::serves(stored.audience, request);
                let mut store = local.store.borrow_mut();
                store.put_shared(
                    &asking.key,
                    entry.selection.clone(),
                    stored.clone(),
                    now,
                    left_ms,
                    asking.generation,
                );
                drop(store);
                if serves {
                    return hit::answer(request, &stored, now);
                }
                go_on(fetch, &asking.control, state)
            }
            Content::Varies(_) => go_on(fetch, &asking.control, state),
        }
    }
}

/// Without an answer of the storage's.
fn go_on(fetch: Option<fill::Fetch>, control: &CacheControl, state: &mut State) -> Step {
    if control.only_if_cached {
        return Step::Answer(Answer::empty(504));
    }
    if let Some(fetch) = fetch {
        *state = State::Caching(Caching::Fetching(Box::new(fetch)));
    }
    Step::Continue
}

/// How old it is, the storage's clock says: those of replicas may differ.
fn stored(entry: &Entry, left_ms: u64) -> Stored {
    Stored {
        status: entry.status,
        lines: entry.lines.clone(),
        body: entry.body.clone(),
        age: (entry.age).saturating_add(entry.lifetime_ms.saturating_sub(left_ms) / 1000),
        audience: entry.audience,
    }
}
