//! `spike-control-flex`: at most so many requests in any stretch of time; what is too much waits a while.

mod atomics {
    pub(super) use std::sync::atomic::{AtomicU64, Ordering};
}
mod window;

#[cfg(test)]
mod tests;
