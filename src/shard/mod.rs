//! What one shard owns.

pub mod snapshot;
