//! A line that a policy was told to log, beside the record that ends the exchange. It leaves the shard through the same
//! queue, so it never waits; a queue that is full loses it, and counts it.

use super::{counters::Counter, queue::RecordSender};

/// Borrowed, as a record is; the same type comes out of the queue on the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Milliseconds since 1970 UTC.
    pub unix_millis: u64,
    pub level: Level,
    /// `namespace/name`.
    pub api: &'a str,
    /// That of the request's record.
    pub request_id: &'a [u8],
    /// The configuration's; "" for none.
    pub category: &'a str,
    /// May hold any byte.
    pub text: &'a [u8],
    /// Whether some of it was cut on its way through the queue; false when a shard makes the message.
    pub truncated: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    pub(super) const ALL: [Self; 4] = [Self::Debug, Self::Info, Self::Warn, Self::Error];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

/// Where a shard's messages go.
#[derive(Clone, Copy)]
pub struct MessageLog<'l> {
    queue: Option<&'l RecordSender>,
    dropped: &'l Counter,
}

impl<'l> MessageLog<'l> {
    /// `queue` is None where nothing of the configuration logs.
    pub fn new(queue: Option<&'l RecordSender>, dropped: &'l Counter) -> Self {
        Self { queue, dropped }
    }

    pub fn write(&self, message: &Message<'_>) {
        if self.queue.is_some_and(|queue| !queue.push_message(message)) {
            self.dropped.add(1);
        }
    }
}

/// Of [`Message::text`], in bytes; the rest is cut, and said to be.
pub const TEXT_LIMIT: usize = 16 * 1024;
