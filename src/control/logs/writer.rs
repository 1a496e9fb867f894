//! The thread that writes. It alone may block on the file.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// Whole lines.
#[derive(Default)]
pub(super) struct Batch {
    pub bytes: Vec<u8>,
    pub lines: u64,
}

/// What control may know of the thread.
#[derive(Default)]
pub(super) struct Progress {
    waiting_bytes: AtomicUsize,
    failed_lines: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl Progress {
    /// Handed over and not yet written.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes.load(Relaxed)
    }

    pub(super) fn failed_lines(&self) -> u64 {
        self.failed_lines.load(Relaxed)
    }

    pub(super) fn last_error(&self) -> Option<String> {
        self.last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

pub(super) struct Writer {
    /// Unbounded: who sends looks at `waiting_bytes` first.
    batches: mpsc::Sender<Batch>,
    progress: Arc<Progress>,
    finished: oneshot::Receiver<()>,
}

impl Writer {
    pub(super) fn start(path: &Path) -> io::Result<Self> {
        let mut sink = Sink::open(path)?;
        let (batches, incoming) = mpsc::channel::<Batch>();
        let (finish, finished) = oneshot::channel();
        let progress = Arc::new(Progress::default());
        let shared = progress.clone();
        thread::Builder::new().name("access-log".into()).spawn(move || {
            for batch in incoming {
                if let Err(error) = sink.write(&batch.bytes) {
                    shared.failed_lines.fetch_add(batch.lines, Relaxed);
                    *shared.last_error.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some(error.to_string());
                }
                shared.waiting_bytes.fetch_sub(batch.bytes.len(), Relaxed);
            }
            let _: Result<(), ()> = finish.send(());
        })?;
        Ok(Self {
            batches,
            progress,
            finished,
        })
    }

    pub(super) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    pub(super) fn write(&self, batch: Batch) {
        let (length, lines) = (batch.bytes.len(), batch.lines);
        self.progress.waiting_bytes.fetch_add(length, Relaxed);
        if self.batches.send(batch).is_err() {
            self.progress.waiting_bytes.fetch_sub(length, Relaxed);
            self.progress.failed_lines.fetch_add(lines, Relaxed);
        }
    }

    /// Until everything handed over has been tried.
    pub(super) async fn finish(self) {
        drop(self.batches);
        let _: Result<(), _> = self.finished.await;
    }
}

/// Where lines go, and what is needed to keep them whole and in the right file.
struct Sink {
    file: File,
    /// Some for a regular file: looked up again, because log rotation renames it.
    path: Option<PathBuf>,
    looked: Instant,
    /// The last write ended within a line.
    torn: bool,
}

impl Sink {
    fn open(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        let rotates = file.metadata()?.is_file() && standard(path).is_none();
        Ok(Self {
            file,
            path: rotates.then(|| path.to_owned()),
            looked: Instant::now(),
            torn: false,
        })
    }

    /// Tries every byte. After an error, what follows the part written is lost.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.follow_rotation()?;
        if self.torn {
            // The rest of the cut line is gone; it must not take the next one with it.
            self.put(b"\n")?;
        }
        self.put(bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut left = bytes;
        while !left.is_empty() {
            match self.file.write(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.torn = left[written - 1] != b'\n';
                    left = &left[written..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Another process may have made our stdout non-blocking, since the flag belongs to the open
                // file and not to the descriptor. Waiting is what this thread is for.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::park_timeout(RETRY),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn follow_rotation(&mut self) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        if self.looked.elapsed() < LOOK_EVERY {
            return Ok(());
        }
        self.looked = Instant::now();
        let ours = self.file.metadata()?;
        let same = path
            .metadata()
            .is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino()));
        if !same {
            self.file = open(path)?;
            self.torn = false;
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    // Opening /dev/stdout anew fails where it is a socket (under systemd), and for a file would begin at its
    // start, over what others have written there.
    if let Some(descriptor) = standard(path) {
        return descriptor.map(File::from);
    }
    let mut options = OpenOptions::new();
    options.append(true).mode(0o640);
    match path.metadata() {
        // Opened for reading too, a FIFO opens at once; for writing alone, only when a reader comes.
        Ok(there) if there.file_type().is_fifo() => options.read(true),
        _ => options.create(true),
    };
    options.open(path)
}

fn standard(path: &Path) -> Option<io::Result<OwnedFd>> {
    match path.to_str()? {
        "/dev/stdout" => Some(io::stdout().as_fd().try_clone_to_owned()),
        "/dev/stderr" => Some(io::stderr().as_fd().try_clone_to_owned()),
        _ => None,
    }
}

const LOOK_EVERY: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(5);

#[cfg(test)]
pub(super) mod tests;
