//! Limits as written.

use super::{
    bucket::{MAXIMUM_LIMIT, MAXIMUM_WINDOW_MS},
    rule::Limit,
};
use crate::{located::Bounded, object};

object! {
    /// A number of requests in a window of time, which begins with a key's first request.
    pub struct LimitSpec {
        /// Requests let through in each window.
        required "maximumRequests" maximum_requests: Bounded<1, { MAXIMUM_LIMIT as i64 }>,
        /// The window's length, 45 days at most. Windows below ten seconds are kept as written.
        required "timePeriodInMilliseconds" time_period_in_milliseconds: Bounded<1, { MAXIMUM_WINDOW_MS as i64 }>,
    }
}

impl LimitSpec {
    pub fn limit(&self) -> Limit {
        // Both bounds are below 2^32.
        Limit {
            requests: self.maximum_requests.unsigned() as u32,
            window_ms: self.time_period_in_milliseconds.unsigned() as u32,
        }
    }
}
