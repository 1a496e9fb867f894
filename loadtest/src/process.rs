//! A process we started: pinned, its output kept for the error message, ended when dropped.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::sys::{self, Signal};
use crate::{Outcome, usage};

pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` on `cpus` alone, with stdout and stderr into the file `log`.
    pub fn start(name: &str, mut command: Command, cpus: &[usize], log: &Path) -> Outcome<Self> {
        File::create(log)?;
        // To append, so that it may be emptied meanwhile.
        let output = File::options().append(true).open(log)?;
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let child = sys::spawn(&mut command, cpus).map_err(|error| {
            format!(
                "{name}: cannot start {}: {error}",
                command.get_program().display()
            )
        })?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// An error with the end of its output when it has ended.
    pub fn ensure_running(&mut self) -> Outcome<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("{} ended ({status}){}", self.name, self.last_words()).into()),
        }
    }

    /// What it wrote so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Forgets what it wrote where that is much: some log each request to standard output.
    pub fn trim_log(&self) -> io::Result<()> {
        let log = File::options().write(true).open(&self.log)?;
        if log.metadata()?.len() > LOG_BYTES_MAX {
            log.set_len(0)?;
        }
        Ok(())
    }

    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        sys::signal(self.child.id(), signal)
    }

    /// Its exit status, or None when it still runs at `deadline`.
    pub fn wait_until(&mut self, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        loop {
            let status = self.child.try_wait()?;
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            sleep(POLL);
        }
    }

    /// The end of what it wrote, ready to be appended to a message.
    pub fn last_words(&self) -> String {
        let text = self.output();
        let lines: Vec<&str> = text.lines().collect();
        let end = &lines[lines.len().saturating_sub(LAST_WORDS_LINES)..];
        if end.is_empty() {
            String::new()
        } else {
            format!(":\n  {}", end.join("\n  "))
        }
    }
}

impl Drop for Process {
    /// Asks first: a master process that is killed outright leaves its workers behind.
    fn drop(&mut self) {
        let asked = self.signal(Signal::Term).is_ok();
        if asked && matches!(self.wait_until(Instant::now() + PATIENCE), Ok(Some(_))) {
            return;
        }
        // Its children while it still stands for their parent, then itself; waiting reaps it.
        for id in usage::tree(self.child.id()).unwrap_or_default() {
            let _ = sys::signal(id, Signal::Kill);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const LOG_BYTES_MAX: u64 = 1 << 20;
const POLL: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(3);
const LAST_WORDS_LINES: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn the_message_about_one_that_ended_has_its_last_words() {
        let folder = Scratch::new().expect("a folder");
        let cpu = sys::allowed_cpus().expect("a mask")[0];
        let log = folder.path("log");
        let mut process = Process::start("shell", shell("echo no such option >&2; exit 3"), &[cpu], &log)
            .expect("sh is there");
        process
            .wait_until(Instant::now() + Duration::from_secs(10))
            .expect("it can be waited for");
        let message = process.ensure_running().expect_err("it has ended").to_string();
        assert!(
            message.contains("no such option") && message.contains('3'),
            "{message}"
        );
    }

    #[test]
    fn dropping_ends_even_one_that_ignores_the_request() {
        let folder = Scratch::new().expect("a folder");
        let cpu = sys::allowed_cpus().expect("a mask")[0];
        let log = folder.path("log");
        let process = Process::start(
            "deaf",
            shell("trap '' TERM; echo ready; while :; do sleep 1; done"),
            &[cpu],
            &log,
        )
        .expect("sh is there");
        let id = process.id();
        // Once it has spoken the trap is set.
        while fs::read(&log).expect("the log is there").is_empty() {
            std::thread::yield_now();
        }
        drop(process);
        assert!(!Path::new(&format!("/proc/{id}")).exists());
    }
}
