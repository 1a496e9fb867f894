//! Where a head ends. Asked again after every read, so it remembers how far it looked: a head that arrives
//! byte by byte costs as much in all as one that arrives whole.

use super::parse::{HeadError, HeadErrorKind};
use super::{Limits, blocks, is_tchar};

/// Finds the empty line that ends a head, one per message and direction.
///
/// Bare LF, bare CR and NUL are refused where they stand, not at the end: with them two readers can disagree
/// on what a line is, and there is nothing to gain from reading on. What a head *says* is the parser's matter.
/// Verdicts do not depend on how the bytes were split into reads: bytes are judged strictly in order.
#[derive(Debug, Clone, Copy, Default)]
pub struct HeadScanner {
    /// Everything before it has been judged.
    position: usize,
    /// Where the line being scanned begins.
    line: usize,
    /// Where the head begins, after any empty lines.
    start: usize,
    phase: Phase,
    empty_lines: u8,
    response: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    NeedMore,
    /// The head is `bytes[start..end]`, its empty line included; what follows `end` is body or next message.
    Complete {
        start: usize,
        end: usize,
    },
    Refused(HeadError),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    BeforeHead,
    FirstLine,
    HeaderLines,
}

enum Lines {
    First,
    Empty { end: usize },
    Unfinished,
    Refused(&'static str),
}

impl HeadScanner {
    /// For an origin's heads: no empty line may come before the status line. RFC 9112 §2.2 grants that to
    /// requests alone, and bytes ahead of a response are the leftovers of an answer to somebody else.
    pub fn response() -> Self {
        Self {
            response: true,
            ..Self::default()
        }
    }

    /// For the next head; `bytes` may then start elsewhere.
    pub fn reset(&mut self) {
        *self = Self {
            response: self.response,
            ..Self::default()
        };
    }

    /// `bytes` must be what it was at the call before, and may have grown at its end.
    pub fn scan(&mut self, bytes: &[u8], limits: &Limits) -> Scan {
        if self.phase == Phase::BeforeHead
            && let Some(verdict) = if self.response {
                self.before_response(bytes)
            } else {
                self.before_request(bytes)
            }
        {
            return verdict;
        }
        loop {
            let (room, too_large) = self.room(limits);
            let end = self.start.saturating_add(room);
            let window = &bytes[..bytes.len().min(end)];
            match self.lines(window) {
                // What follows the first line has another limit.
                Lines::First => {}
                Lines::Empty { end } => {
                    return Scan::Complete {
                        start: self.start,
                        end,
                    };
                }
                Lines::Unfinished if window.len() == end => return Scan::Refused(too_large),
                Lines::Unfinished => return Scan::NeedMore,
                Lines::Refused(detail) => return refused(detail),
            }
        }
    }

    /// Judges lines up to the empty one; of a request line it is the only one.
    fn lines(&mut self, window: &[u8]) -> Lines {
        let mut position = self.position;
        loop {
            let at = blocks::find(
                window,
                position,
                |block| blocks::below(block, b'\r' + 1),
                |byte| matches!(byte, b'\r' | b'\n' | 0),
            );
            match (window.get(at), window.get(at + 1)) {
                (Some(b'\r'), Some(b'\n')) if at == self.line => return Lines::Empty { end: at + 2 },
                (Some(b'\r'), Some(b'\n')) => {
                    position = at + 2;
                    self.line = position;
                    if self.phase == Phase::FirstLine {
                        self.position = position;
                        self.phase = Phase::HeaderLines;
                        return Lines::First;
                    }
                }
                (None | Some(b'\r'), None) => {
                    self.position = at;
                    return Lines::Unfinished;
                }
                (Some(b'\r'), _) => return Lines::Refused("carriage return without line feed"),
                (Some(b'\n'), _) => return Lines::Refused("line feed without carriage return"),
                _ => return Lines::Refused("NUL in the head"),
            }
        }
    }

    /// How long the head may be by the end of the line being scanned, and the error past that.
    fn room(&self, limits: &Limits) -> (usize, HeadError) {
        let line = limits.target_bytes.saturating_add(REQUEST_LINE_SLACK);
        if self.phase == Phase::FirstLine && !self.response && line < limits.head_bytes {
            (
                line,
                HeadError::new(HeadErrorKind::TargetTooLong, "request line too long"),
            )
        } else {
            (
                limits.head_bytes,
                HeadError::new(HeadErrorKind::TooLarge, "head too large"),
            )
        }
    }

    fn before_request(&mut self, bytes: &[u8]) -> Option<Scan> {
        loop {
            match (bytes.get(self.position), bytes.get(self.position + 1)) {
                (None, _) | (Some(b'\r'), None) => return Some(Scan::NeedMore),
                (Some(b'\r'), Some(b'\n')) => {
                    if self.empty_lines == MAX_EMPTY_LINES {
                        return Some(refused("too many empty lines before the request line"));
                    }
                    self.empty_lines += 1;
                    self.position += 2;
                }
                (Some(b'\r'), _) => return Some(refused("carriage return without line feed")),
                (Some(b'\n'), _) => return Some(refused("line feed without carriage return")),
                // A TLS hello (0x16), an SSH banner's ancestor, a binary protocol: answered at its first byte,
                // where waiting for a line end would hold the connection until the time-out.
                (Some(&first), _) if !is_tchar(first) => return Some(refused("this is not HTTP")),
                _ => break,
            }
        }
        self.begin(self.position);
        None
    }

    fn before_response(&mut self, bytes: &[u8]) -> Option<Scan> {
        let seen = bytes.len().min(STATUS_LINE_PREFIX.len());
        if bytes[..seen] != STATUS_LINE_PREFIX[..seen] {
            return Some(refused("this is not HTTP"));
        }
        if seen < STATUS_LINE_PREFIX.len() {
            return Some(Scan::NeedMore);
        }
        self.begin(0);
        None
    }

    fn begin(&mut self, start: usize) {
        self.start = start;
        self.line = start;
        self.phase = Phase::FirstLine;
    }
}

fn refused(detail: &'static str) -> Scan {
    Scan::Refused(HeadError::new(HeadErrorKind::Malformed, detail))
}

/// Old clients end a POST body with a CRLF that nobody counted; RFC 9112 §2.2 asks to ignore at least one.
/// More than a few is somebody keeping a connection busy for free.
const MAX_EMPTY_LINES: u8 = 4;

/// In a request line beside the target: method, two spaces, version, CRLF (12 bytes without the method). The
/// longest registered method has 17 letters. The target itself is measured exactly when parsed.
const REQUEST_LINE_SLACK: usize = 64;

const STATUS_LINE_PREFIX: &[u8] = b"HTTP/";

#[cfg(test)]
mod tests;
