//! Which driver runs, decided once by trying it, and said with its reason.
//!
//! Asking the kernel's version would be shorter and wrong: seccomp profiles (Docker, containerd, AWS Fargate)
//! and `kernel.io_uring_disabled` refuse a ring on kernels that have it, some at set-up, some only at enter,
//! with EPERM, ENOSYS or EOPNOTSUPP. So a real ring carries a real no-op, and any error means epoll.

use std::{fmt, io};

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DriverChoice {
    #[default]
    Auto,
    IoUring,
    Epoll,
}

/// What the shards run on. Copied into every shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    IoUring(RingFlags),
    Epoll,
}

impl Driver {
    /// Whether its sockets must be non-blocking: epoll needs the refusal, a ring would hand it to us.
    pub fn wants_nonblocking(self) -> bool {
        matches!(self, Self::Epoll)
    }
}

/// Set-up flags in the order of preference. They matter more than clever operations: they keep the kernel
/// from interrupting a shard for each completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RingFlags {
    /// Linux 6.1: completions are gathered only when the loop asks.
    DeferTaskrun,
    /// Linux 5.19: no inter-processor interrupt for each completion.
    CoopTaskrun,
    None,
}

impl fmt::Display for Driver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::IoUring(RingFlags::DeferTaskrun) => "io_uring (SINGLE_ISSUER, DEFER_TASKRUN)",
            Self::IoUring(RingFlags::CoopTaskrun) => "io_uring (COOP_TASKRUN)",
            Self::IoUring(RingFlags::None) => "io_uring",
            Self::Epoll => "epoll",
        })
    }
}

/// The driver and why it is this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    pub driver: Driver,
    pub reason: String,
}

/// `io_uring` was asked for and is not to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable(pub String);

/// Decides. `Auto` never fails: epoll is always there.
///
/// # Errors
/// Only for `DriverChoice::IoUring`, with the kernel's answer.
pub fn choose(choice: DriverChoice) -> Result<Chosen, Unavailable> {
    let chosen = |driver, reason: &str| Chosen {
        driver,
        reason: reason.to_owned(),
    };
    match choice {
        DriverChoice::Epoll => Ok(chosen(Driver::Epoll, "asked for")),
        DriverChoice::Auto => Ok(match probe() {
            Ok(flags) => chosen(Driver::IoUring(flags), "a test ring carried a no-op"),
            Err(error) => chosen(Driver::Epoll, &format!("io_uring is not available here: {error}")),
        }),
        DriverChoice::IoUring => match probe() {
            Ok(flags) => Ok(chosen(
                Driver::IoUring(flags),
                "asked for, and a test ring carried a no-op",
            )),
            Err(error) => Err(Unavailable(format!(
                "io_uring was asked for and is not available here: {error}. Seccomp profiles of container \
                 runtimes and the sysctl kernel.io_uring_disabled refuse it; `--driver auto` falls back to epoll"
            ))),
        },
    }
}

pub(super) fn ring(flags: RingFlags) -> io_uring::Builder {
    let mut builder = io_uring::IoUring::builder();
    match flags {
        RingFlags::DeferTaskrun => {
            builder.setup_single_issuer().setup_defer_taskrun();
        }
        RingFlags::CoopTaskrun => {
            builder.setup_coop_taskrun();
        }
        RingFlags::None => {}
    }
    builder
}

fn probe() -> io::Result<RingFlags> {
    let mut last = io::Error::from(io::ErrorKind::Unsupported);
    for flags in [RingFlags::DeferTaskrun, RingFlags::CoopTaskrun, RingFlags::None] {
        match try_ring(flags) {
            Ok(()) => return Ok(flags),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn try_ring(flags: RingFlags) -> io::Result<()> {
    use io_uring::opcode;
    let mut ring = ring(flags).build(8)?;
    let mut probe = io_uring::Probe::new();
    ring.submitter().register_probe(&mut probe)?;
    for needed in [
        opcode::Recv::CODE,
        opcode::Send::CODE,
        opcode::PollAdd::CODE,
        opcode::AsyncCancel::CODE,
    ] {
        if !probe.is_supported(needed) {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("operation {needed} is missing"),
            ));
        }
    }
    // SAFETY: a no-op refers to no memory; the submission queue of a new ring has room for it.
    unsafe { ring.submission().push(&opcode::Nop::new().build()) }
        .map_err(|_| io::Error::other("the submission queue is full"))?;
    ring.submit_and_wait(1)?;
    let entry = ring.completion().next();
    match entry {
        Some(entry) if entry.result() >= 0 => Ok(()),
        Some(entry) => Err(io::Error::from_raw_os_error(-entry.result())),
        None => Err(io::Error::other("a no-op did not complete")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epoll_is_always_to_be_had_and_auto_never_fails() {
        assert_eq!(choose(DriverChoice::Epoll).expect("epoll").driver, Driver::Epoll);
        let auto = choose(DriverChoice::Auto).expect("auto never fails");
        assert!(!auto.reason.is_empty());
    }

    #[test]
    fn asking_for_io_uring_gets_it_or_an_error_that_says_what_to_do() {
        match choose(DriverChoice::IoUring) {
            Ok(chosen) => assert!(matches!(chosen.driver, Driver::IoUring(_))),
            Err(Unavailable(text)) => assert!(text.contains("--driver auto"), "{text}"),
        }
    }
}
