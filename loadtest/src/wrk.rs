//! Load from wrk, a closed loop: each connection sends its next request when the last one is answered. Its script hook
//! reports every figure as JSON in whole microseconds, where its own text rounds and abbreviates.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::scratch::Scratch;
use crate::{Outcome, sys};

#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub connections: u32,
    pub seconds: u32,
    /// Where wrk runs.
    pub cpu: usize,
}

/// What wrk saw. Latencies in microseconds, from a request's sending to its answer's end.
#[derive(Debug, Clone, Deserialize)]
pub struct Served {
    pub requests: u64,
    pub duration_us: f64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub errors: Errors,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize, PartialEq, Eq)]
pub struct Errors {
    pub connect: u64,
    pub read: u64,
    pub write: u64,
    /// Answers of status 400 and above.
    pub status: u64,
    pub timeout: u64,
}

impl Load {
    /// Runs wrk against `http://address/` and returns what it counted, errors included: whether they matter is the
    /// caller's to say, and here it always does.
    pub fn run(self, address: SocketAddr, folder: &Scratch) -> Outcome<Served> {
        let script = folder.write("report.lua", SCRIPT)?;
        let mut command = Command::new("wrk");
        command
            .args([
                "-t1",
                &format!("-c{}", self.connections),
                &format!("-d{}s", self.seconds),
            ])
            .arg("-s")
            .arg(script)
            .arg(format!("http://{address}/"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        sys::bind_to_us(&mut command, self.cpu)?;
        let mut child = command
            .spawn()
            .map_err(|error| format!("cannot start wrk ({error}); apt-get install wrk"))?;
        // Its output is a few lines, far below what a pipe holds: it can be read at the end.
        let deadline = Instant::now() + Duration::from_secs(u64::from(self.seconds)) + PATIENCE;
        while child.try_wait()?.is_none() {
            if Instant::now() >= deadline {
                child.kill()?;
                child.wait()?;
                return Err("wrk did not end in time".into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let output = child.wait_with_output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        Served::parse(&text).ok_or_else(|| {
            let errors = String::from_utf8_lossy(&output.stderr);
            format!(
                "wrk gave no report ({}): {}{}",
                output.status,
                text.trim(),
                errors.trim()
            )
            .into()
        })
    }
}

impl Served {
    fn parse(output: &str) -> Option<Self> {
        let line = output.lines().find_map(|line| line.strip_prefix(MARK))?;
        serde_json::from_str(line).ok()
    }

    pub fn requests_per_second(&self) -> f64 {
        self.requests as f64 / (self.duration_us / 1e6)
    }

    /// An error unless every request was answered well: a gateway that refuses quickly would look cheap.
    pub fn ensure_clean(&self) -> Outcome<()> {
        if self.errors != Errors::default() {
            return Err(format!("not every request was answered well: {:?}", self.errors).into());
        }
        if self.requests == 0 {
            return Err("not one request was answered".into());
        }
        Ok(())
    }
}

const MARK: &str = "loadtest-report ";

/// `done` alone: a `request` or `response` function would be called for each request and burden the load side.
const SCRIPT: &str = r#"
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\nloadtest-report {"requests":%d,"duration_us":%d,"p50_us":%d,"p90_us":%d,"p99_us":%d,"p999_us":%d,' ..
    '"errors":{"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(90),
    latency:percentile(99), latency:percentile(99.9), e.connect, e.read, e.write, e.status, e.timeout))
end
"#;

const PATIENCE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    fn served(errors: &str) -> Served {
        let text = format!(
            "Running 1s test\n\nloadtest-report {{\"requests\":1000,\"duration_us\":500000,\"p50_us\":1,\"p90_us\":2,\
             \"p99_us\":3,\"p999_us\":4,\"errors\":{errors}}}\nmore\n"
        );
        Served::parse(&text).expect("a report")
    }

    #[test]
    fn the_report_is_found_among_the_text() {
        let served = served(r#"{"connect":0,"read":0,"write":0,"status":0,"timeout":0}"#);
        assert_eq!(served.requests_per_second(), 2000.0);
        served.ensure_clean().expect("no error in it");
    }

    #[test]
    fn one_error_of_any_kind_is_one_too_many() {
        for kind in ["connect", "read", "write", "status", "timeout"] {
            let clean = r#"{"connect":0,"read":0,"write":0,"status":0,"timeout":0}"#;
            let served = served(&clean.replace(&format!("\"{kind}\":0"), &format!("\"{kind}\":1")));
            assert!(served.ensure_clean().is_err(), "{kind}");
        }
    }

    #[test]
    fn no_report_is_none() {
        assert!(Served::parse("unable to connect").is_none());
    }
}
