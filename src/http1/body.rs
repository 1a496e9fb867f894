//! Message framing (RFC 9112 §6, §7): where a body ends, and what of the bytes is content.

use super::parse::{HeadError, HeadErrorKind};
use super::{is_field_content, is_tchar};

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// No body at all (also: responses to HEAD, 1xx, 204, 304).
    #[default]
    None,
    Length(u64),
    Chunked,
    /// Responses only.
    UntilClose,
}

/// One step of decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The next `skip` bytes of input are framing, then `length` (never 0) bytes are content. Both are consumed by it.
    Data { skip: usize, length: usize },
    /// All input is consumed (`skip` bytes of framing); more is needed.
    NeedMore { skip: usize },
    /// The body ended after `skip` more bytes; what follows belongs to the next message.
    Complete { skip: usize },
}

/// The stream ended before the body did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Truncated;

/// Tells content from framing, holding no byte of either.
///
/// Chunk extensions and trailers are checked against their grammar, bounded, and dropped: no reader of this
/// gateway asked for them, extensions are hop-by-hop (RFC 9112 §7.1.1), and RFC 9110 §6.5.1 lets trailers be
/// discarded. What is checked strictly and not passed on cannot be read differently by the next in line.
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
    /// Content bytes to come: of the body, or of the chunk; while its size is read, the size so far.
    left: u64,
    /// Digits of the size, or bytes of the extension on this line.
    on_line: u16,
    /// Bytes of extensions in this body.
    extensions: u16,
    trailer_bytes: u16,
    trailer_lines: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Length,
    UntilClose,
    Complete,
    Refused(HeadError),
    // Chunked, in the order of its grammar (RFC 9112 §7.1).
    Size,
    BeforeSemicolon,
    BeforeExtensionName,
    ExtensionName,
    AfterExtensionName,
    BeforeExtensionValue,
    ExtensionToken,
    ExtensionQuoted,
    ExtensionEscaped,
    AfterExtensionQuoted,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    LastLf,
}

impl BodyDecoder {
    pub fn new(framing: Framing) -> Self {
        let (state, left) = match framing {
            Framing::None | Framing::Length(0) => (State::Complete, 0),
            Framing::Length(length) => (State::Length, length),
            Framing::Chunked => (State::Size, 0),
            Framing::UntilClose => (State::UntilClose, 0),
        };
        Self {
            state,
            left,
            on_line: 0,
            extensions: 0,
            trailer_bytes: 0,
            trailer_lines: 0,
        }
    }

    /// The next event of `input`, of which the caller then drops what the event consumed. An error is for good:
    /// every later call returns it again.
    pub fn decode(&mut self, input: &[u8]) -> Result<Event, HeadError> {
        let mut at = 0;
        loop {
            match self.state {
                State::Complete => return Ok(Event::Complete { skip: at }),
                State::Refused(error) => return Err(error),
                _ if at == input.len() => return Ok(Event::NeedMore { skip: at }),
                State::UntilClose => {
                    return Ok(Event::Data {
                        skip: at,
                        length: input.len() - at,
                    });
                }
                State::Length | State::Data => {
                    let length = usize::try_from(self.left)
                        .unwrap_or(usize::MAX)
                        .min(input.len() - at);
                    self.left -= length as u64;
                    if self.left == 0 {
                        self.state = if self.state == State::Data {
                            State::DataCr
                        } else {
                            State::Complete
                        };
                    }
                    return Ok(Event::Data { skip: at, length });
                }
                State::DataCr if input[at..].starts_with(b"\r\n") => {
                    self.on_line = 0;
                    self.state = State::Size;
                    at += 2;
                }
                _ => {
                    if self.state == State::Size
                        && self.on_line == 0
                        && let Some((size, length)) = whole_size_line(&input[at..])
                    {
                        self.left = size;
                        self.state = if size == 0 {
                            State::TrailerStart
                        } else {
                            State::Data
                        };
                        at += length;
                        continue;
                    }
                    self.state = self.framing_byte(input[at]);
                    at += 1;
                }
            }
        }
    }

    /// Nothing more belongs to this body. True of a close-delimited one only after [`Self::end_of_stream`].
    pub fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    /// The peer closed its side: the proper end of a close-delimited body, too early for any other.
    pub fn end_of_stream(&mut self) -> Result<(), Truncated> {
        match self.state {
            State::UntilClose => {
                self.state = State::Complete;
                Ok(())
            }
            State::Complete => Ok(()),
            _ => Err(Truncated),
        }
    }

    /// What comes is content and nothing else, so that it may be passed on as it is.
    pub fn is_plain(&self) -> bool {
        matches!(self.state, State::Length | State::UntilClose | State::Complete)
    }

    /// Content bytes still to come, where that is known: of a body with Content-Length, and 0 of a complete one.
    pub fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Length => Some(self.left),
            State::Complete => Some(0),
            _ => None,
        }
    }

    /// Counts content of a plain body ([`Self::is_plain`]) that went another way; never more than remains.
    pub fn pass(&mut self, length: u64) {
        if self.state == State::Length {
            debug_assert!(length <= self.left);
            self.left -= length;
            if self.left == 0 {
                self.state = State::Complete;
            }
        }
    }

    fn framing_byte(&mut self, byte: u8) -> State {
        match self.state {
            State::Size => self.size(byte),
            State::SizeLf => match byte {
                b'\n' if self.left == 0 => State::TrailerStart,
                b'\n' => State::Data,
                _ => refuse("bad line end after chunk size"),
            },
            State::DataCr if byte == b'\r' => State::DataLf,
            State::DataLf if byte == b'\n' => {
                self.on_line = 0;
                State::Size
            }
            State::DataCr | State::DataLf => refuse("chunk data longer than its size"),
            State::TrailerStart
            | State::TrailerName
            | State::TrailerValue
            | State::TrailerLf
            | State::LastLf => self.trailer(byte),
            _ => self.extension(byte),
        }
    }

    fn size(&mut self, byte: u8) -> State {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            _ if self.on_line == 0 => return refuse("chunk size missing"),
            b'\r' => return State::SizeLf,
            b';' | b' ' | b'\t' => {
                self.on_line = 0;
                return self.extension_byte(if byte == b';' {
                    State::BeforeExtensionName
                } else {
                    State::BeforeSemicolon
                });
            }
            _ => return refuse("chunk size is not hexadecimal"),
        };
        self.on_line += 1;
        // The top bit stays clear: sizes past i63 turn negative in other implementations.
        if self.on_line > MAX_SIZE_DIGITS || self.left >> 59 != 0 {
            return refuse("chunk size too large");
        }
        self.left = self.left << 4 | u64::from(digit);
        State::Size
    }

    /// chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS ( token / quoted-string ) ] )
    fn extension(&mut self, byte: u8) -> State {
        let next = match (self.state, byte) {
            (State::BeforeSemicolon | State::AfterExtensionName | State::AfterExtensionQuoted, b';') => {
                State::BeforeExtensionName
            }
            (State::ExtensionName | State::ExtensionToken, b';') => State::BeforeExtensionName,
            (State::ExtensionName | State::ExtensionToken | State::AfterExtensionQuoted, b'\r') => {
                return State::SizeLf;
            }
            (State::ExtensionName | State::AfterExtensionName, b'=') => State::BeforeExtensionValue,
            (
                State::BeforeSemicolon
                | State::BeforeExtensionName
                | State::AfterExtensionName
                | State::BeforeExtensionValue,
                b' ' | b'\t',
            ) => self.state,
            (State::ExtensionName, b' ' | b'\t') => State::AfterExtensionName,
            (State::ExtensionToken | State::AfterExtensionQuoted, b' ' | b'\t') => State::BeforeSemicolon,
            (State::BeforeExtensionName | State::ExtensionName, _) if is_tchar(byte) => State::ExtensionName,
            (State::BeforeExtensionValue, b'"') => State::ExtensionQuoted,
            (State::BeforeExtensionValue | State::ExtensionToken, _) if is_tchar(byte) => {
                State::ExtensionToken
            }
            (State::ExtensionQuoted, b'"') => State::AfterExtensionQuoted,
            (State::ExtensionQuoted, b'\\') => State::ExtensionEscaped,
            (State::ExtensionQuoted | State::ExtensionEscaped, _) if is_field_content(byte) => {
                State::ExtensionQuoted
            }
            _ => refuse("malformed chunk extension"),
        };
        self.extension_byte(next)
    }

    fn extension_byte(&mut self, next: State) -> State {
        self.on_line += 1;
        self.extensions += 1;
        if self.on_line > MAX_EXTENSION_LINE || self.extensions > MAX_EXTENSIONS {
            return refuse("chunk extensions too large");
        }
        next
    }

    fn trailer(&mut self, byte: u8) -> State {
        self.trailer_bytes += 1;
        if self.trailer_bytes > MAX_TRAILER_BYTES {
            return State::Refused(HeadError::new(HeadErrorKind::TooLarge, "trailers too large"));
        }
        match (self.state, byte) {
            (State::TrailerStart, b'\r') => State::LastLf,
            (State::LastLf, b'\n') => State::Complete,
            (State::LastLf | State::TrailerLf, _) if byte != b'\n' => refuse("bad line end in trailers"),
            (State::TrailerStart, _) if is_tchar(byte) => {
                self.trailer_lines += 1;
                if self.trailer_lines > MAX_TRAILER_LINES {
                    return State::Refused(HeadError::new(HeadErrorKind::TooLarge, "too many trailers"));
                }
                State::TrailerName
            }
            (State::TrailerName, b':') => State::TrailerValue,
            (State::TrailerName, _) if is_tchar(byte) => State::TrailerName,
            (State::TrailerValue, b'\r') => State::TrailerLf,
            (State::TrailerValue, _) if is_field_content(byte) => State::TrailerValue,
            (State::TrailerLf, _) => State::TrailerStart,
            _ => refuse("malformed trailer"),
        }
    }
}

/// The size in a line that is all there, without extension, and its length; None leaves the matter to
/// [`BodyDecoder::framing_byte`], which goes byte by byte and knows what is wrong.
#[inline]
fn whole_size_line(input: &[u8]) -> Option<(u64, usize)> {
    let mut size = 0;
    for (at, &byte) in input.iter().take(MAX_SHORT_SIZE + 1).enumerate() {
        let digit = HEX[usize::from(byte)];
        if digit > 0xf {
            let ends = at > 0 && input[at..].starts_with(b"\r\n");
            return ends.then_some((size, at + b"\r\n".len()));
        }
        size = size << 4 | u64::from(digit);
    }
    None
}

/// Values of hexadecimal digits; of other bytes 0xff.
const HEX: [u8; 256] = {
    let mut table = [0xff; 256];
    let mut digit = 0;
    while digit < 16 {
        table[b"0123456789abcdef"[digit] as usize] = digit as u8;
        table[b"0123456789ABCDEF"[digit] as usize] = digit as u8;
        digit += 1;
    }
    table
};

/// Digits of sizes up to 4 GiB, which cannot overflow; longer ones take the slow road.
const MAX_SHORT_SIZE: usize = 8;

fn refuse(detail: &'static str) -> State {
    State::Refused(HeadError::new(HeadErrorKind::Malformed, detail))
}

/// As many as a u64 has; leading zeros count.
const MAX_SIZE_DIGITS: u16 = 16;

/// Extensions are bytes that carry nothing: a body of one-byte chunks with long ones makes the gateway read
/// hundreds of times what the origin gets. Real ones (signatures of a chunk) have some 80 bytes.
const MAX_EXTENSION_LINE: u16 = 256;
const MAX_EXTENSIONS: u16 = 4 * 1024;

/// Checksums, signatures, gRPC-web status: a handful of lines. Dropped, so the bound is on work, not on memory.
const MAX_TRAILER_BYTES: u16 = 8 * 1024;
const MAX_TRAILER_LINES: u8 = 64;

#[cfg(test)]
mod tests;
