//! The floor: a relay that does nothing but what no gateway on this runtime can do without. What a gateway costs above
//! it is what its features cost. There are two, because what cannot be done without differs:
//!
//! - `copy`, for connections that stay: bytes are copied between a client connection and an upstream connection of its
//!   own, in both directions, and none of them is read. No parsing, no pool, no header.
//! - `short`, for a connection a request: a gateway would not open an upstream connection each time, so neither does
//!   this. It accepts, reads the request, writes it to an upstream connection out of a pool, reads the answer, writes
//!   it and closes. To share an upstream connection one has to know where an answer ends, and must not pass on the
//!   client's `Connection: close`; that, by plain search, is all the parsing there is.

use std::cell::RefCell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

use memchr::memmem;
use monoio::io::{AsyncReadRent, AsyncWriteRent, AsyncWriteRentExt, Splitable};
use monoio::net::{ListenerOpts, TcpListener, TcpStream};

use crate::driver::Driver;
use crate::scenario::plan::FloorStyle;

#[derive(Debug, Clone, Copy)]
pub struct Relay {
    pub driver: Driver,
    pub style: FloorStyle,
    /// Bytes read at once, each direction of a connection.
    pub buffer: usize,
    pub origin: SocketAddr,
}

impl Relay {
    /// Relays 127.0.0.1:`port` (0: the kernel chooses) for ever, on one thread. `ready` is told the address once
    /// connections are accepted.
    pub fn serve(self, port: u16, ready: impl FnOnce(SocketAddr) -> io::Result<()>) -> io::Result<()> {
        self.driver.run(async move {
            let options = ListenerOpts::new().backlog(BACKLOG).reuse_port(false);
            let listener =
                TcpListener::bind_with_config(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), &options)?;
            ready(listener.local_addr()?)?;
            let pool = Rc::new(RefCell::new(Vec::new()));
            loop {
                let (client, _) = listener.accept().await?;
                let pool = Rc::clone(&pool);
                monoio::spawn(async move {
                    // A connection that breaks is seen, and counted, by the client it was made for.
                    let _ = match self.style {
                        FloorStyle::Copy => self.copy(client).await,
                        FloorStyle::Short => self.exchange(client, &pool).await,
                    };
                });
            }
        })?
    }

    /// Two tasks rather than one that waits for each side in turn: a body of many reads, an early answer and pipelined
    /// requests pass too, for the same four socket operations a request.
    async fn copy(self, client: TcpStream) -> io::Result<()> {
        let upstream = TcpStream::connect_addr(self.origin).await?;
        client.set_nodelay(true)?;
        upstream.set_nodelay(true)?;
        let (client_read, client_write) = client.into_split();
        let (upstream_read, upstream_write) = upstream.into_split();
        monoio::spawn(pump(client_read, upstream_write, self.buffer));
        pump(upstream_read, client_write, self.buffer).await
    }

    async fn exchange(self, mut client: TcpStream, pool: &RefCell<Vec<TcpStream>>) -> io::Result<()> {
        let Some(mut request) = whole(&mut client, self.buffer, |_| 0).await? else {
            return Ok(());
        };
        if let Some(at) = memmem::find(&request, CLOSE) {
            request.drain(at..at + CLOSE.len());
        }
        let pooled = pool.borrow_mut().pop();
        let mut upstream = match pooled {
            Some(upstream) => upstream,
            None => TcpStream::connect_addr(self.origin).await?,
        };
        let (written, mut buffer) = upstream.write_all(request).await;
        written?;
        buffer.clear();
        let answer = whole_into(&mut upstream, buffer, content_length).await?;
        let Some(mut answer) = answer else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        pool.borrow_mut().push(upstream);
        // The client waits for this line, or would send its next request on a connection that ends.
        let line = memmem::find(&answer, b"\r\n").ok_or(io::ErrorKind::InvalidData)? + 2;
        answer.splice(line..line, CLOSE.iter().copied());
        client.write_all(answer).await.0.map(drop)
    }
}

async fn pump(mut from: impl AsyncReadRent, mut to: impl AsyncWriteRent, bytes: usize) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(bytes);
    loop {
        let (read, filled) = from.read(buffer).await;
        if !matches!(read, Ok(1..)) {
            // The end of one direction is passed on; the other goes on until it ends itself.
            to.shutdown().await?;
            return read.map(drop);
        }
        let (written, emptied) = to.write_all(filled).await;
        written?;
        buffer = emptied;
    }
}

/// Reads one message: a head, and as many bytes after it as `body` finds in it. None when the peer ended before.
async fn whole(
    from: &mut TcpStream,
    bytes: usize,
    body: impl Fn(&[u8]) -> usize,
) -> io::Result<Option<Vec<u8>>> {
    whole_into(from, Vec::with_capacity(bytes), body).await
}

async fn whole_into(
    from: &mut TcpStream,
    mut message: Vec<u8>,
    body: impl Fn(&[u8]) -> usize,
) -> io::Result<Option<Vec<u8>>> {
    loop {
        // monoio's read replaces what a vector holds; one read brings all of a small message, so the rest is rare.
        let had = message.len();
        let (read, filled) = if had == 0 {
            from.read(message).await
        } else {
            let (read, more) = from.read(Vec::with_capacity(message.capacity())).await;
            message.extend_from_slice(&more);
            (read, message)
        };
        message = filled;
        if read? == 0 {
            return Ok(None);
        }
        if let Some(end) = memmem::find(&message, b"\r\n\r\n")
            && message.len() >= end + 4 + body(&message[..end + 2])
        {
            return Ok(Some(message));
        }
    }
}

fn content_length(head: &[u8]) -> usize {
    let digits = memmem::find(head, LENGTH).map_or(&[][..], |at| &head[at + LENGTH.len()..]);
    digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
}

/// As the load and the origin write them: both are ours to know.
const CLOSE: &[u8] = b"Connection: close\r\n";
const LENGTH: &[u8] = b"Content-Length: ";

/// Enough for every client of a run to connect at once.
const BACKLOG: i32 = 4096;

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::http::{self, Client};
    use crate::origin;

    /// A relay of this style before an origin, each on a thread that ends with the test process.
    fn relay(style: FloorStyle, body_bytes: u64) -> SocketAddr {
        let (sender, receiver) = mpsc::channel();
        let announce = sender.clone();
        std::thread::spawn(move || {
            let options = origin::Options {
                body_bytes,
                ..origin::Options::default()
            };
            origin::serve(0, options, move |address| {
                announce.send(address).map_err(io::Error::other)
            })
        });
        let origin = receiver.recv().expect("the origin says where");
        std::thread::spawn(move || {
            let relay = Relay {
                driver: Driver::Epoll,
                style,
                buffer: 4096,
                origin,
            };
            relay.serve(0, move |address| sender.send(address).map_err(io::Error::other))
        });
        receiver.recv().expect("the relay says where")
    }

    #[test]
    fn the_short_relay_answers_each_connection_once_and_says_so() {
        let address = relay(FloorStyle::Short, 5000);
        for _ in 0..3 {
            let mut client = Client::connect(address).expect("it accepts");
            let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
            let answer = client.exchange(request.as_bytes()).expect("a whole answer");
            assert_eq!((answer.status, answer.close), (200, true));
            assert_eq!(answer.body, origin::body(5000));
            client
                .exchange(request.as_bytes())
                .expect_err("the connection has ended");
        }
    }

    #[test]
    fn the_copying_relay_keeps_the_connection() {
        let address = relay(FloorStyle::Copy, 100_000);
        let mut client = Client::connect(address).expect("it accepts");
        for body in [&b""[..], &[b'x'; 50_000]] {
            let answer = client
                .exchange(&http::request("POST", "/", address, body))
                .expect("a whole answer");
            assert_eq!((answer.status, answer.close), (200, false));
            assert_eq!(answer.body, origin::body(100_000));
        }
    }
}
