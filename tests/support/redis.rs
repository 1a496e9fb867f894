//! A real Redis, started for a test, and its sentinels. `redis:redis-server` of Debian brings both programs.

use super::{DEADLINE, eventually, gateway::Folder, os, ports, tls::Authority};
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Nothing of it outlives the test.
pub struct Redis {
    child: Option<Child>,
    arguments: Vec<String>,
    /// In plain text.
    pub address: SocketAddr,
    /// With TLS, where it was started so.
    pub secured: Option<SocketAddr>,
    folder: Folder,
}

/// How to start one.
pub struct Setup<'a> {
    arguments: Vec<String>,
    secured: Option<(&'a Authority, bool)>,
}

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Nil,
    Status(String),
    Error(String),
    Number(i64),
    Bulk(Vec<u8>),
    List(Vec<Reply>),
}

impl Redis {
    /// Whether there is one to be had; says so where not.
    #[track_caller]
    pub fn is_there() -> bool {
        super::tools::present(&["redis-server", "redis-sentinel"])
    }

    /// Empty, without a password, keeping nothing on disk.
    pub fn start() -> Self {
        Self::setup().start()
    }

    pub fn setup<'a>() -> Setup<'a> {
        Setup {
            arguments: Vec::new(),
            secured: None,
        }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// At the same addresses, empty.
    #[track_caller]
    pub fn restart(&mut self) {
        self.kill();
        // The port may be taken meanwhile, for a moment, by somebody who looks for a free one.
        eventually("the server is back", || {
            if self
                .child
                .as_mut()
                .is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
            {
                self.child = Some(launch("redis-server", &self.arguments, &self.folder));
            }
            self.answers()
        });
    }

    /// It keeps its connections and answers nobody (SIGSTOP).
    pub fn pause(&self) {
        self.signal(libc::SIGSTOP);
    }

    pub fn resume(&self) {
        self.signal(libc::SIGCONT);
    }

    #[track_caller]
    pub fn flush(&self) {
        assert_eq!(self.command(&["FLUSHALL"]), Reply::Status("OK".to_owned()));
    }

    /// By a connection of its own.
    #[track_caller]
    pub fn command(&self, words: &[impl AsRef<[u8]>]) -> Reply {
        self.try_command(words)
            .unwrap_or_else(|error| panic!("redis: {error}"))
    }

    pub fn try_command(&self, words: &[impl AsRef<[u8]>]) -> io::Result<Reply> {
        Wire::connect(self.address)?.command(words)
    }

    /// All keys of this pattern, sorted.
    #[track_caller]
    pub fn keys(&self, pattern: &str) -> Vec<String> {
        let Reply::List(keys) = self.command(&["KEYS", pattern]) else {
            panic!("KEYS answers with a list");
        };
        let mut keys: Vec<_> = keys.into_iter().map(|key| key.text()).collect();
        keys.sort();
        keys
    }

    /// How many commands of this name it has carried out.
    #[track_caller]
    pub fn calls(&self, command: &str) -> u64 {
        let stats = self.command(&["INFO", "commandstats"]).text();
        let start = format!("cmdstat_{}:calls=", command.to_lowercase());
        let line = stats.lines().find_map(|line| line.strip_prefix(&start));
        line.and_then(|line| line.split(',').next()?.parse().ok())
            .unwrap_or(0)
    }

    fn answers(&self) -> bool {
        // One that wants a password answers too.
        self.try_command(&["PING"]).is_ok()
    }

    fn signal(&self, signal: i32) {
        let child = self.child.as_ref().expect("it runs");
        os::signal(child.id(), signal);
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

impl<'a> Setup<'a> {
    /// As in the configuration file: `["--requirepass", "x"]`.
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// On another port as well, with a certificate of this authority for 127.0.0.1 and localhost. `asks`: clients must show
    /// one of the same authority.
    pub fn secured(mut self, authority: &'a Authority, asks: bool) -> Self {
        self.secured = Some((authority, asks));
        self
    }

    #[track_caller]
    pub fn start(self) -> Redis {
        for _ in 0..5 {
            let mut redis = self.launch();
            let begun = std::time::Instant::now();
            while !redis.answers() && begun.elapsed() < DEADLINE {
                if redis
                    .child
                    .as_mut()
                    .is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
                {
                    break;
                }
                super::pause();
            }
            if redis.answers() {
                return redis;
            }
        }
        panic!("no Redis: {:?}", self.arguments);
    }

    fn launch(&self) -> Redis {
        let (address, folder) = (ports::free(), Folder::new());
        let mut arguments: Vec<String> = [
            "--port",
            &address.port().to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--loglevel",
            "warning",
        ]
        .map(str::to_owned)
        .to_vec();
        let secured = self.secured.map(|(authority, asks)| {
            let address = ports::free();
            let pair = authority.pair(&["127.0.0.1", "localhost"]);
            for (name, value) in [
                ("--tls-port", address.port().to_string()),
                ("--tls-cert-file", pair.crt.display().to_string()),
                ("--tls-key-file", pair.key.display().to_string()),
                ("--tls-ca-cert-file", authority.file.display().to_string()),
                ("--tls-auth-clients", if asks { "yes" } else { "no" }.to_owned()),
            ] {
                arguments.extend([name.to_owned(), value]);
            }
            address
        });
        arguments.extend(self.arguments.iter().cloned());
        Redis {
            child: Some(launch("redis-server", &arguments, &folder)),
            arguments,
            address,
            secured,
            folder,
        }
    }
}

/// A sentinel that watches a server as `mymaster`.
pub struct Sentinel {
    child: Child,
    pub address: SocketAddr,
    _folder: Folder,
}

impl Sentinel {
    /// `more` are lines of its configuration.
    #[track_caller]
    pub fn start(master: &Redis, more: &str) -> Self {
        for _ in 0..5 {
            let (address, folder) = (ports::free(), Folder::new());
            let file = folder.write(
                "sentinel.conf",
                &format!(
                    "port {}\nbind 127.0.0.1\nsentinel monitor mymaster 127.0.0.1 {} 1\n\
                     sentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 3000\n{more}\n",
                    address.port(),
                    master.port()
                ),
            );
            let child = launch("redis-sentinel", &[file.display().to_string()], &folder);
            let mut sentinel = Self {
                child,
                address,
                _folder: folder,
            };
            let begun = std::time::Instant::now();
            while begun.elapsed() < DEADLINE {
                if sentinel.try_command(&["PING"]).is_ok() {
                    return sentinel;
                }
                if !matches!(sentinel.child.try_wait(), Ok(None)) {
                    break;
                }
                super::pause();
            }
        }
        panic!("no sentinel");
    }

    pub fn try_command(&self, words: &[impl AsRef<[u8]>]) -> io::Result<Reply> {
        Wire::connect(self.address)?.command(words)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(program: &str, arguments: &[String], folder: &Folder) -> Child {
    Command::new(program)
        .args(arguments)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// A connection that speaks RESP2.
pub struct Wire(BufReader<TcpStream>);

impl Wire {
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
        stream.set_read_timeout(Some(DEADLINE))?;
        Ok(Self(BufReader::new(stream)))
    }

    pub fn command(&mut self, words: &[impl AsRef<[u8]>]) -> io::Result<Reply> {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            let word = word.as_ref();
            bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            bytes.extend_from_slice(word);
            bytes.extend_from_slice(b"\r\n");
        }
        self.0.get_mut().write_all(&bytes)?;
        self.reply()
    }

    fn reply(&mut self) -> io::Result<Reply> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let rest = line.get(1..).unwrap_or_default().trim_end().to_owned();
        let number = || {
            rest.parse::<i64>()
                .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
        };
        Ok(match line.as_bytes().first() {
            Some(b'+') => Reply::Status(rest),
            Some(b'-') => Reply::Error(rest),
            Some(b':') => Reply::Number(number()?),
            Some(b'$') => match usize::try_from(number()?) {
                Err(_) => Reply::Nil,
                Ok(length) => {
                    let mut bytes = vec![0; length + 2];
                    self.0.read_exact(&mut bytes)?;
                    bytes.truncate(length);
                    Reply::Bulk(bytes)
                }
            },
            Some(b'*') => match usize::try_from(number()?) {
                Err(_) => Reply::Nil,
                Ok(count) => Reply::List((0..count).map(|_| self.reply()).collect::<io::Result<_>>()?),
            },
            _ => return Err(io::ErrorKind::InvalidData.into()),
        })
    }
}

impl Reply {
    /// Of a status, an error, a number or bytes; "" of anything else.
    pub fn text(&self) -> String {
        match self {
            Self::Status(text) | Self::Error(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Nil | Self::List(_) => String::new(),
        }
    }

    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bulk(bytes) => Some(bytes),
            _ => None,
        }
    }
}
