//! What a gateway uses: processor time and memory of its process and all that it started, from `/proc`.

use std::collections::HashMap;
use std::{fs, io};

use crate::sys;

/// Processor time in seconds, by where it was spent. The sum is exact to the nanosecond; the kernel shares it out by
/// sampling at each tick, so the two parts are estimates (1 % after a few seconds under load).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CpuTime {
    pub user: f64,
    pub system: f64,
    exact: f64,
}

/// Resident memory in bytes. `proportional` shares pages mapped by several processes out among them; `resident` counts
/// them in each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Memory {
    pub resident: u64,
    pub proportional: u64,
}

impl CpuTime {
    pub fn sum(self) -> f64 {
        self.user + self.system
    }

    /// What was used between two readings: the exact sum, shared out in the proportion of the ticks.
    pub fn since(self, earlier: Self) -> Self {
        let (user, system, exact) = (
            self.user - earlier.user,
            self.system - earlier.system,
            self.exact - earlier.exact,
        );
        let ticks = user + system;
        let scale = if ticks > 0.0 { exact / ticks } else { 0.0 };
        Self {
            user: user * scale,
            system: if ticks > 0.0 { system * scale } else { exact },
            exact,
        }
    }
}

/// Time of `root` and its descendants, those that ended and were waited for included: a worker that is replaced moves
/// from one sum to the other and is never lost.
pub fn cpu_time(root: u32) -> io::Result<CpuTime> {
    let second = sys::ticks_per_second();
    let mut total = CpuTime::default();
    for id in tree(root)? {
        // One that ended since the listing is in its parent's figure for those waited for.
        let (Ok(text), Ok(exact)) = (
            fs::read_to_string(format!("/proc/{id}/stat")),
            sys::process_time(id),
        ) else {
            continue;
        };
        let stat = Stat::parse(&text).ok_or_else(|| unreadable("/proc/PID/stat"))?;
        total.user += (stat.user_ticks + stat.children_user_ticks) as f64 / second;
        total.system += (stat.system_ticks + stat.children_system_ticks) as f64 / second;
        total.exact += exact + (stat.children_user_ticks + stat.children_system_ticks) as f64 / second;
    }
    Ok(total)
}

/// Time of each thread of `root` and its descendants, in seconds, by thread id.
pub fn thread_times(root: u32) -> io::Result<HashMap<u32, f64>> {
    let mut times = HashMap::new();
    for id in tree(root)? {
        let Ok(tasks) = fs::read_dir(format!("/proc/{id}/task")) else {
            continue;
        };
        for task in tasks {
            let task = task?.file_name();
            let Some(thread) = task.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            // The first field is the time on a CPU in nanoseconds (Documentation/scheduler/sched-stats).
            let Ok(text) = fs::read_to_string(format!("/proc/{id}/task/{thread}/schedstat")) else {
                continue;
            };
            let nanoseconds = text
                .split_ascii_whitespace()
                .next()
                .and_then(|field| field.parse::<f64>().ok());
            times.insert(thread, nanoseconds.ok_or_else(|| unreadable("schedstat"))? / 1e9);
        }
    }
    Ok(times)
}

/// Has the kernel forget the highest resident size of `root` and its descendants, so that the next is of this moment on.
pub fn reset_peak(root: u32) -> io::Result<()> {
    for id in tree(root)? {
        // proc_pid_clear_refs(5), since Linux 4.0.
        fs::write(format!("/proc/{id}/clear_refs"), "5")?;
    }
    Ok(())
}

/// Highest resident size in bytes, each process's own added up.
pub fn peak_resident(root: u32) -> io::Result<u64> {
    let mut total = 0;
    for id in tree(root)? {
        let Ok(text) = fs::read_to_string(format!("/proc/{id}/status")) else {
            continue;
        };
        // One that ends just now has no memory any more.
        total += kibibytes(&text, "VmHWM:").unwrap_or(0);
    }
    Ok(total)
}

/// Memory of `root` and its descendants.
pub fn memory(root: u32) -> io::Result<Memory> {
    let mut total = Memory::default();
    for id in tree(root)? {
        let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
        let bytes = |name: &str| kibibytes(&text, name).ok_or_else(|| unreadable("smaps_rollup"));
        total.resident += bytes("Rss:")?;
        total.proportional += bytes("Pss:")?;
    }
    Ok(total)
}

/// Seconds since boot in which `cpu` did anything at all, interrupts included.
pub fn cpu_busy(cpu: usize) -> io::Result<f64> {
    let text = fs::read_to_string("/proc/stat")?;
    let ticks = busy_ticks(&text, cpu).ok_or_else(|| unreadable("/proc/stat"))?;
    Ok(ticks as f64 / sys::ticks_per_second())
}

/// `root` and every process below it.
pub fn tree(root: u32) -> io::Result<Vec<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(id) = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        // Processes come and go while the folder is read.
        let Ok(text) = fs::read_to_string(format!("/proc/{id}/stat")) else {
            continue;
        };
        if let Some(stat) = Stat::parse(&text) {
            children.entry(stat.parent).or_default().push(id);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&id) = found.get(next) {
        found.extend(children.remove(&id).unwrap_or_default());
        next += 1;
    }
    Ok(found)
}

/// The fields of `/proc/PID/stat` that matter. Children are those that ended and were waited for.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    user_ticks: u64,
    system_ticks: u64,
    children_user_ticks: u64,
    children_system_ticks: u64,
}

impl Stat {
    /// The name, second, may hold blanks and brackets; nothing after it does.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_ascii_whitespace().collect();
        // proc(5) counts from 1; the first of these is its field 3.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            parent: u32::try_from(field(4)?).ok()?,
            user_ticks: field(14)?,
            system_ticks: field(15)?,
            children_user_ticks: field(16)?,
            children_system_ticks: field(17)?,
        })
    }
}

/// user, nice, system, irq, softirq and steal: all but idle and iowait, and guest time, which user holds already.
fn busy_ticks(text: &str, cpu: usize) -> Option<u64> {
    let name = format!("cpu{cpu}");
    let line = text
        .lines()
        .find(|line| line.split_ascii_whitespace().next() == Some(&name))?;
    let fields: Vec<u64> = line
        .split_ascii_whitespace()
        .skip(1)
        .map_while(|field| field.parse().ok())
        .collect();
    Some(
        [0, 1, 2, 5, 6, 7]
            .iter()
            .filter_map(|&index| fields.get(index))
            .sum(),
    )
}

/// The bytes of a line `name  1234 kB`.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes = line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?;
    Some(kibibytes * 1024)
}

fn unreadable(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{what} does not look as proc(5) says"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_brackets_shifts_nothing() {
        let text = "42 (a) b (c) S 7 42 42 0 -1 4194304 100 0 0 0 11 12 13 14 20 0 1 0 345198 3133440 394";
        assert_eq!(
            Stat::parse(text),
            Some(Stat {
                parent: 7,
                user_ticks: 11,
                system_ticks: 12,
                children_user_ticks: 13,
                children_system_ticks: 14,
            })
        );
        assert_eq!(Stat::parse("42 (a) S 7"), None);
    }

    #[test]
    fn the_exact_sum_is_shared_out_as_the_ticks_are() {
        let reading = |user, system, exact| CpuTime { user, system, exact };
        let spent = reading(1.03, 2.03, 3.064).since(reading(1.0, 2.0, 3.0));
        assert!((spent.sum() - 0.064).abs() < 1e-9 && (spent.user - spent.system).abs() < 1e-9);
        let short = reading(1.0, 2.0, 3.004).since(reading(1.0, 2.0, 3.0));
        assert!((short.sum() - 0.004).abs() < 1e-9, "less than a tick is not lost");
    }

    #[test]
    fn busy_is_all_but_idle_and_waiting() {
        let text =
            "cpu  1 1 1 1 1 1 1 1 1 1\ncpu1 9 9 9 9 9 9 9 9 9 9\ncpu10 1 2 4 1000 2000 8 16 32 64 128\n";
        assert_eq!(busy_ticks(text, 10), Some(63));
        assert_eq!(busy_ticks(text, 2), None);
    }

    #[test]
    fn a_tree_is_seen_whole_and_its_time_and_memory_are_not_nothing() {
        use std::io::{BufRead, BufReader};
        use std::process::{Command, Stdio};
        // A shell that works, waits for a child that worked, and keeps one more.
        let script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; sleep 60 & echo ready; wait";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh is there");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("it speaks");
        let ids = tree(child.id()).expect("/proc can be read");
        assert_eq!(ids.len(), 2, "the shell and its sleep");
        let spent = cpu_time(child.id()).expect("it runs");
        assert!(spent.since(CpuTime::default()).sum() > 0.0);
        let threads = thread_times(child.id()).expect("it runs");
        assert_eq!(threads.len(), 2, "one each");
        assert!(threads[&child.id()] > 0.0);
        reset_peak(child.id()).expect("it is ours");
        assert!(peak_resident(child.id()).expect("it runs") > 0);
        let memory = memory(child.id()).expect("it runs");
        assert!(memory.resident >= memory.proportional && memory.proportional > 0);
        for &id in ids.iter().rev() {
            sys::signal(id, sys::Signal::Kill).expect("ours");
        }
        child.wait().expect("it ends");
    }
}
