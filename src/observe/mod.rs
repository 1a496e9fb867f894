//! What is said about an exchange when it has ended: one record, from which log lines and counters come.

pub mod access_log;
