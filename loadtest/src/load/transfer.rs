//! Whole bodies, up or down. wrk gives no account of what it had sent when the time was over; here every body that was
//! begun is ended, and each byte of it counted. A blocking thread a connection: with large bodies few system calls
//! carry many bytes, and the load's CPU is not the one that is measured.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use memchr::memmem;

use super::Requests;
use crate::Outcome;
use crate::http::Head;

#[derive(Debug, Clone, Copy)]
pub struct Transfer<'a> {
    pub connections: u32,
    /// Until then another one is begun.
    pub time: Duration,
    pub requests: &'a Requests,
}

#[derive(Debug, Default)]
pub struct Transferred {
    pub requests: u64,
    /// Of bodies, in both directions.
    pub bytes: u64,
    pub elapsed: Duration,
    /// Of each request, from its first byte to its answer's last, sorted.
    pub took: Vec<Duration>,
}

impl Transfer<'_> {
    /// Runs on threads of this process, which stay on the CPU of the thread that calls. One failure fails it all.
    pub fn run(self, address: SocketAddr) -> Outcome<Transferred> {
        let began = Instant::now();
        let end = began + self.time;
        let mut all = Transferred::default();
        std::thread::scope(|scope| -> Outcome<()> {
            let threads: Vec<_> = (0..self.connections)
                .map(|_| scope.spawn(move || self.converse(address, end)))
                .collect();
            for thread in threads {
                let one = thread.join().map_err(|_| "a client panicked")??;
                all.requests += one.requests;
                all.bytes += one.bytes;
                all.took.extend(one.took);
            }
            Ok(())
        })?;
        all.elapsed = began.elapsed();
        all.took.sort_unstable();
        Ok(all)
    }

    fn converse(self, address: SocketAddr, end: Instant) -> io::Result<Transferred> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let head = self.requests.head(0, address);
        let mut buffer = vec![b'x'; PIECE_BYTES];
        let mut done = Transferred::default();
        while done.requests == 0 || Instant::now() < end {
            let began = Instant::now();
            stream.write_all(&head)?;
            let mut left = self.requests.body_bytes;
            while left > 0 {
                let piece = left.min(PIECE_BYTES as u64);
                stream.write_all(&buffer[..piece as usize])?;
                left -= piece;
            }
            let answered = answer(&mut stream, &mut buffer)?;
            done.bytes += self.requests.body_bytes + answered;
            done.requests += 1;
            done.took.push(began.elapsed());
        }
        Ok(done)
    }
}

impl Transferred {
    /// The time within which `share` of the requests were answered, in microseconds.
    pub fn percentile_us(&self, share: f64) -> f64 {
        let index = (self.took.len() as f64 * share).ceil() as usize;
        let took = self.took.get(index.max(1) - 1).or(self.took.last());
        took.map_or(f64::NAN, |took| took.as_secs_f64() * 1e6)
    }
}

/// Reads one answer and forgets it; returns the length of its body.
fn answer(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<u64> {
    let mut head = Vec::new();
    let (length, had) = loop {
        let read = some(stream.read(buffer)?)?;
        head.extend_from_slice(&buffer[..read]);
        if let Some(end) = memmem::find(&head, b"\r\n\r\n") {
            let parsed = Head::parse(&head[..end + 4])?;
            if parsed.status != 200 || parsed.close {
                return Err(io::Error::other(format!(
                    "an answer of status {} that {} the connection",
                    parsed.status,
                    if parsed.close { "ends" } else { "keeps" }
                )));
            }
            break (parsed.content_length as u64, (head.len() - end - 4) as u64);
        }
    };
    let mut left = length
        .checked_sub(had)
        .ok_or_else(|| io::Error::other("bytes after the answer's end"))?;
    while left > 0 {
        let most = left.min(buffer.len() as u64) as usize;
        left -= some(stream.read(&mut buffer[..most])?)? as u64;
    }
    // What was read lies over what is sent next; any byte is as good.
    Ok(length)
}

fn some(read: usize) -> io::Result<usize> {
    match read {
        0 => Err(io::Error::other("the answer was cut short")),
        read => Ok(read),
    }
}

const PIECE_BYTES: usize = 256 * 1024;
const PATIENCE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::mpsc;

    use super::*;
    use crate::origin;

    #[test]
    fn every_byte_in_both_directions_is_counted() {
        let (sender, receiver) = mpsc::channel();
        let options = origin::Options {
            body_bytes: 1_000_000,
            ..origin::Options::default()
        };
        std::thread::spawn(move || {
            origin::serve(0, options, move |address| {
                sender.send(address).map_err(io::Error::other)
            })
        });
        let requests = Requests {
            method: "POST".into(),
            targets: vec!["/".into()],
            headers: BTreeMap::new(),
            body_bytes: 300_000,
        };
        let transfer = Transfer {
            connections: 2,
            time: Duration::ZERO,
            requests: &requests,
        };
        let done = transfer
            .run(receiver.recv().expect("the origin says where"))
            .expect("no failure");
        assert_eq!((done.requests, done.bytes), (2, 2_600_000));
        assert!(done.percentile_us(0.5) <= done.percentile_us(1.0) && done.percentile_us(0.5) > 0.0);
    }

    #[test]
    fn an_origin_that_is_not_there_is_a_failure() {
        let address = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("loopback is there");
        let requests = Requests {
            method: "GET".into(),
            targets: vec!["/".into()],
            headers: BTreeMap::new(),
            body_bytes: 0,
        };
        let transfer = Transfer {
            connections: 1,
            time: Duration::ZERO,
            requests: &requests,
        };
        transfer.run(address).expect_err("nobody listens");
    }
}
