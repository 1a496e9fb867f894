//! What a gateway uses: processor time and memory of its process and all that it started, from `/proc`.

use std::collections::HashMap;
use std::{fs, io};

use crate::sys;

/// Processor time in seconds, by where it was spent. The kernel knows the sum to the nanosecond and shares it out by
/// sampling at each tick, so the sum is exact and the two parts are estimates (1 % after a few seconds under load).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CpuTime {
    pub user: f64,
    pub system: f64,
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

    pub fn since(self, earlier: Self) -> Self {
        Self {
            user: self.user - earlier.user,
            system: self.system - earlier.system,
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
        let Ok(text) = fs::read_to_string(format!("/proc/{id}/stat")) else {
            continue;
        };
        let stat = Stat::parse(&text).ok_or_else(|| unreadable("/proc/PID/stat"))?;
        total.user += stat.user_ticks as f64 / second;
        total.system += stat.system_ticks as f64 / second;
    }
    Ok(total)
}

/// Memory of `root` and its descendants.
pub fn memory(root: u32) -> io::Result<Memory> {
    let mut total = Memory::default();
    for id in tree(root)? {
        let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
        let bytes = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let kibibytes = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
            kibibytes
                .map(|kibibytes| kibibytes * 1024)
                .ok_or_else(|| unreadable("smaps_rollup"))
        };
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

/// The fields of `/proc/PID/stat` that matter; the times include children that were waited for.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    user_ticks: u64,
    system_ticks: u64,
}

impl Stat {
    /// The name, second, may hold blanks and brackets; nothing after it does.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_ascii_whitespace().collect();
        // proc(5) counts from 1; the first of these is its field 3.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            parent: u32::try_from(field(4)?).ok()?,
            user_ticks: field(14)? + field(16)?,
            system_ticks: field(15)? + field(17)?,
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
                user_ticks: 24,
                system_ticks: 26
            })
        );
        assert_eq!(Stat::parse("42 (a) S 7"), None);
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
        assert!(cpu_time(child.id()).expect("it runs").sum() > 0.0);
        let memory = memory(child.id()).expect("it runs");
        assert!(memory.resident >= memory.proportional && memory.proportional > 0);
        for &id in ids.iter().rev() {
            sys::signal(id, sys::Signal::Kill).expect("ours");
        }
        child.wait().expect("it ends");
    }
}
