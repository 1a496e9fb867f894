//! The few system calls the standard library has no name for. The only file here with `unsafe`.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::{fs, io};

/// A signal to a gateway: each has its own way of asking for a graceful end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Signal {
    Term,
    Quit,
    Usr1,
    Int,
    Kill,
}

/// Sends `signal` to one process, which must be a child of ours that has not been waited for: only then is it
/// certain that the number still names it.
pub fn signal(process: u32, signal: Signal) -> io::Result<()> {
    let number = match signal {
        Signal::Term => libc::SIGTERM,
        Signal::Quit => libc::SIGQUIT,
        Signal::Usr1 => libc::SIGUSR1,
        Signal::Int => libc::SIGINT,
        Signal::Kill => libc::SIGKILL,
    };
    let process = libc::pid_t::try_from(process).map_err(io::Error::other)?;
    // SAFETY: kill(2) touches no memory of ours.
    check(unsafe { libc::kill(process, number) })
}

/// Raises the soft descriptor limit to the hard one, for us and what we start. Returns the limit in force.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a live rlimit the kernel fills.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is an initialised rlimit the kernel reads.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    Ok(limit.rlim_cur)
}

/// Pins the calling thread, and what it starts from now on, to one CPU.
pub fn pin(cpu: usize) -> io::Result<()> {
    let set = cpu_set(&[cpu])?;
    set_affinity(&set)
}

/// Sets the niceness of this thread, and of what is started from now on.
pub fn set_niceness(nice: i32) -> io::Result<()> {
    set_priority(nice)?;
    NICE.get_or_init(|| nice);
    Ok(())
}

fn set_priority(nice: i32) -> io::Result<()> {
    // SAFETY: setpriority(2) touches no memory; 0 is the calling thread.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) })
}

/// The CPUs the calling thread may run on.
pub fn allowed_cpus() -> io::Result<Vec<usize>> {
    let mut set = empty_set();
    // SAFETY: 0 is the calling thread; `set` is a live cpu_set_t of the size given.
    check(unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) })?;
    // SAFETY: each index is below CPU_SETSIZE, the number of bits in the set.
    Ok((0..CPUS_MAX)
        .filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) })
        .collect())
}

/// Starts `command` on `cpus` alone, to end with us, and as nice as `set_niceness` said. Where the kernel groups
/// processes by session (sched(7), autogroup) niceness counts within a group alone, and the group's among groups.
pub fn spawn(command: &mut Command, cpus: &[usize]) -> io::Result<Child> {
    bind_to_us(command, cpus)?;
    let child = command.spawn()?;
    if let Some(nice) = NICE.get() {
        let group = format!("/proc/{}/autogroup", child.id());
        // Not there where the kernel does not do that; then niceness itself is enough.
        if fs::exists(&group)? {
            fs::write(group, nice.to_string())?;
        }
    }
    Ok(child)
}

/// Has `command` run on `cpus` alone, in a session of its own, and end with us even when we are killed and clean nothing up. SIGTERM and not
/// SIGKILL, because a master process (nginx) must still take its workers along.
fn bind_to_us(command: &mut Command, cpus: &[usize]) -> io::Result<()> {
    let set = cpu_set(cpus)?;
    let parent = std::process::id();
    let prepare = move || {
        set_affinity(&set)?;
        // A group of its own for the scheduler: what is started together would share one session's part of the CPUs.
        // SAFETY: setsid(2) touches no memory.
        check(unsafe { libc::setsid() })?;
        // SAFETY: prctl(PR_SET_PDEATHSIG) takes a signal number and touches no memory.
        check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) })?;
        // A parent that died between fork and prctl sends nothing any more.
        if std::os::unix::process::parent_id() != parent {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        Ok(())
    };
    // SAFETY: between fork and exec `prepare` makes four system calls and allocates nothing (an io::Error from an
    // error number is a plain value).
    unsafe { command.pre_exec(prepare) };
    Ok(())
}

/// Clock ticks per second: the unit of `/proc/PID/stat`.
pub fn ticks_per_second() -> f64 {
    // SAFETY: sysconf(3) takes a name and touches no memory of ours.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    // Linux has answered 100 on every architecture but Alpha and old Itanium for twenty years.
    if ticks > 0 { ticks as f64 } else { 100.0 }
}

/// Processor time that `process` has used so far, threads that ended included, to the nanosecond: what `/proc/PID/stat`
/// rounds to ticks. Children are not in it.
pub fn process_time(process: u32) -> io::Result<f64> {
    let process = libc::pid_t::try_from(process).map_err(io::Error::other)?;
    let mut clock = 0;
    // SAFETY: `clock` is a live clockid_t that the call fills.
    let error = unsafe { libc::clock_getcpuclockid(process, &raw mut clock) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a live timespec that the call fills.
    check(unsafe { libc::clock_gettime(clock, &raw mut time) })?;
    Ok(time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)
}

fn cpu_set(cpus: &[usize]) -> io::Result<libc::cpu_set_t> {
    let mut set = empty_set();
    for &cpu in cpus {
        if cpu >= CPUS_MAX {
            return Err(io::Error::other(format!(
                "CPU {cpu} is past the {CPUS_MAX} that can be named"
            )));
        }
        // SAFETY: the index was checked against the number of bits in the set.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    Ok(set)
}

fn empty_set() -> libc::cpu_set_t {
    // SAFETY: cpu_set_t is an array of integers, for which all bits zero is the empty set.
    unsafe { std::mem::zeroed() }
}

fn set_affinity(set: &libc::cpu_set_t) -> io::Result<()> {
    // SAFETY: 0 is the calling thread; `set` is a live cpu_set_t of the size given.
    check(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), std::ptr::from_ref(set)) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// As asked for on the command line.
static NICE: OnceLock<i32> = OnceLock::new();
const CPUS_MAX: usize = libc::CPU_SETSIZE as usize;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_is_allowed_that_cpu_alone() {
        // A thread of its own: the test harness's threads keep their mask.
        std::thread::spawn(|| {
            let cpu = *allowed_cpus()
                .expect("the mask can be read")
                .last()
                .expect("a CPU to run on");
            pin(cpu).expect("a CPU of the mask can be pinned to");
            assert_eq!(allowed_cpus().expect("the mask can be read"), [cpu]);
        })
        .join()
        .expect("the thread ends well");
    }

    #[test]
    fn what_a_nicer_thread_starts_is_as_nice() {
        // Of Linux's threads each has its own niceness, so the test harness's keep theirs.
        std::thread::spawn(|| {
            set_priority(7).expect("nicer is always allowed");
            let output = Command::new("nice").output().expect("nice is there");
            assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "7");
        })
        .join()
        .expect("the thread ends well");
    }

    #[test]
    fn a_cpu_past_the_set_is_refused() {
        assert!(pin(CPUS_MAX).is_err());
    }

    #[test]
    fn the_descriptor_limit_ends_at_the_hard_limit() {
        let first = raise_descriptor_limit().expect("the limit can be raised");
        assert_eq!(
            first,
            raise_descriptor_limit().expect("raising again changes nothing")
        );
        assert!(first >= 256);
    }

    #[test]
    fn a_bound_child_is_pinned_and_signals_reach_it() {
        use std::os::unix::process::ExitStatusExt;
        let cpu = allowed_cpus().expect("the mask can be read")[0];
        let mut command = Command::new("sleep");
        command.arg("60");
        let mut child = spawn(&mut command, &[cpu]).expect("sleep is there");
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
        assert!(
            status.contains(&format!("Cpus_allowed_list:\t{cpu}\n")),
            "{status}"
        );
        signal(child.id(), Signal::Term).expect("it is ours");
        assert_eq!(child.wait().expect("it ends").signal(), Some(libc::SIGTERM));
    }

    #[test]
    fn a_process_has_used_time_and_one_that_is_gone_has_no_clock() {
        let first = process_time(std::process::id()).expect("we run");
        assert!(first > 0.0);
        assert!(process_time(std::process::id()).expect("we run") > first);
        let mut child = Command::new("true").spawn().expect("true is there");
        let id = child.id();
        child.wait().expect("it ends");
        assert!(process_time(id).is_err());
    }

    #[test]
    fn the_clock_ticks() {
        assert!(ticks_per_second() >= 100.0);
    }
}
