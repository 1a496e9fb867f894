//! Accepting connections on one shard.
