//! Load from wrk, a closed loop: each connection sends its next request when the last one is answered. Its script hook
//! reports every figure as JSON in whole microseconds, where its own text rounds and abbreviates.

use std::fmt::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Requests;
use crate::scratch::Scratch;
use crate::{Outcome, sys};

#[derive(Debug, Clone, Copy)]
pub struct Load<'a> {
    pub connections: u32,
    pub seconds: u32,
    /// Where wrk runs.
    pub cpu: usize,
    pub requests: &'a Requests,
    /// Requests sent at once on a connection.
    pub depth: u32,
    pub tls: bool,
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

impl Load<'_> {
    /// Runs wrk against `address` and returns what it counted, errors included: whether they matter is the caller's to
    /// say, and here it always does.
    pub fn run(self, address: SocketAddr, folder: &Scratch) -> Outcome<Served> {
        let script = folder.write("load.lua", &self.script())?;
        let scheme = if self.tls { "https" } else { "http" };
        let path = self.requests.targets.first().map_or("/", String::as_str);
        let mut command = Command::new("wrk");
        command
            .args([
                "-t1",
                &format!("-c{}", self.connections),
                &format!("-d{}s", self.seconds),
                "--timeout=10s",
            ])
            .arg("-s")
            .arg(script)
            .arg(format!("{scheme}://{address}{path}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = sys::spawn(&mut command, &[self.cpu])
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

    /// What is the same for every request is said beforehand, and `done` alone is called. A `request` function is
    /// called for each one and burdens the load side, so there is one only where requests differ or come several at
    /// once; then it does no more than return a text that was made at the start.
    fn script(self) -> String {
        let Requests {
            method,
            targets,
            headers,
            body_bytes,
        } = self.requests;
        let mut text = format!("wrk.method = {}\n", quoted(method));
        for (name, value) in headers {
            let _ = writeln!(text, "wrk.headers[{}] = {}", quoted(name), quoted(value));
        }
        if *body_bytes > 0 {
            let _ = writeln!(text, "wrk.body = string.rep('x', {body_bytes})");
        }
        if targets.len() > 1 || self.depth > 1 {
            let list: Vec<String> = targets.iter().map(|target| quoted(target)).collect();
            let _ = writeln!(text, "local targets = {{{}}}", list.join(","));
            let _ = writeln!(text, "local depth = {}", self.depth);
            text += VARIED;
        }
        text + REPORT
    }
}

/// As a Lua string: what needs escaping is escaped by its number.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("'");
    for byte in text.bytes() {
        match byte {
            b'\'' | b'\\' | 0..=31 | 127.. => {
                let _ = write!(quoted, "\\{byte:03}");
            }
            _ => quoted.push(byte as char),
        }
    }
    quoted + "'"
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

/// `wrk.format` is there from `init` on.
const VARIED: &str = r#"
local texts, next = {}, 0
init = function(args)
  for i, target in ipairs(targets) do
    texts[i] = string.rep(wrk.format(nil, target), depth)
  end
end
request = function()
  next = next % #texts + 1
  return texts[next]
end
"#;

const REPORT: &str = r#"
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
    fn a_request_function_is_there_only_where_it_is_needed() {
        let mut requests = Requests {
            method: "GET".into(),
            targets: vec!["/".into()],
            headers: [("X-Name".to_owned(), "it's \\".to_owned())].into(),
            body_bytes: 0,
        };
        let script = |requests: &Requests, depth| {
            let load = Load {
                connections: 1,
                seconds: 1,
                cpu: 0,
                requests,
                depth,
                tls: false,
            };
            load.script()
        };
        let plain = script(&requests, 1);
        assert!(!plain.contains("request = "), "{plain}");
        assert!(
            plain.contains(r"wrk.headers['X-Name'] = 'it\039s \092'"),
            "{plain}"
        );
        assert!(script(&requests, 16).contains("local depth = 16"));
        requests.targets.push("/b".into());
        assert!(script(&requests, 1).contains("local targets = {'/','/b'}"));
    }

    #[test]
    fn no_report_is_none() {
        assert!(Served::parse("unable to connect").is_none());
    }
}
