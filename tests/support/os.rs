//! The few calls std has no name for; the tests' only `unsafe`.

use std::{os::unix::process::CommandExt, process::Command, sync::OnceLock};

/// Why this kernel gives no ring; `None` when it does.
pub fn io_uring_refused() -> Option<String> {
    static REFUSED: OnceLock<Option<String>> = OnceLock::new();
    REFUSED
        .get_or_init(|| {
            let mut parameters = [0u32; 30];
            // SAFETY: struct io_uring_params is 120 bytes; the kernel reads and writes only those.
            let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 4, parameters.as_mut_ptr()) };
            if ring < 0 {
                return Some(format!(
                    "the kernel refuses io_uring: {}",
                    std::io::Error::last_os_error()
                ));
            }
            // SAFETY: `ring` is a descriptor that was just made and that nobody else knows.
            unsafe { libc::close(ring as libc::c_int) };
            None
        })
        .clone()
}

pub fn signal(process: u32, signal: i32) {
    // SAFETY: no memory is passed. The process is a child that was not waited for, so its id is not reused.
    let result = unsafe { libc::kill(process as libc::pid_t, signal) };
    assert_eq!(result, 0, "signal {signal}: {}", std::io::Error::last_os_error());
}

/// The child starts with this many descriptors at most, hard limit too.
pub fn limit_descriptors(command: &mut Command, most: u64) {
    let set = move || set_descriptor_limit(most, most);
    // SAFETY: setrlimit is async-signal-safe and the closure touches nothing else.
    unsafe { command.pre_exec(set) };
}

/// For tests that hold thousands of connections; how many this process may have now.
pub fn raise_own_descriptor_limit() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid rlimit for the call to fill.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    assert_eq!(result, 0, "getrlimit: {}", std::io::Error::last_os_error());
    set_descriptor_limit(limit.rlim_max, limit.rlim_max).map_or(limit.rlim_cur, |()| limit.rlim_max)
}

fn set_descriptor_limit(soft: u64, hard: u64) -> std::io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: `limit` is a valid rlimit for the call to read.
    match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}
