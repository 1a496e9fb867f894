//! Message framing (RFC 9112 §6, §7): where a body ends, and what of the bytes is content.

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// No body at all (also: responses to HEAD, 1xx, 204, 304).
    None,
    Length(u64),
    Chunked,
    /// Responses only.
    UntilClose,
}

/// One step of decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The next `skip` bytes of input are framing, then `length` bytes are content. Both are consumed by it.
    Data { skip: usize, length: usize },
    /// All input is consumed (`skip` bytes of framing); more is needed.
    NeedMore { skip: usize },
    /// The body ended after `skip` more bytes; what follows belongs to the next message.
    Complete { skip: usize },
}

#[derive(Debug)]
pub struct BodyDecoder;
