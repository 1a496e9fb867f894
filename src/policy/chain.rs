//! The policies of one API, in the order in which a request meets them. The answer meets them the other way round, and
//! only those that the request has met: where one refuses, its answer passes back through those before it.

use super::{Policy, Request, Response, State, Step};
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

impl Chain {
    /// In the order given.
    pub fn new(bound: Vec<Bound>) -> Self {
        let sees_responses = bound.iter().any(|bound| bound.policy.sees_responses());
        Self {
            bound,
            sees_responses,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.bound.is_empty()
    }

    /// Runs the request's hooks until one ends the exchange. `applies` says whether one of a policy's rules matches.
    pub fn on_request(
        &self,
        request: &mut Request<'_>,
        states: &mut Vec<State>,
        mut applies: impl FnMut(&[route::Rule], &Request<'_>) -> bool,
    ) -> Step {
        states.clear();
        states.resize_with(self.bound.len(), State::default);
        for (bound, state) in self.bound.iter().zip(states) {
            if !bound.rules.is_empty() && !applies(&bound.rules, request) {
                continue;
            }
            *state = State::Ran;
            match bound.policy.on_request(request, state) {
                Step::Continue => {}
                ended => return ended,
            }
        }
        Step::Continue
    }

    /// Runs the answer's hooks, of those that have met the request.
    pub fn on_response(&self, response: &mut Response<'_>, states: &[State]) {
        if !self.sees_responses {
            return;
        }
        for (bound, state) in self.bound.iter().zip(states).rev() {
            if !matches!(state, State::NotRun) {
                bound.policy.on_response(response, state);
            }
        }
    }
}
