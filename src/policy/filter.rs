//! What the content of an answer passes through on its way to the client.

use super::{compression::Encoder, http_caching::Fill};

/// One stage. Made by a response hook, given each piece of content in order, then its end.
#[derive(Debug)]
pub enum Filter {
    /// Keeps a copy.
    CacheFill(Box<Fill>),
    Compress(Box<Encoder>),
}

impl Filter {
    /// Whether what comes out is of another length than what goes in; the length is not told in advance then.
    pub fn changes_length(&self) -> bool {
        match self {
            Self::CacheFill(_) => false,
            Self::Compress(_) => true,
        }
    }

    /// Appends to `out` what goes on of `content`.
    pub fn push(&mut self, content: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::CacheFill(fill) => {
                fill.push(content);
                out.extend_from_slice(content);
            }
            Self::Compress(encoder) => encoder.push(content, out),
        }
    }

    /// The content is complete. One that breaks off is dropped instead.
    pub fn finish(self, out: &mut Vec<u8>) {
        match self {
            Self::CacheFill(fill) => fill.finish(),
            Self::Compress(encoder) => encoder.finish(out),
        }
    }
}
