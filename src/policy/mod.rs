//! Policies: what stands between a request's route and its upstream.

pub mod rate_limit;
