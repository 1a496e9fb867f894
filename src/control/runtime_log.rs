//! The runtime log: what happens to the process, on stderr. Not for requests; those have the access log.
//!
//! A shard may log too, and must not wait for whoever reads our stderr. A line is handed to a thread that
//! writes; when too many wait, lines are dropped and the next one written says how many. What is said last
//! matters most, so `flush` stands before every exit.

use std::{
    io::{self, IsTerminal, Write},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{self, SyncSender, TrySendError},
    },
    thread,
    time::Duration,
};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// Once, first thing in `main`. `filter` is a level (`info`) or directives (`info,ringway::control=debug`).
///
/// # Errors
/// With a sentence for the user, when `filter` cannot be read, the thread cannot be started, or this was called
/// before.
pub fn init(filter: &str, json: bool) -> Result<(), String> {
    // Libraries speak of what Ringway itself reports with more context, so they start quiet; whoever names
    // one in the filter hears it.
    let filter = EnvFilter::builder()
        .parse(format!("{QUIET_LIBRARIES}{filter}"))
        .map_err(|error| format!("log level \"{filter}\": {error}"))?;
    let lines = Lines::start(io::stderr()).map_err(|error| format!("runtime log: {error}"))?;
    if LINES.set(lines.clone()).is_err() {
        return Err("the runtime log is initialised twice".into());
    }
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(lines)
        .with_ansi(colours);
    let set = if json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.try_init()
    };
    set.map_err(|error| format!("runtime log: {error}"))
}

/// Waits until what has been logged so far is written, at most a second. Before every way out of the process.
pub fn flush() {
    if let Some(lines) = LINES.get() {
        lines.flush();
    }
}

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

#[derive(Clone)]
struct Lines {
    messages: SyncSender<Message>,
    dropped: &'static AtomicU64,
}

impl Lines {
    fn start(mut to: impl Write + Send + 'static) -> io::Result<Self> {
        let (messages, incoming) = mpsc::sync_channel(WAITING_LINES);
        let dropped: &'static AtomicU64 = &DROPPED;
        thread::Builder::new().name("runtime-log".into()).spawn(move || {
            for message in incoming {
                match message {
                    // A stderr that cannot be written leaves nobody to tell.
                    Message::Line(line) => {
                        let _: io::Result<()> = to.write_all(&line);
                        let lost = dropped.swap(0, Relaxed);
                        if lost > 0 {
                            let _: io::Result<()> = writeln!(to, "runtime log: {lost} lines were dropped");
                        }
                    }
                    Message::Flush(done) => {
                        let _: io::Result<()> = to.flush();
                        let _: Result<(), _> = done.send(());
                    }
                }
            }
        })?;
        Ok(Self { messages, dropped })
    }

    fn flush(&self) {
        let (done, wait) = mpsc::sync_channel(1);
        let mut message = Message::Flush(done);
        // A full queue empties as the thread writes; a stuck one must not keep the process.
        for _ in 0..FLUSH_TRIES {
            match self.messages.try_send(message) {
                Ok(()) => {
                    let _: Result<(), _> = wait.recv_timeout(FLUSH_TURN * FLUSH_TRIES);
                    return;
                }
                Err(TrySendError::Full(back)) => message = back,
                Err(TrySendError::Disconnected(_)) => return,
            }
            thread::park_timeout(FLUSH_TURN);
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line {
            lines: self,
            bytes: Vec::new(),
        }
    }
}

/// One event; on its way when dropped.
struct Line<'a> {
    lines: &'a Lines,
    bytes: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let line = std::mem::take(&mut self.bytes);
        if !line.is_empty() && self.lines.messages.try_send(Message::Line(line)).is_err() {
            self.lines.dropped.fetch_add(1, Relaxed);
        }
    }
}

static LINES: OnceLock<Lines> = OnceLock::new();
static DROPPED: AtomicU64 = AtomicU64::new(0);

const QUIET_LIBRARIES: &str = "hickory_resolver=error,hickory_net=error,hickory_proto=error,hyper=error,";
const WAITING_LINES: usize = 1024;
const FLUSH_TURN: Duration = Duration::from_millis(10);
const FLUSH_TRIES: u32 = 100;

#[cfg(test)]
mod tests;
