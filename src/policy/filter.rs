//! What the content of an answer passes through on its way to the client.

/// One stage. Made by a response hook, given each piece of content in order, then its end.
#[derive(Debug)]
pub enum Filter {}

impl Filter {
    /// Whether what comes out is of another length than what goes in; the length is not told in advance then.
    pub fn changes_length(&self) -> bool {
        match *self {}
    }

    /// Appends to `out` what goes on of `content`.
    pub fn push(&mut self, _content: &[u8], _out: &mut Vec<u8>) {
        match *self {}
    }

    /// The content is complete. One that breaks off is dropped instead.
    pub fn finish(self, _out: &mut Vec<u8>) {
        match self {}
    }
}
