//! SIGTERM and SIGINT: the first drains, the second ends.

use std::fmt;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

pub(super) struct Signals {
    terminate: Stream,
    interrupt: Stream,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Signal {
    Terminate,
    Interrupt,
}

impl Signals {
    pub(super) fn new() -> Result<Self, String> {
        let stream = |kind| signal(kind).map_err(|error| format!("signals cannot be received: {error}"));
        Ok(Self {
            terminate: stream(SignalKind::terminate())?,
            interrupt: stream(SignalKind::interrupt())?,
        })
    }

    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        })
    }
}
