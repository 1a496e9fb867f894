//! A small blocking HTTP/1.1 client, for what wrk cannot do: compare answers, hold connections open, honour
//! `Connection: close`. It reads answers with a `Content-Length` and refuses others, which the origin never sends.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use memchr::memmem;

pub struct Client {
    transport: Transport,
    received: Vec<u8>,
}

enum Transport {
    Plain(TcpStream),
    /// `openssl s_client`, which nobody measures: it only has to carry a few requests that are compared.
    Tls {
        child: Child,
        input: ChildStdin,
        output: ChildStdout,
    },
}

#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    /// The server ends the connection after this answer.
    pub close: bool,
}

impl Client {
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            transport: Transport::Plain(stream),
            received: Vec::new(),
        })
    }

    /// Over TLS, whatever the certificate.
    pub fn connect_tls(address: SocketAddr) -> io::Result<Self> {
        let mut child = Command::new("openssl")
            .args(["s_client", "-quiet", "-connect", &address.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(invalid("a pipe that was asked for is not there"));
        };
        Ok(Self {
            transport: Transport::Tls { child, input, output },
            received: Vec::new(),
        })
    }

    /// Sends one request and reads its whole answer. Any error, and any byte too few or too many, is an error; the
    /// connection is then of no more use.
    pub fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        match &mut self.transport {
            Transport::Plain(stream) => stream.write_all(request)?,
            Transport::Tls { input, .. } => input.write_all(request)?,
        }
        self.received.clear();
        let head = loop {
            if let Some(end) = memmem::find(&self.received, b"\r\n\r\n") {
                break Head::parse(&self.received[..end + 4])?;
            }
            self.receive()?;
        };
        let whole = head.bytes + head.content_length;
        while self.received.len() < whole {
            self.receive()?;
        }
        if self.received.len() > whole {
            return Err(invalid("bytes after the answer's end"));
        }
        Ok(Answer {
            status: head.status,
            body: self.received[head.bytes..].to_vec(),
            close: head.close,
        })
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut buffer = [0; 64 * 1024];
        let read = match &mut self.transport {
            Transport::Plain(stream) => stream.read(&mut buffer)?,
            Transport::Tls { output, .. } => output.read(&mut buffer)?,
        };
        match read {
            0 if self.received.is_empty() => {
                Err(ended("the connection was closed before a byte of the answer"))
            }
            0 => Err(ended("the answer was cut short")),
            read => {
                self.received.extend_from_slice(&buffer[..read]);
                Ok(())
            }
        }
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        if let Transport::Tls { child, .. } = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A request for `target`, with a body when `body` has bytes.
pub fn request(method: &str, target: &str, host: SocketAddr, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n").into_bytes();
    if !body.is_empty() {
        bytes.extend(format!("Content-Length: {}\r\n", body.len()).into_bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(body);
    bytes
}

/// What matters of an answer's head.
pub struct Head {
    bytes: usize,
    pub status: u16,
    pub content_length: usize,
    pub close: bool,
}

impl Head {
    /// `head` ends with the empty line.
    pub fn parse(head: &[u8]) -> io::Result<Self> {
        let text = std::str::from_utf8(head).map_err(|_| invalid("a head that is not text"))?;
        let mut lines = text.split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status = status_line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok());
        let mut content_length = None;
        let mut close = false;
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                content_length = value.trim().parse().ok();
            } else if name.eq_ignore_ascii_case("connection") {
                close |= value
                    .split(',')
                    .any(|option| option.trim().eq_ignore_ascii_case("close"));
            }
        }
        Ok(Self {
            bytes: head.len(),
            status: status.ok_or_else(|| invalid("no HTTP/1.1 status line"))?,
            content_length: content_length.ok_or_else(|| invalid("no Content-Length"))?,
            close,
        })
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn ended(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, what)
}

/// Longer than any time-out that a healthy gateway meets on loopback.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// What the client makes of `answer`, sent in one piece and ended.
    fn outcome(answer: &'static [u8]) -> io::Result<Answer> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
        let address = listener.local_addr().expect("it is bound");
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client comes");
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).expect("it asks");
            stream.write_all(answer).expect("it listens");
        });
        let result = Client::connect(address)
            .and_then(|mut client| client.exchange(&request("GET", "/", address, b"")));
        server.join().expect("the server ends well");
        result
    }

    #[test]
    fn a_whole_answer_is_read() {
        let answer =
            outcome(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\nconnection: x, Close\r\n\r\nno");
        let expected = Answer {
            status: 404,
            body: b"no".to_vec(),
            close: true,
        };
        assert_eq!(answer.expect("a whole answer"), expected);
        let answer = outcome(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").expect("a whole answer");
        assert!(!answer.close && answer.body.is_empty());
    }

    #[test]
    fn every_other_end_is_an_error_with_its_name() {
        for (answer, message) in [
            (&b""[..], "before a byte"),
            (b"HTTP/1.1 200 OK\r\nConte", "cut short"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nno", "cut short"),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nno",
                "after the answer",
            ),
            (b"HTTP/1.1 200 OK\r\n\r\n", "Content-Length"),
            (b"HTTP/2 200\r\n\r\n", "status line"),
        ] {
            let error = outcome(answer).expect_err("not a whole answer").to_string();
            assert!(
                error.contains(message),
                "{error} for {:?}",
                String::from_utf8_lossy(answer)
            );
        }
    }
}
