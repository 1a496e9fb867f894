//! The real binary under test, as a user starts it.

use super::{Client, DEADLINE, Response, eventually, os, pause, ports};
use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    IoUring,
    Epoll,
}

impl Driver {
    pub const fn name(self) -> &'static str {
        match self {
            Self::IoUring => "io_uring",
            Self::Epoll => "epoll",
        }
    }
}

/// How to start one. In the configuration `@listen@` stands for a free address, `@listen2@` for another and
/// `@folder@` for the test's own folder.
pub struct Setup {
    driver: Driver,
    yaml: String,
    shards: usize,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    descriptors: Option<u64>,
}

pub struct Gateway {
    child: Child,
    /// What `@listen@` became.
    pub address: SocketAddr,
    /// What `@listen2@` became.
    pub second: SocketAddr,
    pub admin: SocketAddr,
    pub folder: Folder,
    log: Arc<Log>,
}

/// What a command that ran to its end left behind.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A directory that goes away with the test.
pub struct Folder(PathBuf);

#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
}

impl Setup {
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = shards;
        self
    }

    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it with this many file descriptors at most.
    pub fn descriptors(mut self, most: u64) -> Self {
        self.descriptors = Some(most);
        self
    }

    /// Waits until it says that it is ready. Somebody may take a port between our choosing and its binding: then
    /// other ports are tried.
    #[track_caller]
    pub fn start(self) -> Gateway {
        for _ in 0..5 {
            let mut gateway = self.launch();
            if gateway.became_ready() {
                return gateway;
            }
            let said = gateway.stderr();
            assert!(said.contains("cannot listen on"), "it did not start:\n{said}");
        }
        panic!("five times a port was taken");
    }

    /// Runs it without waiting for anything.
    #[track_caller]
    pub fn launch(&self) -> Gateway {
        let (address, second, admin) = (ports::free(), ports::free(), ports::free());
        let folder = Folder::new();
        let yaml = self
            .yaml
            .replace("@listen@", &address.to_string())
            .replace("@listen2@", &second.to_string())
            .replace("@folder@", &folder.path().display().to_string());
        let config = folder.write("gateway.yaml", &yaml);
        let mut command = ringway();
        command.args([
            "run",
            "--driver",
            self.driver.name(),
            "--shards",
            &self.shards.to_string(),
        ]);
        command
            .arg("--admin")
            .arg(admin.to_string())
            .arg("--config")
            .arg(config)
            .args(&self.arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(most) = self.descriptors {
            os::limit_descriptors(&mut command, most);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(folder.path().join("stdout")).expect("a file"))
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary");
        let log = Log::follow(child.stderr.take().expect("piped"));
        Gateway {
            child,
            address,
            second,
            admin,
            folder,
            log,
        }
    }
}

impl Gateway {
    pub fn setup(driver: Driver, yaml: impl Into<String>) -> Setup {
        Setup {
            driver,
            yaml: yaml.into(),
            shards: 1,
            arguments: Vec::new(),
            environment: Vec::new(),
            descriptors: None,
        }
    }

    /// One shard, so that a pool or a counter is not split by chance.
    #[track_caller]
    pub fn start(driver: Driver, yaml: impl Into<String>) -> Self {
        Self::setup(driver, yaml).start()
    }

    #[track_caller]
    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// A GET on a connection of its own.
    #[track_caller]
    pub fn get(&self, target: &str) -> Response {
        self.client().get(target)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The status of an administrative path; `None` while nobody answers there.
    pub fn admin_status(&self, path: &str) -> Option<u16> {
        let mut client = Client::try_connect(self.admin).ok()?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.admin
        );
        client.wire.try_send(request.as_bytes()).ok()?;
        client.try_response("GET").ok().map(|response| response.status)
    }

    pub fn signal(&self, signal: i32) {
        os::signal(self.child.id(), signal);
    }

    pub fn terminate(&self) {
        self.signal(libc::SIGTERM);
    }

    /// SIGTERM, and back when readiness says so. Shards learn of it a moment later.
    #[track_caller]
    pub fn begin_drain(&self) {
        self.terminate();
        eventually("readiness fails", || self.admin_status("/readyz") != Some(200));
    }

    /// As [`Self::begin_drain`], and back when the listeners are gone: then every shard knows.
    #[track_caller]
    pub fn begin_drain_everywhere(&self) {
        self.begin_drain();
        eventually("new connections are refused", || {
            Client::try_connect(self.address).is_err()
        });
    }

    #[track_caller]
    pub fn wait_exit(&mut self) -> ExitStatus {
        self.wait_exit_within(DEADLINE)
    }

    #[track_caller]
    pub fn wait_exit_within(&mut self, deadline: Duration) -> ExitStatus {
        wait(&mut self.child, deadline).unwrap_or_else(|| panic!("still running after {deadline:?}"))
    }

    pub fn has_exited(&mut self) -> bool {
        self.child.try_wait().expect("wait").is_some()
    }

    /// Resident memory, bytes.
    pub fn rss(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("/proc");
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .expect("VmRSS");
        line.split_whitespace()
            .nth(1)
            .and_then(|kib| kib.parse::<u64>().ok())
            .expect("a number")
            * 1024
    }

    /// Open file descriptors.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))
            .expect("/proc")
            .count()
    }

    /// User and system time used so far, in clock ticks.
    pub fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("/proc");
        let after_name = stat.rsplit_once(") ").expect("a name in brackets").1;
        after_name
            .split(' ')
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<u64>().expect("a number"))
            .sum()
    }

    pub fn stderr(&self) -> String {
        self.log.lines.lock().unwrap().join("\n")
    }

    /// Waits until it logs a line that holds `text`.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str) {
        let lines = self.log.lines.lock().unwrap();
        let missing = |lines: &mut Vec<String>| !lines.iter().any(|line| line.contains(text));
        let (lines, wait) = self
            .log
            .grown
            .wait_timeout_while(lines, DEADLINE, missing)
            .unwrap();
        assert!(
            !wait.timed_out(),
            "nothing about {text:?} in:\n{}",
            lines.join("\n")
        );
    }

    fn became_ready(&mut self) -> bool {
        let end = Instant::now() + DEADLINE;
        while self.admin_status("/readyz") != Some(200) {
            if self.has_exited() {
                // The rest of its last words may still be in the pipe.
                eventually("its stderr ends", || Arc::strong_count(&self.log) == 1);
                return false;
            }
            assert!(
                Instant::now() < end,
                "not ready within {DEADLINE:?}:\n{}",
                self.stderr()
            );
            pause();
        }
        true
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            super::say(&format!("--- stderr of the gateway\n{}\n---", self.stderr()));
        }
    }
}

impl Log {
    fn follow(stderr: impl Read + Send + 'static) -> Arc<Self> {
        let log = Arc::new(Self::default());
        let writer = log.clone();
        let follow = move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                writer.lines.lock().unwrap().push(line);
                writer.grown.notify_all();
            }
        };
        std::thread::Builder::new()
            .name("gateway stderr".to_owned())
            .spawn(follow)
            .expect("a thread");
        log
    }
}

impl Folder {
    pub fn new() -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ringway-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("a file in the temporary folder");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The command without its arguments, and without what this machine's environment would tell it.
pub fn ringway() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("RINGWAY_") || name.starts_with("FLEX_"))
        {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command to its end.
#[track_caller]
pub fn run_to_end(command: &mut Command, deadline: Duration) -> Outcome {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{shown}: {e}"));
    let (stdout, stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let status = wait(&mut child, deadline);
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let (stdout, stderr) = (stdout.join().expect("a reader"), stderr.join().expect("a reader"));
    match status {
        Some(status) => Outcome {
            code: status.code(),
            stdout,
            stderr,
        },
        None => panic!("{shown}: not finished after {deadline:?}:\n{stdout}\n{stderr}"),
    }
}

fn drain<R: Read + Send + 'static>(pipe: Option<R>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn wait(child: &mut Child, deadline: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + deadline;
    loop {
        match child.try_wait().expect("wait") {
            Some(status) => return Some(status),
            None if Instant::now() >= end => return None,
            None => pause(),
        }
    }
}
