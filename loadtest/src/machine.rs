//! Where and when figures were taken: a figure without its machine says nothing.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Machine {
    /// UTC, RFC 3339.
    pub taken: String,
    pub cpu_model: String,
    pub cpus: usize,
    pub kernel: String,
    /// Of Ringway's sources, where they are known.
    pub commit: Option<String>,
}

impl Machine {
    pub fn here(commit: Option<String>) -> Self {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Self {
            taken: now(),
            cpu_model: cpu_model(&cpus),
            // Not what this thread may use: it is pinned by now.
            cpus: cpus.lines().filter(|line| line.starts_with("processor")).count(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
                .to_owned(),
            commit,
        }
    }

    /// The same machine, later.
    pub fn now(&self) -> Self {
        // The day is the run's: its results lie in one folder also when it lasts past midnight.
        let time = now();
        let taken = if time[..10] == self.taken[..10] {
            time
        } else {
            self.taken.clone()
        };
        Self {
            taken,
            ..self.clone()
        }
    }

    /// The name of this day's results folder: `2026-01-31-amd-epyc-7763`.
    pub fn folder(&self) -> String {
        let model = self.cpu_model.to_ascii_lowercase();
        let words: Vec<&str> = model
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .collect();
        format!("{}-{}", &self.taken[..10], words.join("-"))
    }
}

fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    utc(since.map_or(0, |since| since.as_secs()))
}

/// x86 names its model; ARM kernels name only the architecture's parts.
fn cpu_model(cpuinfo: &str) -> String {
    let named = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    named.map_or(std::env::consts::ARCH.to_owned(), |(_, model)| {
        model.trim().to_owned()
    })
}

/// Gregorian date by counting 400-year eras that begin on 1 March, so that the leap day is the last of its year.
fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_the_calendar() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(utc(1_767_225_599), "2025-12-31T23:59:59Z");
        assert_eq!(utc(1_772_323_200), "2026-03-01T00:00:00Z");
    }

    #[test]
    fn the_folder_is_day_and_model() {
        let machine = Machine {
            taken: utc(0),
            cpu_model: cpu_model("processor\t: 0\nmodel name\t: Some(R) CPU @ 2.5GHz\n"),
            cpus: 2,
            kernel: "6.1".into(),
            commit: None,
        };
        assert_eq!(machine.folder(), "1970-01-01-some-r-cpu-2-5ghz");
        assert_eq!(cpu_model("processor : 0\n"), std::env::consts::ARCH);
    }
}
