//! The policies of one API or of one service, in the order in which a request meets them. The answer meets them the other
//! way round, and only those that the request has met: where one refuses, its answer passes back through those before it.

use super::{Event, Local, Policy, Request, Response, ShardParts, State, Step, Wait, jwt::KeySet};
use crate::route;
use std::sync::Arc;

#[derive(Debug, Default)]
pub struct Chain {
    bound: Vec<Bound>,
    sees_responses: bool,
}

/// A policy with the requests it is for.
#[derive(Debug)]
pub struct Bound {
    /// `namespace/name` of the binding; what logs call it.
    pub name: String,
    /// One of them must match; none at all matches everything.
    pub rules: Arc<[route::Rule]>,
    pub policy: Policy,
}

/// How far a request has got through a chain.
#[derive(Debug, Default)]
pub struct Progress {
    /// One for each policy that was reached, whether it ran or not.
    states: Vec<State>,
    /// The next hook is that of a policy which waited for something.
    waiting: bool,
}

impl Progress {
    /// Undoes what the policies left to be undone at the end of an exchange.
    pub fn clear(&mut self) {
        self.states.clear();
        self.waiting = false;
    }

    /// Position of the policy that was run last.
    pub fn last(&self) -> Option<usize> {
        self.states.len().checked_sub(1)
    }
}

impl Chain {
    /// In the order given.
    pub fn new(bound: Vec<Bound>) -> Self {
        let sees_responses = bound.iter().any(|bound| bound.policy.sees_responses());
        Self {
            bound,
            sees_responses,
        }
    }

    /// Whether one of them writes messages into the log.
    pub fn logs(&self) -> bool {
        self.bound.iter().any(|bound| bound.policy.logs())
    }

    /// Of the policy at this position.
    pub fn name(&self, position: usize) -> &str {
        self.bound.get(position).map_or("", |bound| &bound.name)
    }

    /// What one shard keeps for it. `owner` is `namespace/name` of what the chain belongs to.
    pub fn locals(&self, owner: &str, parts: &ShardParts<'_>) -> Vec<Local> {
        let local = |bound: &Bound| {
            let name = format!("{owner} {}", bound.name);
            bound.policy.local(&ShardParts {
                name: &name,
                ..*parts
            })
        };
        self.bound.iter().map(local).collect()
    }

    /// Runs the request's hooks until one ends the exchange, or waits. `applies` says whether one of a policy's rules
    /// matches. To be called with `event` when what one waited for is there; the content is in the request itself.
    pub fn on_request(
        &self,
        request: &mut Request<'_>,
        locals: &[Local],
        progress: &mut Progress,
        mut event: Option<Event>,
        mut applies: impl FnMut(&[route::Rule], &Request<'_>) -> bool,
    ) -> Step {
        let states = &mut progress.states;
        let first = states.len() - usize::from(progress.waiting);
        for (bound, local) in self.bound.iter().zip(locals).skip(first) {
            if !std::mem::take(&mut progress.waiting) {
                let ran = bound.rules.is_empty() || applies(&bound.rules, request);
                states.push(if ran { State::Ran } else { State::NotRun });
                if !ran {
                    continue;
                }
            }
            let Some(state) = states.last_mut() else { break };
            let step = match event.take() {
                None => bound.policy.on_request(request, local, state),
                Some(event) => bound.policy.on_resume(event, request, local, state),
            };
            match step {
                Step::Continue => {}
                Step::Wait(wait) => {
                    // A policy that asks for what is there already would ask for ever.
                    debug_assert!(wait != Wait::Body || request.body.is_none());
                    progress.waiting = true;
                    return Step::Wait(wait);
                }
                ended => return ended,
            }
        }
        Step::Continue
    }

    /// The keys of a source have come to the shard whose `locals` these are.
    pub fn keys_arrived(&self, locals: &[Local], source: usize, keys: &Arc<KeySet>) {
        for (bound, local) in self.bound.iter().zip(locals) {
            bound.policy.keys_arrived(local, source, keys);
        }
    }

    /// Runs the answer's hooks, of those that have met the request.
    pub fn on_response(&self, response: &mut Response<'_>, locals: &[Local], progress: &mut Progress) {
        if !self.sees_responses {
            return;
        }
        let met = self
            .bound
            .iter()
            .zip(locals)
            .zip(&mut progress.states)
            .enumerate();
        for (position, ((bound, local), state)) in met.rev() {
            if !matches!(state, State::NotRun) {
                bound.policy.on_response(response, local, state);
                if response.failed.is_some() {
                    // Those before it, and they alone, meet the refusal that comes instead. It stays the last one.
                    *state = State::NotRun;
                    progress.states.truncate(position + 1);
                    return;
                }
            }
        }
    }
}
