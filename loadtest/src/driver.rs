//! The two ways a runtime can wait for the kernel, and a monoio runtime on either. The only file that builds one.

use std::future::Future;
use std::{fmt, io};

use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};

/// Which kernel interface a gateway on monoio uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    #[value(name = "io_uring")]
    #[serde(rename = "io_uring")]
    IoUring,
    Epoll,
}

impl Driver {
    pub const ALL: [Driver; 2] = [Driver::IoUring, Driver::Epoll];

    pub fn name(self) -> &'static str {
        match self {
            Driver::IoUring => "io_uring",
            Driver::Epoll => "epoll",
        }
    }

    /// Whether this machine has it: container profiles often refuse io_uring, and an old kernel lacks the flags.
    pub fn probe(self) -> io::Result<()> {
        match self {
            Driver::IoUring => ring().build(RING_ENTRIES).map(drop),
            Driver::Epoll => Ok(()),
        }
    }

    /// Runs `main` to its end on this thread.
    pub fn run<T>(self, main: impl Future<Output = T>) -> io::Result<T> {
        match self {
            Driver::IoUring => {
                let builder = RuntimeBuilder::<IoUringDriver>::new()
                    .with_entries(RING_ENTRIES)
                    .uring_builder(ring());
                Ok(builder.build()?.block_on(main))
            }
            Driver::Epoll => Ok(RuntimeBuilder::<LegacyDriver>::new().build()?.block_on(main)),
        }
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// With the default flags a completion interrupts the thread with a task-work signal; these two leave it until the
/// loop asks, which is worth a quarter of the relay's cost. They need Linux 6.1; without them the floor would not be one.
fn ring() -> io_uring::Builder {
    let mut ring = io_uring::IoUring::builder();
    ring.setup_single_issuer().setup_defer_taskrun();
    ring
}

/// The completion queue is twice as long: both sides of 1,000 connections may complete in one turn without overflow.
const RING_ENTRIES: u32 = 1024;
