//! The access log's way out: every 20 ms the shards' queues are emptied and rendered here, and one thread of its
//! own writes. Control answers health probes on the thread this runs on, so a full disk or a pipe that nobody
//! reads may only ever stop the writing thread.
//!
//! What waits for that thread is bounded. Past the bound the queues are left alone until they are full, and
//! the shards drop: lines are lost in one place, and counted there.

mod writer;

use crate::observe::{
    access_log::Spec,
    queue::{Entry, RecordReceiver},
};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use writer::{Batch, Progress, Writer};

/// An access log whose file is open.
pub struct AccessLog {
    spec: Spec,
    writer: Writer,
}

impl AccessLog {
    /// Opens (and creates) the file, so that a wrong path fails the start and not the first request.
    ///
    /// # Errors
    /// As opening the file, or starting the writing thread.
    pub fn open(spec: Spec) -> io::Result<Self> {
        let writer = Writer::start(&spec.path)?;
        Ok(Self { spec, writer })
    }

    /// Writes what the shards record until `shutdown` says true (or its sender is gone), then what is still
    /// queued, for at most two seconds. To lose nothing, let the shards end first.
    pub async fn run(self, mut receivers: Vec<RecordReceiver>, mut shutdown: watch::Receiver<bool>) {
        let mut report = Report::new();
        let mut ticks = interval(TURN);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = shutdown.wait_for(|stop| *stop) => break,
            }
            for receiver in &mut receivers {
                if self.writer.progress().waiting_bytes() < WAITING_BYTES {
                    self.hand_over(receiver);
                    // Rendering a full queue takes milliseconds; a probe need not wait for all shards'.
                    tokio::task::yield_now().await;
                }
            }
            report.tell(&receivers, self.writer.progress(), &self.spec, false);
        }

        for receiver in &mut receivers {
            self.hand_over(receiver);
        }
        let progress = self.writer.progress().clone();
        let in_time = timeout(FLUSH_LIMIT, self.writer.finish()).await.is_ok();
        report.tell(&receivers, &progress, &self.spec, true);
        if !in_time {
            tracing::warn!(
                path = %self.spec.path.display(),
                bytes = progress.waiting_bytes(),
                "access log: the last lines could not be written in time"
            );
        }
    }

    fn hand_over(&self, receiver: &mut RecordReceiver) {
        let mut batch = Batch::default();
        let lines = receiver.drain(|entry| match entry {
            Entry::Record(record) => self.spec.render(record, &mut batch.bytes),
            Entry::Message(message) => self.spec.render_message(message, &mut batch.bytes),
        });
        batch.lines = lines as u64;
        if batch.lines > 0 {
            self.writer.write(batch);
        }
    }
}

/// Says that lines were lost: when it begins, then once a minute while it goes on.
struct Report {
    told: Option<Instant>,
    dropped: u64,
    failed: u64,
}

impl Report {
    fn new() -> Self {
        Self {
            told: None,
            dropped: 0,
            failed: 0,
        }
    }

    fn tell(&mut self, receivers: &[RecordReceiver], progress: &Arc<Progress>, spec: &Spec, last: bool) {
        let dropped = receivers.iter().map(RecordReceiver::dropped).sum();
        let failed = progress.failed_lines();
        let news = dropped != self.dropped || failed != self.failed;
        if !news || (!last && self.told.is_some_and(|at| at.elapsed() < REPORT_EVERY)) {
            return;
        }
        tracing::warn!(
            path = %spec.path.display(),
            dropped = dropped - self.dropped,
            failed = failed - self.failed,
            error = progress.last_error().as_deref().unwrap_or("none"),
            "access log: lines were lost"
        );
        *self = Self {
            told: Some(Instant::now()),
            dropped,
            failed,
        };
    }
}

/// Long enough to write many lines at once, short enough to follow a log by eye.
const TURN: Duration = Duration::from_millis(20);
const REPORT_EVERY: Duration = Duration::from_secs(60);
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// Rendered bytes that may wait for the writing thread; the last queue to be emptied may exceed it by its own
/// content. At 300 bytes a line, some 28,000 lines.
const WAITING_BYTES: usize = 8 << 20;

#[cfg(test)]
mod tests;
