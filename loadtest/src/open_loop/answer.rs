//! Where an answer ends (RFC 9112 §6.3): a machine fed with bytes as they come, without a socket or a clock. Bodies are
//! skipped, not kept.

use httparse::Status;
use memchr::memchr;

/// One answer at a time.
#[derive(Debug)]
pub struct Answer {
    /// The request was a HEAD: whatever the answer announces, no body follows.
    head_only: bool,
    state: State,
    /// The unfinished head or line; empty in a body.
    partial: Vec<u8>,
    done: Done,
}

/// An answer that came whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    pub status: u16,
    /// The server will close the connection, or has.
    pub close: bool,
}

/// Bytes that are not an answer, or more of them than one.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    Body { left: u64 },
    ChunkSize,
    Chunk { left: u64 },
    ChunkEnd,
    Trailers,
    UntilClose,
}

impl Answer {
    pub fn new(head_only: bool) -> Self {
        Self {
            head_only,
            state: State::Head,
            partial: Vec::new(),
            done: Done {
                status: 0,
                close: false,
            },
        }
    }

    /// Takes the next bytes. None: the answer goes on. A byte past its end is an error, since one request at a time is
    /// under way.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Option<Done>, Malformed> {
        let mut rest = bytes;
        loop {
            let ended = match &mut self.state {
                State::Head => match self.head(&mut rest)? {
                    Some(ended) => ended,
                    None => return Ok(None),
                },
                State::Body { left } => {
                    skip(left, &mut rest);
                    *left == 0
                }
                State::Chunk { left } => {
                    skip(left, &mut rest);
                    if *left == 0 {
                        self.state = State::ChunkEnd;
                    }
                    false
                }
                State::UntilClose => return Ok(None),
                State::ChunkSize | State::ChunkEnd | State::Trailers => self.line(&mut rest)?,
            };
            if ended {
                self.state = State::Head;
                return if rest.is_empty() {
                    Ok(Some(self.done))
                } else {
                    Err(Malformed)
                };
            }
            if rest.is_empty() {
                return Ok(None);
            }
        }
    }

    /// The server has closed the connection. Some: that was the answer's end.
    pub fn ended(&self) -> Option<Done> {
        (self.state == State::UntilClose).then_some(Done {
            close: true,
            ..self.done
        })
    }

    /// Reads a head off the front of `rest`; true when no body follows, None when its end has not come.
    fn head(&mut self, rest: &mut &[u8]) -> Result<Option<bool>, Malformed> {
        let before = self.partial.len();
        if before > 0 {
            self.partial.extend_from_slice(rest);
        }
        let joined: &[u8] = if before > 0 { &self.partial } else { rest };
        let Some(head) = Head::parse(joined)? else {
            if joined.len() > HEAD_BYTES_MAX {
                return Err(Malformed);
            }
            if before == 0 {
                self.partial.extend_from_slice(rest);
            }
            return Ok(None);
        };
        *rest = &rest[head.bytes - before..];
        self.partial.clear();
        // 103 and its like announce an answer; 101 would leave HTTP, which nobody asked for.
        if (100..200).contains(&head.status) && head.status != 101 {
            return if rest.is_empty() {
                Ok(None)
            } else {
                self.head(rest)
            };
        }
        self.done = Done {
            status: head.status,
            close: head.close,
        };
        if self.head_only || matches!(head.status, 101 | 204 | 304) {
            return Ok(Some(true));
        }
        self.state = match head.framing {
            Framing::Length(0) => return Ok(Some(true)),
            Framing::Length(left) => State::Body { left },
            Framing::Chunked => State::ChunkSize,
            Framing::UntilClose => State::UntilClose,
        };
        Ok(Some(false))
    }

    /// Takes one line of the chunked coding, or what there is of it; true when it was the last.
    fn line(&mut self, rest: &mut &[u8]) -> Result<bool, Malformed> {
        let Some(end) = memchr(b'\n', rest) else {
            self.partial.extend_from_slice(rest);
            *rest = &[];
            return if self.partial.len() > HEAD_BYTES_MAX {
                Err(Malformed)
            } else {
                Ok(false)
            };
        };
        self.partial.extend_from_slice(&rest[..end]);
        *rest = &rest[end + 1..];
        let line = self.partial.strip_suffix(b"\r").ok_or(Malformed)?;
        let mut last = false;
        self.state = match self.state {
            State::ChunkSize => match chunk_size(line)? {
                0 => State::Trailers,
                left => State::Chunk { left },
            },
            State::ChunkEnd if line.is_empty() => State::ChunkSize,
            State::ChunkEnd => return Err(Malformed),
            other => {
                last = line.is_empty();
                other
            }
        };
        self.partial.clear();
        Ok(last)
    }
}

struct Head {
    bytes: usize,
    status: u16,
    close: bool,
    framing: Framing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

impl Head {
    /// None: its end is not there yet.
    fn parse(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut response = httparse::Response::new(&mut fields);
        let length = match response.parse(bytes).map_err(|_| Malformed)? {
            Status::Complete(length) => length,
            Status::Partial => return Ok(None),
        };
        let mut head = Self {
            bytes: length,
            status: response.code.ok_or(Malformed)?,
            close: response.version == Some(0),
            framing: Framing::UntilClose,
        };
        for field in response.headers.iter() {
            // The length of the name first: it sets nearly every field aside with one comparison.
            match field.name.len() {
                10 if field.name.eq_ignore_ascii_case("connection") => {
                    for option in field.value.split(|&byte| byte == b',') {
                        let option = option.trim_ascii();
                        if option.eq_ignore_ascii_case(b"close") {
                            head.close = true;
                        } else if option.eq_ignore_ascii_case(b"keep-alive") && response.version == Some(0) {
                            head.close = false;
                        }
                    }
                }
                14 if field.name.eq_ignore_ascii_case("content-length") => {
                    let digits = std::str::from_utf8(field.value).map_err(|_| Malformed)?;
                    let framing = Framing::Length(digits.trim().parse().map_err(|_| Malformed)?);
                    match head.framing {
                        Framing::Chunked => {}
                        before if before == framing || before == Framing::UntilClose => {
                            head.framing = framing;
                        }
                        _ => return Err(Malformed),
                    }
                }
                17 if field.name.eq_ignore_ascii_case("transfer-encoding") => {
                    // Other codings were not asked for (no TE in the request) and could not be read.
                    if !field.value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                        return Err(Malformed);
                    }
                    head.framing = Framing::Chunked;
                }
                _ => {}
            }
        }
        Ok(Some(head))
    }
}

/// Hexadecimal digits, then perhaps extensions, which say nothing about the length.
fn chunk_size(line: &[u8]) -> Result<u64, Malformed> {
    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
    let digits = std::str::from_utf8(digits.trim_ascii_end()).map_err(|_| Malformed)?;
    // A sign, which the parser would take, is no digit.
    if digits.starts_with('+') {
        return Err(Malformed);
    }
    u64::from_str_radix(digits, 16).map_err(|_| Malformed)
}

fn skip(left: &mut u64, rest: &mut &[u8]) {
    let here = (*left).min(rest.len() as u64);
    *left -= here;
    // It fits: it is no more than a slice's length.
    *rest = &rest[here as usize..];
}

const HEAD_BYTES_MAX: usize = 64 * 1024;
const FIELDS_MAX: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;

    /// The outcome of `bytes`, the same however they are cut.
    fn outcome(head_only: bool, bytes: &[u8]) -> Result<Option<Done>, Malformed> {
        let whole = Answer::new(head_only).feed(bytes);
        for size in 1..bytes.len() {
            let mut answer = Answer::new(head_only);
            let mut last = Ok(None);
            for piece in bytes.chunks(size) {
                // Bytes after the end are seen as such only when they come along with it.
                if last != Ok(None) {
                    last = Err(Malformed);
                    break;
                }
                last = answer.feed(piece);
            }
            assert_eq!(last, whole, "in pieces of {size}");
        }
        whole
    }

    fn done(status: u16, close: bool) -> Result<Option<Done>, Malformed> {
        Ok(Some(Done { status, close }))
    }

    #[test]
    fn a_length_ends_it() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nhello, world\n";
        assert_eq!(outcome(false, bytes), done(200, false));
        assert_eq!(outcome(false, &bytes[..bytes.len() - 1]), Ok(None));
        assert_eq!(outcome(false, &[&bytes[..], b"H"].concat()), Err(Malformed));
        let empty = b"HTTP/1.1 503 No\r\ncontent-length:0\r\nConnection: x, Close\r\n\r\n";
        assert_eq!(outcome(false, empty), done(503, true));
    }

    #[test]
    fn chunks_end_with_the_empty_one() {
        let bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n\
            5\r\nhello\r\n1A;name=\"value\"\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nTrailer: x\r\n\r\n";
        assert_eq!(outcome(false, bytes), done(200, false));
        assert_eq!(outcome(false, &bytes[..bytes.len() - 2]), Ok(None));
        let with_length =
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
        assert_eq!(outcome(false, with_length), done(200, false));
    }

    #[test]
    fn broken_chunks_are_none() {
        for chunks in [
            "x\r\n",
            "+5\r\nhello\r\n",
            "\r\n",
            "5\nhello\r\n",
            "5\r\nhelloo\r\n",
            "fffffffffffffffff\r\n",
        ] {
            let bytes = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
            assert_eq!(outcome(false, bytes.as_bytes()), Err(Malformed), "{chunks:?}");
        }
    }

    #[test]
    fn what_is_not_http_is_none() {
        for bytes in [
            &b"SSH-2.0-x\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        ] {
            assert_eq!(Answer::new(false).feed(bytes), Err(Malformed));
        }
        let endless = vec![b'a'; HEAD_BYTES_MAX + 1];
        let mut answer = Answer::new(false);
        assert_eq!(answer.feed(b"HTTP/1.1 200 OK\r\nX: "), Ok(None));
        assert_eq!(answer.feed(&endless), Err(Malformed));
    }

    #[test]
    fn some_have_no_body_whatever_they_announce() {
        let announced = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n";
        assert_eq!(outcome(true, announced), done(200, false));
        assert_eq!(
            outcome(false, b"HTTP/1.1 204 No Content\r\n\r\n"),
            done(204, false)
        );
        let early = b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        assert_eq!(outcome(false, early), done(200, false));
    }

    #[test]
    fn without_either_the_connection_s_end_is_the_answer_s() {
        let mut answer = Answer::new(false);
        assert_eq!(answer.feed(b"HTTP/1.1 200 OK\r\n\r\nsome"), Ok(None));
        assert_eq!(answer.feed(b" more"), Ok(None));
        assert_eq!(answer.ended().map(|done| done.close), Some(true));
        let mut cut = Answer::new(false);
        assert_eq!(
            cut.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome"),
            Ok(None)
        );
        assert_eq!(cut.ended(), None);
    }

    #[test]
    fn one_after_another_on_a_connection() {
        let mut answer = Answer::new(false);
        for _ in 0..3 {
            assert_eq!(
                answer.feed(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx"),
                done(200, false)
            );
        }
    }
}
