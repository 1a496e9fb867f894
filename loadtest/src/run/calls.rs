//! How many system calls a gateway makes, counted by strace in a short turn of its own: tracing slows a gateway down
//! many times over, so nothing else of that turn is used. Opening the load's connections is in it; a thousand requests
//! are enough to make it disappear.

use std::process::Command;
use std::time::{Duration, Instant};

use super::turn::{self, Job};
use crate::process::Process;
use crate::scenario::LoadKind;
use crate::stage::{Running, Stage};
use crate::sys::Signal;
use crate::{Outcome, usage};

/// Whether it makes sense: at a fixed rate a gateway that is being traced would only fall behind.
pub fn sensible(kind: LoadKind) -> bool {
    !matches!(kind, LoadKind::ConstantRate | LoadKind::None)
}

/// System calls for each unit of the job's plan, or why they cannot be counted here. A second of it is enough.
pub fn count(stage: &Stage, running: &mut Running, job: Job) -> Outcome<f64> {
    let table = stage.folder.path("strace.table");
    let processes = usage::tree(running.process.id())?;
    let mut command = Command::new("strace");
    // -f: threads and children too.
    command.args(["-c", "-f", "-o"]).arg(&table);
    for id in &processes {
        command.args(["-p", &id.to_string()]);
    }
    let log = stage.folder.path("strace.log");
    let mut strace = Process::start("strace", command, &[stage.cpus.load_cpu], &log)?;
    let deadline = Instant::now() + PATIENCE;
    while strace.output().matches(" attached").count() < processes.len() {
        strace.ensure_running()?;
        if Instant::now() >= deadline {
            return Err(format!("strace does not attach{}", strace.last_words()).into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let work = turn::work(stage, running, Job { time: TIME, ..job })?;
    strace.signal(Signal::Int)?;
    if strace.wait_until(Instant::now() + PATIENCE)?.is_none() {
        return Err("strace does not end".into());
    }
    let calls = total(&std::fs::read_to_string(&table)?).ok_or("strace left no table")?;
    Ok(calls / work.units(job.plan.per))
}

/// The calls in the last line of the table; its columns are share, seconds, microseconds a call, calls, errors.
fn total(table: &str) -> Option<f64> {
    let line = table.lines().rfind(|line| line.trim_end().ends_with(" total"))?;
    line.split_ascii_whitespace().nth(3)?.parse().ok()
}

const TIME: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_last_line_with_or_without_errors() {
        let head = "% time     seconds  usecs/call     calls    errors syscall\n";
        let with = format!(
            "{head} 60.00    0.1    1      1200        30 read\n100.00    0.2    1      2000        30 total\n"
        );
        assert_eq!(total(&with), Some(2000.0));
        let without = format!("{head}100.00    0.2    1      2000           total\n");
        assert_eq!(total(&without), Some(2000.0));
        assert_eq!(total("strace: nothing\n"), None);
    }
}
