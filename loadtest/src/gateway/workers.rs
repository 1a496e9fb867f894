//! How a gateway with several workers tells what each of them did. Processor time does not: a worker whose CPU has
//! nothing else to do pays more for a request (it sleeps and is woken), so an even spread of requests is an uneven one
//! of time.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use std::{fs, thread};

use serde::Deserialize;

use super::Kind;
use crate::{Outcome, usage};

/// What is asked, and whom.
#[derive(Debug, Clone, Copy)]
pub struct Workers {
    kind: Kind,
    /// Of its first process.
    process: u32,
    address: SocketAddr,
    admin: SocketAddr,
}

/// What each worker did so far: requests, or what each request adds the same to.
#[derive(Debug)]
pub struct Tally(Vec<f64>);

impl Workers {
    /// Of the gateway that serves `address` and tells about itself at `admin`.
    pub fn of(kind: Kind, process: u32, address: SocketAddr, admin: SocketAddr) -> Self {
        Self {
            kind,
            process,
            address,
            admin,
        }
    }

    /// None of a gateway that tells nothing, or only while connections are open (`watch`). Envoy counts a worker's
    /// connections and not its requests: `alike` says that each carries as many as any other.
    pub fn tally(self, alike: bool) -> Outcome<Option<Tally>> {
        let work = match self.kind {
            Kind::Ringway => requests_of_shards(&self.http("/shards")?),
            Kind::Haproxy => calls_of_streams(&self.ask("show activity\n")?),
            Kind::Envoy if alike => {
                connections_of_workers(&self.http("/stats?filter=worker_.*downstream_cx_total")?)
            }
            _ => return Ok(None),
        };
        match work {
            Some(work) if !work.is_empty() => Ok(Some(Tally(work))),
            _ => Err(format!("{} does not tell what its workers did", self.kind.name()).into()),
        }
    }

    /// For nginx, which counts nothing by worker, but whose workers are processes: the connections each has open after
    /// `time`, from `/proc`. Meant for a thread beside the load, of connections that are used alike.
    pub fn watch(self, time: Duration) -> Outcome<Option<Tally>> {
        if !matches!(self.kind, Kind::Nginx | Kind::NginxBare) {
            return Ok(None);
        }
        thread::sleep(time);
        let mut table = fs::read_to_string("/proc/net/tcp")?;
        // A socket of both families is in the other table.
        table += &fs::read_to_string("/proc/net/tcp6").unwrap_or_default();
        let clients = established(&table, self.address.port());
        let mut work = Vec::new();
        for process in usage::tree(self.process)? {
            let mut open = 0.0;
            for entry in fs::read_dir(format!("/proc/{process}/fd"))? {
                // Descriptors come and go while the folder is read.
                let Ok(target) = fs::read_link(entry?.path()) else {
                    continue;
                };
                let target = target.to_string_lossy();
                let socket = target
                    .strip_prefix("socket:[")
                    .and_then(|rest| rest.strip_suffix(']'));
                if socket.is_some_and(|inode| clients.contains(inode)) {
                    open += 1.0;
                }
            }
            work.push(open);
        }
        Ok(Some(Tally(work)))
    }

    fn http(self, target: &str) -> io::Result<String> {
        self.ask(&format!(
            "GET {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.admin
        ))
    }

    /// All that comes back until the other side ends the connection.
    fn ask(self, question: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.admin, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(question.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

impl Tally {
    /// The busiest worker's part of what was done since `earlier`. NaN of nothing.
    pub fn busiest_since(&self, earlier: &Tally) -> f64 {
        let before = earlier.0.iter().chain(std::iter::repeat(&0.0));
        Tally(self.0.iter().zip(before).map(|(now, then)| now - then).collect()).busiest()
    }

    pub fn busiest(&self) -> f64 {
        self.0.iter().copied().fold(0.0, f64::max) / self.0.iter().sum::<f64>()
    }
}

/// Of Ringway's `{"shards":[{"requests":1,…},…]}`.
fn requests_of_shards(answer: &str) -> Option<Vec<f64>> {
    #[derive(Deserialize)]
    struct Shards {
        shards: Vec<Shard>,
    }
    #[derive(Deserialize)]
    struct Shard {
        requests: f64,
    }
    let (_, body) = answer.split_once("\r\n\r\n")?;
    let told: Shards = serde_json::from_str(body).ok()?;
    Some(told.shards.iter().map(|shard| shard.requests).collect())
}

/// Of HAProxy's `stream_calls: 184 [ 103 81 ]`: how often each thread worked on a stream, twice a request here.
fn calls_of_streams(answer: &str) -> Option<Vec<f64>> {
    let line = answer.lines().find(|line| line.starts_with("stream_calls:"))?;
    let (_, threads) = line.split_once('[')?;
    let (threads, _) = threads.split_once(']')?;
    threads
        .split_ascii_whitespace()
        .map(|number| number.parse().ok())
        .collect()
}

/// Of Envoy's `listener.127.0.0.1_8081.worker_0.downstream_cx_total: 5`. Its admin address has none of these workers.
fn connections_of_workers(answer: &str) -> Option<Vec<f64>> {
    let workers = answer.lines().filter(|line| line.contains(".worker_"));
    workers
        .map(|line| line.rsplit_once(": ")?.1.trim().parse().ok())
        .collect()
}

/// Inodes of the established connections whose local side is `port` (proc_net_tcp(5)), as they are written.
fn established(table: &str, port: u16) -> HashSet<&str> {
    let port = format!("{port:04X}");
    table
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace().skip(1);
            let (_, local) = fields.next()?.rsplit_once(':')?;
            let state = fields.nth(1)?;
            let inode = fields.nth(5)?;
            (local == port && state == ESTABLISHED).then_some(inode)
        })
        .collect()
}

const ESTABLISHED: &str = "01";
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gateways_words_are_understood() {
        let ringway = "HTTP/1.1 200 OK\r\ncontent-length: 70\r\n\r\n\
                       {\"shards\":[{\"connections\":2,\"requests\":70},{\"connections\":2,\"requests\":30}]}";
        assert_eq!(requests_of_shards(ringway), Some(vec![70.0, 30.0]));
        assert_eq!(requests_of_shards("HTTP/1.1 404 Not Found\r\n\r\n{}"), None);
        let haproxy = "thread_id: 1 (1..2)\nstream_calls: 184 [ 103 81 ]\naccepted: 11 [ 7 4 ]\n";
        assert_eq!(calls_of_streams(haproxy), Some(vec![103.0, 81.0]));
        let envoy = "HTTP/1.1 200 OK\r\n\r\n6f\r\nlistener.127.0.0.1_81.worker_0.downstream_cx_total: 5\n\
                     listener.127.0.0.1_81.worker_1.downstream_cx_total: 11\r\n0\r\n\r\n";
        assert_eq!(connections_of_workers(envoy), Some(vec![5.0, 11.0]));
    }

    #[test]
    fn the_busiest_is_seen_in_what_was_added() {
        let (before, after) = (Tally(vec![100.0, 0.0]), Tally(vec![130.0, 70.0]));
        assert_eq!(after.busiest_since(&before), 0.7);
        assert_eq!(Tally(vec![0.0, 4.0, 4.0]).busiest(), 0.5);
        assert!(before.busiest_since(&before).is_nan());
    }

    #[test]
    fn connections_of_a_process_are_found_in_the_kernels_tables() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback is there");
        let address = listener.local_addr().expect("it is bound");
        let clients = [0; 3].map(|_| TcpStream::connect(address).expect("it listens"));
        let accepted = [0; 3].map(|_| listener.accept().expect("one came"));
        let workers = Workers::of(Kind::Nginx, std::process::id(), address, address);
        let tally = workers.watch(Duration::ZERO).expect("/proc can be read");
        // The clients' ends are in this process too, and on other ports.
        assert_eq!(tally.expect("nginx is watched").0.iter().sum::<f64>(), 3.0);
        drop((clients, accepted));
    }
}
