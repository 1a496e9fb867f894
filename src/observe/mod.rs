//! What is said about an exchange when it has ended: one record, from which log lines and counters come.
//!
//! `record` holds the facts, `queue` carries them from a shard to control without waiting, `access_log` makes
//! a line of them, `message` is what policies log on the way, `counters` adds up what nobody needs line by line, `labels` are the words all of them use.

pub mod access_log;
pub mod counters;
pub mod labels;
pub mod message;
pub mod queue;
pub mod record;
