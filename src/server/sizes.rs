//! Sizes from the machine as given: what the scheduler lets us use, not what the machine has.

use std::fs;

/// CPUs this process may run on, in order. Empty when the kernel does not say.
pub(super) fn usable_cpus() -> Vec<core_affinity::CoreId> {
    core_affinity::get_core_ids().unwrap_or_default()
}

/// Shards by default: the affinity mask or the cgroup's CPU quota rounded up, whichever is less. A container
/// with half a CPU gets one shard; two would only take turns.
pub(super) fn default_shards(cpus: usize) -> usize {
    let quota = cpu_quota().map_or(usize::MAX, |quota| quota.ceil() as usize);
    cpus.min(quota).max(1)
}

/// CPUs' worth of time the cgroup allows, the smallest along the path to the root; None without a limit.
fn cpu_quota() -> Option<f64> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let version_2 = own
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .unwrap_or("/");
    let mut smallest: Option<f64> = None;
    let mut path = version_2.trim_end_matches('/');
    loop {
        let text = fs::read_to_string(format!("/sys/fs/cgroup{path}/cpu.max"));
        if let Some(quota) = text.ok().and_then(|text| parse_cpu_max(&text)) {
            smallest = Some(smallest.map_or(quota, |least| least.min(quota)));
        }
        let Some((parent, _)) = path.rsplit_once('/') else {
            break;
        };
        path = parent;
    }
    smallest.or_else(version_1_quota)
}

fn version_1_quota() -> Option<f64> {
    let read = |file: &str| fs::read_to_string(format!("/sys/fs/cgroup/cpu/{file}")).ok();
    let number = |text: String| text.trim().parse::<f64>().ok();
    let quota = read("cpu.cfs_quota_us")
        .and_then(number)
        .filter(|quota| *quota > 0.0)?;
    Some(quota / read("cpu.cfs_period_us").and_then(number)?)
}

/// `max 100000` or `50000 100000`.
fn parse_cpu_max(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
}

/// Bytes this process may use: the cgroup's limit, the smallest along the path to the root, or the machine's memory.
/// 1 GiB where the kernel does not say.
pub(super) fn memory() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| parse_memory_total(&text));
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let version_2 = own
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .unwrap_or("/");
    let mut smallest = machine.unwrap_or(1 << 30);
    let mut path = version_2.trim_end_matches('/');
    loop {
        for file in [
            format!("/sys/fs/cgroup{path}/memory.max"),
            format!("/sys/fs/cgroup/memory{path}/memory.limit_in_bytes"),
        ] {
            let limit = fs::read_to_string(file).ok();
            // `max` is no number, and no limit.
            if let Some(limit) = limit.and_then(|text| text.trim().parse().ok()) {
                smallest = smallest.min(limit);
            }
        }
        let Some((parent, _)) = path.rsplit_once('/') else {
            return smallest;
        };
        path = parent;
    }
}

/// `MemTotal:       24736000 kB`
fn parse_memory_total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas() {
        assert_eq!(parse_cpu_max("50000 100000\n"), Some(0.5));
        assert_eq!(parse_cpu_max("max 100000\n"), None);
        assert_eq!(parse_cpu_max(""), None);
    }

    #[test]
    fn memory_is_read_and_never_nothing() {
        assert_eq!(
            parse_memory_total("MemTotal:       2048 kB\nMemFree: 1 kB\n"),
            Some(2 << 20)
        );
        assert_eq!(parse_memory_total("MemFree: 1 kB\n"), None);
        assert!(memory() > 1 << 20);
    }

    #[test]
    fn there_is_always_a_shard_and_never_more_than_cpus() {
        assert_eq!(default_shards(0), 1);
        assert!(default_shards(2) <= 2);
    }
}
